"""A clip's faces as LatentSync's networks are shown them, for preparing data and for looking at.

A job does the same on its way (face/follow.py, face/align.py); here the faces are all that is
wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync.engines.latentsync.reference_crop import (
    ReferenceAligner,
    ReferenceTemplate,
    crop_reference,
    stretch_reference,
)
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES, align_track, crop_face
from lipsync.face.anchors import rounded_anchors
from lipsync.face.detect import Detector, MediaPipeDetector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.insight import published_choice
from lipsync.face.track import choose_face
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import Limits, probe_clip
from lipsync.steps import exhaust
from lipsync.types import Clip, FaceChoice


@dataclass(frozen=True)
class AlignedFace:
    """One frame's face, brows and nose where the networks expect them."""

    frame: int  # number in the clip
    # (2, 3) float32, frame px -> px of the picture; with `compat` of the crop it was stretched from
    matrix: np.ndarray
    picture: np.ndarray  # (R, R, 3) uint8 RGB


class VideoProcessor:
    """Aligned faces of whole clips, one after the other.

    The largest face of each shot is taken, its place smoothed over time, in float32 whatever the
    networks compute in. Frames without a face are skipped: `align_video` names the frames, so that
    a gap can be told. With `compat` it is the published program's way, frame by frame: its choice
    of a face, whole-px anchors, its crop; a frame without an acceptable face ends it.
    """

    def __init__(
        self,
        resolution: int = 512,
        device: str = "cpu",
        detector: Detector | None = None,
        *,
        compat: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """`resolution` is R, the side of a face in px, a multiple of 8 (256 and 512 have networks).

        `device` is taken because scripts for the published program give one; no network of the
        engine is run here, and faces are found and warped on the processor. `detector` (None:
        MediaPipe, opened for each clip) stays the caller's to close. Raises ValueError for another
        resolution.
        """
        if resolution < 8 or resolution % 8:
            raise ValueError(f"a resolution of {resolution} px has no latents of whole px")
        self.resolution = resolution
        self._given = detector
        self._compat = compat
        self._limits = limits or Limits()

    def affine_transform_video(self, path: str | Path) -> Iterator[np.ndarray]:
        """Yield the (R, R, 3) uint8 RGB face of each frame that shows one; see `align_video`."""
        for face in self.align_video(path):
            yield face.picture

    def align_video(self, path: str | Path) -> Iterator[AlignedFace]:
        """Yield the clip's aligned faces with their frame numbers, in order, at its own rate.

        One picture is held at a time. By default the clip is read twice, and the first reading
        keeps landmarks, up to 3 kB a frame; with `compat` it is read once and nothing is kept.
        Raises `InputError`, when the first face is asked for, if the clip cannot be read or shows
        no face; with `compat` at the first frame that has none.
        """
        clip = probe_clip(Path(path), self._limits)
        with self._detector() as detector:
            if self._compat:
                yield from self._align_as_published(clip, detector)
            else:
                yield from self._align_track(clip, detector)

    def _align_track(self, clip: Clip, detector: Detector) -> Iterator[AlignedFace]:
        template = TEMPLATES["latentsync"]
        tracks = exhaust(follow_faces(clip, range(clip.num_frames), detector, Gallery(0)))
        track = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
        segments = track.segments()
        shown = np.concatenate([np.arange(run.start, run.stop) for run in segments])
        matrices = np.concatenate(
            [align_track(track, run, template, self.resolution).matrices for run in segments]
        )
        for frame, matrix in zip(read_frames(clip, shown), matrices, strict=True):
            yield AlignedFace(frame.index, matrix, crop_face(frame, matrix, self.resolution))

    def _align_as_published(self, clip: Clip, detector: Detector) -> Iterator[AlignedFace]:
        template = ReferenceTemplate(self.resolution)
        aligner = ReferenceAligner(template)
        detector.reset()
        for frame in read_frames(clip):
            image = rgb_image(frame)
            face = published_choice(detector.detect(image))
            if face is None:
                raise InputError(
                    f"Frame {frame.index} of {clip.path.name} shows no face of at least 50 × 80 px,"
                    " where the published program ends; choose another part, or leave compat off."
                )
            matrix = aligner.align(rounded_anchors(face.landmarks))
            crop = crop_reference(image, matrix, template)
            yield AlignedFace(frame.index, matrix, stretch_reference(crop, template))

    @contextmanager
    def _detector(self) -> Iterator[Detector]:
        detector = self._given or MediaPipeDetector()
        try:
            yield detector
        finally:
            if self._given is None:
                detector.close()
