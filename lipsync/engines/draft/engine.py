"""The draft engine as shared code sees it: voice to articulation, windows to painted crops."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from lipsync.engines.draft.cavity import Light
from lipsync.engines.draft.choice import OWN, OWN_DRIFT, Lender, choose_lenders, likeness_cost
from lipsync.engines.draft.mesh import CONTROL
from lipsync.engines.draft.motion import Motion, Person, plan_motion, study_person, want_mouth
from lipsync.engines.draft.paint import MouthPicture, own_mouth, paint_frame, read_light
from lipsync.face.mouth import fit_pose, head_angles, measure_canonical
from lipsync.threads import one_thread
from lipsync.types import Audio, Checkpoint, EngineSpec, Generated, Scene, Window

if TYPE_CHECKING:
    import torch

    from lipsync.residence import Residence

_NUM_REFERENCES = 72
_WINDOW = 8


@dataclass(frozen=True)
class DraftSettings:
    """What a user can turn."""

    amplitude: float = field(
        default=1.0, metadata={"low": 0.3, "high": 1.8, "help": "how wide the mouth opens"}
    )
    width: float = field(
        default=1.0, metadata={"low": 0.0, "high": 2.0, "help": "how much it spreads and rounds"}
    )


@dataclass(frozen=True)
class _Gallery:
    """The scene's references, measured."""

    pictures: list[MouthPicture]
    shapes: np.ndarray  # (K, 2) opening and width, IOD
    angles: np.ndarray  # (K, 3) degrees


class DraftEngine:
    """Warp the clip's own pixels so that the mouth follows the voice; no weights to download."""

    spec = EngineSpec(
        name="draft",
        label="Draft",
        licence="Apache-2.0",
        window=_WINDOW,
        references=_NUM_REFERENCES,
    )
    Settings: type = DraftSettings

    def __init__(self, residence: Residence | None = None) -> None:
        """Take the place where models stay, as every engine does; this one has none to keep."""

    @classmethod
    def needed_weights(cls, settings: DraftSettings) -> tuple[str, ...]:
        """Return (): whatever it uses comes with the program."""
        return ()

    @classmethod
    def template(cls, settings: DraftSettings) -> str:
        """Return the template that keeps the clip's own pixels."""
        return "native"

    @classmethod
    def crop_size(cls, settings: DraftSettings) -> None:
        """Return None: it paints the clip's own pixels."""

    @classmethod
    def pace(cls, settings: DraftSettings, on_card: bool) -> float:
        """Return 0: what it takes is what jobs usually take."""
        return 0.0

    def load(self, settings: DraftSettings) -> tuple[str, ...]:
        """Do nothing: there is nothing to load."""
        return ()

    def encode_audio(
        self,
        audio: Audio,
        num_frames: int,
        fps: Fraction,
        settings: DraftSettings,
        checkpoint: Checkpoint,
    ) -> torch.Tensor:
        """Return (num_frames, 5) float32; the columns are those of `hear_articulation`."""
        import torch  # a second or more; whoever only asks for the settings need not wait

        from lipsync.engines.draft.articulation import hear_articulation

        with one_thread():
            return torch.from_numpy(hear_articulation(audio, num_frames, fps, checkpoint))

    def want(self, scene: Scene, person: Person, settings: DraftSettings) -> np.ndarray:
        """Return (T, 3) the mouth that each frame of the scene should show, see `want_mouth`."""
        return want_mouth(
            heard_by(scene), person, float(scene.fps), settings.amplitude, settings.width
        )

    def generate(
        self,
        scene: Scene,
        windows: Iterable[Window],
        settings: DraftSettings,
        rng: torch.Generator,
    ) -> Generator[Generated, None, None]:
        """Yield painted crops with their masks, one `Generated` per window."""
        person = study_person(scene)
        wanted = self.want(scene, person, settings)
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


def heard_by(scene: Scene) -> np.ndarray:
    """Return (T, 5) float32: what `DraftEngine.encode_audio` has given for the scene."""
    return cast("torch.Tensor", scene.features).numpy()


@dataclass(frozen=True)
class _Plan:
    """Everything about one frame but its pixels."""

    points: tuple[np.ndarray, np.ndarray]  # source and target, (C, 2) frame px
    unit: float  # px per IOD
    lenders: tuple[Lender, ...]


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
