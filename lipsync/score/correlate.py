"""A judge without weights: does this mouth move as this voice would have it?

The mouth is three numbers (opening, width, jaw), re-detected on the written file; the voice is
turned into the same three by a ridge regression on spectrum and formants (fitted by
`lipsync/train/articulation.py`, without the phones that drive the draft engine). Their correlation
at shifts of -15 … +15 frames of 40 ms gives the offset (where it peaks) and the confidence (how
high). It sees three numbers, not a face.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.assets import asset_path
from lipsync.audio.signals import sample_context, standardise, voice_signals
from lipsync.errors import InputError
from lipsync.face.detect import Detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.mouth import MEASURED, measure_mouth
from lipsync.face.track import choose_face
from lipsync.score.demands import require_face, require_sound
from lipsync.score.verdict import Limits, find_verdict
from lipsync.types import Audio, Clip, FaceChoice, FaceTrack, SyncScore

RATE = 25  # Hz; every clip is judged at this rate, whatever its own
MAX_SHIFT = 15  # frames
OFFSETS, SIGMA = (-0.08, -0.04, 0.0, 0.04, 0.08), 1.6  # s; frames of 10 ms
_SLOW = 12.0  # frames; slower than this is expression, not speech
_WEIGHTS = np.array([1.0, 1.0, 0.5])  # of opening, width, jaw
_MIN_FRAMES = 25  # one second of visible face
_LOCAL = 25  # frames on each side that a per-second value looks at
_STILL = 0.004  # IOD; a mouth that moves less says nothing
_LIMITS = Limits(lowest=0.35, good=0.7, offset=5)
WORTH = (
    "From 0 to 1; compares three mouth measurements with the voice: good at finding offsets, wrong "
    "sound and still mouths, but clips under 5 seconds can score high by chance; a proxy: it "
    "agrees with people only about 7 times in 10, and rewards wide mouths."
)


@dataclass(frozen=True)
class JudgeModel:
    """The fitted numbers."""

    ridge: np.ndarray  # (175, 3)
    slope: float
    middle: float  # peak at which the confidence is one half

    def confidence(self, peak: float) -> float:
        """Map the highest correlation to [0, 1]."""
        return float(1 / (1 + np.exp(-self.slope * (peak - self.middle))))


@cache
def load_judge(path: Path | None = None) -> JudgeModel:
    """Load the fitted numbers from an .npz (default: the bundled one)."""
    with np.load(path or asset_path("correlate.npz")) as stored:
        return JudgeModel(stored["ridge"], float(stored["slope"]), float(stored["middle"]))


def drop_slow(tracks: np.ndarray) -> np.ndarray:
    """Take away what moves slower than speech; (T, C) at 25 Hz."""
    return tracks - gaussian_filter1d(tracks, _SLOW, axis=0, mode="nearest")


def judge_features(samples: np.ndarray, num_frames: int) -> np.ndarray:
    """Return (num_frames, 175) features at 25 Hz of a 16 kHz voice (N,) float32."""
    return np.column_stack(list(_feature_parts(samples, num_frames)))


def hear_mouth(samples: np.ndarray, num_frames: int) -> np.ndarray:
    """Return the mouth (num_frames, 3) at 25 Hz that a 16 kHz voice (N,) float32 would make.

    The features of a long clip never stand in memory all at once.
    """
    heard = np.zeros((num_frames, len(_WEIGHTS)))
    ridge, first = load_judge().ridge, 0
    for part in _feature_parts(samples, num_frames):
        heard += part @ ridge[first : first + part.shape[1]]
        first += part.shape[1]
    return heard


def _feature_parts(samples: np.ndarray, num_frames: int) -> Iterator[np.ndarray]:
    """Yield the features (num_frames, 35) at each of the offsets."""
    signals, mel = voice_signals(samples)
    channels = np.column_stack([mel, signals])
    times = np.arange(num_frames) / RATE
    for offset in OFFSETS:
        context = sample_context(channels, times, (offset,), SIGMA)
        yield standardise(drop_slow(standardise(context)))


def shift_curve(
    heard: np.ndarray, seen: np.ndarray, valid: np.ndarray, max_shift: int = MAX_SHIFT
) -> np.ndarray:
    """Return (2 * max_shift + 1,) weighted correlations of heard (T, 3) with seen (T, 3).

    At shift k the sound at frame t is held against the lips at frame t + k: a peak at k > 0 means
    the sound comes k frames before the lips. Only frames with `valid` (T,) lips count; NaN where
    fewer than a second of them remains.
    """
    curve = np.full(2 * max_shift + 1, np.nan)
    for index, k in enumerate(range(-max_shift, max_shift + 1)):
        lips = slice(max(0, k), len(seen) + min(0, k))
        sound = slice(max(0, -k), len(heard) - max(0, k))
        use = valid[lips]
        if use.sum() < _MIN_FRAMES:
            continue
        one, other = standardise(seen[lips][use]), standardise(heard[sound][use])
        curve[index] = (one * other).mean(axis=0) @ _WEIGHTS / _WEIGHTS.sum()
    return curve


def see_mouth(track: FaceTrack, fps: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """Return the mouth (T, 3) at 25 Hz, slow parts dropped, and which frames (T,) show it."""
    rows = np.flatnonzero(track.present)
    times = np.arange(_num_moments(len(track.present), fps)) / RATE
    measured = measure_mouth(track.landmarks, rows)
    row_times = rows / float(fps)
    mouth = np.column_stack([np.interp(times, row_times, m) for m in measured.T])
    nearest = np.clip(np.rint(times * float(fps)).astype(int), 0, len(track.present) - 1)
    return drop_slow(mouth), track.present[nearest]


def score_track(track: FaceTrack, fps: Fraction, audio: Audio) -> SyncScore:
    """Judge a face track against a 16 kHz voice that starts with it.

    Raises InputError where nothing can be said: silence, too little face, a mouth that is still.
    """
    heard = _listen(audio, _num_moments(len(track.present), fps))
    return _compare(track, fps, heard)


def _num_moments(num_frames: int, fps: Fraction) -> int:
    """Return how many moments of 40 ms a clip of that many frames is judged at."""
    return max(1, round(num_frames / fps * RATE))


def _listen(audio: Audio, num_moments: int) -> np.ndarray:
    """Return the mouth (num_moments, 3) that is heard; raises InputError where it is silent."""
    require_sound(audio.samples)
    return hear_mouth(audio.samples, num_moments)


def _compare(track: FaceTrack, fps: Fraction, heard: np.ndarray) -> SyncScore:
    """Judge a face track against the mouth (T, 3) that was heard with it."""
    require_face(float(track.present.sum() / fps))
    seen, valid = see_mouth(track, fps)
    if seen[valid, 0].std() < _STILL:
        raise InputError("The mouth does not move, so there is no sync to measure.")
    model = load_judge()
    curve = shift_curve(heard, seen, valid)
    measured = np.isfinite(curve)
    if not measured.any():
        raise InputError("Too little of the face is visible to compare it with the voice.")
    best = int(np.nanargmax(curve))
    confidence = model.confidence(float(curve[best]))
    offset = best - MAX_SHIFT
    return SyncScore(
        judge="correlate",
        worth=WORTH,
        confidence=confidence,
        offset_frames=offset,
        fps=Fraction(RATE),
        verdict=find_verdict(confidence, offset, _LIMITS),
        curve_offsets=tuple((np.flatnonzero(measured) - MAX_SHIFT).tolist()),
        curve=tuple(curve[measured].round(4).tolist()),
        per_second=tuple(_per_second(heard, seen, valid, offset, model)),
    )


class CorrelateJudge:
    """The judge that is always there."""

    name = "correlate"
    worth = WORTH
    weights: tuple[str, ...] = ()

    def judge(
        self,
        clip: Clip,
        audio: Audio,
        face: FaceChoice,
        detector: Detector,
        numbers: range | None = None,
    ) -> Generator[int, None, SyncScore]:
        """As `judges.Judge` says."""
        numbers = range(clip.num_frames) if numbers is None else numbers
        heard = _listen(audio, _num_moments(len(numbers), clip.fps))
        del audio  # the sound of a long clip need not lie in memory while faces are looked for
        tracks = yield from follow_faces(clip, numbers, detector, Gallery(0), MEASURED)
        track = choose_face(tracks, face, clip.size, clip.fps, numbers)
        return _compare(track, clip.fps, heard)


def _per_second(
    heard: np.ndarray, seen: np.ndarray, valid: np.ndarray, offset: int, model: JudgeModel
) -> list[float | None]:
    """Return, for each second, the confidence of the 3 s around it at the clip's offset."""
    moved = np.arange(len(seen)) - offset
    known = valid & (moved >= 0) & (moved < len(heard))
    moved = np.clip(moved, 0, len(heard) - 1)
    values: list[float | None] = []
    for start in range(0, len(seen), RATE):
        around = slice(max(0, start - _LOCAL), start + RATE + _LOCAL)
        use = known[around]
        if not known[start : start + RATE].any() or use.sum() < 2 * RATE - _LOCAL:
            values.append(None)
            continue
        one, other = standardise(seen[around][use]), standardise(heard[moved[around]][use])
        agreement = (one * other).mean(axis=0) @ _WEIGHTS / _WEIGHTS.sum()
        values.append(round(model.confidence(float(agreement)), 3))
    return values
