"""Painting mouths with a generator from any file, in any precision, on the processor or a card.

Backends: "eager" is the network as trained, all faces of a call at once. "folded" has the norms
folded into the convolutions, channels innermost in memory and, on the processor, blocks that take
as many faces at once as suit its cache. "onnxruntime" runs ONNX files, and checkpoints as such.
"auto" is folded for a checkpoint: on the processor the fastest within 2e-5 of eager float32
(``bench wav2lip``); on a card nothing was measured yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from lipsync.device import precisions, require_memory
from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.folding import PartedGenerator, fold_norms
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.engines.wav2lip.onnx_file import (
    FACE_ROW,
    MEL_ROW,
    PAINTED_ROW,
    OnnxGenerator,
    is_onnx,
    make_onnx,
)
from lipsync.errors import InputError

Precision = Literal["fp32", "fp16", "bf16"]
BACKENDS = ("eager", "folded", "onnxruntime")
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}

_AUTO = "auto"
_ON_PROCESSOR, _ON_CARD = 32, 64  # faces at once, folded
_USUAL_FACES = 32  # of a call of the engine's
# numbers that maps hold at the peak per face of the published width, and how often the weights are
# in memory while a generator is opened, all measured
_WHOLE_MAPS, _PARTED_MAPS = 5_000_000, 2_000_000
_FOLDING_COPIES, _EXPORT_COPIES = 2, 7
# flags of /proc/cpuinfo, of x86 and ARM: without one of them a half is slower than a whole
_HALF_FLAGS: dict[Precision, frozenset[str]] = {
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
}
_CPUINFO = Path("/proc/cpuinfo")

_Rows = TypeVar("_Rows", np.ndarray, Tensor)


class _Painter(Protocol):
    """Something that runs a generator."""

    def paint(self, mels: Tensor, faces: Tensor) -> Tensor: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def buffers(self) -> Iterator[Tensor]: ...


class LipGenerator:
    """A generator ready to paint; `notes` say where a wish could not be met, one sentence each."""

    def __init__(
        self, painter: _Painter, backend: str, precision: Precision, notes: tuple[str, ...]
    ) -> None:
        """Paint with `painter`; see `open_generator`."""
        self._painter = painter
        self.backend = backend
        self.precision = precision
        self.notes = notes

    def __call__(self, mels: _Rows, faces: _Rows) -> _Rows:
        """Paint faces: (B, 3, 96, 96) float32 BGR in [0, 1], in the kind and place of `faces`.

        `mels` (B, 1, 80, 16) in [-4, 4] and `faces` (B, 6, 96, 96) BGR in [0, 1] (lower half at
        zero, then whole) are both numpy arrays or both tensors. Raises ValueError for others.
        """
        if mels.shape[1:] != MEL_ROW or faces.shape[1:] != FACE_ROW or len(mels) != len(faces):
            raise ValueError(f"mels of shape {tuple(mels.shape)}, faces of {tuple(faces.shape)}")
        heard, seen = _as_tensor(mels), _as_tensor(faces)
        with torch.inference_mode():
            painted = self._painter.paint(heard, seen) if len(seen) else seen.new_empty(0)
            painted = painted.to(seen.device).reshape(-1, *PAINTED_ROW)
        if isinstance(faces, Tensor):
            return painted
        return painted.numpy()

    def parameters(self) -> Iterator[Tensor]:
        """Yield the weights, for whoever keeps the generator."""
        return self._painter.parameters()

    def buffers(self) -> Iterator[Tensor]:
        """Yield what else is kept."""
        return self._painter.buffers()


class TorchGenerator:
    """A generator that PyTorch runs."""

    def __init__(
        self,
        network: Generator | PartedGenerator,
        device: torch.device,
        dtype: torch.dtype,
        at_once: int | None,
    ) -> None:
        """Move the network; `at_once` faces go through it together, channels innermost in memory.

        None: all of a call, in the usual order.
        """
        self._device, self._dtype, self._at_once = device, dtype, at_once
        self._layout = torch.preserve_format if at_once is None else torch.channels_last
        self._network = network.to(device, dtype)

    def paint(self, mels: Tensor, faces: Tensor) -> Tensor:
        """Return (B, 3, 96, 96) float32 on the network's device, B > 0."""
        size = self._at_once or len(faces)
        pairs = zip(mels.split(size), faces.split(size), strict=True)
        return torch.cat([self._paint_part(*pair) for pair in pairs])

    def parameters(self) -> Iterator[Tensor]:
        """Yield the weights."""
        return self._network.parameters()

    def buffers(self) -> Iterator[Tensor]:
        """Yield what norms that were not folded keep."""
        return self._network.buffers()

    def _paint_part(self, mels: Tensor, faces: Tensor) -> Tensor:
        heard = mels.to(self._device, self._dtype)
        seen = faces.to(self._device, self._dtype, memory_format=self._layout)
        # the last step in float32: halves near 1 are further apart than grey levels
        return self._network.logits(heard, seen).float().sigmoid()


