"""Fields carry their control points; grids fill in what is affine exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_faces import picture

from lipsync.engines.draft.warp import (
    Grid,
    absolute_map,
    sample,
    soften,
    solve_field,
)
from lipsync.face.mask import fill_polygon

UNIT = 60.0


def _points(count: int = 30) -> np.ndarray:
    return np.random.default_rng(3).uniform(20, 220, (count, 2))


def test_nothing_moved_is_the_identity() -> None:
    points = _points()
    field = solve_field(points, points, UNIT)
    assert np.abs(field(_points(200))).max() < 1e-4
    grid = Grid(10, 14, 101, 77, 9)
    image = picture()
    assert np.array_equal(
        sample(image, absolute_map(grid, field(grid.points))), image[14 : 14 + 77, 10 : 10 + 101]
    )


def test_the_field_carries_target_points_to_source_points() -> None:
    rng = np.random.default_rng(5)
    target = _points()
    source = target + rng.uniform(-4, 4, target.shape)
    field = solve_field(target, source, UNIT)
    assert np.abs(target + field(target) - source).max() < 0.8  # px, by the regulariser


@pytest.mark.parametrize("unit", [20.0, 300.0])
def test_an_affine_movement_is_followed_everywhere(unit: float) -> None:
    matrix, shift = np.array([[1.1, 0.1], [-0.05, 0.9]]), np.array([7.0, -3.0])
    target = _points(12)
    field = solve_field(target, target @ matrix.T + shift, unit)
    places = _points(100) * 2
    assert np.abs(places + field(places) - (places @ matrix.T + shift)).max() < 0.05


def test_the_unit_only_scales() -> None:
    target = _points(12)
    moved = target + np.random.default_rng(1).uniform(-3, 3, target.shape)
    small, large = solve_field(target, moved, UNIT), solve_field(2 * target, 2 * moved, 2 * UNIT)
    places = _points(50)
    assert np.allclose(2 * small(places), large(2 * places), atol=1e-3)


@pytest.mark.parametrize(
    "grid", [Grid(0, 0, 40, 30, 7), Grid(13, 5, 33, 64, 17), Grid(2, 3, 8, 8, 3)]
)
def test_a_grid_fills_affine_values_exactly(grid: Grid) -> None:
    def plane(points: np.ndarray) -> np.ndarray:
        return np.column_stack([2 * points[:, 0] - points[:, 1], 0.5 * points[:, 1] + 4])

    filled = grid.fill(plane(grid.points))
    assert filled.shape == (grid.height, grid.width, 2)
    assert filled.dtype == np.float32
    rows, columns = np.mgrid[: grid.height, : grid.width]
    pixels = np.stack([columns + grid.left, rows + grid.top], axis=-1).reshape(-1, 2)
    assert np.abs(filled.reshape(-1, 2) - plane(pixels)).max() < 2e-3


def test_sample_moves_pixels() -> None:
    image = picture(64)
    grid = Grid(0, 0, 64, 64, 9)
    moved = sample(image, absolute_map(grid, np.tile([5.0, -2.0], (len(grid.points), 1))))
    assert np.array_equal(moved[2:, :-5], image[:-2, 5:])
    assert np.array_equal(moved[2:, -1], image[:-2, -1])  # the edge is repeated
    dark = sample(image, np.full((4, 4, 2), -50, np.float32), outside=cv2.BORDER_CONSTANT)
    assert not dark.any()


def test_polygons_and_soft_edges() -> None:
    square = np.array([[20.0, 20], [60, 20], [60, 60], [20, 60]])
    mask = fill_polygon((80, 100), square)
    assert mask.shape == (80, 100)
    assert mask.dtype == np.float32
    assert mask[40, 40] == 1.0
    assert mask[10, 10] == mask[40, 70] == 0.0
    grown, shrunk = soften(mask, 8, 1), soften(mask, -8, 1)
    assert grown.sum() > mask.sum() > shrunk.sum()
    assert grown[40, 65] > 0.9
    assert shrunk[40, 57] < 0.1
    soft = soften(mask, 1, 10)
    assert np.abs(np.diff(soft[40])).max() < np.abs(np.diff(mask[40])).max() / 5
