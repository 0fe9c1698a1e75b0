"""The judge: planted offsets come back with their sign, nothing to judge gets a sentence."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import run_ffmpeg
from made_faces import FPS, REST_WIDTH, faces_with, placed, speaking, track_of

from lipsync import LipSyncPipeline
from lipsync.engines.draft.articulation import hear_articulation
from lipsync.engines.draft.columns import OPENING, WIDTH
from lipsync.errors import InputError
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.score.correlate import (
    MAX_SHIFT,
    RATE,
    WORTH,
    drop_slow,
    hear_mouth,
    judge_features,
    load_judge,
    score_track,
    see_mouth,
    shift_curve,
)
from lipsync.types import Audio, FaceTrack

CLIP = Path(__file__).resolve().parents[2] / "shared" / "clips" / "vr_2.mp4"
SOUND_RATE = 16_000


@pytest.fixture(scope="module")
def voice() -> Audio:
    return read_audio(example_voice(), SOUND_RATE)


def _mouths(voice: Audio, fps: Fraction) -> np.ndarray:
    """The mouths (T, 2) that the draft engine would give this voice."""
    count = round(voice.duration * fps)
    heard = hear_articulation(voice, count, fps)
    return np.column_stack([0.15 * heard[:, OPENING], REST_WIDTH + 0.02 * heard[:, WIDTH]])


@pytest.fixture(scope="module")
def mouths(voice: Audio) -> np.ndarray:
    return faces_with(_mouths(voice, FPS))


@pytest.fixture(scope="module")
def track(mouths: np.ndarray) -> FaceTrack:
    return track_of(placed(mouths))


def _shifted(voice: Audio, frames: int) -> Audio:
    """The voice, coming `frames` frames of 40 ms earlier (or later, where negative)."""
    step = SOUND_RATE // RATE
    silence = np.zeros(abs(frames) * step, np.float32)
    if frames >= 0:
        return Audio(np.concatenate([voice.samples[frames * step :], silence]), SOUND_RATE)
    return Audio(np.concatenate([silence, voice.samples[: frames * step]]), SOUND_RATE)


def test_a_mouth_that_follows_its_voice(track: FaceTrack, voice: Audio) -> None:
    score = score_track(track, FPS, voice)
    assert score.judge == "correlate"
    assert score.worth == WORTH
    assert score.verdict == "in sync"
    assert abs(score.offset_frames) <= 1
    assert 0.7 <= score.confidence <= 1.0
    assert score.curve_offsets == tuple(range(-MAX_SHIFT, MAX_SHIFT + 1))
    assert max(score.curve) == score.curve[score.curve_offsets.index(score.offset_frames)]
    assert all(-1 <= value <= 1 for value in score.curve)
    assert len(score.per_second) == 6
    assert all(value is None or 0 <= value <= 1 for value in score.per_second)
    assert score.per_second[2] is not None
    assert score.per_second[2] > 0.5


@pytest.mark.parametrize("frames", [-11, -6, -2, 2, 6, 11])
def test_a_planted_offset_is_found_with_its_sign(
    frames: int, track: FaceTrack, voice: Audio
) -> None:
    """More than 0: the sound comes before the lips."""
    own = score_track(track, FPS, voice).offset_frames
    score = score_track(track, FPS, _shifted(voice, frames))
    assert abs(score.offset_frames - own - frames) <= 1
    assert score.frames_ms == score.offset_frames * 40
    assert abs(score.offset_ms - score.frames_ms) <= 20
    if abs(frames) > 5:
        assert ("too early" if frames > 0 else "too late") in score.verdict


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(50)])
def test_any_frame_rate(fps: Fraction, voice: Audio) -> None:
    score = score_track(track_of(placed(faces_with(_mouths(voice, fps)))), fps, voice)
    assert score.confidence > 0.7
    assert abs(score.offset_frames) <= 1


def test_another_voice_is_out_of_sync(track: FaceTrack, voice: Audio) -> None:
    backwards = Audio(np.ascontiguousarray(voice.samples[::-1]), SOUND_RATE)
    matched, other = score_track(track, FPS, voice), score_track(track, FPS, backwards)
    assert other.confidence < 0.35
    assert other.verdict.startswith("out of sync")
    assert other.confidence < matched.confidence


def test_pose_and_size_do_not_matter(mouths: np.ndarray, track: FaceTrack, voice: Audio) -> None:
    plain = score_track(track, FPS, voice)
    turned = score_track(
        track_of(placed(mouths, 170.0, (500.0, 400.0), (20.0, -8.0, 15.0))), FPS, voice
    )
    assert turned.confidence == pytest.approx(plain.confidence, abs=0.02)
    assert turned.offset_frames == plain.offset_frames


def test_seconds_without_a_face_are_not_measured(track: FaceTrack, voice: Audio) -> None:
    present = track.present.copy()
    present[48:104] = False
    gap = dataclasses.replace(track, present=present)
    score = score_track(gap, FPS, voice)
    assert score.per_second[2] is None
    assert score.per_second[3] is None
    assert score.per_second[0] is not None
    assert abs(score.offset_frames) <= 1


def test_shifts_that_leave_too_little_are_not_in_the_curve(track: FaceTrack, voice: Audio) -> None:
    short = dataclasses.replace(
        track, boxes=track.boxes[:30], landmarks=track.landmarks.select(np.arange(30)),
        present=track.present[:30],
    )  # fmt: skip
    score = score_track(short, FPS, Audio(voice.samples[: 30 * 640], SOUND_RATE))
    assert score.curve_offsets == tuple(range(-5, 6))
    assert len(score.curve) == 11


def _refusal(track: FaceTrack, audio: Audio) -> str:
    with pytest.raises(InputError) as refused:
        score_track(track, FPS, audio)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence


def test_silence_is_refused(track: FaceTrack) -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-5, 5 * SOUND_RATE).astype(np.float32)
    for samples in (np.zeros(5 * SOUND_RATE, np.float32), hiss, np.zeros(0, np.float32)):
        assert "sound is silent" in _refusal(track, Audio(samples, SOUND_RATE))


def test_no_or_too_little_face_is_refused(track: FaceTrack, voice: Audio) -> None:
    for visible in (0, 10):
        present = track.present.copy()
        present[visible:] = False
        sentence = _refusal(dataclasses.replace(track, present=present), voice)
        assert f"visible for only {visible / 25:.1f} s" in sentence


def test_a_still_mouth_is_refused(voice: Audio) -> None:
    still = np.repeat(placed(faces_with(speaking(1))), 125, axis=0)
    assert "mouth does not move" in _refusal(track_of(still), voice)


def test_a_nodding_head_is_no_moving_mouth(voice: Audio) -> None:
    still = faces_with(speaking(1))
    nods = np.concatenate(
        [placed(still, degrees=(10 * np.sin(t / 5), 6 * np.cos(t / 7), 0)) for t in range(125)]
    )
    assert "mouth does not move" in _refusal(track_of(nods), voice)


@pytest.mark.parametrize("shift", [-9, -1, 0, 4, 12])
def test_shift_curve_peaks_where_it_should(shift: int) -> None:
    rng = np.random.default_rng(0)
    heard = rng.normal(size=(200, 3))
    seen = np.roll(heard, shift, axis=0)  # lips that do later what was heard earlier
    valid = np.ones(200, bool)
    curve = shift_curve(heard, seen, valid)
    assert int(curve.argmax()) - MAX_SHIFT == shift
    assert curve.max() > 0.9
    assert np.abs(np.delete(curve, curve.argmax())).max() < 0.4
    # frames that do not show the mouth do not count, whatever stands in them
    hidden = seen.copy()
    hidden[50:100] = 1e6
    valid[50:100] = False
    assert int(shift_curve(heard, hidden, valid).argmax()) - MAX_SHIFT == shift


def test_shift_curve_needs_a_second() -> None:
    few = np.zeros((20, 3))
    assert np.isnan(shift_curve(few, few, np.ones(20, bool))).all()


def test_slow_changes_are_no_speech() -> None:
    time = np.arange(250) / 25
    slow, fast = np.sin(2 * np.pi * 0.1 * time), np.sin(2 * np.pi * 4 * time)
    kept = drop_slow(np.column_stack([slow, fast]))[50:-50]
    assert kept[:, 0].std() < 0.2 * slow.std()
    assert kept[:, 1].std() > 0.9 * fast.std()


def test_a_mouth_is_seen_25_times_a_second() -> None:
    track = track_of(placed(faces_with(speaking(60, fps=60.0))), absent=slice(30, 45))
    seen, valid = see_mouth(track, Fraction(60))
    assert seen.shape == (25, 3)
    assert np.isfinite(seen).all()
    assert np.flatnonzero(~valid).tolist() == [13, 14, 15, 16, 17, 18]


def test_features_and_numbers_fit_each_other(voice: Audio) -> None:
    model = load_judge()
    features = judge_features(voice.samples, 100)
    assert features.shape == (100, model.ridge.shape[0])
    assert np.isfinite(features).all()
    np.testing.assert_allclose(hear_mouth(voice.samples, 100), features @ model.ridge, atol=1e-9)
    assert model.confidence(-1.0) < 0.01
    assert model.confidence(model.middle) == pytest.approx(0.5)
    assert 0.99 < model.confidence(1.0) <= 1.0


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.is_file(), reason=f"needs the real clip {CLIP}")
def test_offsets_on_a_real_clip(tmp_path: Path) -> None:
    pipeline = LipSyncPipeline()
    own = pipeline.score(CLIP)
    assert own.confidence > 0.7
    assert abs(own.offset_frames) <= 3
    for frames in (-6, 6):
        seconds = abs(frames) / 25
        change = ("-ss", seconds) if frames > 0 else ()
        late = f"adelay={round(1000 * seconds)}:all=1" if frames < 0 else "anull"
        moved = run_ffmpeg(*change, "-i", CLIP, "-vn", "-af", late, tmp_path / f"{frames}.wav")
        score = pipeline.score(CLIP, moved)
        assert abs(score.offset_frames - own.offset_frames - frames) <= 1
        assert score.confidence > 0.5
    pipeline.close()
