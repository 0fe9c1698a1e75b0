"""Wav2Lip's boxes: padded, cut to the frame, and smoothed forwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from golden_folder import Check, Family, largest_error

from lipsync.engines.wav2lip.published import Pads, pad_boxes, smooth_boxes
from lipsync.types import Size


def check(family: Family) -> Iterator[Check]:
    """Compare every track of boxes."""
    for case in family.facts["smoothing"]:
        given = np.array(case["in"])
        error = largest_error(smooth_boxes(given), np.array(case["out"]))
        yield Check(f"{family.name}.smoothing ({len(given)} boxes)", error, 0)
    for number, case in enumerate(family.facts["face_detect"]):
        size = Size(case["height"], case["width"])
        pads = Pads(*case["pads_top_bottom_left_right"])
        boxes = pad_boxes(np.array(case["detected_x1y1x2y2"]), pads, size)
        if not case["nosmooth"]:
            boxes = smooth_boxes(boxes)
        error = largest_error(boxes[:, [1, 3, 0, 2]], np.array(case["coords_y1_y2_x1_x2"]))
        yield Check(f"{family.name}.face_detect[{number}]", error, 0)
