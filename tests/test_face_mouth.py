"""The mouth's three numbers know nothing of pose, size and place."""

from __future__ import annotations

import numpy as np
import pytest
from made_faces import faces_with, placed, speaking, track_of, turned

from lipsync.face.mouth import (
    EYE_CORNERS,
    fit_pose,
    head_angles,
    mean_face,
    measure_canonical,
    measure_mouth,
    person_face,
)

POSES = [
    (60.0, (100.0, 100.0), (0.0, 0.0, 0.0)),
    (211.5, (600.0, 333.0), (25.0, -10.0, 0.0)),
    (33.0, (-20.0, 900.0), (-30.0, 12.0, 40.0)),
]


@pytest.mark.parametrize(("scale", "centre", "degrees"), POSES)
def test_fit_pose_recovers_a_known_similarity(
    scale: float, centre: tuple[float, float], degrees: tuple[float, float, float]
) -> None:
    canonical = faces_with(np.array([[0.0, 0.557], [0.15, 0.5]]))
    points = placed(canonical, scale, centre, degrees)
    # the rigid points do not move with the mouth in the mean face, so they are all that is fitted
    points[:, :] = placed(mean_face()[None], scale, centre, degrees)
    pose = fit_pose(points)
    assert np.allclose(pose.scale, scale, rtol=1e-6)
    assert np.allclose(pose.rotation, turned(degrees), atol=1e-6)
    assert np.allclose(pose.origin, [*centre, 0.0], atol=1e-4)
    assert np.allclose(head_angles(pose.rotation), degrees, atol=1e-3)
    assert np.allclose(pose.to_canonical(points), mean_face(), atol=1e-6)
    assert np.allclose(pose.to_image(pose.to_canonical(points)), points, atol=1e-6)
    assert np.allclose(pose[1:].scale, scale)


@pytest.mark.parametrize(("scale", "centre", "degrees"), POSES[1:])
def test_measures_do_not_change_with_the_pose(
    scale: float, centre: tuple[float, float], degrees: tuple[float, float, float]
) -> None:
    canonical = faces_with(speaking(40))
    rows = np.arange(40)
    plain = measure_mouth(placed(canonical), rows)
    moved = measure_mouth(placed(canonical, scale, centre, degrees), rows)
    assert plain.shape == (40, 3)
    assert np.ptp(plain[:, 0]) > 0.1
    assert np.allclose(moved, plain, atol=1e-6)


def test_the_measures_are_opening_width_and_jaw() -> None:
    mouths = np.array([[0.02, 0.557], [0.15, 0.557], [0.02, 0.62]])
    closed, opened, wide = measure_canonical(faces_with(mouths))
    assert opened[0] - closed[0] > 0.1
    assert opened[2] > closed[2]  # y points down
    assert wide[1] - closed[1] > 0.04
    assert abs(wide[0] - closed[0]) < 0.02


def test_tracks_are_measured_like_arrays_where_somebody_is() -> None:
    points = placed(faces_with(speaking(30)))
    track = track_of(points, absent=slice(10, 15))
    rows = np.flatnonzero(track.present)
    assert np.allclose(measure_mouth(track.landmarks, rows), measure_mouth(points, rows), atol=1e-3)
    assert measure_mouth(points, rows[:0], mean_face()).shape == (0, 3)


def test_a_person_s_own_face_is_in_their_own_unit() -> None:
    broad = mean_face() * [1.2, 1.0, 1.0]
    face = person_face(placed(np.repeat(broad[None], 5, axis=0), 80.0), np.arange(5))
    across = np.linalg.norm(face[EYE_CORNERS[0]] - face[EYE_CORNERS[1]])
    assert across == pytest.approx(1.0)
    assert np.ptp(face[:, 0]) / np.ptp(face[:, 1]) == pytest.approx(
        1.2 * np.ptp(mean_face()[:, 0]) / np.ptp(mean_face()[:, 1]), rel=0.02
    )
