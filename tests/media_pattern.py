"""A test picture whose turning, colour and frame number can be read back after any coding.

Upright it is 96 x 64 px: red, green, blue and white quarters above a grey stripe whose luma
counts the frames: 16 + 10 n.
"""

from __future__ import annotations

import numpy as np

from lipsync.media.colour import rgb_image
from lipsync.types import Frame

NUM_FRAMES = 20
TONE = ("-f", "lavfi", "-i", "sine=f=440:r=44100:d=0.8")
_QUARTERS = {
    "red": (0.25, 0.18),
    "green": (0.75, 0.18),
    "blue": (0.25, 0.56),
    "white": (0.75, 0.56),
}
_RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def pattern(rate: str = "25", size: str = "96x64", matrix: str = "bt601") -> tuple[str, ...]:
    """Return ffmpeg's input arguments for the picture, 20 frames long."""
    boxes = "".join(
        f",drawbox=x={x}:y={y}:w={w}:h={h}:c={colour}:t=fill"
        for x, y, w, h, colour in [
            ("0", "0", "iw/2", "24", "red"),
            ("iw/2", "0", "iw/2", "24", "lime"),
            ("0", "24", "iw/2", "24", "blue"),
        ]
    )
    stripe = (
        "geq=lum='if(gte(Y,48),16+10*N,lum(X,Y))':"
        "cb='if(gte(Y,24),128,cb(X,Y))':cr='if(gte(Y,24),128,cr(X,Y))'"
    )
    graph = (
        f"color=white:s={size}:r={rate},format=rgb24{boxes},"
        f"scale=out_color_matrix={matrix}:out_range=limited,format=yuv420p,{stripe}"
    )
    return ("-f", "lavfi", "-i", graph, "-frames:v", str(NUM_FRAMES))


def read_number(frame: Frame) -> int:
    """Return the frame number that the stripe shows."""
    height, width = frame.size
    stripe = frame.y[int(height * 0.84) : int(height * 0.92), width // 4 : -(width // 4)]
    level = float(np.mean(stripe))
    if frame.colour.full_range:
        level = level * 219 / 255 + 16
    return round((level - 16) / 10)


def assert_upright(frame: Frame, tolerance: int = 45) -> None:
    """Check that every quarter has its colour."""
    image = rgb_image(frame)
    height, width = image.shape[:2]
    for name, (x, y) in _QUARTERS.items():
        row, column = int(y * height), int(x * width)
        found = np.median(image[row - 3 : row + 4, column - 3 : column + 4].reshape(-1, 3), axis=0)
        assert np.abs(found - _RGB[name]).max() <= tolerance, (name, found.tolist())
