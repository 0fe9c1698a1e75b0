"""The collection of mouths: bounded, varied, and of one face only."""

from __future__ import annotations

import numpy as np
import pytest
from made_faces import face_of, faces_with, frame_of, picture, placed, speaking, track_of

import lipsync.face.gallery
from lipsync.face.gallery import Gallery
from lipsync.face.mouth import INNER_LIPS, measure_mouth
from lipsync.types import Reference

ALL = slice(0, 10_000)


def _collect(
    gallery: Gallery, meshes: list[np.ndarray], size: int = 240, cuts: tuple[int, ...] = ()
) -> list[Reference]:
    """Offer meshes (T, 478, 3) of one or more people; return what is kept of the first one."""
    image = picture(size)
    for row in range(len(meshes[0])):
        faces = [face_of(mesh[row]) for mesh in meshes]
        gallery.offer(row, frame_of(image, row), faces, row in cuts)
    return gallery.references(track_of(meshes[0]), ALL)


def test_kept_pictures_are_few_and_varied() -> None:
    meshes = placed(faces_with(speaking(200)))
    kept = _collect(Gallery(12), [meshes])
    assert 6 <= len(kept) <= 12
    assert [k.row for k in kept] == sorted(k.row for k in kept)
    openings = measure_mouth(meshes, np.arange(200))[:, 0]
    chosen = openings[[k.row for k in kept]]
    assert np.ptp(chosen) > 0.8 * np.ptp(openings)


def test_the_same_mouth_is_kept_once() -> None:
    still = placed(np.repeat(faces_with(speaking(1)), 30, axis=0))
    assert len(_collect(Gallery(12), [still])) == 1


def test_a_turned_head_is_something_new() -> None:
    same = np.repeat(faces_with(speaking(1)), 10, axis=0)
    meshes = np.concatenate([placed(same), placed(same, degrees=(20.0, 0.0, 0.0))])
    assert [k.row for k in _collect(Gallery(12), [meshes])] == [0, 10]


def test_pictures_show_the_mouth_where_the_landmarks_say() -> None:
    meshes = placed(faces_with(speaking(1)))
    image = picture()
    middle = meshes[0, list(INNER_LIPS), :2].mean(axis=0)
    x, y = np.rint(middle).astype(int)
    image[y - 3 : y + 4, x - 3 : x + 4] = (0, 255, 0)
    gallery = Gallery(3)
    gallery.offer(0, frame_of(image), [face_of(meshes[0])], False)
    (kept,) = gallery.references(track_of(meshes), ALL)
    assert kept.image.dtype == np.uint8
    assert kept.landmarks.shape == (478, 3)
    x, y = np.rint(kept.landmarks[list(INNER_LIPS), :2].mean(axis=0)).astype(int)
    assert kept.image[y, x, 1] > kept.image[y, x, 0] + 100


def test_large_mouths_are_kept_smaller_with_landmarks_to_match() -> None:
    meshes = placed(faces_with(speaking(1)), 400.0, (450.0, 380.0))
    (kept,) = _collect(Gallery(3), [meshes], size=900)
    assert max(kept.image.shape) == 448
    eye_distance = np.linalg.norm(kept.landmarks[33] - kept.landmarks[263])
    assert eye_distance == pytest.approx(448 / (2 * 0.8), rel=0.02)


def test_a_mouth_at_the_frame_s_edge_is_cut_not_lost() -> None:
    meshes = placed(faces_with(speaking(1)), centre=(228.0, 225.0))
    (kept,) = _collect(Gallery(3), [meshes])
    assert min(kept.image.shape[:2]) >= 2


def test_no_limit_means_nothing_is_kept() -> None:
    assert _collect(Gallery(0), [placed(faces_with(speaking(20)))]) == []


def test_only_the_rows_asked_for() -> None:
    meshes = placed(faces_with(speaking(100)))
    gallery = Gallery(20)
    everything = _collect(gallery, [meshes])
    track = track_of(meshes, absent=slice(0, 30))
    found = gallery.references(track, slice(20, 60))
    assert [r.row for r in found] == [r.row for r in everything if 30 <= r.row < 60]
    assert found


def test_people_who_change_places_keep_their_own_mouths() -> None:
    """Two people cross the picture, one above the other, in opposite directions."""
    count = 60
    faces = faces_with(speaking(count))
    right = np.stack(
        [placed(faces[t : t + 1], 30.0, (60 + 6.0 * t, 70.0))[0] for t in range(count)]
    )
    left = np.stack(
        [placed(faces[t : t + 1], 30.0, (414 - 6.0 * t, 90.0))[0] for t in range(count)]
    )
    meshes = [right, left]
    gallery = Gallery(40)
    kept = _collect(gallery, meshes, size=480)
    assert len(kept) >= 8
    assert min(k.row for k in kept) < 10  # the first sights count though all has moved since
    assert max(k.row for k in kept) > 40
    # a picture of one shows one: where the mesh says its mouth lies, measured from the frame
    other = gallery.references(track_of(left), ALL)
    ours = {(k.row, k.image.tobytes()) for k in kept}
    assert not ours & {(k.row, k.image.tobytes()) for k in other}


def test_every_shot_has_its_own() -> None:
    meshes = placed(faces_with(speaking(40)))
    gallery = Gallery(5)
    kept = _collect(gallery, [meshes], cuts=(20,))
    track = track_of(meshes, shots=(0, 20))
    first, second = (gallery.references(track, rows) for rows in (slice(0, 20), slice(20, 40)))
    assert len(first) + len(second) == len(kept)
    assert 2 <= len(first) <= 5
    assert 2 <= len(second) <= 5


@pytest.mark.parametrize("cuts", [(), tuple(range(1, 40))], ids=["one shot", "a cut every frame"])
def test_memory_is_bounded(cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    meshes = placed(faces_with(speaking(40)))
    (one,) = _collect(Gallery(1), [meshes[:1]])
    room = 4 * one.image.nbytes + 1
    monkeypatch.setattr(lipsync.face.gallery, "_MAX_BYTES", room)
    kept = _collect(Gallery(30), [meshes], cuts=cuts)
    assert 2 <= len(kept) <= 4
    assert sum(k.image.nbytes for k in kept) <= room
