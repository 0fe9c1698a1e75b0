"""`python -m lipsync bench draft`: how well the draft engine's mouths follow, and what they cost.

Every clip speaks its own voice; what its lips really did is the truth. The engine renders the clip
twice: driven by the voice, and driven by the true opening and width (the renderer's own limit).
The written files are read again and their faces detected anew. See `measures` for the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipsync.bench.cost import measure_cost
from lipsync.bench.measures import (
    SeenMouth,
    correlate,
    frozen_lips,
    jitter,
    lagged,
    lip_distance,
    own_lag,
    sealed_share,
    see,
)
from lipsync.engines.draft.columns import ACTIVITY, CLOSURE
from lipsync.engines.draft.engine import DraftEngine, DraftSettings, heard_by
from lipsync.engines.draft.motion import Person
from lipsync.errors import InputError, LipsyncError
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.mouth import measure_mouth, person_face
from lipsync.face.track import choose_face
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.pipeline import LipSyncPipeline
from lipsync.steps import exhaust
from lipsync.types import FaceChoice, FaceTrack, Generated, Request, Result, Scene, Window

DEFAULT_CLIPS = Path("../shared/clips")
_VIDEO = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".m4v"}


@dataclass(frozen=True)
class DraftNumbers:
    """One clip's row, keys as in `--json`."""

    opening_r: float
    width_r: float
    lmd: float
    lmd_neutral: float
    lmd_random: float
    lmd_mean: float
    lmd_limit: float
    wanted_r: float
    true_r: float
    closures: float
    jitter: float
    outside_equal: float
    lag_frames: float
    confidence: float
    cpu_ratio: float
    cpu_ratio_scored: float
    fps: float
    fps_scored: float
    peak_mb: float
    growth_mb_per_s: float


class RecordingEngine(DraftEngine):
    """The draft engine, keeping what it wanted and where it painted."""

    def __init__(self) -> None:
        self.wanted: dict[int, np.ndarray] = {}  # output frame -> opening, width
        self.features: dict[int, np.ndarray] = {}
        self.painted: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # packed mask > 0, matrix
        self.side = 0

    def want(self, scene: Scene, person: Person, settings: DraftSettings) -> np.ndarray:
        """Remember what `DraftEngine.want` says."""
        wanted = self._aim(scene, person, settings)
        for t, (mouth, heard) in enumerate(zip(wanted, heard_by(scene), strict=True)):
            self.wanted[scene.first_output + t] = mouth[:2]
            self.features[scene.first_output + t] = heard
        return wanted

    def _aim(self, scene: Scene, person: Person, settings: DraftSettings) -> np.ndarray:
        return super().want(scene, person, settings)

    def generate(
        self,
        scene: Scene,
        windows: Iterable[Window],
        settings: DraftSettings,
        rng: torch.Generator,
    ) -> Generator[Generated, None, None]:
        """Remember the masks that go by."""
        done = 0
        for generated in super().generate(scene, windows, settings, rng):
            assert generated.masks is not None
            for mask in generated.masks:
                place = scene.alignment.matrices[done]
                self.painted[scene.first_output + done] = (np.packbits(mask > 0), place)
                self.side = mask.shape[0]
                done += 1
            yield generated


class TruthfulEngine(RecordingEngine):
    """Driven by what the lips really did instead of by the voice."""

    def _aim(self, scene: Scene, person: Person, settings: DraftSettings) -> np.ndarray:
        true = measure_mouth(scene.track.landmarks, scene.rows, person.face)
        return np.column_stack([true[:, :2], np.zeros(len(true))])


def measure_clip(path: Path) -> DraftNumbers:
    """Return the numbers of one clip with its own voice.

    Raises InputError if it has no sound, no face, or less than two seconds of both.
    """
    clip = probe_clip(path)
    if clip.is_still or not clip.has_audio:
        raise InputError(f"{path.name} has no voice of its own to be measured with.")
    source = _track(path)
    voiced, truthful = RecordingEngine(), TruthfulEngine()
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        by_voice, by_truth = Path(name) / "voice.mp4", Path(name) / "truth.mp4"
        request = Request(path, path, by_voice, fit="cut")
        result = _render(voiced, request)
        request = Request(path, path, by_truth, fit="cut", quality="lossless", score=False)
        _render(truthful, request)
        rendered, limit = _track(by_voice), _track(by_truth)
        rows = np.array(
            [
                t
                for t in sorted(voiced.wanted)
                if source.present[t] and rendered.present[t] and limit.present[t]
            ]
        )
        if len(rows) < 2 * clip.fps:
            raise InputError(f"{path.name} shows less than 2 s of a speaking face.")
        outside = _outside_equal(path, by_truth, truthful)
    face = person_face(source.landmarks, rows)
    true, drawn, best = (see(t.landmarks, rows, face) for t in (source, rendered, limit))
    numbers = _compare(voiced, rows, float(clip.fps), true, drawn, best)
    score = result.score.confidence if result.score else float("nan")
    cost = asdict(measure_cost(path))
    kept = {key: value for key, value in cost.items() if key not in ("cpu_ms", "plain_cpu_ms")}
    return DraftNumbers(**numbers, outside_equal=outside, confidence=score, **kept)


