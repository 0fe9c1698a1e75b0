"""InsightFace's two networks, as tiny files whose answers are known; and who may be chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from insight_networks import REACH, SPREAD, STRIDES, planes, save, write_pack
from made_faces import turned
from onnx import helper

from lipsync.engines import engine_class
from lipsync.errors import InputError
from lipsync.face.anchors import ANCHORS
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.detectors import DETECTORS, check_detector, detector_weights, open_detector
from lipsync.face.insight import (
    FINDER_FILE,
    POINTER_FILE,
    InsightFaceDetector,
    published_choice,
)
from lipsync.face.mouth import mean_face
from lipsync.face.pose import head_yaw
from lipsync.face.scenes import leave_out_profiles
from lipsync.face.track import FaceTracker, choose_face
from lipsync.media.colour import frame_from_rgb
from lipsync.media.view import FrameView
from lipsync.types import EngineSpec, Face, FaceChoice, Size
from lipsync.weights.store import ModelStore

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))  # which grid sees which


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def detector(pack: Path) -> InsightFaceDetector:
    return InsightFaceDetector(pack)


def picture(
    *marks: tuple[int, int, int], size: tuple[int, int] = (512, 512), scale: int = 1
) -> np.ndarray:
    """Return a grey picture in which each (level, x, y) fills one place of that level's grid."""
    image = np.full((*size, 3), 90, np.uint8)
    for level, x, y in marks:
        side = STRIDES[level] * scale
        image[y * scale : y * scale + side, x * scale : x * scale + side] = COLOURS[level]
    return image


def box_at(level: int, x: int, y: int, proposal: int = 0) -> np.ndarray:
    left, top, right, bottom = REACH[level, proposal] * STRIDES[level]
    return np.array([x - left, y - top, x + right, y + bottom], np.float32)


@pytest.mark.parametrize("level", range(3))
def test_a_box_is_read_off_every_grid(detector: InsightFaceDetector, level: int) -> None:
    (face,) = detector.detect(picture((level, 160, 224)))
    assert np.allclose(face.box, box_at(level, 160, 224), atol=1e-3)
    assert face.score == pytest.approx(0.95, abs=0.01)
    assert face.landmarks.shape == (detector.num_points, 3) == (106, 3)
    assert face.box.dtype == face.landmarks.dtype == np.float32


@pytest.mark.parametrize("size", [(1024, 768), (768, 1024), (1000, 1024), (1024, 1024)])
def test_a_larger_picture_is_shrunk_to_the_square_and_back(
    detector: InsightFaceDetector, size: tuple[int, int]
) -> None:
    (face,) = detector.detect(picture((1, 160, 224), size=size, scale=2))
    assert np.allclose(face.box, 2 * box_at(1, 160, 224), atol=0.01)


def test_landmarks_are_looked_for_around_the_box(detector: InsightFaceDetector) -> None:
    (face,) = detector.detect(picture((0, 160, 224)))
    middle = np.array([163.5, 227.5])  # of the red place, 8 px wide
    half = 1.5 * 96 / 2  # the crop is half as long again as the box's longer side, which is 96 px
    assert np.allclose(face.landmarks[:, :2], middle + SPREAD * half, atol=0.3)
    assert np.array_equal(face.landmarks[:, 2], np.zeros(106))


def test_a_face_at_the_edge_has_landmarks_too(detector: InsightFaceDetector) -> None:
    (face,) = detector.detect(picture((0, 0, 504)))
    assert face.box[0] < 0
    assert face.box[3] > 512
    middle = face.landmarks[:, :2] - SPREAD * 72
    assert np.allclose(middle, [3.5, 507.5], atol=0.3)


def test_the_largest_faces_are_kept_left_to_right(pack: Path) -> None:
    marks = ((0, 400, 400), (2, 320, 96), (1, 96, 320))
    image = picture(*marks)
    every = InsightFaceDetector(pack).detect(image)
    assert [tuple(face.box) for face in every] == [
        tuple(box_at(*mark)) for mark in (marks[2], marks[1], marks[0])
    ]
    two = InsightFaceDetector(pack, max_faces=2).detect(image)
    assert [tuple(face.box) for face in two] == [tuple(face.box) for face in every[:2]]


