"""Ways to compute what SyncNet's judge computes: the published program's, ours, and what was tried.

All take (T, 224, 224, 3) uint8 RGB faces and give (T - 4, D) float32, one row per window of five.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lipsync.audio.mfcc import mfcc
from lipsync.onnx_session import open_session
from lipsync.score.evaluation import embed_faces
from lipsync.score.sync import MAX_SHIFT
from lipsync.score.syncnet import (
    COLUMNS_PER_FRAME,
    SIDE,
    SOUND_COLUMNS,
    WINDOW,
    StripSyncNet,
    SyncNet,
    fold_norms,
)

Look = Callable[[np.ndarray], Tensor]
PUBLISHED_BATCH = 20  # windows
PUBLISHED = f"published: {PUBLISHED_BATCH} windows at a time, each frame five times"
SINGLE = "published, one window at a time"
OURS = "ours: strips, norms folded, channels innermost"
ONNX = "onnxruntime, norms folded"


def lip_ways(network: SyncNet, strips: StripSyncNet) -> dict[str, Look]:
    """Return every way to embed faces by its name, the published one first, ours second."""
    folded = copy.deepcopy(network)
    folded.netcnnlip, folded.netfclip = fold_norms(network.netcnnlip), fold_norms(network.netfclip)
    flat = FlatSyncNet(strips)
    example = torch.zeros(1, WINDOW * 3, SIDE, SIDE)
    return {
        PUBLISHED: lambda faces: look_plainly(network, faces),
        OURS: lambda faces: look_in_strips(strips, faces),
        SINGLE: lambda faces: look_plainly(network, faces, 1),
        "published layers along one strip": lambda faces: look_along(network, faces),
        "norms folded": lambda faces: look_plainly(folded, faces),
        "norms folded, channels innermost": lambda faces: flat(as_pictures(faces)),
        "the same, frozen by TorchScript": _freeze(flat, example),
        ONNX: _open_in_onnxruntime(flat, example),
    }


def look_plainly(network: SyncNet, faces: np.ndarray, batch: int = PUBLISHED_BATCH) -> Tensor:
    """Embed faces as the published program does: windows cut out and stacked, batch for batch."""
    clip = _as_clip(faces)
    seen = []
    for first in range(0, len(faces) - WINDOW + 1, batch):
        starts = range(first, min(first + batch, len(faces) - WINDOW + 1))
        seen.append(network.embed_lips(torch.stack([clip[:, s : s + WINDOW] for s in starts])))
    return torch.cat(seen)


def look_in_strips(strips: StripSyncNet, faces: np.ndarray) -> Tensor:
    """Embed faces as the program does."""
    return torch.from_numpy(np.concatenate(list(embed_faces(strips, faces))))


def look_along(network: SyncNet, faces: np.ndarray) -> Tensor:
    """Embed faces by the published layers, a strip of 20 windows at a time."""
    clip = _as_clip(faces)
    seen = []
    for first in range(0, len(faces) - WINDOW + 1, PUBLISHED_BATCH):
        strip = clip[None, :, first : first + PUBLISHED_BATCH + WINDOW - 1]
        seen.append(network.netfclip(network.netcnnlip(strip)[0, :, :, 0, 0].T))
    return torch.cat(seen)


class FlatSyncNet(nn.Module):
    """The lips of a `StripSyncNet` for windows that were cut before: five frames, 15 channels."""

    def __init__(self, strips: StripSyncNet) -> None:
        super().__init__()
        strip = strips.glance
        conv = nn.Conv2d(WINDOW * 3, strip.out_channels, strip.kernel_size[1:], strip.stride[1:])
        conv.weight = nn.Parameter(strip.weight.transpose(1, 2).flatten(1, 2))
        conv.bias = strip.bias
        self.layers = nn.Sequential(conv, strips.pool, strips.eye, strips.lip_head)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        seen: Tensor = self.layers(pictures)
        return seen


def as_pictures(faces: np.ndarray) -> Tensor:
    """Return (T - 4, 15, 224, 224) float32 windows, channels innermost in memory."""
    return _cut(faces).contiguous(memory_format=torch.channels_last)


def _cut(faces: np.ndarray) -> Tensor:
    """Return (T - 4, 15, 224, 224) float32 windows."""
    windows = _as_clip(faces).unfold(1, WINDOW, 1)  # (3, T - 4, 224, 224, 5), a view
    return windows.permute(1, 4, 0, 2, 3).flatten(1, 2)


def _freeze(flat: FlatSyncNet, example: Tensor) -> Look:
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript; here it is a rival
        frozen = torch.jit.freeze(torch.jit.trace(flat, example))
    return lambda faces: frozen(as_pictures(faces))


def _open_in_onnxruntime(flat: FlatSyncNet, example: Tensor) -> Look:
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as folder:
        path = Path(folder) / "lips.onnx"
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)  # the other exporter needs more
            torch.onnx.export(
                flat,
                (example,),
                path,
                input_names=["pictures"],
                dynamic_axes={"pictures": {0: "windows"}},
                dynamo=False,
            )
        session = open_session(path, threads=1)
    return lambda faces: torch.from_numpy(session.run(None, {"pictures": _cut(faces).numpy()})[0])


def cut_sounds_plainly(samples: np.ndarray, windows: int) -> Tensor:
    """Return (windows, 1, 13, 20) float32, every window a copy."""
    columns = mfcc(samples).astype(np.float32)
    starts = range(0, windows * COLUMNS_PER_FRAME, COLUMNS_PER_FRAME)
    cut = np.stack([columns[:, start : start + SOUND_COLUMNS] for start in starts])
    return torch.from_numpy(cut[:, None])


def hear_plainly(network: SyncNet, sounds: Tensor) -> Tensor:
    """Embed (N, 1, 13, 20) windows of sound as the published program does."""
    return torch.cat([network.embed_sound(batch) for batch in sounds.split(PUBLISHED_BATCH)])


def evaluate_plainly(network: SyncNet, faces: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the (T - 5, 31) float32 distances of the published evaluation, computed its way."""
    count = len(faces) - WINDOW
    lips = look_plainly(network, faces[:-1])
    sounds = hear_plainly(network, cut_sounds_plainly(samples, count))
    padded = functional.pad(sounds, (0, 0, MAX_SHIFT, MAX_SHIFT))
    shifts = 2 * MAX_SHIFT + 1
    rows = [
        functional.pairwise_distance(lips[[v]].repeat(shifts, 1), padded[v : v + shifts])
        for v in range(count)
    ]
    return torch.stack(rows).numpy()


def _as_clip(faces: np.ndarray) -> Tensor:
    """Return (3, T, 224, 224) float32, the colours blue first."""
    return torch.from_numpy(faces[..., ::-1].transpose(3, 0, 1, 2).astype(np.float32))
