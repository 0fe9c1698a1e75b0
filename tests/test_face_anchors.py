"""Both landmark sets give the same three anchors, picture left first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_folder import Family
from skimage.data import astronaut

from lipsync.face.anchors import ANCHORS, face_anchors, mean_points, rounded_anchors
from lipsync.face.detect import EYE_CORNERS, MediaPipeDetector

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "latentsync" / "align.json"


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector(max_faces=1)


def test_points_are_averaged_by_group() -> None:
    landmarks = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    found = mean_points(landmarks, ((0, 2), (3,)))
    assert found.shape == (2, 2, 2)
    assert found[0].tolist() == [[3.0, 4.0], [9.0, 10.0]]


@pytest.mark.parametrize("count", ANCHORS)
def test_every_set_names_three_groups_of_its_own_points(count: int) -> None:
    groups = ANCHORS[count]
    used = [point for group in groups for point in group]
    assert len(groups) == 3
    assert len(set(used)) == len(used)
    assert max(used) < count


def test_another_set_is_refused() -> None:
    with pytest.raises(ValueError, match="among 68 landmarks"):
        face_anchors(np.zeros((68, 2)))


def test_rounding_goes_to_even() -> None:
    landmarks = np.zeros((106, 2))
    landmarks[list(ANCHORS[106][2])] = [(10, 1), (11, 2), (10, 1), (11, 2)]
    landmarks[list(ANCHORS[106][1])] = 7.4
    assert rounded_anchors(landmarks)[2].tolist() == [10.0, 2.0]
    assert rounded_anchors(landmarks)[1].tolist() == [7.0, 7.0]


def test_anchors_of_a_real_face_lie_on_brows_and_nose(detector: MediaPipeDetector) -> None:
    detector.reset()
    (face,) = detector.detect(astronaut())
    left, right, nose = face_anchors(face.landmarks)
    eyes = face.landmarks[list(EYE_CORNERS), :2]
    distance = np.linalg.norm(eyes[0] - eyes[1])
    assert left[0] < nose[0] < right[0]
    assert 0.4 < (right[0] - left[0]) / distance < 0.9
    assert max(left[1], right[1]) < eyes[:, 1].max()
    assert 0.2 < (nose[1] - (left[1] + right[1]) / 2) / distance < 0.9


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the recordings in ../shared/golden are not here")
def test_the_mesh_means_the_places_of_the_published_program(detector: MediaPipeDetector) -> None:
    family = Family(GOLDEN, GOLDEN.parent)
    frames, recorded = family.pictures("frames_png"), family.arrays["landmarks3_float"]
    # the last frame's landmarks were invented for the recording
    for frame, wanted in list(zip(frames, recorded, strict=True))[:-1]:
        detector.reset()
        (face,) = detector.detect(frame)
        eyes = face.landmarks[list(EYE_CORNERS), :2]
        tolerance = 2.5 / 85 * np.linalg.norm(eyes[0] - eyes[1])
        assert np.linalg.norm(face_anchors(face.landmarks) - wanted, axis=1).max() < tolerance
