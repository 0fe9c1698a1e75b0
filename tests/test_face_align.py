"""Crops: the similarity is the right one, native crops are the frame's own pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from lipsync.face.align import (
    BOX_MARGIN,
    TEMPLATES,
    align_track,
    crop_face,
    even_offset,
    fit_similarities,
    to_crop_points,
    warp_image,
)
from lipsync.face.anchors import ANCHORS, face_anchors
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.thumbnails import face_thumbnail
from lipsync.landmarks import LandmarkStore
from lipsync.media.colour import frame_from_rgb, rgb_image
from lipsync.types import FaceTrack

GOLDEN = Path(__file__).parents[1] / ".." / "shared" / "golden" / "latentsync" / "align.npz"


def _similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def _track(count: int, moves: np.ndarray | None = None, absent: tuple[int, ...] = ()) -> FaceTrack:
    """A rigid cloud of landmarks 60 px between the eyes, shifted by `moves` (T, 2)."""
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-60, 60, (478, 3)).astype(np.float32)
    cloud[:, 2] = 0
    for group, place in zip(ANCHORS[478], ((-30, -40), (30, -40), (0, 0)), strict=True):
        cloud[list(group), :2] = place
    cloud[[61, 291, 0, 17], :2] = (0, 30)
    cloud[33, :2], cloud[263, :2] = (-30, -30), (30, -30)
    cloud[:, :2] += (200, 220)
    store = LandmarkStore(count, 478)
    present = np.ones(count, bool)
    present[list(absent)] = False
    boxes = np.zeros((count, 4), np.float32)
    for row in range(count):
        shift = np.zeros(3) if moves is None else np.append(moves[row], 0)
        store[row] = cloud + shift.astype(np.float32)
    return FaceTrack(boxes, store, present, (0,))


def test_similarity_is_recovered() -> None:
    rng = np.random.default_rng(1)
    target = rng.uniform(0, 256, (3, 2))
    true = [_similarity(0.7, 25, 30, -12), _similarity(2.2, -170, -400, 90)]
    source = []
    for matrix in true:
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        source.append(target @ inverse[:2, :2].T + inverse[:2, 2])
    found = fit_similarities(np.stack(source), target)
    assert found.dtype == np.float32
    assert np.allclose(found, np.stack(true), atol=2e-3)


def test_a_mirror_image_is_turned_but_never_mirrored() -> None:
    target = np.array([[0.0, 0.0], [10.0, 0.0], [4.0, 20.0]])
    (found,) = fit_similarities((target * [-1, 1])[None], target)
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the recordings in ../shared/golden are not here")
def test_equals_the_recorded_alignment() -> None:
    golden = np.load(GOLDEN)
    found = fit_similarities(golden["landmarks3"], golden["face_template"])
    wanted = golden["matrices_without_bias"]
    assert np.allclose(found[:, :, :2], wanted[:, :, :2], atol=1e-5)
    assert np.allclose(found[:, :, 2], wanted[:, :, 2], atol=2e-3)


def test_anchors_come_to_their_places() -> None:
    track = _track(6)
    alignment = align_track(track, slice(0, 6), TEMPLATES["latentsync"], 256)
    assert alignment.size == 256
    assert alignment.matrices.shape == (6, 2, 3)
    points = to_crop_points(track.landmarks[3], alignment.matrices[3])
    brows = face_anchors(points)[:2, 0] / 256
    # the template's brows lie at 17 and 58 of 75; the face is not the template, so about there
    assert np.allclose(brows, [17 / 75, 58 / 75], atol=0.08)
    larger = align_track(track, slice(0, 6), TEMPLATES["latentsync"], 512)
    assert np.allclose(larger.matrices[:, :, :2], 2 * alignment.matrices[:, :, :2], rtol=1e-5)


def test_either_landmark_set_places_the_same_crop() -> None:
    mesh = _track(4)
    few = LandmarkStore(4, 106)
    for row in range(4):
        points = np.zeros((106, 3), np.float32)
        for group, place in zip(ANCHORS[106], face_anchors(mesh.landmarks[row]), strict=True):
            points[list(group), :2] = place
        few[row] = points
    track = FaceTrack(mesh.boxes, few, mesh.present, mesh.shots)
    template = TEMPLATES["latentsync"]
    one = align_track(track, slice(0, 4), template, 256)
    other = align_track(mesh, slice(0, 4), template, 256)
    assert np.allclose(one.matrices, other.matrices, atol=0.02)
    with pytest.raises(ValueError, match="native template has no anchors among 106"):
        align_track(track, slice(0, 4), TEMPLATES["native"])


def test_depth_scales_with_the_picture() -> None:
    points = np.array([[10.0, 20.0, 5.0]])
    moved = to_crop_points(points, _similarity(3.0, 40, 1, 2))
    assert moved.dtype == np.float32
    assert moved[0, 2] == pytest.approx(15.0)
    assert np.allclose(moved[0, :2], to_crop_points(points[:, :2], _similarity(3.0, 40, 1, 2)))


def test_native_crop_covers_the_face_in_whole_even_pixels() -> None:
    moves = np.stack([np.linspace(0, 33, 20), np.linspace(0, -7, 20)], axis=1)
    track = _track(20, moves)
    alignment = align_track(track, slice(0, 20), TEMPLATES["native"])
    assert alignment.size % 2 == 0
    assert alignment.size == pytest.approx(2 * 1.45 * 60, abs=2)
    for row, matrix in enumerate(alignment.matrices):
        offset = even_offset(matrix)
        assert offset is not None
        mouth = to_crop_points(track.landmarks[row], matrix)[61, :2]
        assert np.abs(mouth - alignment.size / 2).max() < 3


def test_wav2lip_sees_what_its_detector_would_have_cut_out() -> None:
    """S3FD's box on a person, brows to below the chin: made of the mesh's by a twentieth's rise."""
    detector = MediaPipeDetector(max_faces=1)
    (face,) = detector.detect(astronaut())
    detector.close()
    store = LandmarkStore(1, 478)
    store[0] = face.landmarks
    track = FaceTrack(face.box[None], store, np.ones(1, bool), (0,))
    (matrix,) = align_track(track, slice(0, 1), TEMPLATES["wav2lip"], 96).matrices
    left, top, right, bottom = face.box
    height = bottom - top
    ours = to_crop_points(face.landmarks, matrix)[:, :2]
    # the box with its pad, an eighth of the height below, squeezed to 96 px
    scale = 96 / np.array([right - left, 1.125 * height])
    theirs = (face.landmarks[:, :2] - [left, top - 0.05 * height]) * scale
    for points in ([33, 133], [362, 263], [61, 291], [4]):  # eyes, mouth, tip of the nose
        assert np.abs(ours[points].mean(axis=0) - theirs[points].mean(axis=0)).max() < 5
    assert 44 < ours[4, 1] < 56  # what is repainted begins about at the tip of the nose
    assert 88 < ours[152, 1] < 94  # and the chin is in it


