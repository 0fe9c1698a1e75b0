"""Scenes for engines: a painted face that moves and a real voice, in the windows a job cuts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from made_faces import FPS, face_of, faces_with, frame_of, picture, placed, scene_of, speaking

from lipsync.engines import make_settings
from lipsync.face.align import crop_face, to_crop_points
from lipsync.face.gallery import Gallery
from lipsync.types import Audio, Checkpoint, Engine, Features, Generated, Scene, Window

# what makes a heavy engine quick enough to be tried again and again
QUICK: dict[str, dict[str, Any]] = {"latentsync": {"resolution": 64, "steps": 3}}


def quick(engine: Engine, **changes: Any) -> Any:
    """Return settings that are the engine's own but for what would take too long here."""
    return make_settings(engine.spec.name, {**QUICK.get(engine.spec.name, {}), **changes})


def nothing() -> None:
    """A checkpoint of a job that nobody cancels."""


def hear(
    engine: Engine, voice: Audio, count: int, fps: Fraction, stop: Checkpoint | None = None
) -> Features:
    return engine.encode_audio(voice, count, fps, quick(engine), stop or nothing)


def make_scene(engine: Engine, voice: Audio, count: int, settings: Any = None) -> Scene:
    """A face that drifts and nods while it speaks, seen for `count` frames."""
    settings = settings or quick(engine)
    faces = faces_with(speaking(count))
    points = np.concatenate(
        [
            placed(
                faces[t : t + 1], centre=(118 + 0.5 * t, 112.0), degrees=(3.0 * math.sin(t), 0, 0)
            )
            for t in range(count)
        ]
    )
    spec = engine.spec
    gallery = Gallery(spec.references)
    for row, mesh in enumerate(points):
        gallery.offer(row, frame_of(picture(), row), [face_of(mesh)], False)
    size, template = engine.crop_size(settings), engine.template(settings)
    features = engine.encode_audio(voice, count, FPS, settings, nothing)
    scene = scene_of(points, features, template=template, size=size)
    kept = gallery.references(scene.track, slice(0, count))
    return dataclasses.replace(scene, references=kept)


def part_of(scene: Scene, start: int, stop: int) -> Scene:
    """Return some frames of a scene as a job that renders only these would show them."""
    frames = slice(start, stop)
    return dataclasses.replace(
        scene,
        rows=scene.rows[frames],
        alignment=dataclasses.replace(scene.alignment, matrices=scene.alignment.matrices[frames]),
        features=scene.features[frames],
        first_output=scene.first_output + start,
    )


def cut_windows(engine: Engine, scene: Scene, taken: list[int] | None = None) -> Iterator[Window]:
    """Yield the scene in windows; the last is short where the length asks for it."""
    frame, size = frame_of(picture()), scene.alignment.size
    for start in range(0, len(scene.rows), engine.spec.window):
        rows = slice(start, start + engine.spec.window)
        matrices = scene.alignment.matrices[rows]
        points = scene.track.landmarks[scene.rows[rows]]
        if taken is not None:
            taken.append(start)
        yield Window(
            start,
            np.stack([crop_face(frame, m, size) for m in matrices]),
            np.stack([to_crop_points(p, m) for p, m in zip(points, matrices, strict=True)]),
            scene.features[rows],
        )


def start(engine: Engine, scene: Scene, settings: Any, seed: int = 0) -> Any:
    """Return a job's generator, at its beginning."""
    rng = torch.Generator().manual_seed(seed)
    return engine.generate(scene, cut_windows(engine, scene), settings, rng)


def generate(engine: Engine, scene: Scene, settings: Any = None, seed: int = 0) -> list[Generated]:
    steps = start(engine, scene, settings or quick(engine), seed)
    return [step for step in steps if isinstance(step, Generated)]


def faces_of(engine: Engine, scene: Scene, settings: Any, seed: int = 0) -> np.ndarray:
    """Return the faces (T, R, R, 3) a job makes."""
    answers = generate(engine, scene, settings, seed)
    return np.concatenate([answer.faces for answer in answers])
