"""Finding faces and their mesh in single pictures, frame after frame.

`MediaPipeDetector` runs two small networks that ship inside the mediapipe wheel: a detector that
looks at the whole picture (only now and then) and the 478-point mesh (once per known face and
frame, on the place where the face was a frame ago). Where each face is looked for next is plain
state of the object, so the same frames give the same answer. This module knows nothing of tracks,
cuts or videos.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lipsync.media.view import Picture
from lipsync.types import Face, Size

MESH_POINTS = 478
EYE_CORNERS = (33, 263)  # outer corners, the person's right and left
WORKING_LONG_SIDE = 1280  # px
WORKING_FACE_WIDTH = 100  # px; below this the mesh gets visibly noisier
ROI_SCALE = 1.5  # the mesh network was trained on the face's box enlarged by this
MIN_SCORE = 0.5
SEARCH_EVERY = 12  # frames between two looks at the whole picture while a face is being followed
TILE_SHARE = 2 / 3  # side of a search tile over the short side of the picture
TILE_MIN = 256  # px

_CHATTER = re.compile(
    rb"^([WIE]\d{4} |INFO: Created TensorFlow Lite|WARNING: All log messages before absl)"
)
_MESH_GRAPH = """
input_stream: "image"
input_stream: "roi"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""
_SCORE_STREAM = "facelandmarkcpu__face_presence_score"
_stderr_lock = threading.Lock()


class Detector(Protocol):
    """What finds faces: MediaPipe today, others by the same three calls."""

    num_points: int  # landmarks per face

    def detect(self, image: Picture) -> list[Face]:
        """Return the faces of one (H, W, 3) uint8 RGB picture in its px, sorted left to right."""
        ...

    def reset(self) -> None:
        """Forget where faces were; call it before the first frame of a new shot."""
        ...

    def close(self) -> None:
        """Free the networks."""
        ...


@dataclass(frozen=True)
class Region:
    """A rotated square in shares of the picture, where the mesh is looked for."""

    x: float  # centre over width
    y: float  # centre over height
    side: float  # over width
    angle: float  # rad, clockwise on the screen


