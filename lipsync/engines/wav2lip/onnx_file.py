"""ONNX files of the generator: telling one by its content, writing one, and running one.

Inputs and output of a file are float32 whatever it computes in, and the batch is free.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipsync.engines.wav2lip.generator import Generator
from lipsync.engines.wav2lip.units import MEL_SHAPE, SIDE
from lipsync.errors import InputError
from lipsync.onnx_session import (
    ON_PROCESSOR,
    offered_providers,
    open_session,
    session_errors,
)

MELS, FACES, PAINTED = "mels", "faces", "painted"  # the names inside a file of ours
MEL_ROW, FACE_ROW, PAINTED_ROW = (1, *MEL_SHAPE), (6, SIDE, SIDE), (3, SIDE, SIDE)
PRECISION_KEY = "lipsync.precision"  # what a file of ours says it computes in

_OPSET = 17
_ON_CARD = "CUDAExecutionProvider"
_AT_ONCE = 32  # faces; more are no faster, and their maps take memory
_NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# how a model file of protobuf begins: the format's version, then one of a model's other fields
_VERSION_TAG, _FIELD_TAGS = 0x08, bytes.fromhex("121a2228323a4272")


def is_onnx(path: Path) -> bool:
    """Say by its first bytes whether a file is an ONNX model; False where there is none."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(3)
    return len(head) == 3 and head[0] == _VERSION_TAG and head[1] < 0x80 and head[2] in _FIELD_TAGS


class _Typed(nn.Module):
    """A generator of any dtype that takes and gives float32."""

    def __init__(self, network: Generator, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, mels: Tensor, faces: Tensor) -> Tensor:
        logits = self.network.logits(mels.to(self.dtype), faces.to(self.dtype))
        return logits.float().sigmoid()


def make_onnx(network: Generator, dtype: torch.dtype, facts: Mapping[str, str]) -> bytes:
    """Return the generator as an ONNX model that states `facts`; the network becomes `dtype`.

    Inputs `mels` (B, 1, 80, 16) and `faces` (B, 6, 96, 96), output `painted` (B, 3, 96, 96).
    """
    import onnx

    rows = {MELS: MEL_ROW, FACES: FACE_ROW}
    with tempfile.TemporaryDirectory(prefix="lipsync-onnx-") as folder:
        path = Path(folder) / "generator.onnx"
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)  # the other exporter needs more
            torch.onnx.export(
                _Typed(network, dtype),
                tuple(torch.zeros(2, *row) for row in rows.values()),
                path,
                input_names=list(rows),
                output_names=[PAINTED],
                dynamic_axes={name: {0: "batch"} for name in (*rows, PAINTED)},
                opset_version=_OPSET,
                dynamo=False,
            )
        model = onnx.load_model(path)
    onnx.helper.set_model_props(model, dict(facts))
    return model.SerializeToString()


class OnnxGenerator:
    """A generator that onnxruntime runs."""

    def __init__(self, source: Path | bytes, name: str, device: torch.device) -> None:
        """Open a file, or a model in memory, called `name` where it is complained about.

        It runs on the card `device` where onnxruntime can, else on the processor, in as many
        threads as PyTorch would take here. Raises InputError for a damaged file and for
        another network.
        """
        self._session = _open_session(source, name, device)
        self.on_card = self._session.get_providers()[0].startswith("CUDA")
        self._inputs = _match_inputs(self._session, name)
        stated = self._session.get_modelmeta().custom_metadata_map.get(PRECISION_KEY)
        is_half = np.float16 in [number for _, number in self._inputs.values()]
        self.precision = stated if stated in ("fp32", "fp16") else "fp16" if is_half else "fp32"
        self._size = len(source) if isinstance(source, bytes) else source.stat().st_size
        self._try_once(name)

    def paint(self, mels: Tensor, faces: Tensor) -> Tensor:
        """Return (B, 3, 96, 96) float32 on the CPU for float32 of any device."""
        painted = [self._run(*pair) for pair in zip(_cut(mels), _cut(faces), strict=True)]
        return torch.from_numpy(np.concatenate(painted))

    def parameters(self) -> Iterator[Tensor]:
        """Yield one tensor as large as the weights that onnxruntime keeps; it takes no memory."""
        dtype = torch.float16 if self.precision == "fp16" else torch.float32
        yield torch.zeros((), dtype=dtype).expand(self._size // dtype.itemsize)

    def buffers(self) -> Iterator[Tensor]:
        """Yield nothing."""
        return iter(())

    def _run(self, mels: np.ndarray, faces: np.ndarray) -> np.ndarray:
        given = {MELS: mels, FACES: faces}
        fed = {
            name: np.ascontiguousarray(given[ours], number)
            for ours, (name, number) in self._inputs.items()
        }
        painted: np.ndarray = self._session.run(None, fed)[0]
        return painted.astype(np.float32, copy=False)

    def _try_once(self, name: str) -> None:
        try:
            painted = self._run(np.zeros((1, *MEL_ROW)), np.zeros((1, *FACE_ROW)))
        except session_errors() as error:
            raise InputError(_not_runnable(name, error)) from error
        if painted.shape != (1, *PAINTED_ROW):
            raise InputError(_another_network(name))


def _cut(rows: Tensor) -> list[np.ndarray]:
    return [part.numpy() for part in rows.cpu().split(_AT_ONCE)]


def _open_session(source: Path | bytes, name: str, device: torch.device) -> Any:
    providers: list[Any] = [ON_PROCESSOR]
    if device.type == "cuda" and _ON_CARD in offered_providers():
        providers.insert(0, (_ON_CARD, {"device_id": device.index or 0}))
    try:
        return open_session(source, providers, torch.get_num_threads())
    except session_errors() as error:
        raise InputError(_not_runnable(name, error)) from error


def _match_inputs(session: Any, name: str) -> dict[str, tuple[str, Any]]:
    """Return for each of our inputs the file's name and number type, told by the shapes."""
    found = {}
    for given in session.get_inputs():
        batch, *row = given.shape
        for ours, wanted in ((MELS, MEL_ROW), (FACES, FACE_ROW)):
            if tuple(row) == wanted and given.type in _NUMBERS and not isinstance(batch, int):
                found[ours] = (given.name, _NUMBERS[given.type])
    if len(found) < 2 or len(session.get_inputs()) != 2:
        raise InputError(_another_network(name))
    return found


def _not_runnable(name: str, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0][:200]
    return (
        f"{name} is an ONNX file that is damaged or cannot be run here ({reason}); "
        "export it again or choose another file."
    )


def _another_network(name: str) -> str:
    return (
        f"{name} is an ONNX file, but not of Wav2Lip's generator with any number of faces at once; "
        "choose one that `python -m lipsync export wav2lip` has written."
    )
