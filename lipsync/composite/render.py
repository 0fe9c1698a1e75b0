"""Pass 2 within one scene: crops to the engine in windows, its answers back into the frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from lipsync.composite.colour import match_colour, ring_around
from lipsync.composite.edge import soften_edge
from lipsync.composite.paste import paste_back
from lipsync.face.align import TEMPLATES, Template, crop_face, to_crop_points
from lipsync.face.mask import template_mask
from lipsync.types import Engine, Frame, Generated, Scene, Window, Working

_RING_SHARE = 1 / 32  # width of the ring that colours are compared in, of the crop's side


class _Waiting:
    """Frames and crops that the engine has taken but not answered yet, oldest first."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._crops: list[np.ndarray] = []

    def put(self, frames: list[Frame], crops: list[np.ndarray]) -> None:
        self._frames += frames
        self._crops += crops

    def take(self) -> tuple[Frame, np.ndarray]:
        return self._frames.pop(0), self._crops.pop(0)


def render_scene(
    scene: Scene,
    frames: Iterator[Frame],
    engine: Engine,
    settings: Any,
    seed: int,
    weights: np.ndarray,
    softness: float = 1.0,
) -> Generator[Frame | Working, None, None]:
    """Yield the scene's frames with their new mouths, and the engine's moments of rest.

    `frames` gives the source frames of the scene in output order; `weights` (T,) in [0, 1] fades
    the mask of each frame, `softness` in [0, 2] is its edge's width as a multiple of the engine's
    own. Where the engine leaves the mask to us, its template's own is used and the crop's colours
    are matched to the frame first.
    """
    import torch

    rng = torch.Generator().manual_seed(seed)
    waiting = _Waiting()
    template = TEMPLATES[engine.template(settings)]
    windows = _cut_windows(scene, frames, engine.spec.window, waiting)
    done = 0
    with closing(engine.generate(scene, windows, settings, rng)) as answers:
        for generated in answers:
            if isinstance(generated, Working):
                yield generated
                continue
            for offset in range(len(generated.faces)):
                frame, crop = waiting.take()
                face, mask = _finish(generated, offset, crop, template)
                mask = soften_edge(mask, softness) * np.float32(weights[done])
                yield paste_back(frame, face, mask, scene.alignment.matrices[done])
                done += 1


def _cut_windows(
    scene: Scene, frames: Iterator[Frame], length: int, waiting: _Waiting
) -> Iterator[Window]:
    size = scene.alignment.size
    for start in range(0, len(scene.rows), length):
        stop = min(start + length, len(scene.rows))
        batch = [next(frames) for _ in range(start, stop)]
        matrices = scene.alignment.matrices[start:stop]
        if scene.crops is None:
            crops = [crop_face(f, m, size) for f, m in zip(batch, matrices, strict=True)]
        else:
            crops = list(scene.crops[start:stop])
        waiting.put(batch, crops)
        points = scene.track.landmarks[scene.rows[start:stop]]
        yield Window(
            start=start,
            faces=np.stack(crops),
            landmarks=np.stack(
                [to_crop_points(p, m) for p, m in zip(points, matrices, strict=True)]
            ),
            audio=scene.features[start:stop],
        )


def _finish(
    generated: Generated, offset: int, crop: np.ndarray, template: Template
) -> tuple[np.ndarray, np.ndarray]:
    """Return the face (S, S, 3) and its mask (S, S), ready to be pasted."""
    face = generated.faces[offset]
    if generated.masks is not None:
        return face, generated.masks[offset]
    side = face.shape[0]
    mask = template_mask(template.mask, side)
    ring = ring_around(mask, max(2, round(side * _RING_SHARE)))
    return match_colour(face, crop, mask, ring), mask
