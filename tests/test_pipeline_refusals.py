"""What the pipeline refuses: with one sentence, before any work, leaving nothing."""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from conftest import run_ffmpeg
from watched_jobs import (
    refuse,
)

from lipsync import LipSyncPipeline, Request
from lipsync.errors import InputError, OutputError
from lipsync.example import example_voice


def test_the_inputs_are_never_overwritten(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    clip = Path(shutil.copy(face_clip, tmp_path / "clip.mp4"))
    voice = run_ffmpeg("-i", example_voice(), "-t", 1, tmp_path / "voice.mp4")
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    before = clip.read_bytes()
    for output in (clip, voice, link, tmp_path / "." / "clip.mp4"):
        sentence = refuse(pipeline, Request(clip, voice, output), OutputError)
        assert "is one of the inputs and would be overwritten" in sentence
    assert clip.read_bytes() == before


def test_mistakes_are_found_before_any_work(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    plain = Request(face_clip, short_voice, tmp_path / "out.mp4")
    wrong: dict[str, dict[str, Any]] = {
        "no engine called": {"engine": "magic"},
        "has no setting": {"settings": {"loudness": 1}},
        "Setting amplitude": {"settings": {"amplitude": float("nan")}},
        "trim start": {"start": 99.0},
        "lies beyond the clip": {"end": 99.0},
        "frames per second": {"fps": Fraction(0)},
        "part begins at 5 s, but the result lasts 1.20 s": {"part": (5.0, 3.0)},
        "length above 0": {"part": (0.0, 0.0)},
        "part of nan s": {"part": (0.0, float("nan"))},
        "from -1 s was": {"part": (-1.0, 3.0)},
        "number from 0 to 2": {"softness": 2.1},
        "seed is -1": {"seed": -1},
        "seed is 18446744073709551616": {"seed": 2**64},
        "softness of the mask": {"softness": float("nan")},
    }
    for words, change in wrong.items():
        job = pipeline.sync(dataclasses.replace(plain, **change))
        assert next(job).stage == "probe"
        with pytest.raises(InputError, match=words):
            next(job)
    assert not plain.output.exists()


def test_a_clip_without_a_face(
    pipeline: LipSyncPipeline, short_voice: Path, tmp_path: Path
) -> None:
    clip = run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", "-pix_fmt", "yuv420p"),
        tmp_path / "nobody.mp4",
    )
    sentence = refuse(pipeline, Request(clip, short_voice, tmp_path / "out.mp4"))
    assert "No face was found" in sentence
