"""Recipe: the draft engine's ears and the judge's, fitted on a folder of talking clips.

The committed numbers (about ten minutes on one core, three more for `--report`):

    python -m lipsync train articulation ../shared/clips/fit -o assets \\
        --zero-lag 'grid_*' --held-out ../shared/clips --report

One minute on a CPU, from two or more clips of your own, nothing of the program touched:

    python -m lipsync train articulation MY_CLIPS -o /tmp/fit --steps 100 --networks 1

Writes `articulation.npz` (the ridge and the networks of `engines/draft/articulation.py`),
`correlate.npz` (the ridge and the confidence of `score/correlate.py`), both with the config inside,
and `PROVENANCE.md`. Every clip wants one talking face and its own voice; what mesh and ears found
is kept in `--cache`, so that a second run starts at once. Clips that share a recording are found by
their sound: they are held out together, and none that shares one with `--held-out` is learnt from.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from lipsync.engines.draft.articulation import ArticulationModel
from lipsync.errors import InputError, LipsyncError
from lipsync.score.correlate import JudgeModel
from lipsync.train.clips import CACHE, collect_clips, list_clips, matches
from lipsync.train.fit import (
    NetworkConfig,
    Pair,
    correlations,
    find_lag,
    find_lags,
    fit_confidence,
    hold_out,
    solve_ridge,
    train_network,
)
from lipsync.train.lessons import Lesson, study_clips
from lipsync.train.overlap import separate
from lipsync.train.provenance import LearntClip, write_provenance
from lipsync.train.trial import (
    JudgeTrial,
    MouthTrial,
    mouth_table,
    split_people,
    summarise,
    try_judge,
    try_mouth,
)


@dataclass(frozen=True)
class Config:
    """Everything the numbers depend on beside the clips; saved with them."""

    ridge_penalty: float = 500.0
    judge_penalty: float = 300.0
    num_networks: int = 3
    network: NetworkConfig = field(default_factory=NetworkConfig)
    max_lag: int = 5  # frames of 40 ms
    min_correlation: float = 0.25  # of opening and width; a clip under it is left out
    num_folds: int = 5  # of the report
    seed: int = 0
    zero_lag: tuple[str, ...] = ()  # patterns of clips known to be in sync
    same_person: tuple[str, ...] = ()  # patterns; the clips that fit one are one person's


@dataclass(frozen=True)
class Fit:
    """What a run makes, and what it knows of each clip."""

    model: ArticulationModel
    judge: JudgeModel
    learnt: tuple[LearntClip, ...]
    judge_trials: dict[str, JudgeTrial]  # each with a ridge that knows other people only


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; returns 0, or 2 where the clips are not what they should be."""
    options = _read_options(argv)
    config = Config(
        num_networks=options.networks,
        network=NetworkConfig(steps=options.steps),
        seed=options.seed,
        zero_lag=tuple(options.zero_lag),
        same_person=tuple(options.same_person),
    )
    try:
        collection = collect_clips(list_clips(options.places), options.cache, print)
        held_out = collect_clips(list_clips(options.held_out), options.cache, print).clips
        named = {clip.name for clip in collection.clips}
        held_out = tuple(clip for clip in held_out if clip.name not in named)
        apart = separate(collection.clips, held_out)
        lessons = study_clips(apart.clips, config.same_person)
        fit = fit_articulation(lessons, config)
        write_fit(fit, config, options.output)
        command = shlex.join(sys.argv[1:] if argv is None else argv)
        write_provenance(options.output, command, fit.learnt, collection.refused | apart.refused)
        print(f"Written to {options.output}: articulation.npz, correlate.npz, PROVENANCE.md")
        if options.report:
            _report(lessons, fit, config)
            if held_out:
                _report_held_out(study_clips(held_out, config.same_person), fit, config)
    except LipsyncError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def fit_articulation(lessons: dict[str, Lesson], config: Config) -> Fit:
    """Fit ridge, networks and judge on the lessons; raises InputError on fewer than two people."""
    if len({lesson.person for lesson in lessons.values()}) < 2:
        raise InputError(
            f"The clips show {len(lessons)} usable talking face(s); a fit checks each person "
            "against the others, so give clips of two people or more."
        )
    lags, agreement = _lags(lessons, config)
    used = {n: lesson for n, lesson in lessons.items() if agreement[n] >= config.min_correlation}
    if len({lesson.person for lesson in used.values()}) < 2:
        raise InputError(
            "In fewer than two of the clips the mouth follows the voice "
            f"(correlation {config.min_correlation} or more); choose clips with their own voice."
        )
    model = _fit_model(used, lags, config)
    judge_trials = _try_judge_on_each(used, lags, config)
    pairs = [used[n].judge.aligned(lags[n]) for n in used]
    matched = np.concatenate([trial.matched for trial in judge_trials.values()])
    mismatched = np.concatenate([trial.mismatched for trial in judge_trials.values()])
    if not len(matched) or not len(mismatched):
        raise InputError(
            "The judge's confidence is fitted on windows of 5 s with the right and with a wrong "
            "voice; give clips longer than that of two people or more."
        )
    confidence = fit_confidence(matched, mismatched)
    judge = JudgeModel(
        solve_ridge(pairs, config.judge_penalty), confidence.slope, confidence.middle
    )
    learnt = tuple(
        LearntClip(n, lesson.clip.seconds, lags[n], agreement[n], n in used)
        for n, lesson in lessons.items()
    )
    return Fit(model, judge, learnt, judge_trials)


