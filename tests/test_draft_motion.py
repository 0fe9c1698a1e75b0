"""Motion: the mouth measures as the voice asked, the rest of the face keeps its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_faces import IOD_PX, REST_WIDTH, faces_with, placed, scene_of, speaking

import lipsync.engines.draft.motion
from lipsync.engines.draft.columns import ACTIVITY, CLOSURE, LABIODENTAL, OPENING, WIDTH
from lipsync.engines.draft.mesh import ANCHOR, CONTROL, positions
from lipsync.engines.draft.motion import Motion, plan_motion, study_person, want_mouth
from lipsync.face.mouth import INNER_LIPS, MOUTH_CORNERS
from lipsync.types import Scene


def _features(count: int, **columns: np.ndarray | float) -> np.ndarray:
    """Features (T, 5) of somebody who speaks with the mouth at its middle."""
    features = np.zeros((count, 5), np.float32)
    features[:, OPENING], features[:, ACTIVITY] = 0.5, 1.0
    names = {"opening": OPENING, "width": WIDTH, "closure": CLOSURE}
    names |= {"activity": ACTIVITY, "labiodental": LABIODENTAL}
    for name, values in columns.items():
        features[:, names[name]] = values
    return features


def _scene(
    count: int = 120, mouths: np.ndarray | None = None, degrees: tuple[float, ...] = (0, 0, 0)
) -> Scene:
    yaw, pitch, roll = degrees
    faces = faces_with(speaking(count) if mouths is None else mouths)
    points = placed(faces, IOD_PX, (120.0, 110.0), (yaw, pitch, roll))
    return scene_of(points, torch.zeros(count, 5))


def _slow_wish(count: int) -> np.ndarray:
    """Wanted opening, width and no contact, (T, 3)."""
    time = np.arange(count) / 25
    opening = 0.07 + 0.06 * np.sin(2 * np.pi * 1.5 * time)
    width = REST_WIDTH + 0.03 * np.cos(2 * np.pi * 0.8 * time)
    return np.column_stack([opening, width, np.zeros(count)])


def _measured(motion: Motion) -> np.ndarray:
    """Opening and width (T, 2) of the target points as a picture shows them, IOD."""
    places = [positions(INNER_LIPS), positions(MOUTH_CORNERS)]
    spans = [motion.target[:, pair[0]] - motion.target[:, pair[1]] for pair in places]
    return np.stack([np.linalg.norm(span, axis=1) for span in spans], axis=1) / IOD_PX


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_target_points_reach_the_wanted_mouth(roll: float) -> None:
    mouths = np.column_stack([np.full(120, 0.05), np.full(120, REST_WIDTH)])
    scene, wanted = _scene(mouths=mouths, degrees=(0, 0, roll)), _slow_wish(120)
    (motion,) = plan_motion(scene, study_person(scene), wanted)
    assert motion.target.shape == motion.source.shape == (120, len(CONTROL), 2)
    assert np.abs(_measured(motion) - wanted[:, :2]).max() < 0.01
    assert np.allclose(motion.scale, IOD_PX, rtol=0.01)
    assert np.allclose(motion.angles[:, 2], roll, atol=0.5)


def test_the_original_speech_is_gone() -> None:
    scene, wanted = _scene(), _slow_wish(120)
    (motion,) = plan_motion(scene, study_person(scene), wanted)
    opening = _measured(motion)[:, 0]
    assert np.corrcoef(opening, wanted[:, 0])[0, 1] > 0.97
    assert abs(np.corrcoef(opening, speaking(120)[:, 0])[0, 1]) < 0.3


def test_what_does_not_speak_stays() -> None:
    scene = _scene()
    (motion,) = plan_motion(scene, study_person(scene), _slow_wish(120))
    moved = np.linalg.norm(motion.target - motion.source, axis=2) / IOD_PX
    assert moved[:, positions(ANCHOR[:5])].max() < 0.02
    assert moved[:, positions(INNER_LIPS)].max() > 0.05


def test_lip_on_teeth_lifts_the_lower_lip() -> None:
    scene, wanted = _scene(), _slow_wish(120)
    person = study_person(scene)
    bitten = wanted.copy()
    bitten[:, 2] = 1.0
    (plain,), (lifted,) = (plan_motion(scene, person, wish) for wish in (wanted, bitten))
    below, above = positions((17,)), positions((0,))
    assert (lifted.target - plain.target)[:, below, 1].max() < -0.01 * IOD_PX
    rise = (plain.target - lifted.target)[..., 1]
    assert rise[:, below].mean() > rise[:, above].mean() > 0


def test_stretches_of_a_long_scene_meet_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, wanted = _scene(700), _slow_wish(700)
    person = study_person(scene)
    parts = list(plan_motion(scene, person, wanted))
    assert len(parts) > 1
    assert [part.start for part in parts] == list(
        np.cumsum([0, *(len(part.target) for part in parts[:-1])])
    )
    monkeypatch.setattr(lipsync.engines.draft.motion, "_CHUNK", 10_000)
    (whole,) = plan_motion(scene, person, wanted)
    joined = np.concatenate([part.target for part in parts])
    assert np.abs(joined - whole.target).max() < 0.05  # px


def test_a_talking_clip_lends_its_own_range() -> None:
    wide = study_person(_scene(mouths=speaking(120) * [1.5, 1.0]))
    small = study_person(_scene(mouths=speaking(120) * [0.8, 1.0]))
    assert wide.openings.max() > 1.4 * small.openings.max()
    assert (np.diff(wide.openings) >= 0).all()
    assert wide.width == pytest.approx(REST_WIDTH, abs=0.03)


def test_a_still_or_silent_clip_gets_a_usual_range() -> None:
    for count in (1, 60):
        person = study_person(_scene(mouths=np.tile([0.01, REST_WIDTH], (count, 1))))
        assert person.openings.max() == pytest.approx(0.22, abs=0.05)
        assert person.rest < 0.03
        assert 0.02 <= person.width_spread <= 0.04


def test_silence_leads_to_rest() -> None:
    person = study_person(_scene())
    spoken = np.repeat([1.0, 0.0], 50)
    wanted = want_mouth(_features(100, opening=0.9, activity=spoken, width=2.0), person, 25, 1, 1)
    rest = min(person.rest, float(np.median(person.openings)))
    assert np.allclose(wanted[60:, 0], rest, atol=1e-6)
    assert np.allclose(wanted[60:, 1], person.width, atol=1e-6)
    assert wanted[:40, 0].min() > rest + 0.02
    assert wanted[:40, 1].min() > person.width
    assert not want_mouth(_features(9, activity=0.0, labiodental=1.0), person, 25, 1, 1)[:, 2].any()


def test_wishes_follow_the_settings() -> None:
    person = study_person(_scene())
    features = _features(100, opening=np.linspace(0, 1, 100), width=np.linspace(-2, 2, 100))
    calm, plain, lively = (want_mouth(features, person, 25, a, 1.0)[:, 0] for a in (0.5, 1.0, 1.5))
    assert np.ptp(calm) < np.ptp(plain) < np.ptp(lively)
    assert (np.diff(plain) > -1e-9).all()
    narrow, spread = (want_mouth(features, person, 25, 1.0, w)[:, 1] for w in (0.0, 2.0))
    assert np.allclose(narrow, person.width)
    assert np.ptp(spread) > 0.05
    everything = want_mouth(_features(10, opening=1.0), person, 25, 50.0, 1.0)
    assert everything[:, 0].max() <= 0.30 + 1e-9


def test_sealed_lips_close_the_mouth() -> None:
    person = study_person(_scene())
    sealed = np.zeros(60)
    sealed[28:33] = 1.0
    wanted = want_mouth(_features(60, opening=0.8, closure=sealed), person, 25, 1, 1)[:, 0]
    assert wanted[30] < 0.35 * wanted[10]


@pytest.mark.parametrize("fps", [12.0, 25.0, 60.0])
def test_smoothing_is_in_seconds(fps: float) -> None:
    """A step from closed to open takes the same time at any rate."""
    person = study_person(_scene())
    count = int(8 * fps)
    step = (np.arange(count) >= count // 2).astype(float)
    wanted = want_mouth(_features(count, opening=step), person, fps, 1, 1)[:, 0]
    share = (wanted - wanted.min()) / np.ptp(wanted)
    assert ((share > 0.1) & (share < 0.9)).sum() / fps < 0.13
