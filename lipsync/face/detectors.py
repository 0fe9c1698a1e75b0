"""The face detectors by name, and which engine can work with which."""

from __future__ import annotations

from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES
from lipsync.face.detect import MESH_POINTS, Detector, MediaPipeDetector
from lipsync.face.insight import PACK, POINTS, InsightFaceDetector
from lipsync.types import EngineSpec
from lipsync.weights.store import ModelStore

DETECTORS: dict[str, int] = {"mediapipe": MESH_POINTS, "insightface": POINTS}  # landmarks per face


def check_detector(name: str, spec: EngineSpec, template: str) -> None:
    """Raise `InputError` for an unknown detector and for one that an engine cannot work with whose
    crops lie on the face as `template`, a key of `TEMPLATES`, says."""
    count = _num_points(name)
    # borrowed pictures of the face are chosen by the mesh, whatever the crop hangs on
    if count not in TEMPLATES[template].anchors or (spec.references and count != MESH_POINTS):
        raise InputError(
            f"The {spec.name} engine needs MediaPipe's {MESH_POINTS} landmarks and the "
            f"{name} detector finds {count}; choose the mediapipe detector or another engine."
        )


def detector_weights(name: str) -> tuple[str, ...]:
    """Return the keys of the weight table that a detector needs; MediaPipe brings its own."""
    return (PACK,) if _num_points(name) == POINTS else ()


def open_detector(name: str, store: ModelStore | None = None) -> Detector:
    """Open a detector by its name; `store` (None: the usual one) has the pack of InsightFace.

    Raises `InputError` for an unknown name and where the pack is not on this machine or damaged,
    saying how to fetch it; nothing is ever fetched here.
    """
    if _num_points(name) == POINTS:
        return InsightFaceDetector((store or ModelStore()).locate(PACK).folder)
    return MediaPipeDetector()


def _num_points(name: str) -> int:
    if name not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise InputError(f"There is no face detector called {name!r}; choose one of: {known}.")
    return DETECTORS[name]
