"""Bringing a generated face to the colours of the frame it goes into."""

from __future__ import annotations

import cv2
import numpy as np

MAX_OFFSET = 24.0  # grey levels; more than that is not a tint but a wrong picture
MAX_GAIN = 1.25
MIN_RING_PIXELS = 32


def ring_around(mask: np.ndarray, width: int) -> np.ndarray:
    """Return (h, w) bool: the band of `width` px just outside where a (h, w) mask is above 0."""
    covered = (mask > 0).astype(np.uint8)
    side = 2 * width + 1
    grown = cv2.dilate(covered, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return (grown > 0) & (covered == 0)


def match_colour(
    generated: np.ndarray, original: np.ndarray, mask: np.ndarray, ring: np.ndarray
) -> np.ndarray:
    """Return `generated` with the offset and contrast, per channel, that `original` has in `ring`.

    Both pictures are (h, w, 3) uint8 RGB of the same view, `mask` is (h, w) float32 with 1 =
    generated and `ring` (h, w) bool where both show the same thing. Medians and mean absolute
    deviations bear a few strange pixels; offset and gain are limited. Pixels with mask 0 are
    returned as they are; so is everything if the ring holds fewer than 32 pixels.
    """
    if np.count_nonzero(ring) < MIN_RING_PIXELS:
        return generated
    ours, theirs = (image[ring].astype(np.float32) for image in (generated, original))
    our_middle, their_middle = np.median(ours, axis=0), np.median(theirs, axis=0)
    our_spread, their_spread = (
        np.abs(values - middle).mean(axis=0) + 1.0  # flat skin must not be multiplied up
        for values, middle in ((ours, our_middle), (theirs, their_middle))
    )
    gain = np.clip(their_spread / our_spread, 1 / MAX_GAIN, MAX_GAIN)
    offset = np.clip(their_middle - our_middle, -MAX_OFFSET, MAX_OFFSET)
    levels = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip(np.rint((levels - our_middle) * gain + our_middle + offset), 0, 255)
    matched = cv2.LUT(generated, table.astype(np.uint8)[None])
    matched[mask <= 0] = generated[mask <= 0]
    return matched