def working_size(size: Size, face_width: float | None = None) -> Size:
    """Return the size at which a frame of `size` is best given to a detector, never larger.

    `face_width` is the width in frame px of the smallest face seen so far that matters (None: not
    known yet). The frame is shrunk to a half, a quarter … (area averaging by other ratios costs
    forty times as much) until its long side is at most 1280 px or that face would be under 100 px
    wide. Pass the smallest width so far, not the last one: the size then settles.
    """
    shrink = 1
    while max(size) / shrink > WORKING_LONG_SIDE:
        if face_width is not None and face_width / (2 * shrink) < WORKING_FACE_WIDTH:
            break
        shrink *= 2
    return Size(max(2, size.height // shrink), max(2, size.width // shrink))


def scale_faces(faces: list[Face], found_in: Size, wanted_in: Size) -> list[Face]:
    """Return `faces` found in a picture of one size in px of the same picture at another size."""
    factor = np.array(
        [wanted_in.width / found_in.width, wanted_in.height / found_in.height], np.float32
    )
    shift = (factor - 1.0) / 2.0  # pixel centres lie at integers in both pictures
    scale3 = np.array([*factor, factor[0]], np.float32)
    shift3 = np.array([*shift, 0.0], np.float32)
    return [
        Face(
            box=face.box * np.tile(factor, 2) + np.tile(shift, 2),
            landmarks=face.landmarks * scale3 + shift3,
            score=face.score,
        )
        for face in faces
    ]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union of two (4,) boxes, in [0, 1]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (areas[0] + areas[1] - width * height))


class MediaPipeDetector:
    """Follow up to `max_faces` faces with MediaPipe's 478-point mesh.

    The whole picture is searched on the first frame after a reset (then in overlapping tiles and
    with a margin too, for small and huge faces), whenever a known face is lost, and every twelfth
    frame for people who walk in. Every other frame costs one run of the mesh per known face.
    """

    num_points = MESH_POINTS

    def __init__(self, max_faces: int = 4) -> None:
        self._max_faces = max_faces
        self._regions: list[Region] = []
        self._since_search = SEARCH_EVERY
        self._since_tiles = SEARCH_EVERY
        with _quiet_start():
            self._mesh = _open_mesh()
            self._finder = _open_finder()
            # the networks log once more when they first run
            black = np.zeros((64, 64, 3), np.uint8)
            self._finder.process(black)
            self._read_mesh(black, Region(0.5, 0.5, 1.0, 0.0))

    def detect(self, image: Picture) -> list[Face]:
        """Return the faces of one (H, W, 3) uint8 RGB picture in its px, sorted left to right.

        Pictures may change size between calls as long as they show the same view.
        """
        faces: list[Face] = []
        for region in self._regions:
            face = self._read_mesh(image, region)
            if face is not None and _is_new(face, faces):
                faces.append(face)
        lost = len(faces) < len(self._regions) or not faces
        self._since_search += 1
        self._since_tiles += 1
        if lost or self._since_search >= SEARCH_EVERY:
            # tiles are dear: at the start of a shot, and at intervals while nobody is in sight
            tiled = not faces and self._since_tiles >= SEARCH_EVERY
            faces += self._find_others(image, faces, tiled)
        self._regions = [_region_of(face.landmarks, image.shape) for face in faces]
        return sorted(faces, key=lambda face: float(face.box[0] + face.box[2]))

    def reset(self) -> None:
        """Forget where faces were; the next frame is searched as a whole and in tiles."""
        self._regions = []
        self._since_search = self._since_tiles = SEARCH_EVERY

    def close(self) -> None:
        """Free both networks; the detector cannot be used afterwards."""
        self._mesh.close()
        self._finder.close()

    def _find_others(self, image: Picture, known: list[Face], tiled: bool) -> list[Face]:
        self._since_search = 0
        height, width = image.shape[:2]
        windows = [(0, 0, width, height)]
        if tiled:
            self._since_tiles = 0
            # the finder overlooks faces that fill the picture, so show it one with a wide margin
            windows.append((-width // 2, -height // 2, width + width // 2, height + height // 2))
            windows += search_tiles(Size(height, width))
        found = [item for window in windows for item in self._find_boxes(image, window)]
        # largest first: half a face cut off by a tile's edge is found as a smaller one
        found.sort(key=lambda item: -float(item[0][2] - item[0][0]))
        fresh: list[Face] = []
        for box, region in found:
            if len(known) + len(fresh) >= self._max_faces:
                break
            if any(_same_place(box, face.box) > 0.3 for face in [*known, *fresh]):
                continue
            face = self._read_mesh(image, region)
            if face is not None:
                # a second look from the mesh's own place: the next frames will look from there
                face = self._read_mesh(image, _region_of(face.landmarks, image.shape))
            if (
                face is not None
                and _same_place(box, face.box) > 0.3
                and _is_new(face, known + fresh)
            ):
                fresh.append(face)
        return fresh

    def _find_boxes(
        self, image: Picture, window: tuple[int, int, int, int]
    ) -> Iterator[tuple[np.ndarray, Region]]:
        left, top, right, bottom = window
        answer = self._finder.process(_cut_out(image, window))
        size = np.array([right - left, bottom - top], np.float32)
        corner = np.array([left, top], np.float32)
        for detection in answer.detections or []:
            place = detection.location_data
            start = np.array([place.relative_bounding_box.xmin, place.relative_bounding_box.ymin])
            extent = np.array(
                [place.relative_bounding_box.width, place.relative_bounding_box.height]
            )
            box = np.concatenate([start * size + corner, (start + extent) * size + corner])
            eyes = [np.array([eye.x, eye.y]) * size for eye in place.relative_keypoints[:2]]
            yield box.astype(np.float32), _region(box, eyes[1] - eyes[0], image.shape)

    def _read_mesh(self, image: Picture, region: Region) -> Face | None:
        """Run the mesh on one region, handing over only the pixels it can see."""
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect

        height, width = image.shape[:2]
        side = region.side * width
        centre = np.array([region.x * width, region.y * height])
        reach = side / 2 * (abs(np.cos(region.angle)) + abs(np.sin(region.angle))) + 2
        left, top = np.maximum(np.floor(centre - reach), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(centre + reach), [width, height]).astype(int).tolist()
        if right - left < 8 or bottom - top < 8:
            return None
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        place = NormalizedRect(
            x_center=(centre[0] - left) / (right - left),
            y_center=(centre[1] - top) / (bottom - top),
            width=side / (right - left),
            height=side / (bottom - top),
            rotation=region.angle,
        )
        answer = self._mesh.process({"image": crop, "roi": place})
        if answer.landmarks is None:
            return None
        points = np.array([(p.x, p.y, p.z) for p in answer.landmarks.landmark], np.float32)
        points *= np.array([right - left, bottom - top, right - left], np.float32)
        points += np.array([left, top, 0.0], np.float32)
        box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        if not _is_plausible(points, box, image.shape):
            return None
        return Face(box=box, landmarks=points, score=float(getattr(answer, _SCORE_STREAM)))


def search_tiles(size: Size) -> list[tuple[int, int, int, int]]:
    """Return overlapping squares (left, top, right, bottom) that cover a picture."""
    side = min(max(TILE_MIN, round(min(size) * TILE_SHARE)), min(size))
    starts = []
    for length in (size.width, size.height):
        # neighbours share a quarter, so that a small face is whole in one of them
        count = 1 if length <= side else 1 + int(np.ceil((length - side) / (0.75 * side)))
        starts.append(np.rint(np.linspace(0, length - side, count)).astype(int).tolist())
    return [(x, y, x + side, y + side) for y in starts[1] for x in starts[0]]


def _cut_out(image: Picture, window: tuple[int, int, int, int]) -> np.ndarray:
    """Return the part of `image` inside `window`, grey where that lies outside the picture."""
    left, top, right, bottom = window
    part = image[max(top, 0) : bottom, max(left, 0) : right]
    if part.shape[:2] == (bottom - top, right - left):
        return np.ascontiguousarray(part)
    grown = np.full((bottom - top, right - left, 3), 128, np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    grown[y : y + part.shape[0], x : x + part.shape[1]] = part
    return grown


def _region_of(landmarks: np.ndarray, shape: tuple[int, ...]) -> Region:
    box = np.concatenate([landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)])
    right, left = landmarks[EYE_CORNERS[0], :2], landmarks[EYE_CORNERS[1], :2]
    return _region(box, left - right, shape)


def _region(box: np.ndarray, eye_line: np.ndarray, shape: tuple[int, ...]) -> Region:
    height, width = shape[:2]
    return Region(
        x=float(box[0] + box[2]) / 2 / width,
        y=float(box[1] + box[3]) / 2 / height,
        side=ROI_SCALE * float(max(box[2] - box[0], box[3] - box[1])) / width,
        angle=float(np.arctan2(eye_line[1], eye_line[0])),
    )


def _same_place(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far the smaller of two boxes lies within the other, in [0, 1]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(width * height / max(smaller, 1e-6))


def _is_new(face: Face, others: list[Face]) -> bool:
    return all(overlap(face.box, other.box) < 0.4 for other in others)


def _is_plausible(points: np.ndarray, box: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Tell whether a mesh is a face at all: the network answers something on any picture."""
    width, height = box[2] - box[0], box[3] - box[1]
    if width < 8 or height < 8 or not np.isfinite(points).all():
        return False
    inside_x = min(box[2], shape[1]) - max(box[0], 0)
    inside_y = min(box[3], shape[0]) - max(box[1], 0)
    return bool(inside_x > 0.4 * width and inside_y > 0.4 * height)


def _open_mesh() -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.python.solution_base import PacketDataType, SolutionBase

    graph = calculator_pb2.CalculatorGraphConfig()
    text_format.Parse(_MESH_GRAPH, graph)
    return SolutionBase(
        graph_config=graph,
        side_inputs={"with_attention": True},
        outputs=["landmarks", _SCORE_STREAM],
        stream_type_hints={_SCORE_STREAM: PacketDataType.FLOAT},
    )


def _open_finder() -> Any:
    from mediapipe.python.solutions.face_detection import FaceDetection

    return FaceDetection(min_detection_confidence=MIN_SCORE, model_selection=1)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Drop the start-up messages the networks write to file descriptor 2; keep all others."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if line.strip() and not _CHATTER.match(line):
                    os.write(2, line)
