"""One scene, batch by batch: faces and what they hear to painted faces, ready to be blended in.

A batch is one piece of work on the device (see `Residence.turn`). Between two the job may be
stopped. Memory is that of a window of frames, however long the scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch

from lipsync.engines.wav2lip.heard import HeardFrames
from lipsync.engines.wav2lip.inference import DTYPES, LipGenerator, open_generator
from lipsync.engines.wav2lip.published import (
    Pads,
    crop_face,
    pad_boxes,
    paste_face,
    smooth_boxes,
    stack_faces,
)
from lipsync.engines.wav2lip.settings import Wav2LipSettings
from lipsync.errors import InputError
from lipsync.face.align import even_offset
from lipsync.residence import Residence
from lipsync.threads import usual_threads
from lipsync.types import Generated, Scene, Window

_PRECISIONS = {dtype: precision for precision, dtype in DTYPES.items()}


@contextmanager
def use_generator(residence: Residence, settings: Wav2LipSettings) -> Iterator[LipGenerator]:
    """Lend the generator that a job with `settings` needs.

    Raises InputError where its file is absent, damaged or another one than it should be, and where
    the device's memory does not suffice.
    """
    located = residence.store.locate(settings.checkpoint)
    device = residence.device
    wish = settings.precision
    precision = _PRECISIONS[residence.dtype] if wish == "auto" else wish
    name = f"Wav2Lip {settings.checkpoint} {precision}"
    with residence.use(name, lambda: open_generator(located.path, device, precision)) as generator:
        yield generator


def paint_scene(
    generator: LipGenerator,
    residence: Residence,
    scene: Scene,
    windows: Iterable[Window],
    settings: Wav2LipSettings,
) -> Iterator[Generated]:
    """Yield the scene's frames painted, at most `settings.batch` at a time.

    Raises InputError where the device's numbers or its memory do not suffice.
    """
    brush = _Brush(generator, residence)
    boxes = published_boxes(scene, settings) if settings.preprocessing == "compat" else None
    for window in windows:
        heard = cast(HeardFrames, window.audio)
        for begin in range(0, len(window.faces), settings.batch):
            batch = slice(begin, begin + settings.batch)
            crops = window.faces[batch]
            if boxes is None:
                yield Generated(_to_levels(brush.paint(crops, heard[batch])))
            else:
                start = window.start + begin
                yield _paint_boxes(brush, crops, heard[batch], boxes[start : start + len(crops)])


class _Brush:
    """The generator at work, in turns with other jobs."""

    def __init__(self, generator: LipGenerator, residence: Residence) -> None:
        self._generator = generator
        self._turn = residence.turn

    def paint(self, faces: np.ndarray, heard: HeardFrames) -> np.ndarray:
        """Return (B, 3, 96, 96) float32 in [0, 1], BGR, for (B, 96, 96, 3) uint8 RGB faces."""
        try:
            with self._turn, usual_threads():
                painted = self._generator(heard.stack().numpy(), stack_faces(faces))
        except torch.OutOfMemoryError as error:
            raise InputError(
                "The graphics card's memory has run out; close what else uses the card, or set a "
                "smaller `batch`."
            ) from error
        if not np.isfinite(painted).all():
            raise InputError(
                f"The network came to numbers that {self._generator.precision} cannot hold, so "
                "there is no picture; set `precision: fp32`."
            )
        return painted


def published_boxes(scene: Scene, settings: Wav2LipSettings) -> np.ndarray:
    """Return (T, 4) int64 px of the crop: the published box of each frame of a scene."""
    first, last = int(scene.rows.min()), int(scene.rows.max()) + 1
    pads = Pads(settings.pad_top, settings.pad_bottom, settings.pad_left, settings.pad_right)
    # the detector's own are cut off at the frame's edge before they are padded
    found = np.maximum(scene.track.boxes[first:last], 0.0)
    boxes = smooth_boxes(pad_boxes(found, pads, scene.size))[scene.rows - first]
    corners = np.array([even_offset(matrix) for matrix in scene.alignment.matrices])
    side = scene.alignment.size
    # of a face beyond the frame's edge a px stays: something must be painted
    low = np.clip(boxes[:, :2] - corners, 0, side - 1)
    return np.concatenate([low, np.clip(boxes[:, 2:] - corners, low + 1, side)], axis=1)


def _paint_boxes(
    brush: _Brush,
    crops: np.ndarray,
    heard: HeardFrames,
    boxes: np.ndarray,
) -> Generated:
    """Paint what lies in `boxes` (B, 4) of native crops (B, S, S, 3), and leave the rest."""
    faces = np.stack([crop_face(crop, box) for crop, box in zip(crops, boxes, strict=True)])
    masks = np.zeros(crops.shape[:3], np.float32)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        mask[top:bottom, left:right] = 1.0
    pasted = map(paste_face, crops, brush.paint(faces, heard), boxes)
    return Generated(np.stack(list(pasted)), masks)


def _to_levels(painted: np.ndarray) -> np.ndarray:
    """Return (B, 96, 96, 3) uint8 RGB of (B, 3, 96, 96) float32 in [0, 1], BGR, rounded."""
    levels = np.rint(painted[:, ::-1] * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
