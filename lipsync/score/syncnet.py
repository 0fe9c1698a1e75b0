"""SyncNet v2: does this sound belong to this mouth? Two networks whose answers lie close if so.

It takes five frames of a face (0.2 s) and the cepstral coefficients of the same time, and makes
1024 numbers of each; what their distance says is in `sync`. `SyncNet` has the published names and
shapes, `StripSyncNet` the same numbers in a form that is quicker to run.
Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016.
https://github.com/joonson/syncnet_python
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from lipsync.errors import InputError
from lipsync.nn.checkpoint import CHOOSE, map_weights, take_weights

WINDOW = 5  # frames seen at once
SIDE = 224  # px, of the faces
SOUND_COLUMNS = 20  # of the coefficients, heard at once
COLUMNS_PER_FRAME = 4
_GLANCES = 4  # windows that the first layer makes at once
_COUNTER = "num_batches_tracked"  # of the training; files from before 2018 have none


@dataclass(frozen=True)
class SyncNetParams:
    """Widths of the two networks; the defaults are the published ones."""

    sound_widths: tuple[int, ...] = (64, 192, 384, 256, 256, 512)
    lip_widths: tuple[int, ...] = (96, 256, 256, 256, 256, 512)
    embedding: int = 1024


class SyncNet(nn.Module):
    """The network with its published names; normalised, so that it can be trained on."""

    def __init__(self, params: SyncNetParams | None = None) -> None:
        super().__init__()
        params = params or SyncNetParams()
        self.netcnnaud = _make_ear(params.sound_widths)
        self.netfcaud = _make_head(params.sound_widths[-1], params.embedding)
        self.netfclip = _make_head(params.lip_widths[-1], params.embedding)
        self.netcnnlip = _make_eye(params.lip_widths)

    def embed_sound(self, coefficients: Tensor) -> Tensor:
        """Return (B, 1024), not normalised, of (B, 1, 13, 20) float32."""
        heard: Tensor = self.netfcaud(self.netcnnaud(coefficients).flatten(1))
        return heard

    def embed_lips(self, windows: Tensor) -> Tensor:
        """Return (B, 1024), not normalised, of (B, 3, 5, 224, 224) float32 BGR in [0, 255]."""
        seen: Tensor = self.netfclip(self.lip_features(windows))
        return seen

    def lip_features(self, windows: Tensor) -> Tensor:
        """Return the (B, 512) numbers that describe the lips before they are made comparable."""
        features: Tensor = self.netcnnlip(windows).flatten(1)
        return features


def _make_ear(widths: tuple[int, ...]) -> nn.Sequential:
    pools: dict[int, nn.Module] = {
        0: nn.MaxPool2d(1),  # changes nothing, but the names count it
        1: nn.MaxPool2d(3, stride=(1, 2)),
        4: nn.MaxPool2d(3, stride=2),
    }
    layers: list[nn.Module] = []
    for index, (width_in, width) in enumerate(pairwise((1, *widths))):
        is_last = index == len(widths) - 1
        conv = nn.Conv2d(width_in, width, (5, 4) if is_last else 3, padding=0 if is_last else 1)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
        layers += [pools[index]] if index in pools else []
    return nn.Sequential(*layers)


def _make_eye(widths: tuple[int, ...]) -> nn.Sequential:
    # only the first layer looks across time, so a strip of frames is all its windows at once
    convs = (
        ((WINDOW, 7, 7), (1, 2, 2), 0),
        ((1, 5, 5), (1, 2, 2), (0, 1, 1)),
        *[((1, 3, 3), 1, (0, 1, 1))] * 3,
        ((1, 6, 6), 1, 0),
    )
    pools: dict[int, nn.Module] = {
        0: nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        1: nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        4: nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
    }
    layers: list[nn.Module] = []
    for index, (width_in, width) in enumerate(pairwise((3, *widths))):
        kernel, stride, padding = convs[index]
        conv = nn.Conv3d(width_in, width, kernel, stride, padding)  # type: ignore[arg-type]
        layers += [conv, nn.BatchNorm3d(width), nn.ReLU()]
        layers += [pools[index]] if index in pools else []
    return nn.Sequential(*layers)


def _make_head(width: int, embedding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, embedding)
    )


class StripSyncNet(nn.Module):
    """A `SyncNet` in eval mode, for judging: the same numbers up to rounding, in less time.

    The norms are folded into the layers before them. The first lip layer, the only one that looks
    across time, walks along the strip itself; what it makes of a window is large, so it is pooled
    a few windows at a time, while still in a processor's caches. The weights of the others are
    large instead: those take all windows of the strip at once, as pictures without a time.
    """

    def __init__(self, network: SyncNet) -> None:
        super().__init__()
        self.ear = _as_pictures(fold_norms(network.netcnnaud))
        self.sound_head = fold_norms(network.netfcaud)
        glance, *layers, last, rectify = fold_norms(network.netcnnlip)
        self.glance = glance.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.pool = _as_pictures(layers[:2])
        self.eye = nn.Sequential(*_as_pictures(layers[2:]), nn.Flatten(), _as_matrix(last), rectify)
        self.lip_head = fold_norms(network.netfclip)
        self.eval().requires_grad_(False)

    def embed_sound(self, coefficients: Tensor) -> Tensor:
        """Return (B, 1024), not normalised, of (B, 1, 13, 20) float32."""
        heard: Tensor = self.sound_head(
            self.ear(coefficients.contiguous(memory_format=torch.channels_last)).flatten(1)
        )
        return heard

    def embed_strip(self, frames: Tensor) -> Tensor:
        """Return (T - 4, 1024), not normalised, of (T, 3, 224, 224) float32 BGR in [0, 255]."""
        strip = frames.transpose(0, 1)[None].contiguous(memory_format=torch.channels_last_3d)
        glances = [
            self._glance_at(strip[:, :, first : first + _GLANCES + WINDOW - 1])
            for first in range(0, len(frames) - WINDOW + 1, _GLANCES)
        ]
        seen: Tensor = self.lip_head(self.eye(torch.cat(glances)))
        return seen

    def _glance_at(self, strip: Tensor) -> Tensor:
        """Return (n, 96, 54, 54): the first layer's pooled maps of all windows in the strip."""
        pooled: Tensor = self.pool(self.glance(strip)[0].transpose(0, 1))
        return pooled


