"""A face and a sound through a tiny SyncNet, against windows cut and compared one by one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from golden_recipe import fill_weights
from torch.nn import functional

from lipsync.audio.mfcc import mfcc
from lipsync.errors import InputError
from lipsync.score.evaluation import STRIP, cut_sounds, embed_faces, hold_faces, measure_sync
from lipsync.score.sync import weigh_distances
from lipsync.score.syncnet import StripSyncNet, SyncNet, SyncNetParams
from lipsync.steps import exhaust

TINY = SyncNetParams((2, 2, 2, 2, 2, 4), (2, 2, 2, 2, 2, 4), embedding=8)
COUNT = 34  # frames


@pytest.fixture(scope="module")
def network() -> SyncNet:
    """A tiny judge with numbers made of names, in eval mode."""
    tiny = SyncNet(TINY).eval()
    fill_weights(tiny)
    return tiny


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """(34, 224, 224, 3) uint8 RGB of flickering blocks."""
    blocks = np.random.default_rng(3).integers(0, 256, (COUNT, 14, 14, 3), dtype=np.uint8)
    return blocks.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Noise, a little more than 34 frames long; (N,) float32."""
    return np.random.default_rng(4).normal(0, 0.1, COUNT * 640 + 300).astype(np.float32)


@torch.inference_mode()
def distances_by_hand(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray, count: int
) -> np.ndarray:
    """Return (count, 31) published distances: windows one by one, zeros beyond the ends."""
    frames = torch.from_numpy(faces[..., [2, 1, 0]].copy()).permute(0, 3, 1, 2).float()
    heard = torch.from_numpy(mfcc(samples)).float()
    lips = [network.embed_lips(frames[v : v + 5].transpose(0, 1)[None]) for v in range(count)]
    sounds = [network.embed_sound(heard[None, None, :, 4 * v : 4 * v + 20]) for v in range(count)]
    padded = functional.pad(torch.cat(sounds), (0, 0, 15, 15))
    rows = [functional.pairwise_distance(one, padded[v : v + 31]) for v, one in enumerate(lips)]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("num_samples", [COUNT * 640 + 300, 20 * 640 + 639])
def test_compat_is_the_published_evaluation(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray, num_samples: int
) -> None:
    """A window fewer than there are, of what both streams have."""
    count = num_samples // 640 - 5
    heard = samples[:num_samples]
    found = measure_sync(StripSyncNet(network), faces, heard, compat=True)
    wanted = distances_by_hand(network, faces, heard, count)
    np.testing.assert_allclose(found.distances, wanted, rtol=1e-4)
    curve = wanted.mean(axis=0)
    assert found.offset == 15 - curve.argmin()
    assert found.distance == pytest.approx(curve.min(), rel=1e-4)
    assert found.confidence == pytest.approx(np.median(curve) - curve.min(), abs=1e-3)


def test_by_default_every_window_counts(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray
) -> None:
    found = measure_sync(StripSyncNet(network), iter(faces), samples).distances
    assert len(found) == COUNT - 4
    wanted = distances_by_hand(network, faces, samples, COUNT - 4)
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], wanted[known], rtol=1e-4)
    assert np.isnan(found[0, :15]).all()
    assert np.isfinite(found[0, 15:]).all()
    assert np.isfinite(found[-1, :16]).all()
    assert np.isnan(found[-1, 16:]).all()


def test_a_face_that_comes_late_is_held_against_what_was_heard_before(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray
) -> None:
    whole = measure_sync(StripSyncNet(network), faces, samples).distances
    late = measure_sync(StripSyncNet(network), faces[5:], samples, start=5).distances
    np.testing.assert_allclose(late, whole[5:], rtol=1e-4)


def test_silence_is_no_sync(network: SyncNet, faces: np.ndarray) -> None:
    with pytest.raises(InputError, match="The sound is silent"):
        measure_sync(StripSyncNet(network), faces, np.zeros(COUNT * 640, np.float32))


def test_a_glimpse_of_a_face_is_too_little(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray
) -> None:
    for compat, count in ((False, 24), (True, 5), (False, 0)):
        with pytest.raises(InputError, match="a score needs 1 s or more"):
            measure_sync(StripSyncNet(network), faces[:count], samples, compat=compat)


def test_only_a_strip_of_faces_is_taken_before_it_answers(
    network: SyncNet, faces: np.ndarray
) -> None:
    """And each strip is computed in a turn of its own, in which no face is waited for."""
    taken, turn = [], threading.Lock()
    film = (taken.append(turn.locked()) or face for face in faces)
    answers = embed_faces(StripSyncNet(network), film, turn)
    assert next(answers).shape == (STRIP, 8)
    assert taken == [False] * (STRIP + 4)
    turn.acquire()  # somebody else's
    with ThreadPoolExecutor(1) as waiting:
        more = waiting.submit(next, answers)
        with pytest.raises(TimeoutError):
            more.result(0.2)
        turn.release()
        assert more.result().shape == (COUNT - 4 - STRIP, 8)
    assert not list(answers)
    assert len(taken) == COUNT


def test_stretches_are_weighed_together(
    network: SyncNet, faces: np.ndarray, samples: np.ndarray
) -> None:
    """Each alone is too short; together they say what the same windows of the whole do."""
    strips, sounds = StripSyncNet(network), cut_sounds(samples)
    whole = exhaust(hold_faces(strips, faces, sounds))
    apart = np.full_like(whole, np.nan)
    for start, stop in ((0, 15), (15, COUNT)):
        rows = exhaust(hold_faces(strips, faces[start:stop], sounds, start=start))
        apart[start : stop - 4] = rows
        with pytest.raises(InputError, match=f"together for only {(stop - start) / 25:.2f} s"):
            weigh_distances(rows)
    np.testing.assert_allclose(
        np.delete(apart, range(11, 15), 0), np.delete(whole, range(11, 15), 0), rtol=1e-4
    )
    assert np.isnan(apart[11:15]).all()
    found = weigh_distances(apart)
    assert np.isnan(found.per_window[11:15]).all()
    zero = found.shifts == 0
    wanted = np.nanmean(np.delete(whole, range(11, 15), 0)[:, 15])
    assert found.curve[zero] == pytest.approx(wanted, rel=1e-4)
