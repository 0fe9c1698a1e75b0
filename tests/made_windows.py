"""Prepared videos made of numbers: where every pixel and every column says which it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lipsync.audio.mel import NUM_MELS
from lipsync.engines.wav2lip.units import HALF
from lipsync.train.prepared import NAME_LENGTH, PreparedVideo, new_faces, open_videos, write_video

LATER = "8"  # how the content of made videos begins: beyond validation's and test's share
RUNS = (range(3, 15), range(20, 33))
COLUMNS = 130  # of the mel; more than the last window needs


def make_folder(data: Path, number: int, beginning: str = LATER) -> Path:
    """Make the folder of one video, named so that it belongs to training unless said otherwise."""
    folder = data / f"{beginning}{number:0{NAME_LENGTH - len(beginning)}x}"
    folder.mkdir(parents=True)
    return folder


def make_numbered(
    data: Path, number: int, runs: Sequence[range] = RUNS, columns: int = COLUMNS
) -> PreparedVideo:
    """Make a video whose red is the row, whose blue is `number`, and whose mel counts columns."""
    folder = make_folder(data, number)
    faces = new_faces(folder, sum(len(run) for run in runs))
    faces[...] = 0
    faces[..., 0] = np.arange(len(faces))[:, None, None]
    faces[..., 2] = number
    mel = np.repeat(np.arange(columns, dtype=np.float32)[:, None], NUM_MELS, axis=1)
    write_video(folder, f"{number}.mp4", runs, faces, mel)
    return next(video for video in open_videos(data) if video.folder == folder)


def make_talking(data: Path, count: int, frames: int = 40) -> None:
    """Make videos of a mouth that is as bright as the voice is loud, each on another skin."""
    for number in range(count):
        draw = np.random.default_rng(number)
        folder = make_folder(data, number)
        loudness = draw.uniform(0, 1, frames).repeat(3)  # about three columns a frame
        mel = np.full((len(loudness) + 40, NUM_MELS), -4.0, np.float32)
        mel[: len(loudness)] += 8.0 * loudness[:, None].astype(np.float32)
        faces = new_faces(folder, frames)
        faces[...] = draw.integers(40, 200, 3)
        mouths = (255 * loudness[::3]).astype(np.uint8)
        faces[:, HALF + 12 : HALF + 36, 30:66] = mouths[:, None, None, None]
        write_video(folder, f"talk {number}.mp4", [range(1, frames + 1)], faces, mel)
