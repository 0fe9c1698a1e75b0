"""The detector on a bundled portrait: where faces are, how many, and that answers repeat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from lipsync.face.detect import (
    MediaPipeDetector,
    overlap,
    scale_faces,
    search_tiles,
    working_size,
)
from lipsync.types import Size

FACE = np.array([178, 67, 272, 178], np.float32)  # of the astronaut, by eye
CLIPS = Path(__file__).parents[1] / ".." / "shared" / "clips"


@pytest.fixture(scope="module")
def shared_detector() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector()
    yield detector
    detector.close()


@pytest.fixture
def detector(shared_detector: MediaPipeDetector) -> MediaPipeDetector:
    shared_detector.reset()
    return shared_detector


def test_portrait(detector: MediaPipeDetector) -> None:
    (face,) = detector.detect(astronaut())
    assert overlap(face.box, FACE) > 0.85
    assert face.landmarks.shape == (478, 3) == (detector.num_points, 3)
    assert face.landmarks.dtype == face.box.dtype == np.float32
    assert 0.5 <= face.score <= 1.0
    # the person's right eye is left in the picture; the nose is nearer than the eye corners
    assert face.landmarks[33, 0] < face.landmarks[1, 0] < face.landmarks[263, 0]
    assert face.landmarks[1, 2] < face.landmarks[33, 2]
    assert np.allclose(face.landmarks[[61, 291], 1], 143, atol=6)  # mouth corners, by eye


def test_same_frames_same_answer(detector: MediaPipeDetector) -> None:
    image = astronaut()
    frames = [np.roll(image, shift, axis=1) for shift in range(0, 45, 3)]
    first = [detector.detect(frame) for frame in frames]
    detector.reset()
    second = [detector.detect(frame) for frame in frames]
    for one, other in zip(first, second, strict=True):
        assert len(one) == len(other) == 1
        assert np.array_equal(one[0].landmarks, other[0].landmarks)
    moved = first[-1][0].box - first[0][0].box
    assert np.allclose(moved, [42, 0, 42, 0], atol=3)


def test_two_people_left_to_right(detector: MediaPipeDetector) -> None:
    image = astronaut()
    small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    pair = np.full((512, 512 + small.shape[1], 3), 128, np.uint8)
    pair[-small.shape[0] :, : small.shape[1]] = small
    pair[:, small.shape[1] :] = image
    for _ in range(3):
        left, right = detector.detect(pair)
        assert left.box[2] < right.box[0]
        assert (left.box[2] - left.box[0]) == pytest.approx(56, abs=5)
        assert (right.box[2] - right.box[0]) == pytest.approx(93, abs=6)


def test_someone_who_walks_in_is_found_within_half_a_second(detector: MediaPipeDetector) -> None:
    image = astronaut()
    alone = np.hstack([image, np.full_like(image, 128)])
    together = np.hstack([image, image])
    assert len(detector.detect(alone)) == 1
    counts = [len(detector.detect(together)) for _ in range(12)]
    assert counts[-1] == 2


def test_no_more_than_asked_for() -> None:
    detector = MediaPipeDetector(max_faces=1)
    image = astronaut()
    large = cv2.resize(image, None, fx=1.5, fy=1.5)
    pair = np.full((768, 512 + 768, 3), 128, np.uint8)
    pair[:512, :512], pair[:, 512:] = image, large
    (face,) = detector.detect(pair)
    assert face.box[0] > 512  # the larger one
    detector.close()


@pytest.mark.parametrize("share", [0.4, 0.55])
def test_small_face_in_a_large_frame(detector: MediaPipeDetector, share: float) -> None:
    size = Size(1080, 1920)
    picture = cv2.resize(astronaut(), None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    frame = np.full((*size, 3), 90, np.uint8)
    frame[-picture.shape[0] :, 700 : 700 + picture.shape[1]] = picture
    given = working_size(size)
    shrunk = cv2.resize(frame, (given.width, given.height), interpolation=cv2.INTER_AREA)
    (face,) = scale_faces(detector.detect(shrunk), given, size)
    wanted = FACE * share + np.tile([700, 1080 - picture.shape[0]], 2)
    assert overlap(face.box, wanted) > 0.7


def test_face_that_fills_the_picture(detector: MediaPipeDetector) -> None:
    close = cv2.resize(astronaut()[70:176, 172:278], (540, 540), interpolation=cv2.INTER_CUBIC)
    (face,) = detector.detect(close)
    assert face.box[2] - face.box[0] > 400


def test_nobody(detector: MediaPipeDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert detector.detect(noise) == []
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)) == []
    assert len(detector.detect(astronaut())) == 1
    assert detector.detect(noise) == []


def test_pictures_may_change_size(detector: MediaPipeDetector) -> None:
    image = astronaut()
    (large,) = detector.detect(image)
    shrunk = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)
    (small,) = scale_faces(detector.detect(shrunk), Size(256, 256), Size(512, 512))
    assert np.abs(small.landmarks - large.landmarks)[:, :2].mean() < 1.5


def test_working_size() -> None:
    assert working_size(Size(1080, 1920)) == Size(540, 960)
    assert working_size(Size(1920, 1080)) == Size(960, 540)
    assert working_size(Size(480, 640)) == Size(480, 640)
    assert working_size(Size(1080, 1920), face_width=400.0) == Size(540, 960)
    assert working_size(Size(1080, 1920), face_width=190.0) == Size(1080, 1920)
    assert working_size(Size(1080, 1920), face_width=60.0) == Size(1080, 1920)


def test_scaling_keeps_pixel_centres(detector: MediaPipeDetector) -> None:
    faces = detector.detect(astronaut())
    there = scale_faces(faces, Size(512, 512), Size(1024, 1024))
    assert there[0].box[0] == pytest.approx(2 * faces[0].box[0] + 0.5)
    back = scale_faces(there, Size(1024, 1024), Size(512, 512))
    assert np.allclose(back[0].landmarks, faces[0].landmarks, atol=1e-3)


@pytest.mark.parametrize("size", [Size(540, 960), Size(960, 540), Size(100, 700), Size(50, 40)])
def test_tiles_cover_the_picture_and_overlap(size: Size) -> None:
    covered = np.zeros(size, int)
    for left, top, right, bottom in search_tiles(size):
        assert 0 <= left < right <= size.width
        assert 0 <= top < bottom <= size.height
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1


def test_start_up_is_silent_and_late() -> None:
    program = (
        "import sys, numpy\n"
        "from lipsync.face.detect import MediaPipeDetector\n"
        "assert 'mediapipe' not in sys.modules\n"
        "d = MediaPipeDetector()\n"
        "d.detect(numpy.zeros((64, 64, 3), numpy.uint8)); d.close()\n"
        "print('mine', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stderr.strip() == "mine"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/clips are not here")
def test_never_loses_a_talking_head(detector: MediaPipeDetector) -> None:
    video = cv2.VideoCapture(str(CLIPS / "st_aoc.mp4"))
    for _ in range(60):
        is_read, frame = video.read()
        assert is_read
        assert len(detector.detect(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))) == 1
    video.release()