def test_an_empty_picture_has_no_face_and_none_is_remembered(
    detector: InsightFaceDetector,
) -> None:
    full, empty = picture((0, 160, 224)), picture()
    (first,) = detector.detect(full)
    assert detector.detect(empty) == []
    (again,) = detector.detect(full)
    detector.reset()
    (afresh,) = detector.detect(full)
    assert np.array_equal(first.landmarks, again.landmarks)
    assert np.array_equal(first.landmarks, afresh.landmarks)


def test_a_frame_is_as_good_as_a_picture(detector: InsightFaceDetector) -> None:
    frame = frame_from_rgb(picture((1, 160, 224), scale=2, size=(1024, 1024)))
    (face,) = detector.detect(FrameView(frame, Size(512, 512)))
    assert np.allclose(face.box, box_at(1, 160, 224), atol=0.01)


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def swap(path: Path) -> None:
    other = POINTER_FILE if path.name == FINDER_FILE else FINDER_FILE
    path.write_bytes(path.with_name(other).read_bytes())


def pass_on(path: Path) -> None:
    """A network of the right input that answers with it."""
    side = 512 if path.name == FINDER_FILE else 192
    shape = (1, 3, side, side)
    node = helper.make_node("Identity", ["data"], ["same"])
    save(path, ([node], [], [planes("data", *shape)], [planes("same", *shape)]))


def ask_for_two(path: Path) -> None:
    shape = (1, 3, "?", "?")
    node = helper.make_node("Add", ["one", "other"], ["sum"])
    inputs = [planes("one", *shape), planes("other", *shape)]
    save(path, ([node], [], inputs, [planes("sum", *shape)]))


@pytest.mark.parametrize("name", [FINDER_FILE, POINTER_FILE])
@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (Path.unlink, "is missing"),
        (write_nothing, "is damaged"),
        (write_text, "is damaged"),
        (cut_short, "is damaged"),
        (swap, "is another network"),
        (pass_on, "is another network"),
        (ask_for_two, "is another network"),
    ],
)
def test_a_wrong_file_is_named(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], found: str
) -> None:
    path = write_pack(tmp_path) / name
    spoil(path)
    with pytest.raises(InputError) as refusal:
        InsightFaceDetector(tmp_path)
    assert str(refusal.value).startswith(f"{path} {found};")
    assert "`python -m lipsync models pull insightface-buffalo-l`" in str(refusal.value)


def face_with(width: float, height: float, score: float = 0.9, x: float = 0.0) -> Face:
    box = np.array([x, 10, x + width, 10 + height], np.float32)
    return Face(box, np.zeros((106, 3), np.float32), score)


@pytest.mark.parametrize(
    ("width", "height", "score"),
    [(49.9, 90, 0.9), (60, 79.9, 0.9), (125, 80, 0.9), (60, 320, 0.9), (60, 90, 0.49)],
)
def test_the_published_rule_refuses(width: float, height: float, score: float) -> None:
    assert published_choice([face_with(width, height, score)]) is None


@pytest.mark.parametrize(
    ("width", "height", "score"), [(50, 80, 0.5), (120, 80, 0.9), (60, 300, 0.9)]
)
def test_the_published_rule_takes_what_just_suffices(
    width: float, height: float, score: float
) -> None:
    face = face_with(width, height, score)
    assert published_choice([face]) is face


def test_the_published_rule_takes_the_largest_that_is_acceptable() -> None:
    small, large, flat = face_with(60, 90), face_with(90, 100), face_with(500, 90)
    assert published_choice([small, large, flat]) is large
    assert published_choice([]) is None
    # parts of a px are cut off before anything is compared
    shifted = face_with(50.0, 90, x=0.7)
    assert published_choice([shifted]) is shifted
    assert published_choice([face_with(49.6, 90, x=0.3)]) is None