def write_fit(fit: Fit, config: Config, folder: Path) -> None:
    """Write `articulation.npz` and `correlate.npz` into `folder`, the config inside both."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = np.array(json.dumps(asdict(config), sort_keys=True))
    states = {
        f"net{index}.{key}": value.numpy()
        for index, network in enumerate(fit.model.networks)
        for key, value in network.state_dict().items()
    }
    np.savez_compressed(
        folder / "articulation.npz",
        ridge=fit.model.ridge.astype(np.float32),
        num_networks=np.array(len(fit.model.networks)),
        config=stated,
        **states,
    )
    np.savez_compressed(
        folder / "correlate.npz",
        ridge=fit.judge.ridge.astype(np.float32),
        slope=np.array(fit.judge.slope),
        middle=np.array(fit.judge.middle),
        config=stated,
    )


def _lags(lessons: dict[str, Lesson], config: Config) -> tuple[dict[str, int], dict[str, float]]:
    """Return each clip's own lag, and how well a ridge of the other people follows it there."""
    pairs = {n: lesson.ridge for n, lesson in lessons.items()}
    people = {n: lesson.person for n, lesson in lessons.items()}
    known = {n: 0 for n in lessons if matches(n, config.zero_lag)}
    lags = find_lags(pairs, people, known, config.ridge_penalty, config.max_lag)
    heard = hold_out(pairs, lags, people, config.ridge_penalty)
    agreement = {}
    for name, pair in pairs.items():
        both = Pair(heard[name], pair.mouth).aligned(lags[name])
        agreement[name] = float(correlations(both.heard, both.mouth)[:2].mean())
    return lags, agreement


def _fit_model(
    lessons: dict[str, Lesson], lags: dict[str, int], config: Config
) -> ArticulationModel:
    ridge = solve_ridge(
        [lesson.ridge.aligned(lags[n]) for n, lesson in lessons.items()], config.ridge_penalty
    )
    pairs = [lesson.network.aligned(lags[n]) for n, lesson in lessons.items()]
    networks = []
    for index in range(config.num_networks):
        trained = train_network(pairs, config.seed + index, config.network)
        last = np.mean(trained.losses[-50:])
        print(f"network {index + 1}: loss {trained.losses[0]:.2f}, at the end {last:.2f}")
        networks.append(trained.network)
    return ArticulationModel(ridge, tuple(networks))


def _try_judge_on_each(
    lessons: dict[str, Lesson], lags: dict[str, int], config: Config
) -> dict[str, JudgeTrial]:
    """Try the judge on each clip with a ridge fitted on the other people."""
    trials = {}
    for person in sorted({lesson.person for lesson in lessons.values()}):
        others = {n: lesson for n, lesson in lessons.items() if lesson.person != person}
        pairs = [lesson.judge.aligned(lags[n]) for n, lesson in others.items()]
        ridge = solve_ridge(pairs, config.judge_penalty)
        strangers = list(others.values())
        for name, lesson in lessons.items():
            if lesson.person == person:
                trials[name] = try_judge(lesson, ridge, lags[name], strangers, config.seed)
    return trials


def _report(lessons: dict[str, Lesson], fit: Fit, config: Config) -> None:
    """Print what the recipe reaches on people left out of it, clip by clip."""
    used = {clip.name: lessons[clip.name] for clip in fit.learnt if clip.is_used}
    lags = {clip.name: clip.lag for clip in fit.learnt}
    trials: dict[str, MouthTrial] = {}
    for fold in split_people(used, config.num_folds):
        rest = {n: lesson for n, lesson in used.items() if n not in fold}
        model = _fit_model(rest, lags, config)
        trials |= {n: try_mouth(used[n], model, lags[n]) for n in fold}
    print(f"\nPeople left out in turn ({config.num_folds} folds; judge: one person at a time)")
    print(mouth_table({n: trials[n] for n in used}, lags))
    print("Judge: " + summarise(list(fit.judge_trials.values()), fit.judge))


def _report_held_out(lessons: dict[str, Lesson], fit: Fit, config: Config) -> None:
    """Print what the written numbers reach on clips that had no part in them."""
    lags, mouths, judged = {}, {}, []
    for name, lesson in lessons.items():
        heard = lesson.ridge.heard @ fit.model.ridge
        lags[name] = find_lag(heard, lesson.mouth, config.max_lag)
        mouths[name] = try_mouth(lesson, fit.model, lags[name])
        strangers = [other for other in lessons.values() if other.person != lesson.person]
        judged.append(try_judge(lesson, fit.judge.ridge, lags[name], strangers, config.seed))
    print("\nClips that had no part in the fit")
    print(mouth_table(mouths, lags))
    print("Judge: " + summarise(judged, fit.judge))


def _read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lipsync train articulation",
        description="Fit the draft engine's ears and the judge's on talking clips.",
        allow_abbrev=False,
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="FOLDER", help="talking clips")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("fitted"), metavar="DIR", help="where to write"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        metavar="DIR",
        help="where meshes and phones are kept for the next run",
    )
    parser.add_argument("--steps", type=int, default=NetworkConfig.steps, help="per network")
    parser.add_argument("--networks", type=int, default=Config.num_networks, help="to average")
    parser.add_argument("--seed", type=int, default=Config.seed)
    parser.add_argument(
        "--zero-lag",
        action="append",
        default=[],
        metavar="PATTERN",
        help="clips with such names are in sync already",
    )
    parser.add_argument(
        "--same-person",
        action="append",
        default=[],
        metavar="PATTERN",
        help="clips with such names show one person",
    )
    parser.add_argument(
        "--report", action="store_true", help="measure on people left out in turn as well"
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        type=Path,
        default=[],
        metavar="PLACE",
        help="clips to measure on only; what shares a recording with them is not learnt from",
    )
    options = parser.parse_args(argv)
    if options.steps < 2 or options.networks < 1:
        parser.error("--steps needs 2 or more and --networks 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
