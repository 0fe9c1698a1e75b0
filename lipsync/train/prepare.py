"""From a folder of talking videos to prepared ones: faces at 25 fps and the mel, once and for all.

The published preparation cuts out raw S3FD boxes and keeps the sound as a file, of which training
then computes a mel for every sample. Here the program's own face layer finds, follows and aligns
the face, so that a network is trained on the very picture the engine will show it; and the mel is
computed once per video. What is finished is known by its content: a run that was stopped goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipsync.audio.signals import RATE as SAMPLE_RATE
from lipsync.engines.wav2lip.chunks import hear_voice
from lipsync.engines.wav2lip.expert import WINDOW
from lipsync.engines.wav2lip.units import SIDE
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES, align_track, crop_face
from lipsync.face.detect import Detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.track import choose_face
from lipsync.media.frames import read_frames
from lipsync.media.output import output_errors
from lipsync.media.probe import at_rate, probe_clip
from lipsync.media.sound import check_voice, read_audio
from lipsync.steps import exhaust, map_steps
from lipsync.train.alone import alone_in
from lipsync.train.clips import ENDINGS
from lipsync.train.prepared import (
    NAME_LENGTH,
    RATE,
    TEMPLATE,
    is_current,
    new_faces,
    write_video,
)
from lipsync.train.windows import MIN_STARTS, PUBLISHED_LEAD, window_starts
from lipsync.types import Clip, FaceChoice, FaceTrack
from lipsync.weights.ledger import hash_file

_MIN_SECONDS = 0.5  # rounded up: two windows, and the sound around them
_HALF = ".half"  # how the name of a folder ends that is being written


@dataclass
class Preparation:
    """What a run has made and met so far."""

    prepared: list[str] = field(default_factory=list)  # content of each new one
    skipped: list[str] = field(default_factory=list)  # content of each that was there before
    refused: dict[Path, str] = field(default_factory=dict)  # file -> why nothing can be learnt

    @property
    def usable(self) -> int:
        """How many of the videos can be trained on."""
        return len(self.prepared) + len(self.skipped)


@dataclass(frozen=True)
class PrepareStep:
    """How far a run is."""

    stage: str  # name of the file at hand, below the folder
    number: int  # of this file, from 1
    files: int
    done: int = 0  # frames of the file looked at, or cut out
    total: int = 0  # frames; 0 = not known yet
    outcome: str | None = None  # one line on a file that is finished


def find_videos(folder: Path) -> list[Path]:
    """Return the video files in `folder` and below, by path; names that begin with a dot are left
    out.

    Raises InputError where there is no such folder or no video in it.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; name one that holds talking videos.")
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in ENDINGS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise InputError(f"{folder} holds no video ({', '.join(ENDINGS)}); name another folder.")
    return found


def prepare_videos(
    folder: Path, data: Path, detector: Detector
) -> Generator[PrepareStep, None, Preparation]:
    """Prepare every video in `folder` and below into `data`; yield steps, return what came of it.

    A video that cannot be learnt from is refused with one sentence and the run goes on; closing
    the generator, or killing the process, leaves whole videos only, and the next run goes on from
    there. Raises InputError where there is no video or another process prepares into `data`,
    OutputError where `data` cannot be written.
    """
    videos = find_videos(folder)
    outcome = Preparation()
    with alone_in(data):
        for half in data.glob(f"*{_HALF}"):  # what a killed run has left
            shutil.rmtree(half)
        for number, path in enumerate(videos, start=1):
            step = PrepareStep(str(path.relative_to(folder)), number, len(videos))
            yield step
            try:
                line = yield from _prepare(path, data, detector, outcome, step)
            except InputError as error:
                outcome.refused[path] = line = str(error)
            yield replace(step, outcome=line)
    return outcome


def _prepare(
    path: Path, data: Path, detector: Detector, outcome: Preparation, step: PrepareStep
) -> Generator[PrepareStep, None, str]:
    """Prepare one video unless it is there; return a line on it. Raises InputError."""
    content = _content_of(path)
    if is_current(data / content):
        outcome.skipped.append(content)
        return "was prepared before"
    audio = read_audio(path, SAMPLE_RATE)
    check_voice(audio, path.name)
    mel = hear_voice(audio).T
    clip = at_rate(probe_clip(path), Fraction(RATE))

    def tell(done: int) -> PrepareStep:
        return replace(step, done=done, total=2 * clip.num_frames)

    following = follow_faces(clip, range(clip.num_frames), detector, Gallery(0))
    tracks = yield from map_steps(tell, following)
    track = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
    stretches = [part for part in track.segments() if part.stop - part.start >= WINDOW]
    runs = [range(part.start, part.stop) for part in stretches]
    if min(len(window_starts(runs, len(mel), lead)) for lead in (0, PUBLISHED_LEAD)) < MIN_STARTS:
        raise InputError(
            f"{path.name} shows no face for {_MIN_SECONDS} s without a break while there is sound; "
            "choose videos of one person talking."
        )
    half = data / f"{content}{_HALF}"
    with output_errors(data / content):
        half.mkdir()
        faces = new_faces(half, sum(len(run) for run in runs))
        with closing(_cut_faces(clip, track, stretches)) as cut:
            for row, face in enumerate(cut):
                faces[row] = face
                yield tell(clip.num_frames + row + 1)
        faces.flush()
        write_video(half, path.name, runs, faces, mel)
        if (data / content).exists():  # of an older form
            shutil.rmtree(data / content)
        half.rename(data / content)
    outcome.prepared.append(content)
    return f"{len(faces) / RATE:.1f} s"


def _content_of(path: Path) -> str:
    try:
        return exhaust(hash_file(path))[:NAME_LENGTH]
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read ({error.strerror}); check its permissions."
        ) from error


def _cut_faces(
    clip: Clip, track: FaceTrack, stretches: Sequence[slice]
) -> Generator[np.ndarray, None, None]:
    """Yield the (96, 96, 3) uint8 RGB face in each row of the stretches, as the engine sees it."""
    matrices = [align_track(track, part, TEMPLATES[TEMPLATE], SIDE).matrices for part in stretches]
    rows = [row for part in stretches for row in range(part.start, part.stop)]
    for frame, matrix in zip(read_frames(clip, rows), np.concatenate(matrices), strict=True):
        yield crop_face(frame, matrix, SIDE)
