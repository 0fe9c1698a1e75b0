"""`export wav2lip`: the file, the figure, and the exit code where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from wav2lip_files import make_batch, write_checkpoint

from lipsync.cli.commands import main
from lipsync.engines.wav2lip.inference import open_generator


def test_the_file_paints_and_the_difference_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "tiny.pth")
    for options, allowed in (([], "2e-05"), (["--dtype", "fp16"], "0.0039")):
        output = tmp_path / f"out{len(options)}.onnx"
        assert main(["export", "wav2lip", str(checkpoint), str(output), *options]) == 0
        place, said = capsys.readouterr().out.splitlines()
        assert place.startswith(str(output))
        assert said.startswith("Largest difference from PyTorch in float32: ")
        assert f"allowed {allowed} " in said
        painted = open_generator(output, torch.device("cpu"))(*make_batch(2))
        assert painted.shape == (2, 3, 96, 96)


def test_what_cannot_be_exported_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = tmp_path / "noise.pth"
    noise.write_bytes(b"no network at all" * 99)
    assert main(["export", "wav2lip", str(noise), str(tmp_path / "out.onnx")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("noise.pth is damaged, or not written by PyTorch; ")
    assert shown.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["noise.pth"]
    with pytest.raises(SystemExit, match="2"):
        main(["export", "wav2lip", str(noise), str(tmp_path / "out.onnx"), "--dtype", "int8"])
