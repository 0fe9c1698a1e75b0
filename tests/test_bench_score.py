"""The bench of SyncNet's judge: every way makes the same numbers, and every row comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from lipsync.bench import score as bench
from lipsync.bench import score_ways as ways
from lipsync.score.syncnet import StripSyncNet, SyncNet, SyncNetParams

pytestmark = pytest.mark.slow  # each takes seconds

TINY = SyncNetParams((2, 3, 4, 3, 4, 8), (2, 3, 4, 3, 4, 8), embedding=16)


@pytest.fixture(scope="module")
def network() -> SyncNet:
    """A tiny random judge."""
    return bench.make_network(TINY)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_the_network_has_norms_worth_folding(network: SyncNet) -> None:
    norms = [p for p in network.modules() if isinstance(p, nn.BatchNorm2d | nn.BatchNorm3d)]
    assert len(norms) == 12
    assert all((norm.running_var - 1).abs().max() > 0.01 for norm in norms)


def test_every_way_sees_the_same(network: SyncNet) -> None:
    """Across the ends of batches and strips, too: 23 windows."""
    faces = np.random.default_rng(1).integers(0, 256, (27, 224, 224, 3), np.uint8)
    found = {
        way: look(faces).numpy()
        for way, look in ways.lip_ways(network, StripSyncNet(network)).items()
    }
    assert list(found)[:3] == [ways.PUBLISHED, ways.OURS, ways.SINGLE]
    assert ways.ONNX in found  # the package is among those that tests need
    assert len(found) == 8
    published = found[ways.PUBLISHED]
    assert published.shape == (23, 16)
    assert np.ptp(published, axis=0).max() > 1e-3 * np.abs(published).max()
    for way, rows in found.items():
        assert np.abs(rows - published).max() < 1e-4 * np.abs(published).max(), way


def test_windows_of_sound_are_those_of_their_frames() -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, 16000).astype(np.float32)
    cut = ways.cut_sounds_plainly(samples, 7)
    assert cut.shape == (7, 1, 13, 20)
    assert torch.equal(cut[1:, 0, :, :16], cut[:-1, 0, :, 4:])


def test_ways_take_turns_and_are_held_to_the_first() -> None:
    calls: list[str] = []

    def work(name: str, value: float) -> np.ndarray:
        calls.append(name)
        return np.full((3, 4), value)

    first, other = bench.compare(
        "lips", {"a": lambda: work("a", 2.0), "b": lambda: work("b", 2.5)}, windows=3, repeats=2
    )
    assert "".join(calls) == "ab" * 3
    assert first.gain == 1.0
    assert first.difference == 0.0
    assert other.difference == pytest.approx(0.5 / 4)  # rows of the first are 4 long


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--windows", "2", "--repeats", "1"]
    assert bench.main(given, TINY) == 0
    printed = capsys.readouterr().out
    assert "1 thread" in printed
    assert ways.OURS in printed
    assert "not measured" not in printed
    assert bench.main([*given, "--json"], TINY) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]
    assert (report["threads"], report["windows"], report["repeats"]) == (1, 2, 1)
    parts = [pace["part"] for pace in report["paces"]]
    assert parts == ["lips"] * 8 + ["sound"] * 2 + ["coefficients"] + ["evaluation"] * 2
    for pace in report["paces"]:
        assert math.isfinite(pace["rate"])
        assert pace["rate"] > 0
        if pace["part"] != "coefficients":
            assert pace["gain"] > 0
            assert pace["difference"] < 1e-4


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "2.5"])
def test_wrong_counts_are_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.main(["--windows", wrong], TINY)
    assert caught.value.code == 2
    assert "whole number" in capsys.readouterr().err
