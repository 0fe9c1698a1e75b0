"""What an avatar is made of: its parts, and what each of them depends on.

``clip``: the video itself. ``portrait``: a small picture of the face. ``faces-…``: everybody found,
and varied mouths, for one rate and detector. ``aligned-…``: where an engine's crops lie on them.
``crops-…``: those crops themselves, where they are small. The dots stand for a digest of all that
the part depends on, so whatever changes there is another part, and the old one is swept away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from typing import Any

from lipsync.avatar.sealed import Sealed, name_folder
from lipsync.engines import ENGINES, engine_class
from lipsync.face.align import TEMPLATES
from lipsync.face.detect import MESH_POINTS
from lipsync.face.detectors import DETECTORS
from lipsync.types import Clip, Colour, Engine, Size

CLIP = "clip"
PORTRAIT = "portrait"
THUMBNAIL = "thumbnail.png"
VIDEO = "video"  # the stem of the clip's file
EDITION = 1  # raise it when tracking, picking mouths, aligning or cropping gives another result

# a detector's answers are those of the package that brings it
_PACKAGES = {"mediapipe": "mediapipe", "insightface": "onnxruntime"}
_LARGEST_CROP = 128  # px; larger ones take more room than they save time
_MOST_CROPS = 1 << 30  # bytes of all crops of a clip


@dataclass(frozen=True)
class Need:
    """What a job asks of an avatar."""

    fps: Fraction  # the rate at which the clip is seen
    detector: str
    references: int  # varied mouths per face and shot
    template: str  # key of face.align.TEMPLATES
    side: int | None  # of the crop, px; None = the clip's own pixels
    keeps_crops: bool

    @property
    def faces(self) -> dict[str, Any]:
        """What the found faces depend on, beside the clip."""
        return {
            "edition": EDITION,
            "fps": str(self.fps),
            "detector": self.detector,
            "detector_version": version(_PACKAGES[self.detector]),
            "references": self.references,
        }

    @property
    def aligned(self) -> dict[str, Any]:
        """What the crops' places depend on."""
        template = repr(TEMPLATES[self.template])  # its numbers, whatever it is called
        faces = name_folder("faces", self.faces)
        return {"edition": EDITION, "faces": faces, "template": template, "side": self.side}

    @property
    def crops(self) -> dict[str, Any]:
        """What the crops depend on."""
        return {"edition": EDITION, "aligned": name_folder("aligned", self.aligned)}

    @property
    def names(self) -> frozenset[str]:
        """The names of the parts that must be there."""
        names = {name_folder("faces", self.faces), name_folder("aligned", self.aligned)}
        if self.keeps_crops:
            names.add(name_folder("crops", self.crops))
        return frozenset(names)


def need_of(
    engine: Engine | type[Engine], settings: Any, clip: Clip, detector: str = "mediapipe"
) -> Need:
    """Return what `engine` with `settings` needs of a `clip` seen at the job's rate.

    Mouths are kept for engines that want some even if this one does not, so that it is looked for
    faces once only.
    """
    side = engine.crop_size(settings)
    total = 0 if side is None else clip.num_frames * side * side * 3
    has_mesh = DETECTORS[detector] == MESH_POINTS  # mouths are told apart by it
    return Need(
        fps=clip.fps,
        detector=detector,
        references=(engine.spec.references or _most_references()) if has_mesh else 0,
        template=engine.template(settings),
        side=side,
        keeps_crops=side is not None and side <= _LARGEST_CROP and total <= _MOST_CROPS,
    )


def engines_served(clip: Clip, parts: Iterable[Sealed]) -> tuple[str, ...]:
    """Return the engines whose usual settings find everything they need among `parts`."""
    names = {part.folder.name for part in parts}
    served = []
    for name in ENGINES:
        engine = engine_class(name)
        seen = replace(clip, fps=engine.spec.fps or clip.fps)
        needs = (need_of(engine, engine.Settings(), seen, detector) for detector in DETECTORS)
        if any(need.names <= names for need in needs):
            served.append(name)
    return tuple(served)


def is_stale(part: Sealed) -> bool:
    """Tell whether a part was made by an earlier edition of the program."""
    return part.of.get("edition", EDITION) != EDITION


def clip_facts(clip: Clip) -> dict[str, Any]:
    """Return what is known of a clip but where it lies, as plain JSON values."""
    facts = asdict(clip)
    del facts["path"]
    return {**facts, "fps": str(clip.fps), "size": list(clip.size)}


def clip_of(held: Sealed) -> Clip:
    """Return the clip that the part `held` keeps. Raises DamagedError where its file is none."""
    facts: Mapping[str, Any] = held.found["clip"]
    return Clip(
        **{
            **facts,
            "path": held.path(str(held.found["file"])),
            "fps": Fraction(facts["fps"]),
            "size": Size(*facts["size"]),
            "colour": Colour(**facts["colour"]),
        }
    )


def _most_references() -> int:
    return max(engine_class(name).spec.references for name in ENGINES)
