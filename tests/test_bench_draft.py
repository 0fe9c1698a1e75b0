"""What `bench draft` measures, on tracks whose answer is known, and one run of the whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_ffmpeg
from made_faces import faces_with, placed, speaking

from lipsync.bench import draft
from lipsync.bench.measures import (
    SeenMouth,
    frozen_lips,
    jitter,
    lagged,
    lip_distance,
    own_lag,
    sealed_share,
    see,
)
from lipsync.example import example_photo, example_voice
from lipsync.face.mouth import mean_face


def seen(count: int = 60, shake: float = 0.0) -> SeenMouth:
    points = placed(faces_with(speaking(count)))
    points = points + np.random.default_rng(3).normal(0, shake, (count, 1, 3))
    return see(points, np.arange(count), mean_face())


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_a_planted_lag_is_found(lag: int) -> None:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=(200, 2)).cumsum(axis=0)
    lips = np.roll(voice, lag, axis=0)
    assert own_lag(voice, lips, 25.0) == lag
    heard, meant = lagged(lag, voice, lips)
    inner = slice(10, -10)
    assert np.array_equal(heard[inner], meant[inner])


def test_a_mouth_is_nearer_to_itself_than_any_frozen_one() -> None:
    true = seen()
    assert lip_distance(true.lips, true.lips) == 0
    for frozen in frozen_lips(true, 25.0):
        assert frozen.shape == true.lips.shape
        assert lip_distance(frozen, true.lips) > 0.003


def test_shaking_shows_as_jitter() -> None:
    assert jitter(seen(shake=2.0)) > 3 * jitter(seen(shake=0.2))


def test_closures_count_only_where_somebody_speaks() -> None:
    closure = np.zeros(30)
    closure[[5, 15, 25]] = 0.9
    opening = np.full(30, 0.1)
    opening[[6, 25]] = 0.01
    active = np.ones(30)
    active[20:] = 0
    assert sealed_share(closure, active, opening) == 0.5
    assert np.isnan(sealed_share(np.zeros(30), active, opening))


@pytest.mark.slow
def test_the_whole_bench_on_a_made_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moving = "scale=480:480,zoompan=z='1+0.02*sin(on/9)':d=1:fps=25:s=320x320"
    run_ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-i", example_voice(), "-t", 3),
        *("-vf", moving, "-pix_fmt", "yuv420p", "-crf", 20, tmp_path / "talk.mp4"),
    )
    run_ffmpeg("-loop", 1, "-i", example_photo(), "-t", 0.4, tmp_path / "mute.mp4")
    assert draft.main(["--clips", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr()
    assert "mute.mp4 has no voice" in printed.err
    report = json.loads(printed.out)
    numbers = report["clips"]["talk.mp4"]
    wanted = (
        "opening_r width_r lmd lmd_neutral lmd_random lmd_mean lmd_limit wanted_r true_r closures "
        "jitter outside_equal cpu_ratio fps peak_mb growth_mb_per_s"
    )
    assert set(wanted.split()) <= set(numbers)
    assert numbers["outside_equal"] == 1.0
    assert numbers["wanted_r"] > 0.8
    assert numbers["peak_mb"] > 100
    assert report["mean"]["wanted_r"] == numbers["wanted_r"]


def test_an_empty_folder_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draft.main(["--clips", str(tmp_path)]) == 2
    assert "No talking clip was found" in capsys.readouterr().err
