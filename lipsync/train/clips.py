"""Talking clips as a fit sees them: what is heard, and how the mouth really moved.

Every clip goes through the program's own first pass (probe, faces, mesh) and its own ears, so that
a fit learns from exactly what an engine will hear. Both are slow, so both are kept in a cache
folder under the hash of the file's content and of the code that made them.
"""

from __future__ import annotations

import fnmatch
import hashlib
import inspect
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from lipsync.audio import phones, signals
from lipsync.audio.phones import viseme_table
from lipsync.engines.draft.articulation import VoiceChannels, voice_channels
from lipsync.errors import InputError
from lipsync.face import detect, follow, track
from lipsync.face.detect import Detector, MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.mouth import measure_mouth
from lipsync.face.track import choose_face
from lipsync.media.probe import probe_clip
from lipsync.media.sound import check_voice, read_audio
from lipsync.steps import exhaust
from lipsync.types import Audio, FaceChoice

RATE = 25  # Hz, of everything below
CACHE = Path.home() / ".cache" / "lipsync-studio" / "train"  # unless another place is named
ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
_MIN_SECONDS = 2.0  # of one face in one shot; less says nothing about a lag
# what decides the numbers kept; a change here makes the cache start afresh
_FACE_CODE = (detect, follow, track)
_VOICE_CODE = (phones, signals)


@dataclass(frozen=True)
class TalkingClip:
    """One person's longest uninterrupted appearance in a file, with the sound of the whole file."""

    name: str  # file name without its ending
    samples: np.ndarray  # (M,) float32, 16 kHz, the whole file's
    voice: VoiceChannels  # of the whole file
    fps: Fraction  # of the landmarks
    first_row: int  # frame of the file that row 0 of the landmarks belongs to
    landmarks: np.ndarray  # (R, 478, 3) float32 px

    @property
    def times(self) -> np.ndarray:
        """Times (T,) s in the file, multiples of 1/25 s, at which the mouth is known."""
        first = math.ceil(self.first_row / self.fps * RATE)
        last = int((self.first_row + len(self.landmarks) - 1) / self.fps * RATE)
        return np.arange(first, last + 1) / RATE

    @property
    def all_times(self) -> np.ndarray:
        """Times (A,) s from the file's beginning to the last of `times`."""
        return np.arange(round(self.times[-1] * RATE) + 1) / RATE

    @property
    def seconds(self) -> float:
        """Seconds in which the mouth is known."""
        return len(self.landmarks) / float(self.fps)

    def mouth(self) -> np.ndarray:
        """Return (T, 3) the true opening, width and jaw drop, IOD, at `times`."""
        measured = measure_mouth(self.landmarks, np.arange(len(self.landmarks)))
        row_times = (self.first_row + np.arange(len(measured))) / float(self.fps)
        return np.column_stack([np.interp(self.times, row_times, m) for m in measured.T])

    def seen_part(self, rows: np.ndarray) -> np.ndarray:
        """Return the last T of rows (A, ...) given at `all_times`: those at `times`."""
        return rows[len(rows) - len(self.times) :]


@dataclass(frozen=True)
class Collection:
    """What a list of files and folders held."""

    clips: tuple[TalkingClip, ...]  # by name
    refused: dict[str, str]  # file name -> why nothing could be learnt from it


def list_clips(places: Iterable[Path]) -> list[Path]:
    """Return the video files named or lying directly in the named folders, by name.

    Raises InputError where a place does not exist or holds no video.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise InputError(f"{place} does not exist; name a folder of talking clips.")
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        videos = [path for path in inside if path.suffix.lower() in ENDINGS]
        if not videos:
            raise InputError(f"{place} holds no video ({', '.join(ENDINGS)}); name one that does.")
        found += videos
    return sorted(dict.fromkeys(found), key=lambda path: path.stem)


def collect_clips(
    paths: Iterable[Path], folder: Path, tell: Callable[[str], None] = lambda line: None
) -> Collection:
    """Return the talking clips among the files; what was read before comes from `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    clips: dict[str, TalkingClip] = {}
    refused: dict[str, str] = {}
    detector = MediaPipeDetector()
    try:
        for path in paths:
            try:
                clip = read_clip(path, folder, detector)
            except InputError as error:
                refused[path.name] = str(error)
                tell(f"{path.name}: left out. {error}")
                continue
            if clip.name in clips:
                raise InputError(f"Two clips are called {clip.name}; rename one of them.")
            clips[clip.name] = clip
            tell(f"{clip.name}: {clip.seconds:.1f} s")
    finally:
        detector.close()
    return Collection(tuple(clips.values()), refused)


def read_clip(path: Path, folder: Path, detector: Detector) -> TalkingClip:
    """Return one talking clip; raises InputError where it has no sound or no lasting face."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()[:24]
    audio = read_audio(path, signals.RATE)
    check_voice(audio, path.name)
    faces_file = folder / f"{content}-{_code_hash(_FACE_CODE)}.faces.npz"
    seen = _kept(faces_file, lambda: _see(path, detector))
    voice_file = folder / f"{content}-{_code_hash(_VOICE_CODE)}.voice.npz"
    heard = _kept(voice_file, lambda: _hear(audio))
    clip = TalkingClip(
        name=path.stem,
        samples=audio.samples,
        voice=VoiceChannels(heard["channels"], heard["labiodental"]),
        fps=Fraction(int(seen["fps"][0]), int(seen["fps"][1])),
        first_row=int(seen["first_row"]),
        landmarks=seen["landmarks"],
    )
    if clip.seconds < _MIN_SECONDS:
        raise InputError(
            f"{path.name} shows one face for only {clip.seconds:.1f} s without a break; "
            f"{_MIN_SECONDS:.0f} s are needed."
        )
    return clip


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a clip's name fits one of the shell patterns, whatever the letters' case."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _see(path: Path, detector: Detector) -> dict[str, np.ndarray]:
    clip = probe_clip(path)
    tracks = exhaust(follow_faces(clip, range(clip.num_frames), detector, Gallery(0)))
    person = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
    longest = max(person.segments(), key=lambda run: run.stop - run.start)
    return {
        "landmarks": person.landmarks[longest],
        "first_row": np.array(longest.start),
        "fps": np.array(clip.fps.as_integer_ratio()),
    }


def _hear(audio: Audio) -> dict[str, np.ndarray]:
    voice = voice_channels(audio.samples)
    return {
        "channels": voice.channels.astype(np.float32),
        "labiodental": voice.labiodental.astype(np.float32),
    }


def _kept(file: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays kept in `file`; made and kept first where there is none."""
    if not file.is_file():
        partial = file.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as stream:
            np.savez(stream, **make())
        partial.replace(file)
    with np.load(file) as stored:
        return dict(stored)


@cache
def _code_hash(modules: tuple[ModuleType, ...]) -> str:
    text = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256((text + repr(viseme_table())).encode()).hexdigest()[:12]
