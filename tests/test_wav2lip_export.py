"""Exporting Wav2Lip's generator: what the file states, and that it is kept only if alike."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from wav2lip_files import TINY, make_batch, write_checkpoint

from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.onnx_export import BATCHES, BOUNDS, export_onnx, find_difference
from lipsync.engines.wav2lip.onnx_file import OnnxGenerator
from lipsync.errors import InputError, OutputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("wav2lip") / "tiny.pth")


def write_loud(path: Path, times: float) -> Path:
    """Write a checkpoint whose first maps are `times` as large as they were."""
    write_checkpoint(path)
    state = torch.load(path, weights_only=True)
    state["state_dict"]["face_encoder_blocks.0.0.conv_block.1.weight"] *= times
    torch.save(state, path)
    return path


def test_a_file_says_where_it_comes_from(checkpoint: Path, tmp_path: Path) -> None:
    exported = export_onnx(checkpoint, tmp_path / "out.onnx")
    assert exported.path == tmp_path / "out.onnx"
    assert exported.size == exported.path.stat().st_size
    assert exported.bound == 2e-5
    model = onnx.load_model(exported.path)
    onnx.checker.check_model(model)
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts["lipsync.network"] == "wav2lip"
    assert facts["lipsync.width"] == str(TINY.width)
    assert facts["lipsync.source_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert facts["lipsync.precision"] == "fp32"
    assert str(checkpoint.parent) not in str(facts)


def test_the_comparison_sees_another_network(checkpoint: Path, tmp_path: Path) -> None:
    exported = export_onnx(checkpoint, tmp_path / "out.onnx")
    network = load_generator(checkpoint)
    assert find_difference(exported.path, network) == exported.difference < 2e-5
    with torch.no_grad():
        network.output_block[1].bias += 0.01
    assert find_difference(exported.path, network) > 1e-3


def test_any_number_of_faces_goes_through(checkpoint: Path, tmp_path: Path) -> None:
    assert 1 in BATCHES
    assert 2 not in BATCHES  # what the network is traced with
    path = export_onnx(checkpoint, tmp_path / "out.onnx").path
    painter = OnnxGenerator(path, path.name, CPU)
    mels, faces = make_batch(40)
    painted = painter.paint(mels, faces)
    assert painted.shape == (40, 3, 96, 96)
    assert np.abs((painter.paint(mels[39:], faces[39:]) - painted[39:]).numpy()).max() < 1e-6


def test_half_is_half_as_large_and_within_its_bound(checkpoint: Path, tmp_path: Path) -> None:
    whole = export_onnx(checkpoint, tmp_path / "whole.onnx")
    half = export_onnx(checkpoint, tmp_path / "half.onnx", "fp16")
    assert half.size < 0.6 * whole.size
    assert whole.difference < half.difference < half.bound == BOUNDS["fp16"] <= 1 / 255
    kinds = {weight.data_type for weight in onnx.load_model(half.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds
    given = onnx.load_model(half.path).graph.input
    assert {value.type.tensor_type.elem_type for value in given} == {onnx.TensorProto.FLOAT}


def test_a_file_that_paints_otherwise_is_not_kept(tmp_path: Path) -> None:
    """Maps beyond what float16 can hold: an older file of that name stays, too."""
    loud = write_loud(tmp_path / "loud.pth", 1e7)
    old = tmp_path / "out.onnx"
    old.write_bytes(b"older")
    with pytest.raises(OutputError, match=r"As ONNX in fp16, loud.pth differs .* nothing was kept"):
        export_onnx(loud, old, "fp16")
    assert old.read_bytes() == b"older"
    assert {path.name for path in tmp_path.iterdir()} == {"loud.pth", "out.onnx"}
    assert export_onnx(loud, old).difference < 2e-5


def test_a_wrong_place_or_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"does not end in \.onnx"):
        export_onnx(checkpoint, tmp_path / "out.pth")
    with pytest.raises(OutputError, match="There is no folder"):
        export_onnx(checkpoint, tmp_path / "away" / "out.onnx")
    exported = export_onnx(checkpoint, tmp_path / "out.onnx").path
    with pytest.raises(OutputError, match="one of the inputs"):
        export_onnx(exported, exported)
    with pytest.raises(InputError, match="damaged, or not written by PyTorch"):
        export_onnx(exported, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()
