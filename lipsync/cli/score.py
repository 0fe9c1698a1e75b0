"""``python -m lipsync score``: judge one clip or many, draw what was found, repair an offset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lipsync.cli.codes import EXIT_DONE, EXIT_PARTLY
from lipsync.cli.options import add_json, add_limit, open_pipeline, print_json
from lipsync.cli.progress import ProgressLine, describe_progress
from lipsync.cli.report import describe_judge, describe_numbers
from lipsync.errors import InputError, LipsyncError
from lipsync.steps import exhaust, map_steps
from lipsync.types import Progress, SyncScore

if TYPE_CHECKING:
    from lipsync.pipeline import LipSyncPipeline

JUDGES = ("auto", "syncnet", "stable_syncnet", "correlate")
CLIP_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv")
_WIDEST_NAME = 48  # letters of the table's first column

_EPILOG = """\
A positive offset: the sound comes before the lips. Judges have scales of their own, so numbers of
different judges are never compared.

Of several clips, or a folder, each gets a line, and the exit code is 1 where one could not be
scored; a single clip that cannot be scored gives its sentence and exit code 2.
"""


def add_score(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    score = commands.add_parser(
        "score",
        help="judge how well mouth and voice agree",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    score.add_argument(
        "videos",
        nargs="+",
        type=Path,
        metavar="VIDEO",
        help="a clip, several, or a folder of clips",
    )
    score.add_argument(
        "--audio", type=Path, metavar="AUDIO", help="judge against this voice, not VIDEO's own"
    )
    score.add_argument(
        "--judge", choices=JUDGES, default="auto", help="default: auto, the best that is here"
    )
    score.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.png",
        help="draw the confidence of each second and the curve over offsets",
    )
    score.add_argument(
        "--fix",
        type=Path,
        metavar="OUT",
        help="write a copy whose sound is moved by the offset; the picture is not coded anew",
    )
    add_limit(score)
    add_json(score)


def run_score(arguments: argparse.Namespace) -> int:
    """Judge what was named; return the exit code. Raises LipsyncError."""
    videos: list[Path] = arguments.videos
    is_single = len(videos) == 1 and not videos[0].is_dir()
    clips = videos if is_single else _find_clips(videos)
    _check_wishes(arguments, clips, is_single)
    with closing(open_pipeline(arguments.max_minutes)) as pipeline:
        from lipsync.score.judges import choose_judge

        judging = _Judging(pipeline, arguments.audio, choose_judge(arguments.judge, pipeline.store))
        if is_single:
            return _score_one(judging, clips[0], arguments)
        return _score_many(judging, clips, arguments)


@dataclass(frozen=True)
class _Judging:
    """Who judges, and against what."""

    pipeline: LipSyncPipeline
    audio: Path | None  # None = each clip's own sound
    judge: str

    def score(self, video: Path, label: str = "") -> SyncScore:
        """Judge a clip with progress on stderr, each line after `label`; raises LipsyncError."""

        def describe(step: Progress, bar: bool = True) -> str:
            return label + describe_progress(step, bar)

        steps = self.pipeline.score_steps(video, self.audio, judge=self.judge)
        with closing(ProgressLine(sys.stderr, describe)) as line:
            return exhaust(map_steps(line.show, steps))


@dataclass(frozen=True)
class _Judged:
    """A clip with its score, or with the sentence why it has none."""

    video: Path
    score: SyncScore | None = None
    reason: str | None = None


def _find_clips(named: Iterable[Path]) -> list[Path]:
    """Return the clips named and those in the folders named, each folder's sorted."""
    clips: list[Path] = []
    for path in named:
        if not path.is_dir():
            clips.append(path)
            continue
        try:
            inside = sorted(entry for entry in path.iterdir() if _is_clip(entry))
        except OSError as error:
            raise InputError(
                f"{path} cannot be looked into ({error.strerror}); check its permissions."
            ) from error
        if not inside:
            raise InputError(f"{path} holds no clip ({' '.join(CLIP_ENDINGS)}); name another.")
        clips += inside
    return clips


def _is_clip(path: Path) -> bool:
    is_shown = not path.name.startswith(".")
    return is_shown and path.suffix.lower() in CLIP_ENDINGS and path.is_file()


def _check_wishes(arguments: argparse.Namespace, clips: list[Path], is_single: bool) -> None:
    """Refuse what could not be written before minutes are spent on judging."""
    inputs = clips if arguments.audio is None else [*clips, arguments.audio]
    if arguments.plot is not None:
        from lipsync.cli.plot import check_plot

        check_plot(arguments.plot, inputs, len(clips))
    if arguments.fix is None:
        return
    if not is_single:
        raise InputError("--fix repairs one clip at a time; name a single VIDEO.")
    if arguments.audio is not None:
        raise InputError(
            "--fix moves the clip's own sound, which another voice says nothing about; leave out "
            "--audio."
        )
    from lipsync.media.shift import check_copy

    check_copy(clips[0], arguments.fix)


def _score_one(judging: _Judging, video: Path, arguments: argparse.Namespace) -> int:
    score = judging.score(video)
    if not arguments.as_json:
        heard = "" if judging.audio is None else f" with {judging.audio}"
        print(f"{video}{heard}: {describe_numbers(score)}", flush=True)
    if arguments.plot is not None:
        _draw([_Judged(video, score)], arguments.plot)
    report: dict[str, Any] = _as_json(_Judged(video, score), judging)
    code = EXIT_DONE
    if arguments.fix is not None:
        repaired = _repair(judging, video, score, arguments.fix)
        report["fix"] = repaired and _repair_as_json(repaired, score)
        if repaired is not None and repaired.score is None:
            code = EXIT_PARTLY
        if not arguments.as_json:
            print(_describe_repair(repaired, score))
    if arguments.as_json:
        _print_report(report)
    else:
        print(describe_judge(score))
    return code


