"""Rendering a scene for an engine that leaves the mask to us."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from fractions import Fraction
from inspect import GEN_CLOSED, GEN_SUSPENDED, getgeneratorstate
from typing import Any

import numpy as np
import torch
from made_faces import SIZE, faces_with, frame_of, picture, placed, speaking, track_of

from lipsync.composite.render import render_scene
from lipsync.face.align import TEMPLATES, align_track
from lipsync.media.colour import rgb_image
from lipsync.types import Audio, Checkpoint, EngineSpec, Frame, Generated, Scene, Size, Window

COUNT, SIDE = 7, 96


class TintingEngine:
    """Gives every crop back, some levels too bright, with no mask of its own."""

    spec = EngineSpec("tint", "Tint", "none", window=3)
    Settings: type = dict

    @classmethod
    def needed_weights(cls, settings: Any) -> tuple[str, ...]:
        return ()

    @classmethod
    def template(cls, settings: Any) -> str:
        return "latentsync"

    @classmethod
    def crop_size(cls, settings: Any) -> int:
        return SIDE

    def load(self, settings: Any) -> tuple[str, ...]:
        raise AssertionError("a scene is all that is rendered")

    def encode_audio(
        self, audio: Audio, num_frames: int, fps: Fraction, settings: Any, checkpoint: Checkpoint
    ) -> torch.Tensor:
        raise AssertionError("the scene brings its features")

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Generator[Generated, None, None]:
        for window in windows:
            assert len(window.faces) == min(3, COUNT - window.start)
            yield Generated(np.clip(window.faces.astype(int) + 14, 0, 255).astype(np.uint8))


class HeldEngine(TintingEngine):
    """Holds on to what it answers with."""

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Generator[Generated, None, None]:
        self.answers = super().generate(scene, windows, settings, rng)
        return self.answers


def make_scene() -> tuple[Scene, list[Frame]]:
    """Return a scene of one face, and its frames."""
    track = track_of(placed(faces_with(speaking(COUNT))))
    alignment = align_track(track, slice(0, COUNT), TEMPLATES["latentsync"], SIDE)
    size, features = Size(SIZE, SIZE), torch.zeros(COUNT, 1)
    scene = Scene(track, np.arange(COUNT), alignment, size, features, Fraction(25))
    return scene, [frame_of(picture(), index) for index in range(COUNT)]


def render(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames (T, H, W, 3) before and after."""
    scene, frames = make_scene()
    after = list(render_scene(scene, iter(frames), TintingEngine(), {}, 0, weights))
    assert [frame.index for frame in after] == list(range(COUNT))
    before = np.stack([rgb_image(frame) for frame in frames])
    return before, np.stack([rgb_image(frame) for frame in after])


def test_who_stops_in_the_middle_stops_the_engine() -> None:
    """At once, also where somebody still holds what the engine answers with."""
    scene, frames = make_scene()
    engine = HeldEngine()
    with closing(render_scene(scene, iter(frames), engine, {}, 0, np.ones(COUNT))) as rendering:
        next(rendering)
        assert getgeneratorstate(engine.answers) == GEN_SUSPENDED
    assert getgeneratorstate(engine.answers) == GEN_CLOSED


def test_a_tint_is_taken_out_and_the_rest_is_untouched() -> None:
    before, after = render(np.ones(COUNT, np.float32))
    change = np.abs(after.astype(int) - before.astype(int)).max(axis=3)
    assert (change[:, :4] == 0).all(), "nothing changes far above the face"
    assert 0 < (change > 0).mean() < 0.9
    assert (after.astype(int) - before.astype(int)).mean() < 1.5, "most of the 14 levels are gone"


def test_weights_fade_a_frame_out() -> None:
    weights = np.ones(COUNT, np.float32)
    weights[2] = 0.0
    before, after = render(weights)
    assert np.array_equal(before[2], after[2])
    assert not np.array_equal(before[3], after[3])
