"""A scene as the draft engine paints it: motion planned whole, then a window at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lipsync.engines.draft.cavity import Light
from lipsync.engines.draft.choice import OWN, OWN_DRIFT, Lender, choose_lenders, likeness_cost
from lipsync.engines.draft.mesh import CONTROL
from lipsync.engines.draft.motion import Motion, Person, plan_motion, study_person
from lipsync.engines.draft.paint import MouthPicture, own_mouth, paint_frame, read_light
from lipsync.face.mouth import fit_pose, head_angles, measure_canonical
from lipsync.threads import one_thread
from lipsync.types import Generated, Scene, Window


@dataclass(frozen=True)
class _Gallery:
    """The scene's references, measured."""

    pictures: list[MouthPicture]
    shapes: np.ndarray  # (K, 2) opening and width, IOD
    angles: np.ndarray  # (K, 3) degrees


@dataclass(frozen=True)
class _Plan:
    """Everything about one frame but its pixels."""

    points: tuple[np.ndarray, np.ndarray]  # source and target, (C, 2) frame px
    unit: float  # px per IOD
    lenders: tuple[Lender, ...]


def paint_scene(
    scene: Scene, windows: Iterable[Window], want: Callable[[Person], np.ndarray]
) -> Generator[Generated, None, None]:
    """Yield painted crops with their masks, one `Generated` per window.

    `want` returns the mouth (T, 3) that each frame should show, see `motion.want_mouth`.
    """
    person = study_person(scene)
    wanted = want(person)
    gallery = _measure_references(scene, person)
    frames = _planned_frames(plan_motion(scene, person, wanted), gallery)
    light: Light | None = None
    for window in windows:
        painted = []
        with one_thread():
            for offset, face in enumerate(window.faces):
                plan = next(frames)
                matrix = scene.alignment.matrices[window.start + offset]
                source, target = (p @ matrix[:, :2].T + matrix[:, 2] for p in plan.points)
                light = light or read_light(face, source, plan.unit)
                lenders = [
                    (_lend(lender, gallery, face, source, plan.unit), lender.share)
                    for lender in plan.lenders
                ]
                painted.append(paint_frame(face, source, target, lenders, plan.unit, light))
        yield Generated(
            np.stack([one.face for one in painted]), np.stack([one.mask for one in painted])
        )


def _planned_frames(motions: Iterator[Motion], gallery: _Gallery) -> Iterator[_Plan]:
    for motion in motions:
        cost = likeness_cost(motion.wanted, motion.angles, gallery.shapes, gallery.angles)
        own = np.stack(
            [
                likeness_cost(
                    motion.wanted[t : t + 1],
                    motion.angles[t : t + 1],
                    motion.own[t : t + 1],
                    motion.angles[t : t + 1],
                )[0]
                for t in range(len(motion.wanted))
            ]
        )
        chosen = choose_lenders(np.concatenate([own + OWN_DRIFT, cost], axis=1))
        for t, lenders in enumerate(chosen):
            yield _Plan((motion.source[t], motion.target[t]), float(motion.scale[t]), lenders)


def _lend(
    lender: Lender, gallery: _Gallery, face: np.ndarray, source: np.ndarray, unit: float
) -> MouthPicture:
    if lender.state == OWN:
        return own_mouth(face, source, unit)
    return gallery.pictures[lender.state - 1]


def _measure_references(scene: Scene, person: Person) -> _Gallery:
    if not scene.references:
        return _Gallery([], np.zeros((0, 2)), np.zeros((0, 3)))
    points = np.stack([reference.landmarks for reference in scene.references])
    pose = fit_pose(points, person.face)
    shapes = measure_canonical(pose.to_canonical(points))[:, :2]
    pictures = [
        MouthPicture(reference.image, reference.landmarks[CONTROL, :2])
        for reference in scene.references
    ]
    return _Gallery(pictures, shapes, head_angles(pose.rotation))
