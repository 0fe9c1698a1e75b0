"""Aligned faces of whole clips: where they lie, which frames have them, and in how much memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from insight_networks import write_pack

import lipsync
from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    reference_matrices,
    stretch_reference,
)
from lipsync.engines.latentsync.video import VideoProcessor
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES
from lipsync.face.anchors import face_anchors, rounded_anchors
from lipsync.face.detect import MediaPipeDetector
from lipsync.face.insight import InsightFaceDetector
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip

pytestmark = pytest.mark.slow  # each takes seconds

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
SIDE, MARK = 512, 24  # px, of the made picture and of the red square that the tiny networks see
START, STEP = (192, 256), 2  # px, where the square is at first, and how far it goes each frame
FilmMaker = Callable[..., Path]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> InsightFaceDetector:
    return InsightFaceDetector(write_pack(tmp_path_factory.mktemp("pack")))


@pytest.fixture(scope="module")
def film(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> FilmMaker:
    """A maker of films of a red square that goes right over grey, gone between two frames."""
    folder = tmp_path_factory.mktemp("films")

    def make(frames: int, gone: tuple[int, int] = (0, 0), step: int = STEP) -> Path:
        path = folder / f"{frames}-{gone[0]}-{gone[1]}-{step}.mp4"
        place = f"x='{START[0]}+{step}*n':y={START[1]}"
        seen = f"enable='not(between(n,{gone[0]},{gone[1] - 1}))'"
        graph = f"[0][1]overlay={place}:{seen},format=yuv444p"
        return ffmpeg(
            *("-f", "lavfi", "-i", f"color=0x606060:s={SIDE}x{SIDE}:r=25"),
            *("-f", "lavfi", "-i", f"color=red:s={MARK}x{MARK}:r=25", "-filter_complex", graph),
            *("-frames:v", frames, "-c:v", "libx264", "-qp", 0, "-preset", "ultrafast"),
            path,
        )

    return make


def places_at(resolution: int) -> np.ndarray:
    """Return (3, 2) px: where the anchors belong in an aligned picture of that side."""
    template = TEMPLATES["latentsync"]
    return np.array(template.places) / np.array(template.extent) * resolution


def test_it_is_found_at_the_front_door() -> None:
    assert lipsync.VideoProcessor is VideoProcessor


@pytest.mark.parametrize("resolution", [64, 256])
def test_the_anchors_come_to_the_template(
    film: FilmMaker, detector: InsightFaceDetector, resolution: int
) -> None:
    clip = probe_clip(film(12))
    faces = list(VideoProcessor(resolution, detector=detector).align_video(clip.path))
    assert [face.frame for face in faces] == list(range(12))
    places = places_at(resolution)
    for frame, face in zip(read_frames(clip), faces, strict=True):
        assert face.picture.shape == (resolution, resolution, 3)
        assert (face.picture.dtype, face.matrix.dtype) == (np.uint8, np.float32)
        (found,) = detector.detect(rgb_image(frame))
        seen = face_anchors(found.landmarks) @ face.matrix[:, :2].T + face.matrix[:, 2]
        # the made face has other proportions; its middle moves evenly but at both ends
        assert np.abs(seen - places).max() < 0.06 * resolution
        if 3 <= face.frame < 9:
            assert np.abs((seen - places).mean(axis=0)).max() < 0.01 * resolution


def test_frames_without_a_face_are_skipped(film: FilmMaker, detector: InsightFaceDetector) -> None:
    path = film(30, gone=(8, 20))
    processor = VideoProcessor(64, detector=detector)
    numbers = [face.frame for face in processor.align_video(path)]
    assert numbers == [*range(8), *range(20, 30)]
    pictures = list(processor.affine_transform_video(path))
    assert len(pictures) == 18


def test_compat_is_the_published_way(film: FilmMaker, detector: InsightFaceDetector) -> None:
    clip = probe_clip(film(12))
    template = ReferenceTemplate(64)
    images = [rgb_image(frame) for frame in read_frames(clip)]
    landmarks = np.stack([detector.detect(image)[0].landmarks for image in images])
    matrices = reference_matrices(rounded_anchors(landmarks), template)
    faces = list(VideoProcessor(64, detector=detector, compat=True).align_video(clip.path))
    assert len(faces) == 12
    for image, matrix, face in zip(images, matrices, faces, strict=True):
        assert np.array_equal(face.matrix, matrix)
        expected = stretch_reference(crop_reference(image, matrix, template), template)
        assert np.array_equal(face.picture, expected)


def test_compat_ends_where_a_face_is_missing(
    film: FilmMaker, detector: InsightFaceDetector
) -> None:
    path = film(30, gone=(8, 20))
    faces = VideoProcessor(64, detector=detector, compat=True).align_video(path)
    assert [face.frame for face in islice(faces, 8)] == list(range(8))
    with pytest.raises(InputError, match=f"Frame 8 of {path.name} shows no face"):
        next(faces)


@pytest.mark.parametrize("compat", [False, True])
def test_memory_does_not_grow_with_the_clip(
    film: FilmMaker, detector: InsightFaceDetector, compat: bool
) -> None:
    def peak(frames: int) -> int:
        faces = VideoProcessor(64, detector=detector, compat=compat).affine_transform_video(
            film(frames, step=0)
        )
        tracemalloc.start()
        count = sum(1 for _ in faces)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == frames
        return most

    peak(8)  # what is loaded once
    short, long = peak(20), peak(50)
    # 30 pictures more are 24 MB; landmarks and matrices of 30 frames are under 50 kB
    assert long - short < 300_000


def test_a_clip_of_nobody_is_refused(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=s=128x96:r=25", "-frames:v", 5), tmp_path / "bars.mp4"
    )
    faces: Iterator[np.ndarray] = VideoProcessor(256).affine_transform_video(path)
    with pytest.raises(InputError, match="No face was found"):
        next(faces)
    with pytest.raises(InputError, match="nowhere"):
        next(VideoProcessor(256).affine_transform_video(tmp_path / "nowhere.mp4"))


@pytest.mark.parametrize("resolution", [0, 100, -8])
def test_a_resolution_without_latents_is_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match="no latents"):
        VideoProcessor(resolution)


def assert_a_face_in_place(pictures: list[np.ndarray]) -> None:
    """Find the face again in the aligned pictures: its anchors are where they belong."""
    detector = MediaPipeDetector(max_faces=1)
    seen = []
    for picture in pictures:
        detector.reset()
        seen += [face_anchors(face.landmarks) for face in detector.detect(picture)]
    detector.close()
    assert len(seen) == len(pictures)
    resolution = pictures[0].shape[0]
    assert np.abs(np.mean(seen, axis=0) - places_at(resolution)).max() < 0.06 * resolution


def test_a_portrait_with_a_gap(gap_clip: Path) -> None:
    faces = list(VideoProcessor(128, "cuda").align_video(gap_clip))
    numbers = [face.frame for face in faces]
    assert set(range(14)) | set(range(24, 40)) == set(numbers)
    assert_a_face_in_place([face.picture for face in faces[::10]])


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/clips are not here")
@pytest.mark.parametrize("compat", [False, True])
def test_a_real_clip(ffmpeg: Ffmpeg, tmp_path: Path, compat: bool) -> None:
    path = ffmpeg("-i", CLIPS / "vr_2.mp4", "-frames:v", 50, "-an", tmp_path / "cut.mp4")
    pictures = list(VideoProcessor(256, compat=compat).affine_transform_video(path))
    assert len(pictures) == probe_clip(path).num_frames
    assert_a_face_in_place(pictures[::10])