def fold_norms(layers: nn.Sequential) -> nn.Sequential:
    """Return copies of the layers with every norm folded into what it follows."""
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            folded[-1] = fuse_linear_bn_eval(folded[-1], layer)  # type: ignore[type-var]
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            folded[-1] = fuse_conv_bn_eval(folded[-1], layer)  # type: ignore[type-var]
        elif isinstance(layer, nn.MaxPool2d | nn.MaxPool3d) and isinstance(folded[-1], nn.ReLU):
            folded.insert(-1, layer)  # the same numbers either way, on a quarter of the pixels
        else:
            folded.append(nn.ReLU(inplace=True) if isinstance(layer, nn.ReLU) else layer)
    return nn.Sequential(*folded)


def _as_pictures(layers: Iterable[nn.Module]) -> nn.Sequential:
    """Return the layers without their time of one frame, channels innermost."""
    flat: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Conv3d):
            conv = nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                _across(layer.kernel_size),
                _across(layer.stride),
                _across(layer.padding),  # type: ignore[arg-type]
            )
            conv.weight, conv.bias = nn.Parameter(layer.weight.squeeze(2)), layer.bias
            flat.append(conv)
        elif isinstance(layer, nn.MaxPool3d):
            flat.append(
                nn.MaxPool2d(
                    _across(layer.kernel_size), _across(layer.stride), _across(layer.padding)
                )
            )
        else:
            flat.append(layer)
    return nn.Sequential(*flat).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _as_matrix(conv: nn.Module) -> nn.Linear:
    """Return a convolution over pictures no larger than its kernel as the sum that it is."""
    assert isinstance(conv, nn.Conv3d)
    assert conv.bias is not None
    matrix = nn.Linear(conv.weight[0].numel(), conv.out_channels)
    matrix.weight = nn.Parameter(conv.weight.flatten(1))
    matrix.bias = nn.Parameter(conv.bias)
    return matrix


def _across(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of a size that may have a depth."""
    return (size, size) if isinstance(size, int) else (size[-2], size[-1])


def cut_strips(frames: Iterable[Tensor], windows: int) -> Iterator[Tensor]:
    """Yield (T, 3, 224, 224) strips of 5 to `windows` + 4 frames that share 4 with the next.

    `frames` are (3, 224, 224); each window of five frames lies in exactly one strip.
    """
    strip: list[Tensor] = []
    for frame in frames:
        strip.append(frame)
        if len(strip) == windows + WINDOW - 1:
            yield torch.stack(strip)
            strip = strip[windows:]
    if len(strip) >= WINDOW:
        yield torch.stack(strip)


def load_syncnet(
    path: Path,
    params: SyncNetParams | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> SyncNet:
    """Build the network with the weights of the published `syncnet_v2.model`, ready to judge.

    Names must be those of the file; only the training's counters may be missing from it. Raises
    InputError for a file that cannot be read or that belongs to another network.
    """
    state = map_weights(path)
    with torch.device("meta"):
        network = SyncNet(params)
    needed = network.state_dict()
    if not any(name in state.weights for name in ("netcnnlip.0.weight", "netcnnaud.0.weight")):
        raise InputError(
            f"{path.name} holds {len(state.weights)} tensors but no SyncNet; {CHOOSE}."
        )
    counters = {name: torch.zeros((), dtype=torch.long) for name in needed if _COUNTER in name}
    whole = replace(state, weights={**counters, **state.weights})
    take_weights(network, whole, part="SyncNet", device=device, dtype=dtype)
    return network