def test_one_crop_holds_all_boxes_of_a_run() -> None:
    moves = np.stack([np.linspace(0, 33, 20), np.linspace(0, -7, 20)], axis=1)
    track = _track(20, moves)
    for row, (x, y) in enumerate(moves):
        track.boxes[row] = (100.3 + x, 120.2 + y, 180.9 + x, 230.4 + y)
    alignment = align_track(track, slice(4, 16), TEMPLATES["box"])
    assert alignment.size % 2 == 0
    assert len({matrix.tobytes() for matrix in alignment.matrices}) == 1
    corner = even_offset(alignment.matrices[0])
    assert corner is not None
    boxes = track.boxes[4:16] - np.tile(corner, 2)
    room = np.array([boxes[:, :2].min(), alignment.size - boxes[:, 2:].max()])
    assert (room >= BOX_MARGIN).all()
    assert (room < BOX_MARGIN + 4).all()


def test_rows_in_any_piece_get_the_same_place() -> None:
    moves = np.random.default_rng(5).normal(0, 4, (30, 2))
    track = _track(30, moves)
    whole = align_track(track, slice(0, 30), TEMPLATES["latentsync"], 128)
    part = align_track(track, slice(10, 20), TEMPLATES["latentsync"], 128)
    assert np.array_equal(part.matrices, whole.matrices[10:20])


def test_absent_rows_are_refused() -> None:
    with pytest.raises(AssertionError, match="absent"):
        align_track(_track(5, absent=(2,)), slice(0, 5), TEMPLATES["native"])


def test_native_crop_is_the_frames_own_pixels() -> None:
    frame = frame_from_rgb(astronaut())
    crop = crop_face(frame, np.array([[1, 0, -140], [0, 1, -60]], np.float32), 180)
    assert np.array_equal(crop, rgb_image(frame)[60:240, 140:320])


@pytest.mark.parametrize("corner", [(-50, -20), (400, 430), (-700, 10), (100, 900)])
def test_border_is_repeated_outside_the_frame(corner: tuple[int, int]) -> None:
    frame = frame_from_rgb(astronaut())
    left, top = corner
    crop = crop_face(frame, np.array([[1, 0, -left], [0, 1, -top]], np.float32), 160)
    image = rgb_image(frame)
    rows = np.clip(np.arange(top, top + 160), 0, 511)
    columns = np.clip(np.arange(left, left + 160), 0, 511)
    assert np.array_equal(crop, image[rows[:, None], columns[None]])


def test_warped_crop_agrees_with_native_pixels() -> None:
    frame = frame_from_rgb(astronaut())
    # odd px: resampled, yet the same pixels
    crop = crop_face(frame, np.array([[1, 0, -141], [0, 1, -61]], np.float32), 100)
    wanted = rgb_image(frame)[61:161, 141:241]
    assert np.array_equal(crop, wanted)


def test_shrinking_averages_areas() -> None:
    board = np.indices((240, 240)).sum(axis=0) % 2 * 255
    image = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    small = warp_image(image, _similarity(0.31, 0, 0.1, 0.2), (60, 60))
    assert small[5:-5, 5:-5].std() < 12  # the plain warp gives 60 and more


def test_shrinking_keeps_pixel_centres() -> None:
    ramp = np.tile(np.arange(200, dtype=np.float32), (200, 1))
    for factor in (0.5, 1 / 3, 0.4):
        matrix = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]])
        count = int(200 * factor)
        small = warp_image(ramp, matrix, (count, count))
        wanted = (np.arange(count) + 0.5) / factor - 0.5
        assert np.abs(small[count // 2] - wanted)[2:-2].max() < 0.1


def test_thumbnail_shows_the_face() -> None:
    frame = frame_from_rgb(astronaut())
    picture = face_thumbnail(frame, np.array([178, 67, 272, 178], np.float32), side=96)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    # skin in the middle
    red, _, blue = picture[48, 48].astype(int)
    assert red > blue + 20
