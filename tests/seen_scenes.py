"""Which scenes a job has shown its engine, and that nothing but the mouths has changed in them."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import cv2
import numpy as np
import torch

from lipsync.residence import Residence
from lipsync.types import Frame, Generated, Scene, Window, Working


class SceneNotes:
    """Stands before an engine among the bases of a class: notes what it is shown."""

    def __init__(self, residence: Residence) -> None:
        super().__init__(residence)  # type: ignore[call-arg]
        self.scenes: list[Scene] = []

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Generator[Generated | Working, None, None]:
        self.scenes.append(scene)
        made: Generator[Generated | Working, None, None] = super().generate(  # type: ignore[misc]
            scene, windows, settings, rng
        )
        return made


def reach_of(mask: np.ndarray, matrix: np.ndarray, frame: Frame) -> np.ndarray:
    """Return (H, W) bool: where the new mouth may be, a px around it included."""
    height, width = frame.size
    inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
    covered = cv2.warpAffine((mask > 0).astype(np.float32), inverse, (width, height))
    return cv2.dilate((covered > 0).astype(np.uint8), np.ones((5, 5))) > 0


def count_changed(
    scene: Scene, masks: Iterable[np.ndarray], source: list[Frame], written: list[Frame]
) -> int:
    """See that a scene's frames are the source's outside the masks; return how many differ."""
    changed = 0
    pairs = zip(source, written, masks, scene.alignment.matrices, strict=True)
    for before, after, mask, matrix in pairs:
        reach = reach_of(mask, matrix, before)
        differs = before.y != after.y
        assert not (differs & ~reach).any()
        height, width = before.u.shape
        blocks = reach.reshape(height, 2, width, 2).any(axis=(1, 3))
        assert not ((before.u != after.u) & ~blocks).any()
        assert not ((before.v != after.v) & ~blocks).any()
        assert reach.mean() < 0.7, "nearly the whole picture may change, so this shows nothing"
        changed += int(differs.any())
    return changed
