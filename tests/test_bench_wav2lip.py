"""The bench of Wav2Lip's generator: every way is there, and is held to the first of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from wav2lip_files import TINY, write_checkpoint

from lipsync.bench import wav2lip as bench
from lipsync.engines.wav2lip import inference
from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.generator import Generator
from lipsync.errors import InputError

CPU = torch.device("cpu")


def test_random_weights_have_norms_worth_folding(tmp_path: Path) -> None:
    network = load_generator(bench.write_random(tmp_path / "random.pth", TINY))
    units = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(units) > 40
    assert all((norm.running_var - 1).abs().max() > 0.01 for norm in units)


def test_every_way_that_is_had_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("flags : avx512_bf16")
    monkeypatch.setattr(inference, "_CPUINFO", listed)
    ways, absent = bench.open_ways(write_checkpoint(tmp_path / "tiny.pth"), CPU)
    assert list(ways) == ["eager fp32", "folded fp32", "onnxruntime fp32", "folded bf16"]
    (reason,) = absent
    assert reason == "folded fp16: This processor does not compute in fp16, so fp32 is used."
    eager, *others, half = bench.compare(ways, batch=9, repeats=2)
    assert (eager.gain, eager.cpu_gain, eager.difference) == (1.0, 1.0, 0.0)
    assert all(0 < speed.difference < 2e-5 for speed in others)
    assert 2e-5 < half.difference < 0.02
    assert all(speed.batch == 9 and speed.rate > 0 and speed.gain > 0 for speed in others)


def test_another_network_shows_as_a_difference(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "tiny.pth")
    ways = {"eager": inference.open_generator(checkpoint, CPU, "fp32", "eager")}
    other = Generator(TINY)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    ways["other"] = inference.open_generator(tmp_path / "other.pth", CPU)
    _, speed = bench.compare(ways, batch=2, repeats=1)
    assert speed.difference > 1e-3


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--only", "generator", "--batches", "2", "--repeats", "1", "--device", "cpu"]
    assert bench.main(options, TINY) == 0
    printed = capsys.readouterr().out
    assert "faces/s" in printed
    assert "onnxruntime fp32" in printed
    assert bench.main([*options, "--json"], TINY) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]
    assert {speed["batch"] for speed in report["speeds"]} == {2}
    assert {"eager fp32", "folded fp32"} <= {speed["way"] for speed in report["speeds"]}
    assert report["speech"] == []
    with pytest.raises(SystemExit):
        bench.main(["--batches", "0"])


@pytest.mark.slow
def test_a_speech_with_an_avatar_is_compared(
    face_clip: Path, short_voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--only", "avatar", "--device", "cpu", "--json"]
    files = ["--clip", str(face_clip), "--voice", str(short_voice)]
    assert bench.main([*options, *files], TINY) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["speeds"] == []
    assert [row["unit"] for row in report["speech"]] == ["s"] * 3
    assert all("wav2lip" in row["step"] for row in report["speech"])
    assert all(row["ours"] > 0 and row["plain"] > 0 for row in report["speech"])


def test_an_absent_clip_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*away\.mp4; name a talking clip"):
        bench.main(["--only", "avatar", "--clip", str(tmp_path / "away.mp4")], TINY)
