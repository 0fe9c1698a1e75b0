"""Finding faces and 106 landmarks of each with two networks of InsightFace's buffalo_l pack.

SCRFD (`det_10g.onnx`) finds the faces in the whole picture, `2d106det.onnx` the points of each.
Both are run by onnxruntime, with the decoding here: the insightface package would bring a second
OpenCV (opencv-python) over the one MediaPipe needs, and onnx, for what is a hundred lines. SCRFD is
published with its decoding: https://github.com/deepinsight/insightface/tree/master/detection/scrfd
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from lipsync.errors import InputError
from lipsync.face.boxes import keep_apart
from lipsync.media.view import Picture
from lipsync.onnx_session import open_session, session_errors
from lipsync.types import Face

POINTS = 106
PACK = "insightface-buffalo-l"  # key of the weight table
FINDER_FILE, POINTER_FILE = "det_10g.onnx", "2d106det.onnx"
SIDE = 512  # px, of the square in which faces are looked for
MIN_SCORE = 0.5

_STRIDES = (8, 16, 32)  # px between the places of the three grids
_PER_PLACE = 2  # boxes that each place proposes
_MAX_OVERLAP = 0.4  # of two boxes that are two faces
_CROP_SIDE = 192  # px, of the square that the points are looked for in
_CROP_ROOM = 1.5  # its side over the longer side of the face's box
_FINDER_SHAPES = tuple(
    (_PER_PLACE * (SIDE // stride) ** 2, width)
    for width in (1, 4, 10)  # scores, boxes, and five points that nobody needs
    for stride in _STRIDES
)

# what the published program takes for a face worth its while
_PUBLISHED_WIDTH, _PUBLISHED_HEIGHT = 50, 80  # px
_PUBLISHED_RATIOS = (0.2, 1.5)  # width over height


class InsightFaceDetector:
    """Find up to `max_faces` faces per picture, the largest ones, with 106 landmarks each.

    Every picture is searched as a whole and on its own: nothing is remembered from one to the next.
    Landmarks have no depth: their z is 0. Use it from one thread at a time.
    """

    num_points = POINTS

    def __init__(self, folder: Path, max_faces: int = 4) -> None:
        """Open the two networks in `folder`, which is where the model store has `PACK`.

        Raises `InputError` for a file that is missing, damaged or another network.
        """
        self._max_faces = max_faces
        self._finder = _Network(folder / FINDER_FILE, (1, 3, SIDE, SIDE), _FINDER_SHAPES)
        self._pointer = _Network(
            folder / POINTER_FILE, (1, 3, _CROP_SIDE, _CROP_SIDE), ((1, 2 * POINTS),)
        )

    def detect(self, image: Picture) -> list[Face]:
        """Return the faces of one (H, W, 3) uint8 RGB picture in its px, sorted left to right."""
        height, width = image.shape[:2]
        pixels = np.ascontiguousarray(image[0:height, 0:width])
        found = self._find(pixels)
        found.sort(key=lambda one: -float(np.prod(one[0][2:] - one[0][:2])))
        faces = [
            Face(box=box, landmarks=self._point(pixels, box), score=score)
            for box, score in found[: self._max_faces]
        ]
        return sorted(faces, key=lambda face: float(face.box[0] + face.box[2]))

    def reset(self) -> None:
        """Do nothing: no picture depends on the one before."""

    def close(self) -> None:
        """Free both networks; the detector cannot be used afterwards."""
        del self._finder, self._pointer

    def _find(self, pixels: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Return the (4,) float32 px box and the score of each face, best first."""
        height, width = pixels.shape[:2]
        if height > width:
            size = max(1, int(SIDE * width / height)), SIDE
        else:
            size = SIDE, max(1, int(SIDE * height / width))
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        square[: size[1], : size[0]] = cv2.resize(pixels, size)
        planes = (square.astype(np.float32) - 127.5) / 128.0
        boxes, scores = decode_boxes(self._finder.run(planes.transpose(2, 0, 1)[None]))
        boxes *= np.float32(height / size[1])
        kept = keep_apart(boxes, scores, _MAX_OVERLAP)
        return [(boxes[row], float(scores[row])) for row in kept]

    def _point(self, pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Return the (106, 3) float32 px landmarks of the face in `box`."""
        centre = (box[:2] + box[2:]) / 2
        scale = _CROP_SIDE / max(_CROP_ROOM * float((box[2:] - box[:2]).max()), 1.0)
        shift = _CROP_SIDE / 2 - centre * scale
        matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        crop = cv2.warpAffine(pixels, matrix, (_CROP_SIDE, _CROP_SIDE))
        (answer,) = self._pointer.run(crop.astype(np.float32).transpose(2, 0, 1)[None])
        in_crop = (answer.reshape(POINTS, 2) + 1.0) * (_CROP_SIDE / 2)  # it answers in [-1, 1]
        landmarks = np.zeros((POINTS, 3), np.float32)
        landmarks[:, :2] = (in_crop - shift) / scale
        return landmarks


def decode_boxes(answers: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 4) float32 boxes in px of the searched square and their (N,) scores.

    `answers` are SCRFD's nine: for each stride the scores (n, 1), then for each the distances
    (n, 4) from a place to the box's left, top, right and bottom edge in strides, then points.
    Only boxes of at least `MIN_SCORE` are returned, overlapping ones too.
    """
    boxes, scores = [], []
    for level, stride in enumerate(_STRIDES):
        score = answers[level][:, 0]
        sure = np.flatnonzero(score >= MIN_SCORE)
        distances = answers[level + len(_STRIDES)][sure] * np.float32(stride)
        places = _places(stride)[sure]
        boxes.append(np.concatenate([places - distances[:, :2], places + distances[:, 2:]], axis=1))
        scores.append(score[sure])
    return np.concatenate(boxes), np.concatenate(scores)


def published_choice(faces: Iterable[Face]) -> Face | None:
    """Return the face that the published LatentSync takes of one frame's, None if it takes none.

    The largest by area in whole px, of those at least 50 px wide and 80 px high, 0.2 to 1.5 times
    as wide as high, with a score of at least 0.5. For `compat` results; the program's own choice
    is `face.track.choose_face`, which looks at the whole clip.
    """
    chosen, most = None, 0
    for face in faces:
        left, top, right, bottom = face.box.astype(int).tolist()  # towards zero, as published
        width, height = right - left, bottom - top
        is_large = width >= _PUBLISHED_WIDTH and height >= _PUBLISHED_HEIGHT
        if not is_large or not _PUBLISHED_RATIOS[0] <= width / height <= _PUBLISHED_RATIOS[1]:
            continue
        if face.score >= MIN_SCORE and width * height > most:
            chosen, most = face, width * height
    return chosen


@cache
def _places(stride: int) -> np.ndarray:
    """Return (n, 2) float32 px: where the boxes of one grid are proposed, row by row."""
    line = np.arange(0, SIDE, stride, dtype=np.float32)
    down, across = np.meshgrid(line, line, indexing="ij")
    return np.repeat(np.stack([across.ravel(), down.ravel()], axis=1), _PER_PLACE, axis=0)


class _Network:
    """A network in a local file, tried once before it is trusted."""

    def __init__(
        self, path: Path, wanted: tuple[int, ...], answered: tuple[tuple[int, ...], ...]
    ) -> None:
        """`wanted` is the shape of its one input, `answered` the shapes of its outputs."""
        if not path.is_file():
            raise InputError(_not_the_pack(path, "is missing"))
        try:
            self._session = open_session(path)
        except session_errors() as error:
            raise InputError(_not_the_pack(path, "is damaged")) from error
        inputs = self._session.get_inputs()
        self._input = inputs[0].name
        unfit: tuple[type[Exception], ...] = (*session_errors(), ValueError)  # it wants more inputs
        try:
            shapes = tuple(answer.shape for answer in self.run(np.zeros(wanted, np.float32)))
        except unfit as error:
            raise InputError(_not_the_pack(path, "is another network")) from error
        if shapes != answered:
            raise InputError(_not_the_pack(path, "is another network"))

    def run(self, planes: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for one float32 input."""
        answers: list[np.ndarray] = self._session.run(None, {self._input: planes})
        return answers


def _not_the_pack(path: Path, found: str) -> str:
    return (
        f"{path} {found}; fetch InsightFace's pack anew with "
        "`python -m lipsync models pull insightface-buffalo-l`, or put its own file there."
    )
