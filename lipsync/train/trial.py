"""How good a fit is on people it has not heard: correlations of the mouth, hits of the judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from lipsync.audio.signals import RATE as SAMPLE_RATE
from lipsync.engines.draft.articulation import ArticulationModel, articulate
from lipsync.score.correlate import JudgeModel, drop_slow, judge_features, shift_curve
from lipsync.train.clips import RATE
from lipsync.train.fit import Pair, area_under_curve, correlations, peak
from lipsync.train.lessons import Lesson
from lipsync.train.provenance import source_of

_WINDOW = 5 * RATE  # frames the judge sees at once
_STEP = 2 * RATE  # frames from one window to the next
_MOVES = (-10, -6, -3, 0, 4, 7, 10)  # frames by which the voice is taken from later in the clip
_STRANGERS = 3  # wrong voices tried on each window
_NEAR = 1  # frames; an offset this near counts as found


@dataclass(frozen=True)
class MouthTrial:
    """Correlations of opening and width with the true mouth of one clip, at its own lag."""

    ridge: np.ndarray  # (2,) the ridge alone
    fitted: np.ndarray  # (2,) all fitted numbers and the hedge, as the engine uses them
    plain: np.ndarray  # (2,) phones and formants, no fitted number


@dataclass(frozen=True)
class JudgeTrial:
    """What the judge said of one clip's 5-second windows."""

    found: int  # windows whose offset came out right within one frame
    windows: int
    matched: np.ndarray  # (N,) peaks with the right voice, not moved
    mismatched: np.ndarray  # (M,) peaks with voices of other people


def try_mouth(lesson: Lesson, model: ArticulationModel, lag: int) -> MouthTrial:
    """Compare what is heard on one clip with its true mouth."""
    channels, times = lesson.clip.voice.channels, lesson.clip.all_times

    def compare(heard: np.ndarray) -> np.ndarray:
        pair = Pair(heard[:, :2], lesson.mouth[:, :2]).aligned(lag)
        return correlations(pair.heard, pair.mouth)

    seen_part = lesson.clip.seen_part
    return MouthTrial(
        ridge=compare(lesson.ridge.heard @ model.ridge),
        fitted=compare(seen_part(articulate(channels, times, model))),
        plain=compare(seen_part(articulate(channels, times, None))),
    )


def try_judge(
    lesson: Lesson, ridge: np.ndarray, lag: int, strangers: Sequence[Lesson], seed: int
) -> JudgeTrial:
    """Let the judge's ridge (175, 3) find moved voices and wrong voices on one clip's windows."""
    first = len(lesson.clip.all_times) - len(lesson.mouth)
    draw = np.random.default_rng(seed)
    long_enough = [s for s in strangers if len(s.clip.all_times) >= _WINDOW]
    found = windows = 0
    matched, mismatched = [], []

    @cache
    def heard(start: int) -> np.ndarray:
        return _listen(lesson.clip.samples, start) @ ridge

    for start in range(0, len(lesson.mouth) - _WINDOW + 1, _STEP):
        seen = drop_slow(lesson.mouth[start : start + _WINDOW])
        for move in _MOVES:
            begin = first + start + move
            if begin < 0 or (begin + _WINDOW) / RATE > len(lesson.clip.samples) / SAMPLE_RATE:
                continue
            height, offset = peak(_curve(heard(begin), seen))
            windows += 1
            found += abs(offset - lag - move) <= _NEAR
            if move == 0:
                matched.append(height)
        for index in draw.integers(len(long_enough), size=_STRANGERS if long_enough else 0):
            other = long_enough[index].clip
            begin = int(draw.integers(len(other.all_times) - _WINDOW + 1))
            strange = _listen(other.samples, begin) @ ridge
            mismatched.append(peak(_curve(strange, seen))[0])
    return JudgeTrial(found, windows, np.array(matched), np.array(mismatched))


def _listen(samples: np.ndarray, start: int) -> np.ndarray:
    """Return the judge's features (125, 175) of a window from frame `start`, as if it were all."""
    first, length = start * SAMPLE_RATE // RATE, _WINDOW * SAMPLE_RATE // RATE
    return judge_features(samples[first : first + length], _WINDOW)


def _curve(heard: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return shift_curve(heard, seen, np.ones(len(seen), bool))


def split_people(lessons: Mapping[str, Lesson], num_folds: int) -> list[list[str]]:
    """Return clip names in folds of about equal length; one person's clips stay together."""
    people: dict[str, list[str]] = {}
    for name, lesson in lessons.items():
        people.setdefault(lesson.person, []).append(name)

    def seconds(names: Iterable[str]) -> float:
        return sum(lessons[name].clip.seconds for name in names)

    folds: list[list[str]] = [[] for _ in range(min(num_folds, len(people)))]
    for names in sorted(people.values(), key=lambda names: (-seconds(names), names)):
        min(folds, key=seconds).extend(names)
    return folds


def mouth_table(trials: Mapping[str, MouthTrial], lags: Mapping[str, int]) -> str:
    """Return the trials as a table for people, with means over real and over generated faces."""
    lines = [
        f"{'':28}{'lag':>4}{'ridge':>14}{'all + hedge':>14}{'no fit':>14}   opening, width",
    ]
    for name, trial in trials.items():
        lines.append(f"{name:28}{lags[name]:>4}" + _numbers(trial))
    for kind in ("real", "generated"):
        chosen = [trial for name, trial in trials.items() if source_of(name).kind == kind]
        if chosen:
            fields = ("ridge", "fitted", "plain")
            means = [np.mean([getattr(trial, f) for trial in chosen], axis=0) for f in fields]
            lines.append(f"{f'mean of {len(chosen)}, {kind}':32}" + _numbers(MouthTrial(*means)))
    return "\n".join(lines)


def _numbers(trial: MouthTrial) -> str:
    pairs = (trial.ridge, trial.fitted, trial.plain)
    return "".join(f"{opening:8.2f}{width:6.2f}" for opening, width in pairs)


def summarise(trials: Sequence[JudgeTrial], judge: JudgeModel) -> str:
    """Return what the judge said over several clips, in a few lines."""
    matched = np.concatenate([trial.matched for trial in trials])
    mismatched = np.concatenate([trial.mismatched for trial in trials])
    windows = sum(trial.windows for trial in trials)
    if not len(matched) or not len(mismatched):
        return "too few clips of 5 s or more to say anything."
    found = sum(trial.found for trial in trials) / windows
    sure = np.mean([judge.confidence(peak) > 0.7 for peak in matched])
    refused = np.mean([judge.confidence(peak) < 0.3 for peak in mismatched])
    return (
        f"offset within {_NEAR} frame in {found:.1%} of {windows} windows of 5 s; "
        f"AUC {area_under_curve(matched, mismatched):.3f}\n"
        f"  {len(matched)} with the right voice: median peak {np.median(matched):.2f}, "
        f"confidence over .7 in {sure:.0%}\n"
        f"  {len(mismatched)} with a wrong one: median peak {np.median(mismatched):.2f}, "
        f"confidence under .3 in {refused:.0%}"
    )