def _repair(judging: _Judging, video: Path, score: SyncScore, output: Path) -> _Judged | None:
    """Write and judge a copy without the offset; None where there is none to repair."""
    from lipsync.media.shift import repair_offset, shift_sound

    frames = repair_offset(score)
    if not frames:
        return None
    exhaust(shift_sound(video, output, frames, score.fps))
    return _judge(judging, output)


def _describe_repair(repaired: _Judged | None, before: SyncScore) -> str:
    if repaired is None:
        return "The offset is 0: there is nothing to repair, and nothing was written."
    way = "later" if before.frames_ms > 0 else "earlier"
    moved = f"its sound is {abs(before.frames_ms):.0f} ms {way}, its picture untouched"
    if repaired.score is None:
        return f"{repaired.video}: {moved}; it could not be scored: {repaired.reason}"
    return f"{repaired.video}: {describe_numbers(repaired.score)}\n({moved})"


def _repair_as_json(repaired: _Judged, before: SyncScore) -> dict[str, Any]:
    from lipsync.media.shift import repair_offset
    from lipsync.record import score_to_json

    return {
        "output": str(repaired.video),
        "moved_frames": repair_offset(before),
        "moved_ms": before.frames_ms,
        "score": score_to_json(repaired.score) if repaired.score else None,
        "reason": repaired.reason,
    }


def _score_many(judging: _Judging, clips: Sequence[Path], arguments: argparse.Namespace) -> int:
    width = min(max(len(str(clip)) for clip in clips), _WIDEST_NAME)
    if not arguments.as_json:
        print(f"{'clip':{width}}  confidence  frames       ms  verdict", flush=True)
    found = []
    for clip in clips:
        found.append(_judge(judging, clip, label=f"{clip}: "))
        if not arguments.as_json:
            print(_describe_row(found[-1], width), flush=True)
    scores = [one.score for one in found if one.score is not None]
    if arguments.plot is not None and scores:
        _draw(found, arguments.plot)
    elif arguments.plot is not None:
        print("Nothing was scored, so nothing was drawn.", file=sys.stderr)
    if arguments.as_json:
        rows = [_as_json(one, judging) for one in found]
        _print_report({"clips": rows, "means": _means(scores)})
    else:
        for mean in _means(scores):
            print(_describe_mean(mean))
        for line in dict.fromkeys(describe_judge(score) for score in scores):
            print(line)
        if len(scores) < len(found):
            print(f"{len(found) - len(scores)} of {len(found)} could not be scored.")
    return EXIT_DONE if len(scores) == len(found) else EXIT_PARTLY


def _judge(judging: _Judging, video: Path, label: str = "") -> _Judged:
    try:
        return _Judged(video, score=judging.score(video, label))
    except LipsyncError as error:
        return _Judged(video, reason=str(error))


def _describe_row(found: _Judged, width: int) -> str:
    name = f"{found.video!s:{width}}"
    if found.score is None:
        return f"{name}  {'-':>10}  {'-':>6}  {'-':>7}  {found.reason}"
    score = found.score
    return (
        f"{name}  {score.confidence:10.2f}  {score.offset_frames:+6d}  {score.offset_ms:+7.0f}  "
        f"{score.verdict}"
    )


def _means(scores: Iterable[SyncScore]) -> list[dict[str, Any]]:
    """Return one row per judge, whose numbers have a scale of their own."""
    by_judge: dict[str, list[SyncScore]] = {}
    for score in scores:
        by_judge.setdefault(score.judge, []).append(score)
    return [
        {
            "judge": judge,
            "clips": len(its),
            "confidence": fmean(score.confidence for score in its),
            "distance": _mean_distance(its),
            "offset_frames_either_way": fmean(abs(score.offset_frames) for score in its),
            "offset_ms_either_way": fmean(abs(score.offset_ms) for score in its),
        }
        for judge, its in by_judge.items()
    ]


def _mean_distance(scores: Iterable[SyncScore]) -> float | None:
    known = [score.distance for score in scores if score.distance is not None]
    return fmean(known) if known else None


def _describe_mean(mean: dict[str, Any]) -> str:
    distance = "" if mean["distance"] is None else f"distance {mean['distance']:.2f}, "
    return (
        f"mean of {mean['clips']}: confidence {mean['confidence']:.2f}, {distance}offset "
        f"{mean['offset_frames_either_way']:.1f} frames ({mean['offset_ms_either_way']:.0f} ms) "
        "either way"
    )


def _draw(found: Iterable[_Judged], output: Path) -> None:
    from lipsync.cli.plot import draw_scores

    draw_scores([(one.video.name, one.score) for one in found if one.score is not None], output)


def _as_json(found: _Judged, judging: _Judging) -> dict[str, Any]:
    from lipsync.record import score_to_json

    return {
        "video": str(found.video),
        "audio": str(judging.audio or found.video),
        "score": score_to_json(found.score) if found.score else None,
        "reason": found.reason,
    }


def _print_report(report: dict[str, Any]) -> None:
    from lipsync.record import versions

    print_json({**report, "versions": versions()})
