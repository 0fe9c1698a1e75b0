"""Where an engine's square crop lies in each frame, and the warp there.

An aligned template names anatomical anchors and where they belong; each frame gets the
similarity that brings them there, and the crop is then stretched to the square the network was
trained on. The stretch is the template's, not the frame's: a shape that followed every frame would
tremble with the lips. Templates without places only move, by whole, even pixels, so that crop and
paste back lose nothing, not even chroma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from lipsync.face.anchors import ANCHORS, Groups, mean_points
from lipsync.face.detect import EYE_CORNERS, MESH_POINTS
from lipsync.face.smooth import smooth_track
from lipsync.media.colour import rgb_image
from lipsync.types import Alignment, FaceTrack, Frame, Rect

MOUTH = (61, 291, 0, 17)  # corners, middle of upper and lower lip
OUTER = ((127,), (356,), (10,), (152,))  # temples, picture left first, forehead, chin
BOX_MARGIN = 52  # px
ANCHOR_SIGMA = 1.0  # frames; takes the mesh's tremor out of the crop, not the head's motion


@dataclass(frozen=True)
class Template:
    """What a crop shows. `places` empty = only whole, even pixels are moved."""

    name: str
    mask: str  # key of face.mask.OUTLINES: what is replaced where the engine gives no mask
    anchors: Mapping[int, Groups]  # landmarks per face -> groups of them, each averaged to a point
    places: tuple[tuple[float, float], ...] = ()  # (x, y) of each anchor in template units
    extent: tuple[float, float] = (1.0, 1.0)  # width and height of the crop in template units
    reach: float = 0.0  # native only: half the side in IOD, the 3-D distance of the eye corners
    margin: int = 0  # box only: px around all places where the face's box is


TEMPLATES = {
    # three quarters as wide as high, then stretched to the square the network was trained on
    "latentsync": Template(
        name="latentsync",
        mask="lower_face",
        anchors=ANCHORS,
        places=((17.0, 20.0), (58.0, 20.0), (37.5, 40.0)),
        extent=(75.0, 100.0),
    ),
    # the mouth and 1.45 IOD around it: chin, cheeks and nose at any opening
    "native": Template(
        name="native", mask="mouth_and_chin", anchors={MESH_POINTS: (MOUTH,)}, reach=1.45
    ),
    # The box that S3FD sets, in units of the distance from the eyes to the mouth: as large as one
    # around the mesh's points and a twentieth of its height further up (see score.face_crop), with
    # the published 10 px below at the size that faces had in training, which takes in the chin. It
    # hangs on the ends of the face, as that box does: eyes and lips alone would let a smile, or a
    # long chin, out of it.
    "wav2lip": Template(
        name="wav2lip",
        mask="lower_half",
        anchors={MESH_POINTS: OUTER},
        places=((0.01, 1.08), (2.04, 1.08), (1.025, 0.12), (1.025, 2.66)),
        extent=(2.05, 2.80),
    ),
    # a whole run's boxes and what is around them, at one place: for those who cut by boxes
    "box": Template(
        name="box", mask="lower_half", anchors=dict.fromkeys(ANCHORS, ()), margin=BOX_MARGIN
    ),
}


def align_track(
    track: FaceTrack, rows: slice, template: Template, size: int | None = None
) -> Alignment:
    """Return the crop's place in each row of `rows`, one run of rows in which the face is present.

    `size` is the crop's side S in px; templates without places take None and choose the even S that
    covers the face in every row. Matrices are (n, 2, 3) float32, frame px -> crop px. Raises
    ValueError where the template knows no anchors among the track's landmarks.
    """
    first, last, _ = rows.indices(len(track.present))
    assert last > first, "no rows"
    assert track.present[first:last].all(), "the face is absent in some of the rows"
    rows = slice(first, last)
    count = track.landmarks.num_points
    if count not in template.anchors:
        raise ValueError(f"the {template.name} template has no anchors among {count} landmarks")
    if template.margin:
        assert size is None
        return _align_boxes(track.boxes[rows], template.margin)
    anchors = smooth_track(
        _AnchorRows(track, template.anchors[count]), track.present, track.shots, ANCHOR_SIGMA, rows
    )
    if template.places:
        assert size is not None
        matrices = fit_similarities(anchors, _template_px(template, size))
        return Alignment(_stretched(matrices, template), size)
    assert size is None
    side = 2 * int(np.ceil(template.reach * float(_eye_distance(track, rows).max())))
    return _moved_to(2 * np.rint((anchors[:, 0] - side / 2) / 2), side)


def fit_similarities(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (n, 2, 3) float32 similarities that carry (n, P, 2) `points` onto (P, 2) `target`.

    Procrustes: the best rotation for centred, equally large point sets; the scale is the ratio of
    their standard deviations; never a reflection.
    """
    source, goal = points.astype(np.float32), target.astype(np.float32)
    source_centre, goal_centre = source.mean(axis=1), goal.mean(axis=0)
    source, goal = source - source_centre[:, None], goal - goal_centre
    source_spread = np.sqrt((source**2).sum(axis=(1, 2)))
    goal_spread = np.sqrt((goal**2).sum())
    left, _, right = np.linalg.svd(np.einsum("npi,pj->nij", source, goal))
    turn = np.ones((len(source), 2), np.float32)
    turn[:, 1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    # rotation V D U^T for the covariance U S V^T
    rotation = np.einsum("nki,nk,njk->nij", right, turn, left)
    linear = rotation * (goal_spread / source_spread)[:, None, None]
    shift = goal_centre - np.einsum("nij,nj->ni", linear, source_centre)
    return np.concatenate([linear, shift[:, :, None]], axis=2).astype(np.float32)


def to_crop_points(landmarks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return (..., L, 2 or 3) frame px as float32 crop px; depth is scaled like the picture."""
    points = landmarks[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    if landmarks.shape[-1] == 2:
        return points.astype(np.float32)
    depth = landmarks[..., 2:] * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.concatenate([points, depth], axis=-1).astype(np.float32)


def even_offset(matrix: np.ndarray) -> tuple[int, int] | None:
    """Return (left, top) of the crop if a (2, 3) matrix only moves by whole, even px, else None."""
    if not np.array_equal(matrix[:, :2], np.eye(2)):
        return None
    left, top = (-matrix[:, 2]).tolist()
    if left % 2 or top % 2:
        return None
    return int(left), int(top)


def crop_face(frame: Frame, matrix: np.ndarray, size: int) -> np.ndarray:
    """Return the (S, S, 3) uint8 RGB crop at a (2, 3) matrix; outside, the frame's edge repeats.

    A matrix of whole, even px gives the frame's own pixels; any other one is resampled, averaging
    areas where the crop is smaller than what it shows.
    """
    offset = even_offset(matrix)
    if offset is not None:
        left, top = offset
        wanted = Rect(left, top, left + size, top + size)
        inside = clip_rect(wanted, frame)
        return _extended(rgb_part(frame, inside), inside, wanted)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float32)
    inverse = cv2.invertAffineTransform(matrix)
    seen = corners @ inverse[:, :2].T + inverse[:, 2]
    low, high = np.floor(seen.min(axis=0)) - 3, np.ceil(seen.max(axis=0)) + 4
    inside = clip_rect(Rect(*low.astype(int).tolist(), *high.astype(int).tolist()), frame)
    return warp_image(rgb_image(frame, rect=inside), moved_origin(matrix, inside), (size, size))


def rgb_part(frame: Frame, rect: Rect) -> np.ndarray:
    """Return the (h, w, 3) uint8 RGB pixels in `rect` as the whole frame's picture has them.

    Chroma is interpolated, so a rectangle converted alone differs along its edges.
    """
    height, width = frame.size
    left, top = max(rect.left - 2, 0), max(rect.top - 2, 0)
    grown = Rect(left, top, min(rect.right + 2, width), min(rect.bottom + 2, height))
    image = rgb_image(frame, rect=grown)
    return image[rect.top - top : rect.bottom - top, rect.left - left : rect.right - left]


def clip_rect(rect: Rect, frame: Frame) -> Rect:
    """Return the part of `rect` inside the frame, grown to even px and at least one 2 × 2 block."""
    height, width = frame.size
    left = min(max(rect.left, 0), width - 2) & ~1
    top = min(max(rect.top, 0), height - 2) & ~1
    right = max(min(rect.right + 1 & ~1, width), left + 2)
    bottom = max(min(rect.bottom + 1 & ~1, height), top + 2)
    return Rect(left, top, right, bottom)


def moved_origin(matrix: np.ndarray, rect: Rect) -> np.ndarray:
    """Return the matrix for px counted from the corner of `rect` instead of the frame's."""
    moved = matrix.astype(np.float64)
    moved[:, 2] += moved[:, :2] @ np.array([rect.left, rect.top], np.float64)
    return moved


def warp_image(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], outside: float | None = None
) -> np.ndarray:
    """Return `image` (h, w[, 3]) warped by a (2, 3) matrix to `size` (height, width), same dtype.

    Where the matrix shrinks, the result is computed finer and averaged, so that fine structure does
    not shimmer. Beyond the image its border is repeated, or `outside` is filled in.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    finer = min(max(1, int(np.ceil(1.0 / scale - 0.05))), 8)
    fine = np.array(matrix, np.float64) * finer
    fine[:, 2] += (finer - 1) / 2  # pixel centres lie at integers at both resolutions
    warped = cv2.warpAffine(
        image,
        fine,
        (size[1] * finer, size[0] * finer),
        flags=cv2.INTER_LINEAR if outside is not None or scale < 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT,
        borderValue=[outside or 0.0] * 3,
    )
    if finer == 1:
        return warped
    return cv2.resize(warped, (size[1], size[0]), interpolation=cv2.INTER_AREA)


class _AnchorRows:
    """The anchors of a track as rows, (n, A, 2), computed for the rows asked for only."""

    def __init__(self, track: FaceTrack, groups: Groups) -> None:
        self._track = track
        self._groups = groups

    def __len__(self) -> int:
        return len(self._track.present)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return mean_points(self._track.landmarks[rows], self._groups)


def _eye_distance(track: FaceTrack, rows: slice) -> np.ndarray:
    """Return (n,) IOD in px, in pieces so that a long run is never unpacked as a whole."""
    pieces = []
    for start in range(rows.start, rows.stop, 256):
        points = track.landmarks[start : min(start + 256, rows.stop)]
        pieces.append(np.linalg.norm(points[:, EYE_CORNERS[0]] - points[:, EYE_CORNERS[1]], axis=1))
    return np.concatenate(pieces)


def _align_boxes(boxes: np.ndarray, margin: int) -> Alignment:
    """Return the one square that holds all of (n, 4) `boxes` and `margin` px around each."""
    low, high = boxes[:, :2].min(axis=0) - margin, boxes[:, 2:].max(axis=0) + margin
    corner = 2 * np.floor(low / 2)
    side = 2 * int(np.ceil((high - corner).max() / 2))
    return _moved_to(np.tile(corner, (len(boxes), 1)), side)


def _moved_to(corners: np.ndarray, side: int) -> Alignment:
    """Return native crops of `side` px whose first px are the frame's at (n, 2) `corners`, even."""
    matrices = np.zeros((len(corners), 2, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1.0
    matrices[:, :, 2] = -corners
    return Alignment(matrices, side)


def _template_px(template: Template, size: int) -> np.ndarray:
    """Return the anchors' places in px of the unstretched crop, whose height is `size`."""
    unit = size / template.extent[1]
    return np.array(template.places, np.float32) * np.float32(unit)


def _stretched(matrices: np.ndarray, template: Template) -> np.ndarray:
    """Widen the unstretched crop to a square, edges on edges (pixel centres lie at integers)."""
    factor = template.extent[1] / template.extent[0]
    wide = matrices.copy()
    wide[:, 0] *= factor
    wide[:, 0, 2] += (factor - 1) / 2
    return wide


def _extended(image: np.ndarray, inside: Rect, wanted: Rect) -> np.ndarray:
    """Grow an image of `inside` to `wanted`, repeating its border; also where they do not meet."""
    if inside == wanted:
        return np.ascontiguousarray(image)
    above, beneath = inside.top - wanted.top, wanted.bottom - inside.bottom
    before, behind = inside.left - wanted.left, wanted.right - inside.right
    if min(above, beneath, before, behind) >= 0:
        return cv2.copyMakeBorder(image, above, beneath, before, behind, cv2.BORDER_REPLICATE)
    columns = np.clip(np.arange(wanted.left, wanted.right) - inside.left, 0, image.shape[1] - 1)
    rows = np.clip(np.arange(wanted.top, wanted.bottom) - inside.top, 0, image.shape[0] - 1)
    return np.ascontiguousarray(image[rows[:, None], columns[None, :]])
