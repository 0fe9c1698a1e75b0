"""What the judges promise about real clips: shifts, other frame rates, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import run_ffmpeg

from lipsync import LipSyncPipeline
from lipsync.example import example_voice
from lipsync.face.detectors import open_detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.track import choose_face
from lipsync.media.probe import probe_clip
from lipsync.media.sound import read_audio
from lipsync.score.correlate import score_track
from lipsync.steps import exhaust
from lipsync.types import Audio, FaceChoice, FaceTrack

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
NAMES = ("vr_2", "vr_3", "st_aoc", "wl_2")  # people with their own voice
ROOT = Path(__file__).resolve().parents[1]
FRAME = 640  # samples of 40 ms

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLIPS.is_dir(), reason=f"needs the real clips in {CLIPS}"),
]

PEAK = """
import json, sys
from pathlib import Path
from lipsync import LipSyncPipeline
from lipsync.bench.cost import peak_mb
score = LipSyncPipeline().score(Path(sys.argv[1]), judge=sys.argv[2])
print(json.dumps([peak_mb(), score.offset_frames]))
"""


def follow(path: Path) -> tuple[FaceTrack, Fraction]:
    """Return the face of a clip and the clip's rate."""
    clip = probe_clip(path)
    with closing(open_detector("mediapipe")) as detector:
        tracks = exhaust(follow_faces(clip, range(clip.num_frames), detector, Gallery(0)))
    return choose_face(tracks, FaceChoice(), clip.size, clip.fps), clip.fps


def moved(audio: Audio, frames: int) -> Audio:
    """Return a sound that comes `frames` of 40 ms earlier (< 0: later)."""
    silence = np.zeros(abs(frames) * FRAME, np.float32)
    samples = audio.samples
    if frames < 0:
        return Audio(np.concatenate([silence, samples[: frames * FRAME]]), audio.rate)
    return Audio(np.concatenate([samples[frames * FRAME :], silence]), audio.rate)


def test_a_moved_sound_moves_the_offset() -> None:
    """By as much, within one frame, in nine cases of ten."""
    errors = []
    for name in NAMES:
        path = CLIPS / f"{name}.mp4"
        track, fps = follow(path)
        audio = read_audio(path, 16_000)
        own = score_track(track, fps, audio).offset_frames
        for frames in range(-8, 9):
            found = score_track(track, fps, moved(audio, frames)).offset_frames
            errors.append(abs(found - own - frames))
    assert len(errors) == 17 * len(NAMES)
    assert np.mean(np.array(errors) <= 1) >= 0.9, errors


@pytest.mark.parametrize("name", NAMES)
def test_the_frame_rate_does_not_move_the_offset(
    name: str, pipeline: LipSyncPipeline, tmp_path: Path
) -> None:
    found = []
    for rate in (25, 30):
        encoded = run_ffmpeg(
            *("-i", CLIPS / f"{name}.mp4", "-vf", f"fps={rate}", "-c:v", "libx264"),
            *("-crf", 14, "-preset", "veryfast", "-c:a", "aac", tmp_path / f"{rate}.mp4"),
        )
        found.append(pipeline.score(encoded, judge="correlate").offset_ms)
    assert abs(found[0] - found[1]) <= 20, found


@pytest.mark.parametrize("judge", ["correlate", "syncnet"])
def test_a_longer_clip_takes_no_more_memory(judge: str, tmp_path: Path) -> None:
    """Each in a process of its own; SyncNet with numbers drawn by name, in its published size."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if judge == "syncnet":
        from standin_models import write_syncnet

        write_syncnet(tmp_path / "syncnet-v2")
        environment["LIPSYNC_MODELS"] = str(tmp_path)
    peaks = []
    for seconds in (10, 40):
        clip = run_ffmpeg(
            *("-stream_loop", -1, "-i", CLIPS / "vr_2.mp4", "-stream_loop", -1),
            *("-i", example_voice(), "-map", "0:v", "-map", "1:a", "-t", seconds),
            *("-c:v", "copy", "-c:a", "aac", tmp_path / f"{seconds}.mp4"),
        )
        line = [sys.executable, "-c", PEAK, str(clip), judge]
        done = subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        peaks.append(json.loads(done.stdout.splitlines()[-1])[0])
    assert peaks[1] < 1500
    # a minute takes as much: what grows is a few bytes per frame
    assert peaks[1] < 1.1 * peaks[0], peaks