def test_detectors_are_opened_by_name(tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_pack(own / "insightface-buffalo-l")
    with_pack = ModelStore(tmp_path / "cache", own)
    assert isinstance(open_detector("insightface", with_pack), InsightFaceDetector)
    detector = open_detector("mediapipe", with_pack)
    assert isinstance(detector, MediaPipeDetector)
    detector.close()
    with pytest.raises(InputError, match="models pull insightface-buffalo-l"):
        open_detector("insightface", ModelStore(tmp_path / "empty"))
    with pytest.raises(InputError, match="'dlib'; choose one of: mediapipe, insightface"):
        open_detector("dlib", with_pack)


def test_a_detector_names_what_it_needs() -> None:
    named = {key for name in DETECTORS for key in detector_weights(name)}
    assert detector_weights("mediapipe") == ()
    files = {file.name for key in named for file in ModelStore().checkpoint(key).files}
    assert files == {FINDER_FILE, POINTER_FILE}


def test_the_runtime_brings_no_telemetry() -> None:
    libraries = list(Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*"))
    assert libraries
    assert not any(b"OneDsTelemetry" in path.read_bytes() for path in libraries)


def spec_of(references: int) -> EngineSpec:
    known: EngineSpec = engine_class("draft").spec
    return dataclasses.replace(known, name="made", references=references)


def test_an_engine_gets_the_landmarks_it_knows() -> None:
    check_detector("mediapipe", spec_of(0), "native")
    check_detector("mediapipe", spec_of(3), "latentsync")
    for template in ("latentsync", "box"):
        check_detector("insightface", spec_of(0), template)
    for spec, template in (
        *((spec_of(0), "native"), (spec_of(0), "wav2lip")),
        (spec_of(3), "latentsync"),
    ):
        with pytest.raises(InputError, match="The made engine needs MediaPipe's 478"):
            check_detector("insightface", spec, template)
    with pytest.raises(InputError, match="no face detector called 'dlib'"):
        check_detector("dlib", spec_of(0), "latentsync")


def points_turned(yaw: float, roll: float = 0.0) -> np.ndarray:
    """Return (106, 3) landmarks without depth of a head turned by so many degrees."""
    mesh = mean_face() @ turned((-yaw, 0.0, 0.0)).T @ turned((0.0, 0.0, roll)).T
    landmarks = np.zeros((106, 3), np.float32)
    for own, meshed in zip(ANCHORS[106], ANCHORS[478], strict=True):
        landmarks[list(own), :2] = 100 * mesh[list(meshed), :2].mean(axis=0)
    return landmarks


@pytest.mark.parametrize("roll", [0.0, 25.0])
def test_the_yaw_without_depth(roll: float) -> None:
    angles = np.array([-75.0, -30.0, 0.0, 30.0, 75.0])
    found = head_yaw(np.stack([points_turned(yaw, roll) for yaw in angles]))
    assert np.abs(found - angles)[1:4].max() < 6
    # a profile's own error is larger, but it is one, and on the right side
    assert found[0] < -60
    assert found[-1] > 60
    assert np.isnan(head_yaw(np.full((106, 3), np.nan)))
    with pytest.raises(ValueError, match="among 68 landmarks"):
        head_yaw(np.zeros((68, 3)))


def test_profiles_are_left_out_of_a_track_without_depth() -> None:
    tracker = FaceTracker(106)
    for row, yaw in enumerate([0.0, 10.0, 20.0, 80.0, 80.0, 80.0]):
        points = points_turned(yaw) + np.array([200.0, 200.0, 0.0], np.float32)
        box = np.array([150, 120, 250, 260], np.float32)
        tracker.update(row, [Face(box, points, 1.0)], is_cut=False)
    track = choose_face(tracker.finish(), FaceChoice(), Size(400, 400), Fraction(25))
    kept, profiles = leave_out_profiles(track)
    assert track.present.all()
    assert kept.present.tolist() == [True] * 3 + [False] * 3
    assert profiles.tolist() == [False] * 3 + [True] * 3
