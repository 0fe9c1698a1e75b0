"""The recipe as a whole, on people made of numbers: it learns, repeats itself and writes files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_talk import make_talk

from lipsync.engines.draft.articulation import load_model
from lipsync.errors import InputError
from lipsync.score.correlate import load_judge
from lipsync.train.articulation import Config, Fit, fit_articulation, main, write_fit
from lipsync.train.fit import NetworkConfig
from lipsync.train.lessons import Lesson, study_clips
from lipsync.train.provenance import write_provenance
from lipsync.train.trial import split_people, try_mouth

pytestmark = pytest.mark.slow  # a whole fit
TINY = Config(
    ridge_penalty=50.0,
    num_networks=1,
    network=NetworkConfig(steps=30, batch=4, crop=25),
    zero_lag=("sure_*",),
)


@pytest.fixture(scope="module")
def lessons() -> dict[str, Lesson]:
    talks = [
        make_talk("sure_1", 1),
        make_talk("sure_2", 2),
        make_talk("late", 3, lag=3),
        make_talk("Twin_1", 4),
        make_talk("twin_2", 4, seconds=6.0),
    ]
    return study_clips(talks, ("twin*",))


@pytest.fixture(scope="module")
def fit(lessons: dict[str, Lesson]) -> Fit:
    return fit_articulation(lessons, TINY)


def test_the_late_clip_is_found_late(fit: Fit) -> None:
    lags = {clip.name: clip.lag for clip in fit.learnt}
    assert lags == {"sure_1": 0, "sure_2": 0, "late": 3, "Twin_1": 0, "twin_2": 0}
    assert all(clip.is_used for clip in fit.learnt)


def test_the_fit_hears_a_stranger(fit: Fit) -> None:
    stranger = study_clips([make_talk("stranger", 7)], ())["stranger"]
    trial = try_mouth(stranger, fit.model, lag=0)
    assert trial.ridge[0] > 0.8
    assert trial.fitted[0] > 0.7


def test_the_judge_finds_moved_voices_and_knows_wrong_ones(fit: Fit) -> None:
    trials = fit.judge_trials.values()
    assert sum(t.found for t in trials) > 0.9 * sum(t.windows for t in trials)
    matched = np.concatenate([t.matched for t in trials])
    mismatched = np.concatenate([t.mismatched for t in trials])
    assert fit.judge.confidence(float(np.median(matched))) > 0.7
    assert fit.judge.confidence(float(np.median(mismatched))) < 0.3


def test_written_files_load_and_say_how_they_were_made(fit: Fit, tmp_path: Path) -> None:
    write_fit(fit, TINY, tmp_path)
    model = load_model(tmp_path / "articulation.npz")
    assert model.ridge.shape == (70, 3)
    assert len(model.networks) == 1
    heard, kept = fit.model.networks[0].state_dict(), model.networks[0].state_dict()
    assert all(np.array_equal(heard[key], kept[key]) for key in heard)
    judge = load_judge(tmp_path / "correlate.npz")
    assert judge.ridge.shape == (175, 3)
    assert judge.confidence(judge.middle) == pytest.approx(0.5)
    for name in ("articulation.npz", "correlate.npz"):
        with np.load(tmp_path / name) as stored:
            config = json.loads(str(stored["config"]))
        assert config["network"]["steps"] == 30
        assert config["zero_lag"] == ["sure_*"]


def test_the_same_seed_gives_the_same_numbers(
    fit: Fit, lessons: dict[str, Lesson], tmp_path: Path
) -> None:
    write_fit(fit, TINY, tmp_path / "one")
    write_fit(fit_articulation(lessons, TINY), TINY, tmp_path / "two")
    for name in ("articulation.npz", "correlate.npz"):
        with np.load(tmp_path / "one" / name) as one, np.load(tmp_path / "two" / name) as two:
            assert sorted(one.files) == sorted(two.files)
            assert all(np.array_equal(one[key], two[key]) for key in one.files)


def test_one_person_stays_in_one_fold(lessons: dict[str, Lesson]) -> None:
    folds = split_people(lessons, 3)
    assert sorted(name for fold in folds for name in fold) == sorted(lessons)
    assert "twin_2" in next(fold for fold in folds if "Twin_1" in fold)


def test_a_mouth_that_ignores_the_voice_is_left_out(lessons: dict[str, Lesson]) -> None:
    wrong_face = make_talk("dubbed", 6).landmarks
    talk = replace(make_talk("dubbed", 5), landmarks=wrong_face)
    dubbed = study_clips([talk], ())["dubbed"]
    mixed = fit_articulation(lessons | {"dubbed": dubbed}, TINY)
    assert [clip.name for clip in mixed.learnt if not clip.is_used] == ["dubbed"]


def test_one_person_is_not_enough(lessons: dict[str, Lesson]) -> None:
    twins = {name: lessons[name] for name in ("Twin_1", "twin_2")}
    with pytest.raises(InputError, match="two people"):
        fit_articulation(twins, TINY)


def test_provenance_names_every_clip(fit: Fit, tmp_path: Path) -> None:
    refused = {"mute.mp4": "mute.mp4 has no sound."}
    write_provenance(tmp_path, "CLIPS -o assets", fit.learnt, refused)
    text = (tmp_path / "PROVENANCE.md").read_text()
    assert all(f"| {clip.name} |" in text for clip in fit.learnt)
    assert "mute.mp4 has no sound." in text
    assert "lipsync train articulation CLIPS -o assets" in text


def test_a_missing_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere"), "--cache", str(tmp_path)]) == 2
    assert "does not exist" in capsys.readouterr().err