def open_generator(
    path: Path, device: torch.device, precision: Precision = "fp32", backend: str = _AUTO
) -> LipGenerator:
    """Open a PyTorch checkpoint or an ONNX file, told apart by content, to paint on `device`.

    Where `precision` cannot be had, the generator is in another and its notes say so. Raises
    InputError for a file that is absent, damaged or another network, a backend that is unknown
    or cannot run the file, and where the memory does not suffice.
    """
    if backend not in (_AUTO, *BACKENDS):
        known = ", ".join((_AUTO, *BACKENDS))
        raise InputError(f"There is no backend called {backend!r}; choose one of: {known}.")
    if is_onnx(path):
        if backend not in (_AUTO, "onnxruntime"):
            raise InputError(
                f"{path.name} is an ONNX file, which only onnxruntime runs; choose the backend "
                "`auto` or `onnxruntime`."
            )
        return _wrap(OnnxGenerator(path, path.name, device), path.name, device, precision)
    network = load_generator(path)
    if backend == "onnxruntime":
        _require_memory(network, device, torch.float32, _PARTED_MAPS * _USUAL_FACES, _EXPORT_COPIES)
        model = make_onnx(fold_norms(network), torch.float32, {})
        return _wrap(OnnxGenerator(model, path.name, device), path.name, device, precision)
    used, notes = _choose_precision(precision, device)
    dtype = DTYPES[used]
    if backend == "eager":
        _require_memory(network, device, dtype, _WHOLE_MAPS * _USUAL_FACES, 1)
        return LipGenerator(TorchGenerator(network, device, dtype, None), "eager", used, notes)
    if device.type == "cpu":
        _require_memory(network, device, dtype, _PARTED_MAPS * _ON_PROCESSOR, _FOLDING_COPIES)
        painter = TorchGenerator(PartedGenerator(fold_norms(network)), device, dtype, _ON_PROCESSOR)
    else:
        _require_memory(network, device, dtype, _WHOLE_MAPS * _ON_CARD, 1)
        folded = fold_norms(network)
        folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        painter = TorchGenerator(folded, device, dtype, _ON_CARD)
    return LipGenerator(painter, "folded", used, notes)


def _wrap(
    painter: OnnxGenerator, name: str, device: torch.device, precision: Precision
) -> LipGenerator:
    """Return what onnxruntime runs, with notes on what it does otherwise than asked."""
    notes = []
    used = cast(Precision, painter.precision)
    if device.type == "cuda" and not painter.on_card:
        notes.append("This onnxruntime cannot use a graphics card, so the processor is used.")
    if not painter.on_card and precision != "fp32":
        notes.append(f"onnxruntime computes in fp32 on the processor; {precision} was asked for.")
    elif used != precision:
        notes.append(f"{name} holds numbers in {used}, which is used; {precision} was asked for.")
    return LipGenerator(painter, "onnxruntime", used if painter.on_card else "fp32", tuple(notes))


def _choose_precision(wish: Precision, device: torch.device) -> tuple[Precision, tuple[str, ...]]:
    """Return what to compute in, and a note where it is not the wish."""
    if wish == "fp32" or DTYPES[wish] in _offered(device):
        return wish, ()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return "fp32", (f"{name} does not compute in {wish}, so fp32 is used.",)
    return "fp32", (f"This processor does not compute in {wish}, so fp32 is used.",)


def _offered(device: torch.device) -> list[torch.dtype]:
    if device.type == "cuda":
        names = precisions(torch.cuda.get_device_capability(device))
        return [getattr(torch, name) for name in names]
    return [DTYPES[half] for half in find_halves(_CPUINFO)]


def find_halves(cpuinfo: Path) -> tuple[Precision, ...]:
    """Return the half precisions that the processor computes in, by Linux's list of its flags.

    Without such a list, none.
    """
    if not cpuinfo.exists() or not torch.backends.mkldnn.is_available():
        return ()
    flags = frozenset(cpuinfo.read_text(encoding="utf-8").split())
    return tuple(half for half, names in _HALF_FLAGS.items() if flags & names)


def _require_memory(
    network: Generator, device: torch.device, dtype: torch.dtype, maps: int, copies: int
) -> None:
    """Raise InputError unless `copies` of the weights have room, and maps of `maps` numbers where
    the network has the published width."""
    weights = copies * sum(weight.numel() for weight in network.parameters())
    scaled = maps * network.params.width // Params().width
    require_memory("Wav2Lip", (weights + scaled) * dtype.itemsize, device)


def _as_tensor(rows: np.ndarray | Tensor) -> Tensor:
    if isinstance(rows, Tensor):
        return rows.float()
    # a copy, whatever the array's strides and whoever may write to it; it costs next to nothing
    return torch.from_numpy(np.array(rows, np.float32, order="C"))
