"""Cropping a face and pasting it back, against doing both over the whole frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from lipsync.bench.rows import Row, single_thread, time_both
from lipsync.bench.whole_frame import crop_plainly, paste_plainly
from lipsync.composite.paste import paste_back
from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    paste_reference,
    reference_matrices,
    stretch_reference,
)
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES, align_track, crop_face
from lipsync.face.anchors import ANCHORS, rounded_anchors
from lipsync.face.detect import MESH_POINTS, MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.mask import template_mask
from lipsync.face.track import choose_face
from lipsync.media.colour import frame_from_rgb, rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.steps import exhaust
from lipsync.types import FaceChoice, FaceTrack, Frame, LandmarkStore, Size

ENDINGS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".m4v"})
FULL_HD = 1080  # px, the shorter side of a frame
_LOOK = 10  # frames of the clip, from which the face's place is known
_TEMPLATE = TEMPLATES["latentsync"]


@dataclass(frozen=True)
class Portrait:
    """A frame and where its face is."""

    source: str
    frame: Frame
    track: FaceTrack  # of one row


def find_clip(folder: Path) -> Path | None:
    """Return the folder's first clip at least 1080 px wide and high, None where there is none.

    Raises InputError if a clip cannot be read.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS and min(probe_clip(path).size) >= FULL_HD:
            return path
    return None


def read_portrait(path: Path) -> Portrait:
    """Return a frame of a clip and its face. Raises InputError where nobody is seen."""
    clip = probe_clip(path)
    numbers = range(min(_LOOK, clip.num_frames))
    detector = MediaPipeDetector()
    tracks = exhaust(follow_faces(clip, numbers, detector, Gallery(0)))
    detector.close()
    track = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
    row = int(np.flatnonzero(track.present)[0])
    frame = next(iter(read_frames(clip, [row])))
    return Portrait(path.name, frame, _one_row(track.landmarks[row]))


def make_portrait(size: Size = Size(1920, FULL_HD)) -> Portrait:  # noqa: B008
    """Return a picture of soft noise with a face-sized place in it, slightly turned."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (size.height // 24, size.width // 24, 3), dtype=np.uint8)
    picture = cv2.resize(small, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
    unit = size.width / FULL_HD
    places = np.array([[-50.0, -24.0], [48.0, -38.0], [4.0, 22.0]]) * unit
    points = np.zeros((MESH_POINTS, 3), np.float32)
    centre = np.array([size.width, size.height]) / 2
    for group, place in zip(ANCHORS[MESH_POINTS], places, strict=True):
        points[list(group), :2] = centre + place
    return Portrait("made", frame_from_rgb(picture), _one_row(points))


def measure_faces(portrait: Portrait, resolution: int, repeats: int) -> Iterator[Row]:
    """Yield what align and paste-back take per frame, the published results made quickly first.

    The plain way is given RGB and leaves RGB; our own way also comes from and goes back to YUV. The
    published crop is compared before its stretch to a square, which is one call in both.
    """
    template = ReferenceTemplate(resolution)
    size = (template.height, template.width)
    frame, track = portrait.frame, portrait.track
    image = rgb_image(frame)
    published = reference_matrices(rounded_anchors(track.landmarks[:]), template)[0]
    own = align_track(track, slice(0, 1), _TEMPLATE, resolution).matrices[0]
    levels = _softened(crop_face(frame, own, resolution))
    mask = template_mask(_TEMPLATE.mask, resolution)

    def crop_whole() -> np.ndarray:
        return crop_plainly(image, published, size)

    def crop_near() -> np.ndarray:
        return crop_reference(image, published, template)

    values = _signed(_softened(stretch_reference(crop_whole(), template)))

    def paste_whole() -> np.ndarray:
        return paste_plainly(image, values, published, size)

    def paste_near() -> np.ndarray:
        return paste_reference(image, values, published, template)

    rival, unit, differs = "the whole frame", "CPU ms per frame", "levels, mean"
    with torch.inference_mode(), single_thread():
        apart = _mean_difference(crop_near(), crop_whole())
        times = time_both(crop_near, crop_whole, repeats)
        yield Row("align, the published crop", rival, *times, unit, apart, differs)
        times = time_both(
            lambda: crop_face(frame, own, resolution),
            lambda: stretch_reference(crop_whole(), template),
            repeats,
        )
        yield Row("align, our own crop", rival, *times, unit)
        apart = _mean_difference(paste_near(), paste_whole())
        times = time_both(paste_near, paste_whole, repeats)
        yield Row("paste back, the published paste", rival, *times, unit, apart, differs)
        times = time_both(lambda: paste_back(frame, levels, mask, own), paste_whole, repeats)
        yield Row("paste back, our own", rival, *times, unit)


def open_portrait(folder: Path) -> Portrait:
    """Return a frame of the folder's first full-HD clip, or a made one where there is none.

    Raises InputError where the folder is absent.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give a folder of clips.")
    path = find_clip(folder)
    return make_portrait() if path is None else read_portrait(path)


def _one_row(points: np.ndarray) -> FaceTrack:
    store = LandmarkStore(1, len(points))
    store[0] = points
    box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return FaceTrack(box[None].astype(np.float32), store, np.ones(1, bool), (0,))


def _softened(face: np.ndarray) -> np.ndarray:
    """Return a face that is not the one that was cropped."""
    return cv2.GaussianBlur(face, (0, 0), 2.0)


def _signed(face: np.ndarray) -> Tensor:
    return torch.from_numpy(face).permute(2, 0, 1).float() / 127.5 - 1


def _mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(cv2.absdiff(one, other).mean())
