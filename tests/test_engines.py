"""One contract for all engines: whoever joins the registry is held to the same promises."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import typing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_scenes import cut_windows, generate, hear, make_scene, quick
from made_faces import FPS
from standin_models import make_standins, write_wav2lip

from lipsync.engines import ENGINES, create_engine, engine_class, make_settings
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES
from lipsync.face.mask import OUTLINES
from lipsync.media.sound import read_audio
from lipsync.residence import Residence
from lipsync.types import Audio, Engine, Features, Generated, Scene
from lipsync.weights import ModelStore

RATE = 16_000
# beside which other settings one says something, or says it sooner
COMPANIONS: dict[str, dict[str, Any]] = {
    "steps": {"guidance": 1.0},
    **{f"pad_{side}": {"preprocessing": "compat"} for side in ("top", "bottom", "left", "right")},
}
SETTINGS = [
    (name, f.name) for name in ENGINES for f in dataclasses.fields(engine_class(name).Settings)
]


@pytest.fixture(scope="module")
def residence(tmp_path_factory: pytest.TempPathFactory) -> Residence:
    """Small networks in the place of every checkpoint that an engine names."""
    own = make_standins(tmp_path_factory.mktemp("models"), ("latentsync-1.5", "latentsync-1.6"))
    for key in ("wav2lip", "wav2lip-gan"):
        write_wav2lip(own / key)
    return Residence(ModelStore(tmp_path_factory.mktemp("cache"), own), device="cpu")


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, residence: Residence) -> Engine:
    return create_engine(request.param, residence)


def as_tensor(features: Features) -> torch.Tensor:
    return features if isinstance(features, torch.Tensor) else features.stack()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def voice(short_voice: Path) -> Audio:
    return read_audio(short_voice, RATE)


def assert_valid(engine: Engine, scene: Scene, answers: list[Generated]) -> None:
    """Check shapes, dtypes and ranges: every frame once."""
    size = scene.alignment.size
    assert sum(len(answer.faces) for answer in answers) == len(scene.rows)
    for answer in answers:
        count = len(answer.faces)
        assert count
        assert answer.faces.dtype == np.uint8
        assert answer.faces.shape == (count, size, size, 3)
        if answer.masks is None:
            continue
        assert answer.masks.dtype == np.float32
        assert answer.masks.shape == (count, size, size)
        assert 0.0 <= answer.masks.min() <= answer.masks.max() <= 1.0
        assert answer.masks.max(axis=(1, 2)).min() > 0.9, "a frame in which nothing is generated"
        # a mask that reaches the crop's border shows as a line in the picture
        for border in (answer.masks[:, 0], answer.masks[:, -1]):
            assert not border.any()
        assert not answer.masks[:, :, [0, -1]].any()


def assert_same(one: list[Generated], other: list[Generated]) -> None:
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.faces, b.faces)
        assert (a.masks is None) == (b.masks is None)
        if a.masks is not None and b.masks is not None:
            assert np.array_equal(a.masks, b.masks)


def test_the_spec_is_true_to_the_registry(engine: Engine) -> None:
    spec = engine.spec
    assert ENGINES[spec.name].endswith(type(engine).__name__)
    assert spec.label
    assert spec.licence
    template = TEMPLATES[engine.template(quick(engine))]
    assert template.mask in OUTLINES
    assert (engine.crop_size(quick(engine)) is None) == (not template.places)
    assert all(engine.needed_weights(quick(engine)))
    assert spec.window >= 1
    assert spec.references >= 0


@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(24000, 1001), Fraction(60), Fraction(10)], ids=str
)
def test_one_row_of_features_per_frame(engine: Engine, voice: Audio, fps: Fraction) -> None:
    for count in (1, round(Fraction(voice.duration) * fps)):
        rows = hear(engine, voice, count, fps)
        assert len(rows) == count
        assert len(rows[0:1]) == 1
        assert as_tensor(rows).dtype == torch.float32
        assert as_tensor(rows).isfinite().all()


def test_features_outlast_the_voice(engine: Engine, voice: Audio) -> None:
    """Rounding up, or a clip that is to be longer: what comes after the end is silence."""
    short = Audio(voice.samples[: RATE // 5], RATE)
    assert as_tensor(hear(engine, short, 40, FPS)).isfinite().all()


def test_features_are_a_function_of_the_voice(engine: Engine, voice: Audio) -> None:
    first = as_tensor(hear(engine, voice, 30, FPS))
    noise = np.random.default_rng(1).normal(0, 0.2, 2 * RATE).astype(np.float32)
    hear(engine, Audio(noise, RATE), 50, FPS)
    assert torch.equal(as_tensor(hear(engine, voice, 30, FPS)), first)


def test_a_checkpoint_that_raises_ends_the_listening(engine: Engine, voice: Audio) -> None:
    calls = 0

    def stop_at_second() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        hear(engine, voice, 30, FPS, stop_at_second)
    assert calls == 2


@pytest.mark.parametrize("extra", [-1, 0, 1], ids=["short", "whole", "one more"])
def test_windows_of_any_length(engine: Engine, voice: Audio, extra: int) -> None:
    scene = make_scene(engine, voice, 2 * engine.spec.window + extra)
    assert_valid(engine, scene, generate(engine, scene))


def test_a_single_frame(engine: Engine, voice: Audio) -> None:
    scene = make_scene(engine, voice, 1)
    assert_valid(engine, scene, generate(engine, scene))


def test_a_still_face_speaks(engine: Engine, voice: Audio) -> None:
    """A photo: one row of the track, shown again and again."""
    count = 2 * engine.spec.window
    single = make_scene(engine, voice, 1)
    scene = dataclasses.replace(
        single,
        rows=np.zeros(count, int),
        alignment=dataclasses.replace(
            single.alignment, matrices=np.repeat(single.alignment.matrices, count, axis=0)
        ),
        features=hear(engine, voice, count, FPS),
    )
    answers = generate(engine, scene)
    assert_valid(engine, scene, answers)
    faces = np.concatenate([answer.faces for answer in answers]).astype(int)
    assert np.abs(np.diff(faces, axis=0)).max() > 10


def test_without_references(engine: Engine, voice: Audio) -> None:
    scene = dataclasses.replace(make_scene(engine, voice, 3), references=())
    assert_valid(engine, scene, generate(engine, scene))


def test_the_same_seed_gives_the_same_picture(
    engine: Engine, voice: Audio, residence: Residence
) -> None:
    """On the same engine, after other work, and on a new one."""
    scene = make_scene(engine, voice, engine.spec.window + 1)
    first = generate(engine, scene, seed=3)
    generate(engine, make_scene(engine, voice, 2), seed=4)
    assert_same(first, generate(engine, scene, seed=3))
    afresh = Residence(residence.store, device="cpu")
    assert_same(first, generate(create_engine(engine.spec.name, afresh), scene, seed=3))


def test_windows_are_taken_as_they_are_needed(engine: Engine, voice: Audio) -> None:
    """Memory is that of a few windows, never of the clip; closing ends the work there."""
    scene = make_scene(engine, voice, 3 * engine.spec.window)
    taken: list[int] = []
    windows = cut_windows(engine, scene, taken)
    answers = engine.generate(scene, windows, quick(engine), torch.Generator())
    assert taken == []
    next(answers)
    assert 1 <= len(taken) <= 2
    close = getattr(answers, "close")  # noqa: B009 — an Iterator need not have it, a generator has
    close()
    assert len(taken) <= 2
    assert next(answers, None) is None
    # and the engine still works
    assert_valid(engine, scene, generate(engine, scene))


def test_windows_are_only_read(engine: Engine, voice: Audio) -> None:
    scene = make_scene(engine, voice, engine.spec.window)
    (window,) = cut_windows(engine, scene)
    before = window.faces.copy()
    window.faces.flags.writeable = window.landmarks.flags.writeable = False
    list(engine.generate(scene, [window], quick(engine), torch.Generator()))
    assert np.array_equal(window.faces, before)


def test_defaults_and_bounds_are_stated(engine: Engine) -> None:
    settings = engine.Settings()
    assert dataclasses.is_dataclass(settings)
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        if "choices" in one.metadata:
            assert value in one.metadata["choices"]
        else:
            assert one.metadata["low"] <= value <= one.metadata["high"]
        assert one.metadata["help"]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, one.name, 0)
    assert make_settings(engine.spec.name, {}) == settings


def edges_of(name: str, key: str) -> tuple[Any, ...]:
    """Return the ends of a setting's range, or all its choices."""
    bounds = engine_class(name).Settings.__dataclass_fields__[key].metadata
    return bounds.get("choices") or (bounds["low"], bounds["high"])


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_settings_at_their_bounds(name: str, key: str, voice: Audio, residence: Residence) -> None:
    """Each does something to the picture, unless it says that it does not."""
    engine = create_engine(name, residence)
    metadata = engine_class(name).Settings.__dataclass_fields__[key].metadata
    if key in ("compile", "resolution", "precision"):
        pytest.skip("needs a compiler, other crops or another device: tested with the engine")
    pictures = []
    for edge in edges_of(name, key):
        settings = quick(engine, **{**COMPANIONS.get(key, {}), key: edge})
        scene = make_scene(engine, voice, engine.spec.window + 2, settings)
        answers = generate(engine, scene, settings)
        assert_valid(engine, scene, answers)
        pictures.append(answers)
    for one, other in itertools.combinations(pictures, 2):
        faces = [np.concatenate([a.faces for a in answers]) for answers in (one, other)]
        if metadata.get("looks") is False:
            assert np.abs(faces[0].astype(int) - faces[1]).max() <= 1
        else:
            differs = not np.array_equal(*faces)
            for a, b in zip(one, other, strict=False):
                if a.masks is not None and b.masks is not None:
                    differs |= not np.array_equal(a.masks, b.masks)
            assert differs, f"{key} does nothing"


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_settings_that_make_no_sense_are_refused(name: str, key: str) -> None:
    bounds = engine_class(name).Settings.__dataclass_fields__[key].metadata
    wrong: list[Any] = [math.nan, math.inf, -math.inf, "nan", "inf", "much", "", None, [1], 9999]
    choices = bounds.get("choices")
    if choices:
        told = "; choose one of: " + ", ".join(str(choice).lower() for choice in choices)
        wrong += [2, -1]
    else:
        told = f"from {bounds['low']} to {bounds['high']}"
        wrong += [bounds["low"] - 1, bounds["high"] + 1]
    for value in wrong:
        with pytest.raises(InputError, match=rf"^Setting {key} is .*{re.escape(told)}\.$"):
            make_settings(name, {key: value})


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_settings_may_come_as_text(name: str, key: str) -> None:
    for edge in edges_of(name, key):
        spelt = f" {edge} ".lower() if isinstance(edge, bool) else f" {edge} "
        value = getattr(make_settings(name, {key: spelt}), key)
        assert value == edge
        if "choices" not in engine_class(name).Settings.__dataclass_fields__[key].metadata:
            assert type(value) is typing.get_type_hints(engine_class(name).Settings)[key]


def test_a_number_between_multiples_is_refused() -> None:
    with pytest.raises(InputError, match=r"Setting resolution is 100; give a multiple of 64 from"):
        make_settings("latentsync", {"resolution": 100})


@pytest.mark.parametrize("name", list(ENGINES))
def test_unknown_settings_are_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"The {name} engine has no setting 'loudness'; it has: "):
        make_settings(name, {"loudness": 1})


def test_unknown_engines_are_named() -> None:
    with pytest.raises(InputError, match="There is no engine called 'magic'; choose one of: draft"):
        create_engine("magic")


@dataclass(frozen=True)
class Whole:
    """Settings of a kind that no engine has yet."""

    steps: int = field(default=20, metadata={"low": 1, "high": 50, "help": "how many"})


class Counting:
    """Just enough of an engine for its settings."""

    Settings = Whole


def test_whole_numbers_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "counting", "test_engines:Counting")
    made = make_settings("counting", {"steps": "7"})
    assert made.steps == 7
    assert type(made.steps) is int
    with pytest.raises(
        InputError, match=r"Setting steps is 7\.5; give a whole number from 1 to 50"
    ):
        make_settings("counting", {"steps": 7.5})
