"""Wav2Lip's generator for use: whatever file, backend and precision, the same faces come out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from golden_recipe import make_input
from wav2lip_files import make_batch, write_checkpoint

from lipsync import device as memory
from lipsync.engines.wav2lip import inference
from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.generator import Params
from lipsync.engines.wav2lip.inference import BACKENDS, find_halves, open_generator
from lipsync.engines.wav2lip.onnx_export import export_onnx
from lipsync.engines.wav2lip.onnx_file import is_onnx
from lipsync.errors import InputError
from lipsync.residence import Residence

CPU = torch.device("cpu")
CARD = torch.device("cuda", 0)
TOLERANCE = 2e-5
VECTORS = Path(__file__).with_name("golden") / "wav2lip" / "forward.npz"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("wav2lip") / "tiny.pth")


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    return export_onnx(checkpoint, checkpoint.with_name("tiny.onnx")).path


def flags(folder: Path, *names: str) -> Path:
    listed = folder / "cpuinfo"
    listed.write_text(f"processor\t: 0\nflags\t\t: fpu {' '.join(names)} avx2\n")
    return listed


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_every_backend_paints_what_the_network_does(checkpoint: Path, backend: str) -> None:
    """Across the ends of what goes through at once: 8 faces and 32."""
    mels, faces = make_batch(33)
    with torch.inference_mode():
        expected = load_generator(checkpoint)(mels, faces)
    assert expected.std(dim=0).max() > 100 * TOLERANCE  # the faces differ
    generator = open_generator(checkpoint, CPU, backend=backend)
    assert generator.notes == ()
    assert generator.precision == "fp32"
    assert generator.backend == ("folded" if backend == "auto" else backend)
    painted = generator(mels, faces)
    assert (painted - expected).abs().max() < TOLERANCE
    assert (generator(mels[9:10], faces[9:10]) - expected[9:10]).abs().max() < TOLERANCE


def test_files_are_told_by_their_content(checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    as_torch = tmp_path / "network.pth"
    as_torch.write_bytes(exported.read_bytes())
    as_onnx = tmp_path / "network.onnx"
    as_onnx.write_bytes(checkpoint.read_bytes())
    assert open_generator(as_torch, CPU).backend == "onnxruntime"
    assert open_generator(as_onnx, CPU).backend == "folded"
    mels, faces = make_batch(2)
    apart = open_generator(as_torch, CPU)(mels, faces) - open_generator(as_onnx, CPU)(mels, faces)
    assert apart.abs().max() < TOLERANCE
    assert not is_onnx(tmp_path / "absent.onnx")


@pytest.mark.parametrize("backend", ["folded", "onnxruntime"])
def test_arrays_give_arrays_and_tensors_tensors(checkpoint: Path, backend: str) -> None:
    generator = open_generator(checkpoint, CPU, backend=backend)
    mels, faces = make_batch(3)
    painted = generator(mels, faces)
    assert isinstance(painted, torch.Tensor)
    assert painted.dtype == torch.float32
    flipped = faces.numpy()[::-1].astype(np.float64)[::-1]  # other strides, other numbers
    flipped.flags.writeable = False
    as_array = generator(mels.numpy(), flipped)
    assert isinstance(as_array, np.ndarray)
    assert as_array.dtype == np.float32
    assert np.array_equal(as_array, painted.numpy())
    assert generator(mels[:0], faces[:0]).shape == (0, 3, 96, 96)
    with pytest.raises(ValueError, match="shape"):
        generator(mels, faces[:2])
    with pytest.raises(ValueError, match="shape"):
        generator(mels, faces[:, :3])


def test_half_weights_where_the_processor_has_them(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mels, faces = make_batch(3)
    whole = open_generator(checkpoint, CPU)
    monkeypatch.setattr(inference, "_CPUINFO", flags(tmp_path, "avx512_bf16"))
    half = open_generator(checkpoint, CPU, "bf16")
    assert half.precision == "bf16"
    assert half.notes == ()
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    apart = (half(mels, faces) - whole(mels, faces)).abs().max()
    assert 0 < apart < 0.02
    refused = open_generator(checkpoint, CPU, "fp16")
    assert refused.precision == "fp32"
    assert refused.notes == ("This processor does not compute in fp16, so fp32 is used.",)
    assert torch.equal(refused(mels, faces), whole(mels, faces))


def test_what_a_processor_says_of_halves(tmp_path: Path) -> None:
    assert find_halves(flags(tmp_path)) == ()
    assert find_halves(flags(tmp_path, "avx512_bf16_of_another_name")) == ()
    assert find_halves(flags(tmp_path, "amx_bf16")) == ("bf16",)
    assert find_halves(flags(tmp_path, "avx512_fp16", "avx512_bf16")) == ("fp16", "bf16")
    assert find_halves(tmp_path / "absent") == ()


def test_onnxruntime_says_what_it_does_otherwise(
    checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    half = export_onnx(checkpoint, tmp_path / "half.onnx", "fp16").path
    (note,) = open_generator(half, CPU, "fp16").notes
    assert note == "onnxruntime computes in fp32 on the processor; fp16 was asked for."
    (note,) = open_generator(checkpoint, CPU, "bf16", "onnxruntime").notes
    assert "bf16" in note
    (note,) = open_generator(half, CPU).notes
    assert note == "half.onnx holds numbers in fp16, which is used; fp32 was asked for."
    (note,) = open_generator(exported, CARD).notes  # the onnxruntime of requirements.txt has none
    assert note == "This onnxruntime cannot use a graphics card, so the processor is used."


def test_a_backend_must_exist_and_run_the_file(checkpoint: Path, exported: Path) -> None:
    with pytest.raises(InputError, match=r"no backend called 'tensorrt'.*auto, eager, folded"):
        open_generator(checkpoint, CPU, backend="tensorrt")
    with pytest.raises(InputError, match="ONNX file, which only onnxruntime runs"):
        open_generator(exported, CPU, backend="folded")


def test_what_is_kept_is_counted(checkpoint: Path, exported: Path) -> None:
    residence = Residence(device="cpu")
    for path in (checkpoint, exported):
        with residence.use(path.name, lambda path=path: open_generator(path, CPU)):
            pass
    torch_part, onnx_part = residence.parts()
    assert torch_part.dtype == onnx_part.dtype == "float32"
    assert torch_part.device == onnx_part.device == "cpu"
    assert onnx_part.size == pytest.approx(torch_part.size, rel=0.1)


def test_too_little_memory_is_said_before_it_is_taken(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 900000 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    for backend in BACKENDS:
        with pytest.raises(InputError, match=r"Wav2Lip needs about .* of memory, 5"):
            open_generator(checkpoint, CPU, backend=backend)


def fix_batch(path: Path, output: Path) -> Path:
    """Write an ONNX file again as one that takes one face at a time."""
    model = onnx.load_model(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save_model(model, output)
    return output


def write_another(output: Path, row: tuple[int, ...]) -> Path:
    """Write an ONNX network that takes our mels and faces of shape `row`, and paints nothing."""
    shapes = {"a": (1, 80, 16), "b": row}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape])
        for name, shape in shapes.items()
    ]
    result = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, None)
    node = onnx.helper.make_node("Relu", ["b"], ["c"])
    graph = onnx.helper.make_graph([node], "other", inputs, [result])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save_model(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), output)
    return output


def test_a_damaged_or_foreign_file_is_one_sentence(exported: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(exported.read_bytes()[:20_000])
    noise = tmp_path / "noise.onnx"
    noise.write_bytes(b"no network at all" * 99)
    said = {
        cut: "cut.onnx is an ONNX file that is damaged",
        noise: "noise.onnx is damaged, or not written by PyTorch",
        tmp_path / "absent.onnx": "There is no checkpoint at",
        fix_batch(exported, tmp_path / "one.onnx"): "with any number of faces at once",
        write_another(tmp_path / "wide.onnx", (6, 128, 128)): "not of Wav2Lip's generator",
        write_another(tmp_path / "whole.onnx", (6, 96, 96)): "not of Wav2Lip's generator",
    }
    for path, words in said.items():
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            open_generator(path, CPU)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_published_size_agrees_with_the_vectors(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "full.pth", Params())
    recorded = np.load(VECTORS)["gen_out"]
    mels = make_input("w2l.audio", (2, 1, 80, 16), span=(-4, 4))
    faces = make_input("w2l.faces", (2, 6, 96, 96), span=(0, 1))
    exported = export_onnx(checkpoint, tmp_path / "full.onnx")
    assert exported.difference < TOLERANCE
    opened = [(checkpoint, backend) for backend in BACKENDS] + [(exported.path, "auto")]
    for path, backend in opened:
        painted = open_generator(path, CPU, backend=backend)(mels, faces).numpy()
        assert np.abs(painted - recorded).max() < TOLERANCE, backend
