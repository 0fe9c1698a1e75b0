"""From a decoded picture to the planes of a `Frame`: 4:2:0, 8 bit, upright, square, even.

A plain picture passes through as views on the decoder's own memory, bit for bit. Turning and
padding move samples without changing them; everything else goes through libswscale once.
"""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from lipsync.media.source import Orientation, Source, is_rgb, square_size
from lipsync.types import Colour, Frame

_PLAIN = ("yuv420p", "yuvj420p")
_RANGE_LIMITED, _RANGE_FULL = 1, 2
_MATRIX_709 = 1


class Converter:
    """Turns the decoded pictures of one source into frames."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._target = square_size(source.coded_size, source.pixel_aspect)
        self._reformatter = VideoReformatter()

    def frame(self, picture: VideoFrame, index: int) -> Frame:
        """Return the picture as a frame; its planes may be views on the picture's memory."""
        height, width = self._target
        same_size = picture.height == height and picture.width == width
        plain = picture.format.name in _PLAIN and all(p.line_size > 0 for p in picture.planes)
        if not (plain and same_size):
            picture = self._reformat(picture, width, height)
        planes = [plane_view(picture, number) for number in range(3)]
        planes = _pad_to_even(planes)
        y, u, v = (turn(plane, self._source.orientation) for plane in planes)
        return Frame(index, y, u, v, self._source.colour)

    def _reformat(self, picture: VideoFrame, width: int, height: int) -> VideoFrame:
        if any(mark in picture.format.name for mark in ("yuva", "a64", "pal8", "ya", "gbrap")) or (
            picture.format.name in ("rgba", "bgra", "argb", "abgr")
        ):
            picture = over_white(picture)
        full = _RANGE_FULL if self._source.colour.full_range else _RANGE_LIMITED
        source_range = _RANGE_FULL if is_rgb(picture.format.name) else full
        matrix = _swscale_matrix(self._source.colour)
        return self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=source_range,
            dst_color_range=full,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )


def _swscale_matrix(colour: Colour) -> int:
    """Return libswscale's number for the matrix (not the H.273 code, though they overlap)."""
    return {"bt601": 5, "bt709": _MATRIX_709, "bt2020": 9}[colour.matrix]


def over_white(picture: VideoFrame) -> VideoFrame:
    """Return a picture with transparency laid over white, as rgb24."""
    rgba = picture.reformat(format="rgba", dst_color_range=_RANGE_FULL).to_ndarray()
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3].astype(np.uint16) * alpha + 255 * (255 - alpha)
    return VideoFrame.from_ndarray(((mixed + 127) // 255).astype(np.uint8), format="rgb24")


def plane_view(picture: VideoFrame, number: int) -> np.ndarray:
    """Return one 8-bit plane as (h, w) uint8, a view that leaves out the padding of its rows."""
    plane = picture.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _pad_to_even(planes: list[np.ndarray]) -> list[np.ndarray]:
    """Repeat the last row or column of luma where its size is odd; chroma already covers it."""
    height, width = planes[0].shape
    if not (height | width) & 1:
        return planes
    luma = cv2.copyMakeBorder(planes[0], 0, height & 1, 0, width & 1, cv2.BORDER_REPLICATE)
    return [luma, *planes[1:]]


def turn(plane: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Return the plane upright; the samples themselves do not change."""
    if orientation == Orientation():
        return plane
    if orientation.transpose:
        plane = plane.T
    if orientation.mirror_y:
        plane = plane[::-1]
    if orientation.mirror_x:
        plane = plane[:, ::-1]
    return np.ascontiguousarray(plane)


class Deinterlacer:
    """Makes whole pictures of fields with bwdif; progressive pictures pass unchanged."""

    def __init__(self, width: int, height: int, pixel_format: str, tick: Fraction) -> None:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width,
            height=height,
            format=av.VideoFormat(pixel_format, width, height),
            time_base=tick,
        )
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
        self._graph = graph
        self._tick = tick

    def push(self, picture: VideoFrame | None) -> list[VideoFrame]:
        """Take one picture in the order of display (None at the end); return what is ready."""
        self._graph.push(picture)
        ready: list[VideoFrame] = []
        while True:
            try:
                whole = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return ready
            if whole.pts is not None and whole.time_base is not None:
                # bwdif counts in half ticks, so that it could make a picture of every field.
                whole.pts = round(whole.pts * whole.time_base / self._tick)
            ready.append(whole)
