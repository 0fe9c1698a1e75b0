"""Faces made of numbers: meshes with a known mouth and pose, tracks of them, and a painted picture.

Lengths are in IOD until a face is placed in a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from lipsync.assets import asset_path
from lipsync.face.align import TEMPLATES, align_track
from lipsync.face.mouth import mean_face, measure_canonical
from lipsync.landmarks import LandmarkStore
from lipsync.media.colour import rgb_image
from lipsync.types import Colour, Face, FaceTrack, Features, Frame, Reference, Scene, Size

REST_WIDTH = 0.557  # IOD, of the mean face
SIZE = 240  # px, side of a made picture
IOD_PX = 50.0
CENTRE = (120.0, 110.0)  # px, where the nose is
FPS = Fraction(25)


def faces_with(mouths: np.ndarray) -> np.ndarray:
    """Return canonical meshes (T, 478, 3) for mouths (T, 2) of about that opening and width."""
    with np.load(asset_path("mouth_shape.npz")) as stored:
        basis = stored["basis"]
    mouths = np.concatenate([measure_canonical(mean_face()[None])[:, :2], mouths])
    opening, width = mouths[:, 0], mouths[:, 1]
    moved = np.einsum("tk,klc->tlc", np.column_stack([opening, opening**2, width]), basis)
    return mean_face() + moved[1:] - moved[0]


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    """Return the (3, 3) rotation by yaw, pitch and roll."""
    return Rotation.from_euler("YXZ", degrees, degrees=True).as_matrix()


def placed(
    canonical: np.ndarray,
    scale: float = IOD_PX,
    centre: tuple[float, float] = CENTRE,
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """Return canonical meshes (T, 478, 3) as landmarks in px."""
    return canonical @ turned(degrees).T * scale + np.array([*centre, 0.0])


def face_of(points: np.ndarray) -> Face:
    """Return a detection of one mesh (478, 3) px."""
    box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return Face(box.astype(np.float32), points.astype(np.float32), 1.0)


def track_of(
    points: np.ndarray, absent: slice = slice(0, 0), shots: tuple[int, ...] = (0,)
) -> FaceTrack:
    """Return the track of meshes (T, 478, 3) px; rows in `absent` show nobody."""
    store = LandmarkStore(len(points), points.shape[1])
    present = np.ones(len(points), bool)
    present[absent] = False
    boxes = np.full((len(points), 4), np.nan, np.float32)
    for row in np.flatnonzero(present):
        store[row] = points[row]
        boxes[row] = face_of(points[row]).box
    return FaceTrack(boxes, store, present, shots)


def speaking(count: int, fps: float = 25.0) -> np.ndarray:
    """Return mouths (T, 2) that open and close about three times a second."""
    time = np.arange(count) / fps
    opening = 0.06 + 0.05 * np.sin(2 * np.pi * 2.7 * time) + 0.03 * np.sin(2 * np.pi * 1.1 * time)
    return np.column_stack([opening, REST_WIDTH + 0.03 * np.sin(2 * np.pi * 1.7 * time + 1)])


def picture(size: int = SIZE) -> np.ndarray:
    """Return (S, S, 3) uint8 RGB: skin-coloured, with soft texture that shows every movement."""
    rng = np.random.default_rng(7)
    grain = cv2.GaussianBlur(rng.normal(0, 90, (size, size, 3)), (0, 0), 3)
    return np.clip(np.array([190, 142, 122]) + grain, 0, 255).astype(np.uint8)


def frame_of(image: np.ndarray, index: int = 0) -> Frame:
    """Return a picture (H, W, 3) uint8 RGB, sides even, as a 4:2:0 frame."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    y = planes[:height]
    u, v = planes[height:].reshape(2, height // 2, width // 2)
    frame = Frame(index, y.copy(), u.copy(), v.copy(), Colour(matrix="bt601"))
    assert rgb_image(frame).shape == image.shape
    return frame


def scene_of(
    points: np.ndarray,
    features: Features,
    references: Sequence[Reference] = (),
    fps: Fraction = FPS,
    template: str = "native",
    size: int | None = None,
) -> Scene:
    """Return the scene that shows each mesh (T, 478, 3) px once, in order."""
    track = track_of(points)
    rows = np.arange(len(points))
    alignment = align_track(track, slice(0, len(points)), TEMPLATES[template], size)
    return Scene(track, rows, alignment, Size(SIZE, SIZE), features, fps, references)
