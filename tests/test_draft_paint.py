"""Painting: nothing changes where nothing moves, lips go where they are sent, borders stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_faces import faces_with, picture, placed

from lipsync.engines.draft.mesh import CHIN, CONTROL, INNER_LIP, LOWER_LIP, positions
from lipsync.engines.draft.paint import (
    MouthPicture,
    Painted,
    face_mask,
    own_mouth,
    paint_frame,
    read_light,
)
from lipsync.example import example_photo
from lipsync.face.detect import MediaPipeDetector
from lipsync.media.still import read_still

UNIT = 70.0
SIZE = 240


def _control(opening: float, width: float = 0.557) -> np.ndarray:
    """Control points (C, 2) px of a made face, its mouth in the middle of the crop."""
    points = placed(faces_with(np.array([[opening, width]])), UNIT, (120.0, 85.0))
    return points[0, CONTROL, :2]


def _crop(source: np.ndarray) -> np.ndarray:
    """Skin with red lips and a dark mouth where the points say."""
    image = picture(SIZE)
    inner = source[positions(INNER_LIP)]
    lips = source[positions(LOWER_LIP)]
    cv2.fillPoly(image, [cv2.convexHull(lips.astype(np.int32))], (170, 80, 80))
    cv2.fillPoly(image, [inner.astype(np.int32)], (40, 15, 15))
    return image


def _paint(source: np.ndarray, target: np.ndarray) -> Painted:
    face = _crop(source)
    light = read_light(face, source, UNIT)
    own = own_mouth(face, source, UNIT)
    return paint_frame(face, source, target, [(own, 1.0)], UNIT, light)


@pytest.mark.parametrize("opening", [0.05, 0.1, 0.2])
def test_a_mouth_that_stays_hardly_changes(opening: float) -> None:
    source = _control(opening)
    painted = _paint(source, source)
    assert painted.face.dtype == np.uint8
    changed = np.abs(painted.face.astype(int) - _crop(source))
    assert changed[painted.mask > 0].mean() < 1.5
    assert not changed[painted.mask == 0].any()


def test_a_real_face_that_stays_hardly_changes() -> None:
    image = read_still(example_photo())
    detector = MediaPipeDetector()
    (face,) = detector.detect(image)
    detector.close()
    unit = float(np.linalg.norm(face.landmarks[33] - face.landmarks[263]))
    middle = face.landmarks[[61, 291], :2].mean(axis=0).astype(int)
    reach = int(1.45 * unit)
    crop = np.ascontiguousarray(
        image[middle[1] - reach : middle[1] + reach, middle[0] - reach : middle[0] + reach]
    )
    source = face.landmarks[CONTROL, :2] - (middle - reach)
    light = read_light(crop, source, unit)
    painted = paint_frame(crop, source, source, [(own_mouth(crop, source, unit), 1.0)], unit, light)
    changed = np.abs(painted.face.astype(int) - crop)
    assert changed[painted.mask > 0].mean() < 1.5


def test_the_mask_covers_the_mouth_and_leaves_the_border() -> None:
    source, target = _control(0.05), _control(0.2)
    mask = face_mask(SIZE, source, target, UNIT)
    assert mask.dtype == np.float32
    for points in (source, target):
        x, y = np.rint(points[positions(INNER_LIP)]).astype(int).T
        assert mask[y, x].min() > 0.99
    x, y = np.rint(target[positions(CHIN)]).astype(int).T
    assert mask[y, x].min() > 0.5
    assert not mask[[0, -1]].any()
    assert not mask[:, [0, -1]].any()
    assert mask[:40].max() == 0.0  # eyes and brows


@pytest.mark.parametrize(("before", "after"), [(0.02, 0.15), (0.15, 0.02)])
def test_the_dark_of_the_mouth_goes_where_it_is_wanted(before: float, after: float) -> None:
    """Measured in the picture: how much of the mouth's middle column is darker than lips."""

    def dark_rows(image: np.ndarray) -> int:
        column = image[:, 117:124].max(axis=2).mean(axis=1)
        return int((column < 110).sum())

    source, target = _control(before), _control(after)
    painted = _paint(source, target)
    source_rows, rows = dark_rows(_crop(source)), dark_rows(painted.face)
    assert (rows > source_rows) == (after > before)
    if after < before:
        assert rows <= 4  # the lips meet; the line between them may stay


def test_an_opened_mouth_shows_an_inside_that_was_drawn() -> None:
    painted = _paint(_control(0.0), _control(0.2))
    inside = _control(0.2)[positions(INNER_LIP)].mean(axis=0)
    x, y = np.rint(inside).astype(int)
    assert painted.face[y - 2 : y + 3, x - 2 : x + 3].mean() < 110


def test_what_moves_nothing_far_away_stays() -> None:
    source, target = _control(0.05), _control(0.2)
    painted = _paint(source, target)
    changed = np.abs(painted.face.astype(int) - _crop(source)).max(axis=2)
    assert changed[painted.mask > 0.5].max() > 40
    assert changed[:30].max() <= 12  # far above the mouth the field has died away


def test_a_lent_mouth_is_shown_and_relit() -> None:
    source, target = _control(0.02), _control(0.15)
    lent_points = _control(0.15)
    lent_face = np.clip(_crop(lent_points).astype(int) + 25, 0, 255).astype(np.uint8)
    x, y = np.rint(lent_points[positions(INNER_LIP)].mean(axis=0)).astype(int)
    lent_face[y - 2 : y + 3, x - 4 : x + 5] = (60, 220, 60)  # a mark inside the mouth
    face = _crop(source)
    light = read_light(face, source, UNIT)
    lender = MouthPicture(lent_face, lent_points)
    painted = paint_frame(face, source, target, [(lender, 1.0)], UNIT, light)
    assert painted.face[y, x, 1] > painted.face[y, x, 0] + 80
    own = paint_frame(face, source, target, [(own_mouth(face, source, UNIT), 1.0)], UNIT, light)
    left = lent_points[positions(INNER_LIP)[0]]
    skin = (slice(int(left[1]) - 2, int(left[1]) + 3), slice(int(left[0]) - 12, int(left[0]) - 5))
    difference = painted.face[skin].astype(int).mean() - own.face[skin].astype(int).mean()
    assert abs(difference) < 12  # half of the 25 levels at most


def test_two_lenders_are_mixed_by_their_shares() -> None:
    source, target = _control(0.1), _control(0.1)
    face = _crop(source)
    light = read_light(face, source, UNIT)
    x, y = np.rint(source[positions(INNER_LIP)].mean(axis=0)).astype(int)
    green, blue = face.copy(), face.copy()
    green[y - 3 : y + 4, x - 6 : x + 7] = (0, 200, 0)
    blue[y - 3 : y + 4, x - 6 : x + 7] = (0, 0, 200)
    lenders = [(MouthPicture(green, source), 0.7), (MouthPicture(blue, source), 0.3)]
    painted = paint_frame(face, source, target, lenders, UNIT, light)
    assert painted.face[y, x, 1] == pytest.approx(140, abs=20)
    assert painted.face[y, x, 2] == pytest.approx(60, abs=20)


@pytest.mark.parametrize("shift", [(-70, 0), (75, 60)])
def test_a_face_at_the_crop_s_edge_does_not_crash(shift: tuple[int, int]) -> None:
    source = _control(0.05) + np.array(shift)
    painted = _paint(source, source + np.array([0.0, 2.0]))
    assert painted.face.shape == (SIZE, SIZE, 3)
    assert np.isfinite(painted.mask).all()