def _render(engine: RecordingEngine, request: Request) -> Result:
    with closing(LipSyncPipeline(engines={"draft": engine})) as pipeline:
        result = list(pipeline.sync(request))[-1].result
    assert result is not None
    return result


def _compare(
    engine: RecordingEngine,
    rows: np.ndarray,
    fps: float,
    true: SeenMouth,
    drawn: SeenMouth,
    best: SeenMouth,
) -> dict[str, float]:
    wanted = np.stack([engine.wanted[int(t)] for t in rows])
    heard = np.stack([engine.features[int(t)] for t in rows])
    lag = own_lag(wanted, true.mouth, fps)
    asked, meant = lagged(lag, wanted, true.mouth)
    drawn_lips, true_lips = lagged(lag, drawn.lips, true.lips)
    drawn_opening, true_opening = lagged(lag, drawn.mouth[:, 0], true.mouth[:, 0])
    neutral, shuffled, mean = frozen_lips(true, fps)
    return {
        "opening_r": correlate(asked[:, 0], meant[:, 0]),
        "width_r": correlate(asked[:, 1], meant[:, 1]),
        "lmd": lip_distance(drawn_lips, true_lips),
        "lmd_neutral": lip_distance(neutral, true.lips),
        "lmd_random": lip_distance(shuffled, true.lips),
        "lmd_mean": lip_distance(mean, true.lips),
        "lmd_limit": lip_distance(best.lips, true.lips),
        "wanted_r": correlate(drawn.mouth[:, 0], wanted[:, 0]),
        "true_r": correlate(drawn_opening, true_opening),
        "closures": sealed_share(heard[:, CLOSURE], heard[:, ACTIVITY], drawn.mouth[:, 0]),
        "jitter": jitter(drawn) / jitter(true),
        "lag_frames": float(lag),
    }


def _track(path: Path) -> FaceTrack:
    clip = probe_clip(path)
    detector = MediaPipeDetector()
    tracks = exhaust(follow_faces(clip, range(clip.num_frames), detector, Gallery(0)))
    detector.close()
    return choose_face(tracks, FaceChoice(), clip.size, clip.fps)


def _outside_equal(source: Path, written: Path, engine: RecordingEngine) -> float:
    """Return the share of luma pixels outside the mask that a lossless file leaves as they were."""
    clip, copy = probe_clip(source), probe_clip(written)
    same = total = 0
    numbers = range(min(clip.num_frames, copy.num_frames))
    pairs = zip(read_frames(clip, numbers), read_frames(copy, numbers), strict=True)
    for number, (before, after) in enumerate(pairs):
        outside = np.ones(before.size, bool)
        if number in engine.painted:
            packed, matrix = engine.painted[number]
            side = engine.side
            inside = np.unpackbits(packed, count=side * side).reshape(side, side).astype(bool)
            left, top = (-matrix[:, 2]).astype(int).tolist()
            seen = outside[max(0, top) : top + side, max(0, left) : left + side]
            first_row, first_column = max(0, -top), max(0, -left)
            seen &= ~inside[first_row:, first_column:][: seen.shape[0], : seen.shape[1]]
        same += int((before.y == after.y)[outside].sum())
        total += int(outside.sum())
    return same / total


def _mean(values: list[float]) -> float:
    """Return the mean of what was measured."""
    measured = [value for value in values if not np.isnan(value)]
    return float(np.mean(measured)) if measured else float("nan")


def _without_nan(value: Any) -> Any:
    """Return nested dicts with None for what was not measured: JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if np.isnan(value) else value


def _print_table(rows: dict[str, dict[str, float]]) -> None:
    keys = list(next(iter(rows.values())))
    names = list(rows)
    print(f"{'':16}" + "".join(f"{name[:14]:>16}" for name in names))
    for key in keys:
        print(f"{key:16}" + "".join(f"{rows[name][key]:16.4f}" for name in names))


def main(argv: list[str]) -> int:
    """Measure every clip of a folder; 0, or 2 where nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m lipsync bench draft", description=__doc__)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="folder of talking clips")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    paths = sorted(p for p in arguments.clips.glob("*") if p.suffix.lower() in _VIDEO)
    numbers: dict[str, dict[str, float]] = {}
    for path in paths:
        try:
            numbers[path.name] = asdict(measure_clip(path))
        except LipsyncError as reason:
            print(f"left out: {reason}", file=sys.stderr)
        else:
            print(f"measured {path.name}", file=sys.stderr)
    if not numbers:
        print(f"No talking clip was found in {arguments.clips}.", file=sys.stderr)
        return 2
    keys = next(iter(numbers.values()))
    mean = {key: _mean([row[key] for row in numbers.values()]) for key in keys}
    report: dict[str, Any] = {"mean": mean, "clips": numbers}
    if arguments.json:
        print(json.dumps(_without_nan(report), indent=1))
    else:
        _print_table({**numbers, "mean": mean})
    return 0
