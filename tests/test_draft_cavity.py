"""The drawn inside of a mouth: dark, with teeth above and tongue below, in the clip's light."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.engines.draft.cavity import Light, draw_cavity, judge_light

WHITE = Light(np.ones(3))
HALF_WIDTH = 0.28


def _mouth(opening: float, light: Light = WHITE) -> np.ndarray:
    """A mouth (60, 100, 3) of constant opening, half an IOD across."""
    across, below = np.meshgrid(np.linspace(-0.3, 0.3, 100), np.linspace(0, opening, 60))
    return draw_cavity(across, below, np.full(across.shape, opening), HALF_WIDTH, light)


@pytest.mark.parametrize("opening", [0.0, 0.01, 0.08, 0.3])
def test_colours_are_in_range(opening: float) -> None:
    drawn = _mouth(opening, Light(np.array([1.4, 1.0, 0.9])))
    assert drawn.shape == (60, 100, 3)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert drawn.min() >= 0
    assert drawn.max() <= 255


def test_teeth_above_dark_between_tongue_below() -> None:
    drawn = _mouth(0.2)
    luminance = drawn.mean(axis=2)
    middle = slice(40, 60)
    teeth, deep, tongue = luminance[5:12, middle], luminance[28:34, middle], drawn[52:58, middle]
    assert teeth.mean() > 130
    assert deep.mean() < 60
    assert tongue[..., 0].mean() > tongue[..., 2].mean() + 30  # red
    assert luminance[:, :4].mean() < luminance[:, middle].mean()  # the corners lie in shadow


def test_a_mouth_that_barely_opens_shows_no_teeth() -> None:
    assert _mouth(0.02).mean(axis=2).max() < 100


def test_teeth_do_not_grow_with_the_opening() -> None:
    """They are bone: their lower edge stays where it is, under the upper lip."""
    edges = []
    for opening in (0.12, 0.25):
        column = _mouth(opening)[:, 50].mean(axis=1)
        edges.append(np.flatnonzero(column > 100)[-1] / 59 * opening)
    assert edges[0] == pytest.approx(edges[1], abs=0.01)


def test_light_tints_and_darkens() -> None:
    skin = np.full((20, 20, 3), (196, 146, 126), np.uint8)
    everywhere = np.ones((20, 20), np.float32)
    plain = judge_light(skin, everywhere)
    assert plain.gain == pytest.approx(plain.gain[0])
    dim = judge_light((skin * 0.5).astype(np.uint8), everywhere)
    assert dim.gain.mean() == pytest.approx(0.5 * plain.gain.mean(), rel=0.02)
    blue = judge_light(np.full((20, 20, 3), (140, 140, 190), np.uint8), everywhere)
    assert blue.gain[2] > blue.gain[0]
    assert np.isfinite(judge_light(skin, np.zeros((20, 20), np.float32)).gain).all()
    assert judge_light(np.zeros_like(skin) + np.uint8(1), everywhere).gain.min() > 0.1
