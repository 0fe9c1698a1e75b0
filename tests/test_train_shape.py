"""The mouth's shape: a planted basis comes back, symmetric, free of slow expression."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_talk import make_talk

from lipsync.assets import asset_path
from lipsync.face.mouth import CHIN, EYE_CORNERS, MOUTH_CORNERS, mean_face
from lipsync.train.shape import (
    Moves,
    fit_basis,
    fit_mean_face,
    mirror_pairs,
    read_moves,
    roughness,
    unexplained,
)

MIRROR = np.array([-1.0, 1.0, 1.0])


def test_mirror_pairs_are_mutual_and_cross_the_face() -> None:
    partner = mirror_pairs(mean_face())
    assert partner[EYE_CORNERS[0]] == EYE_CORNERS[1]
    assert partner[MOUTH_CORNERS[0]] == MOUTH_CORNERS[1]
    assert partner[CHIN] == CHIN
    np.testing.assert_array_equal(partner[partner], np.arange(478))


def test_a_lopsided_face_is_not_paired() -> None:
    lopsided = np.random.default_rng(0).normal(size=(478, 3)) * (3, 1, 1) + (1, 0, 0)
    with pytest.raises(ValueError, match="lopsided"):
        mirror_pairs(lopsided)


def test_a_planted_basis_comes_back() -> None:
    draw = np.random.default_rng(0)
    partner = mirror_pairs(mean_face())
    basis = draw.normal(size=(3, 478, 3))
    basis = (basis + basis[:, partner] * MIRROR) / 2
    moves = []
    for _ in range(2):
        params = draw.normal(size=(50, 3))
        moves.append(Moves(params, np.einsum("tk,klc->tlc", params, basis)))
    np.testing.assert_allclose(fit_basis(moves, partner), basis, atol=1e-9)
    assert unexplained(moves[0], basis, np.arange(478)) == pytest.approx(0, abs=1e-9)


def test_moving_meshes_give_the_basis_that_moved_them() -> None:
    with np.load(asset_path("mouth_shape.npz")) as stored:
        bundled = stored["basis"].astype(np.float64)
    moves = read_moves(make_talk("talk", 1))
    partner = mirror_pairs(mean_face())
    refit = fit_basis([moves], partner)
    lips = np.array([0, 13, 14, 17, 61, 291])
    assert unexplained(moves, refit, lips) < 0.2 * unexplained(moves, 0 * bundled, lips)


def test_the_bundled_shape_is_its_own_mirror_image_and_smooth() -> None:
    with np.load(asset_path("mouth_shape.npz")) as stored:
        basis, face = stored["basis"], stored["mean_face"]
    partner = mirror_pairs(face)
    np.testing.assert_allclose(basis[:, partner] * MIRROR, basis, atol=1e-6)
    np.testing.assert_allclose(face[partner] * MIRROR, face, atol=1e-6)
    lips = np.array([0, 13, 14, 17, 61, 291, 40, 270, 91, 321])
    assert (roughness(basis, face, lips) < 0.1).all()


def test_the_mean_face_is_symmetric() -> None:
    partner = mirror_pairs(mean_face())
    face = fit_mean_face([make_talk("one", 1), make_talk("two", 2)], partner)
    np.testing.assert_allclose(face[partner] * MIRROR, face, atol=1e-12)
    assert np.linalg.norm(face[EYE_CORNERS[0]] - face[EYE_CORNERS[1]]) == pytest.approx(1, abs=1e-3)
