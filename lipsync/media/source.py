"""What a video file is made of: when each picture is shown, and how it has to be turned.

The file is read once from end to end without decoding; only its first picture is decoded. The
answer is kept while the file does not change, because a job asks for it several times.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipsync.errors import InputError
from lipsync.media.container import (
    CLIP_KINDS,
    MAX_PIXELS,
    check_decodable,
    check_file,
    open_media,
    picture_stream,
)
from lipsync.types import Colour, Size

STILL_FPS = Fraction(25)
_NTSC = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120))
_RATES = tuple(Fraction(n) for n in (5, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120))
_FASTEST_VARIABLE = Fraction(60)  # a burst of close pictures is no reason for a higher rate
_INTERLACED_ORDERS = (2, 3, 4, 5)  # AVFieldOrder: tt, bb, tb, bt
_BT2020_CODES, _BT601_CODES = (9, 10), (4, 5, 6)  # ITU-T H.273 matrix codes
_FIRST_PACKETS = 400  # a decoder that gave nothing after so many packets gives nothing at all


@dataclass(frozen=True)
class Orientation:
    """How to turn a coded picture upright: transpose first, then mirror."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False


@dataclass(frozen=True, eq=False)
class Source:
    """A video file as coded. Rank r is the r-th picture in the order of display."""

    pts: np.ndarray  # (M,) int64, ascending, in units of `tick`
    key_ranks: np.ndarray  # (K,) int64, ranks at which decoding can start
    times: np.ndarray  # (M,) float64 s from the first picture; even spacing at a constant rate
    tick: Fraction  # s
    fps: Fraction
    duration: Fraction  # s
    counted: bool  # time stamps are in the order of decoding; pictures are told by counting
    coded_size: Size  # px
    pixel_aspect: Fraction  # width of a pixel over its height
    orientation: Orientation
    interlaced: bool
    pixel_format: str
    codec: str
    colour: Colour
    has_audio: bool

    @property
    def size(self) -> Size:
        """Upright size with square pixels, both sides even, px."""
        height, width = square_size(self.coded_size, self.pixel_aspect)
        height, width = height + (height & 1), width + (width & 1)
        return Size(width, height) if self.orientation.transpose else Size(height, width)

    @property
    def tolerance(self) -> float:
        """How many seconds early a picture may be shown, because time stamps are rounded."""
        step = float(1 / self.fps)
        return min(max(1.1 * float(self.tick), 0.1 * step), 0.45 * step)

    def ranks_at(self, numbers: np.ndarray, fps: Fraction) -> np.ndarray:
        """Return the rank shown by each constant-rate frame number: the latest one due."""
        due = numbers / float(fps) + self.tolerance
        ranks = np.searchsorted(self.times, due, side="right") - 1
        return np.clip(ranks, 0, len(self.times) - 1)


def square_size(coded: Size, pixel_aspect: Fraction) -> Size:
    """Return the size with square pixels: same height, the width that players show."""
    if pixel_aspect == 1:
        return coded
    return Size(coded.height, max(2 * round(coded.width * pixel_aspect / 2), 2))


