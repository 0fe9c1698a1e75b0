"""From a checkpoint to an ONNX file that has proved, before it gets its name, to paint the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.folding import fold_norms
from lipsync.engines.wav2lip.generator import Generator
from lipsync.engines.wav2lip.onnx_file import (
    FACE_ROW,
    MEL_ROW,
    PRECISION_KEY,
    OnnxGenerator,
    make_onnx,
)
from lipsync.errors import OutputError
from lipsync.media.output import check_ending, check_place, output_errors, partial_file
from lipsync.steps import exhaust
from lipsync.weights.ledger import hash_file

# The most that a file may differ from the checkpoint in eager float32, of [0, 1]. For fp16 that is
# a grey level: its numbers have 11 bits, and some twenty layers add up what they round.
BOUNDS: Mapping[Literal["fp32", "fp16"], float] = {"fp32": 2e-5, "fp16": 1 / 255}
BATCHES = (1, 3, 8)  # the network was traced with another

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


@dataclass(frozen=True)
class Exported:
    """A file that was written and compared."""

    path: Path
    size: int  # bytes
    difference: float  # from the checkpoint in eager float32, the largest, of [0, 1]
    bound: float  # what it may be


def export_onnx(
    checkpoint: Path, output: Path, precision: Literal["fp32", "fp16"] = "fp32"
) -> Exported:
    """Write the generator of `checkpoint` to an ONNX file, compare the two, and keep it if alike.

    It states the checkpoint's SHA-256, the network's width, its precision and the difference's
    bound. Raises InputError as `load_generator` does, and OutputError where the file cannot be
    written or differs by more than `BOUNDS`; nothing has the name `output` then.
    """
    check_ending(output, (".onnx",))
    check_place(output, [checkpoint])
    network = load_generator(checkpoint)
    facts = {
        "lipsync.network": "wav2lip",
        "lipsync.width": str(network.params.width),
        "lipsync.source_sha256": exhaust(hash_file(checkpoint)),
        "lipsync.bound": f"{BOUNDS[precision]:.2g}",
        PRECISION_KEY: precision,
    }
    # folding is in place, and what it is compared with must not have been touched
    model = make_onnx(fold_norms(load_generator(checkpoint)), _DTYPES[precision], facts)
    with partial_file(output) as partial:
        with output_errors(output):
            partial.write_bytes(model)
        del model
        difference = find_difference(partial, network)
        if not difference <= BOUNDS[precision]:  # NaN is no match either
            raise OutputError(
                f"As ONNX in {precision}, {checkpoint.name} differs from PyTorch by "
                f"{difference:.2g} where {BOUNDS[precision]:.2g} is allowed, so nothing was kept; "
                "use the checkpoint itself."
            )
        size = partial.stat().st_size
    return Exported(output, size, difference, BOUNDS[precision])


def find_difference(path: Path, network: Generator) -> float:
    """Return the largest difference of what an ONNX file and the network paint, of [0, 1].

    Random mels and faces in several batch sizes; NaN where one paints NaN.
    """
    painter = OnnxGenerator(path, path.name, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    apart = []
    for batch in BATCHES:
        mels = torch.rand(batch, *MEL_ROW, generator=rng) * 8 - 4
        faces = torch.rand(batch, *FACE_ROW, generator=rng)
        with torch.inference_mode():
            apart.append((painter.paint(mels, faces) - network(mels, faces)).abs().max())
    return float(torch.stack(apart).max())