def inspect_source(path: Path) -> Source:
    """Return what `path` is made of; raise `InputError` if no picture can be decoded."""
    check_file(path)
    status = path.stat()
    return _inspect(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _inspect(path: Path, changed_ns: int, num_bytes: int) -> Source:
    """Do the work of `inspect_source`; the two numbers make a changed file a new one."""
    with open_media(path, CLIP_KINDS) as container:
        stream = picture_stream(container)
        if stream is None:
            raise InputError(
                f"{path.name} has no picture (no video stream), only sound; "
                f"choose a video or a photo ({CLIP_KINDS})."
            )
        check_decodable(stream, path)
        packets = _read_packets(container, stream)
        declared = _declared_seconds(container)
        has_audio = bool(container.streams.audio)
    _check_complete(path, packets, declared)
    with open_media(path, CLIP_KINDS) as container:
        stream = picture_stream(container)
        assert stream is not None
        return _describe(path, container, stream, packets, has_audio)


@dataclass(frozen=True)
class _Packets:
    """Time stamps of all coded pictures, in the order of decoding."""

    pts: list[int | None]
    dts: list[int | None]
    durations: list[int]
    keys: list[bool]
    last_second: Fraction  # of any stream


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    """Read the whole file without decoding."""
    pts: list[int | None] = []
    dts: list[int | None] = []
    durations: list[int] = []
    keys: list[bool] = []
    last: dict[int, int] = {}
    try:
        for packet in container.demux():
            if packet.size == 0:
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                end = stamp + (packet.duration or 0)
                index = packet.stream_index
                last[index] = max(last.get(index, end), end)
            if packet.stream_index == stream.index and not packet.is_discard:
                pts.append(packet.pts)
                dts.append(packet.dts)
                durations.append(packet.duration or 0)
                keys.append(packet.is_keyframe)
    except av.error.FFmpegError:
        # The rest of the file is damaged; `_check_complete` decides whether enough was read.
        pass
    seconds = [end * (container.streams[i].time_base or 0) for i, end in last.items()]
    return _Packets(pts, dts, durations, keys, Fraction(max(seconds, default=Fraction(0))))


def _declared_seconds(container: InputContainer) -> Fraction | None:
    """Return the end of the file by its own header, or None where that is only an estimate."""
    trusted = {"mov", "matroska", "avi"} & set(container.format.name.split(","))
    if not trusted or container.duration is None:
        return None
    return Fraction(container.duration + (container.start_time or 0), av.time_base)


def _check_complete(path: Path, packets: _Packets, declared: Fraction | None) -> None:
    if not packets.pts:
        raise InputError(
            f"{path.name} names a video stream but holds no picture; the file breaks off or is "
            "damaged: record, copy or download it again."
        )
    found = packets.last_second
    if declared is not None and found < declared - max(Fraction(1, 2), declared / 20):
        raise InputError(
            f"{path.name} should last {float(declared):.1f} s but breaks off after "
            f"{max(float(found), 0.0):.1f} s; copy or download it again."
        )


def _describe(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    packets: _Packets,
    has_audio: bool,
) -> Source:
    """Join time stamps and first picture into a `Source`."""
    assert stream.time_base is not None
    formats = container.format.name.split(",")
    context = stream.codec_context
    codec = context.codec.canonical_name
    missing = any(value is None for value in packets.pts)
    # AVI stores no time stamps; those of H.264 and HEVC come out in the order of decoding.
    counted = missing or ("avi" in formats and codec in ("h264", "hevc"))
    if counted:
        stamps = _fill(packets.dts if any(v is not None for v in packets.dts) else packets.pts)
    else:
        stamps = [value for value in packets.pts if value is not None]
    array = np.array(stamps, np.int64)
    pts = np.unique(array)
    keys = array[np.array(packets.keys, bool)]
    key_ranks = np.unique(np.searchsorted(pts, keys)) if len(keys) else np.zeros(1, np.int64)
    frame = first_picture(path, container, stream)
    stated = [r for r in (stream.average_rate, stream.guessed_rate) if r]
    tick = Fraction(stream.time_base)
    fps, constant = choose_rate((pts - pts[0]) * float(tick), stated, float(tick))
    if len(pts) == 1:
        fps, constant = STILL_FPS, True
    if constant:
        times = np.arange(len(pts)) / float(fps)
        duration = len(pts) / fps
    else:
        times = (pts - pts[0]) * float(tick)
        last = packets.durations[int(np.argmax(array))]
        duration = int(pts[-1] - pts[0]) * tick + (last * tick or 1 / fps)
    coded = Size(frame.height, frame.width)
    interlaced = frame.interlaced_frame or context.field_order in _INTERLACED_ORDERS
    return Source(
        pts=pts,
        key_ranks=key_ranks,
        times=times,
        tick=tick,
        fps=fps,
        duration=duration,
        counted=counted,
        coded_size=coded,
        pixel_aspect=_pixel_aspect(stream),
        orientation=_orientation(frame),
        interlaced=bool(interlaced),
        pixel_format=frame.format.name,
        codec=codec,
        colour=_colour(frame, coded),
        has_audio=has_audio,
    )


def _fill(values: list[int | None]) -> list[int]:
    """Return the stamps with gaps filled by counting on from the stamp before."""
    known = [value for value in values if value is not None]
    steps = np.diff(np.unique(np.array(known, np.int64))) if len(known) > 1 else np.ones(1)
    step = max(int(np.median(steps)), 1)
    filled: list[int] = []
    for value in values:
        after = filled[-1] + step if filled else 0
        filled.append(after if value is None else value)
    return filled


def first_picture(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Decode and return the first picture; raise `InputError` if nothing decodes."""
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    reason = "the data is damaged"
    try:
        for number, packet in enumerate(container.demux(stream)):
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                reason, frames = error.strerror or reason, []
            if frames:
                return frames[0]
            if number > _FIRST_PACKETS:
                break
    except av.error.FFmpegError as error:
        reason = error.strerror or reason
    raise InputError(
        f"{path.name} holds no picture that can be decoded ({stream.codec_context.name}: "
        f"{reason}); convert it to H.264 or download it again."
    )


def choose_rate(seconds: np.ndarray, stated: list[Fraction], tick: float) -> tuple[Fraction, bool]:
    """Return the constant rate for pictures shown at `seconds`, and whether they keep it already.

    `stated` are rates the file names. Pictures keep a rate if each lies within 0.3 frames of its
    place; otherwise the rate is that of the median step.
    """
    if len(seconds) < 2:
        return (_snapped(stated[0]) if stated else STILL_FPS), True
    measured = Fraction((len(seconds) - 1) / float(seconds[-1])).limit_denominator(100_000)
    places = np.arange(len(seconds))
    for rate in [*stated, measured]:
        rate = _snapped(rate)
        allowed = min(max(0.3, 1.1 * tick * float(rate)), 0.6)
        if np.abs(seconds * float(rate) - places).max() <= allowed:
            return rate, True
    typical = Fraction(1.0 / float(np.median(np.diff(seconds)))).limit_denominator(100_000)
    return min(_snapped(typical, slack=0.02), _FASTEST_VARIABLE), False


def _snapped(rate: Fraction, slack: float = 4e-4) -> Fraction:
    """Return the usual rate next to `rate` if it is nearer than `slack`, relative."""
    usual = min((*_RATES, *_NTSC), key=lambda known: abs(known - rate))
    if abs(usual - rate) <= slack * usual:
        return usual
    return Fraction(rate).limit_denominator(1001)


def _pixel_aspect(stream: VideoStream) -> Fraction:
    """Return the shape of a pixel; 1 where the file is silent or names an absurd one."""
    aspect = stream.sample_aspect_ratio
    if not aspect or not Fraction(1, 4) <= aspect <= 4:
        return Fraction(1)
    return Fraction(aspect)


def _orientation(frame: VideoFrame) -> Orientation:
    """Read the display matrix (a b u, c d v, x y w): x' = a x + c y, y' = b x + d y."""
    for data in frame.side_data:
        if data.type == SideDataType.DISPLAYMATRIX:  # type: ignore[attr-defined]
            a, b, _, c, d = memoryview(data).cast("i")[:5].tolist()  # type: ignore[arg-type]
            if abs(b) + abs(c) > abs(a) + abs(d):
                return Orientation(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
            return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    return Orientation()


def is_rgb(pixel_format: str) -> bool:
    """Return whether a pixel format holds red, green and blue rather than luma and chroma."""
    return any(mark in pixel_format for mark in ("rgb", "bgr", "gbr", "pal8"))


def _colour(frame: VideoFrame, coded: Size) -> Colour:
    """Return the colour tags; where the matrix is not stated, what players assume for the size."""
    if is_rgb(frame.format.name):
        return Colour(matrix="bt709", full_range=False, primaries=1, transfer=1, space=1)
    space, primaries = int(frame.colorspace), int(frame.color_primaries)
    full = int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")
    large = coded.width >= 1280 or coded.height > 576
    if space in _BT2020_CODES or (space == 2 and primaries == 9):
        matrix = "bt2020"
    elif space in _BT601_CODES or (space == 2 and not large):
        matrix = "bt601"
    else:
        matrix = "bt709"
    return Colour(matrix, full, primaries, int(frame.color_trc), space)  # type: ignore[arg-type]
