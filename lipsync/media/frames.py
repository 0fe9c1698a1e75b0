"""Frames of a clip in any order, in constant memory.

Requests that go forwards stream; a run that goes backwards is decoded in short forward pieces
from the key frame before it, as many frames at a time as fit into `BUFFER_BYTES`. A repeated
number is decoded once. Where the data is damaged, the picture before stands in.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipsync.errors import InputError
from lipsync.media.colour import frame_from_rgb
from lipsync.media.container import CLIP_KINDS, MAX_PIXELS, check_file, open_media, picture_stream
from lipsync.media.picture import Converter, Deinterlacer
from lipsync.media.source import Source, inspect_source
from lipsync.media.still import read_still
from lipsync.types import Clip, Frame

BUFFER_BYTES = 64 * 2**20  # pictures kept while a run of requests goes backwards
_MAX_THREADS = 4  # every further decoder thread holds one more picture in memory
_SEEK_AHEAD = 8  # pictures: a nearer key frame is reached faster by decoding on

_log = logging.getLogger(__name__)


def read_frames(clip: Clip, indices: Iterable[int] | None = None) -> Iterator[Frame]:
    """Yield one frame per requested number, in the order requested.

    `indices` are numbers at the clip's constant rate, in [0, clip.num_frames); None means all
    in order. They are read to their end at once; the pictures are not. The planes may be views
    on memory shared between frames: never write into them. Closing the iterator closes the
    file. Raises `InputError` if the file has gone or nothing decodes any more, `IndexError` for
    a number outside the clip.
    """
    numbers = np.fromiter(range(clip.num_frames) if indices is None else indices, np.int64)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < clip.num_frames):
        raise IndexError(f"frame numbers must lie in [0, {clip.num_frames})")
    return _still_frames(clip, numbers) if clip.is_still else _video_frames(clip, numbers)


def nearest_keys(clip: Clip, numbers: np.ndarray) -> np.ndarray:
    """Return for each frame number (N,) int the one nearest by that is cheap to jump to, (N,) int.

    At such a frame decoding can start; a still has only its one.
    """
    if clip.is_still:
        return np.zeros(len(numbers), np.int64)
    source = inspect_source(clip.path)
    times = source.times[source.key_ranks]
    keys = np.unique(np.clip(np.ceil(times * float(clip.fps) - 0.01), 0, clip.num_frames - 1))
    middles = (keys[1:] + keys[:-1]) / 2
    nearest: np.ndarray = keys[np.searchsorted(middles, numbers)].astype(np.int64)
    return nearest


def _still_frames(clip: Clip, numbers: np.ndarray) -> Iterator[Frame]:
    check_file(clip.path)
    status = clip.path.stat()
    frame = _still_frame(clip, status.st_mtime_ns)
    for number in numbers.tolist():
        yield replace(frame, index=number)


@lru_cache(maxsize=2)
def _still_frame(clip: Clip, changed_ns: int) -> Frame:
    """Return the picture of a still; kept, because passes over a job ask again."""
    if clip.codec in ("png", "jpeg", "webp"):
        return frame_from_rgb(read_still(clip.path))
    return next(_video_frames(replace(clip, is_still=False), np.zeros(1, np.int64)))


def _video_frames(clip: Clip, numbers: np.ndarray) -> Iterator[Frame]:
    source = inspect_source(clip.path)
    ranks = source.ranks_at(numbers, clip.fps)
    height, width = clip.size
    capacity = max(BUFFER_BYTES // (height * width * 3 // 2), 2)
    with _Decoder(clip.path, source) as decoder:
        start = 0
        last: Frame | None = None
        last_rank = -1
        while start < len(ranks):
            stop = _end_of_run_backwards(ranks, start, capacity)
            run = np.unique(ranks[start:stop])
            kept: dict[int, Frame] = {}
            if last is not None and last_rank == run[-1]:
                kept[last_rank] = last
                run = run[:-1]
            for rank in run.tolist():
                kept[rank] = decoder.frame(rank)
            for number, rank in zip(
                numbers[start:stop].tolist(), ranks[start:stop].tolist(), strict=True
            ):
                last, last_rank = kept[rank], rank
                yield replace(last, index=number)
            start = stop


def _end_of_run_backwards(ranks: np.ndarray, start: int, capacity: int) -> int:
    """Return where the longest run from `start` ends that never goes forwards and fits.

    Requests going forwards make runs of one picture each, so that they stream.
    """
    stop, distinct = start + 1, 1
    while stop < len(ranks) and ranks[stop] <= ranks[stop - 1]:
        distinct += int(ranks[stop] < ranks[stop - 1])
        if distinct > capacity:
            break
        stop += 1
    return stop


class _Decoder:
    """Decodes one file forwards, and jumps where told to."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._source = source
        self._converter = Converter(source)
        self._container: InputContainer | None = None
        self._pictures: Iterator[tuple[int, VideoFrame]] = iter(())
        self._ahead: tuple[int, VideoFrame] | None = None  # decoded but not yet due
        self._shown: tuple[int, VideoFrame] | None = None  # the latest one due
        self._skip_below = 0  # rank under which pictures that nothing refers to may be left out

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._pictures = iter(())
        self._ahead = self._shown = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def frame(self, rank: int) -> Frame:
        """Return the picture of this rank, or where it is damaged the nearest one before."""
        self._go_to(rank)
        while self._shown is None or self._shown[0] < rank:
            if self._ahead is None:
                self._ahead = next(self._pictures, None)
            if self._ahead is None or self._ahead[0] > rank:
                break
            self._shown, self._ahead = self._ahead, None
        chosen = self._shown or self._ahead
        if chosen is None:
            raise InputError(
                f"{self._path.name} can no longer be decoded; was it changed or is it damaged?"
            )
        if chosen[0] != rank:
            _log.debug("%s: picture %d stands in for %d", self._path.name, chosen[0], rank)
        return self._converter.frame(chosen[1], chosen[0])

    def _go_to(self, rank: int) -> None:
        """Jump if the rank lies behind, or beyond a key frame well ahead."""
        position = self._shown[0] if self._shown else -1
        keys = self._source.key_ranks
        key = int(keys[max(int(keys.searchsorted(rank, side="right")) - 1, 0)])
        behind = self._container is None or rank < position
        if not behind and key <= position + _SEEK_AHEAD:
            return
        self._skip_below = rank
        if self._source.interlaced:
            # Deinterlacing looks at the picture before.
            rank = max(rank - 1, 0)
        self._shown = self._ahead = None
        self._pictures = self._decode_from(rank)

    def _decode_from(self, rank: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (rank, picture) in the order of display, beginning at or before `rank`."""
        packets, first = self._packets_from(rank)
        pictures = self._decode(packets)
        if self._source.interlaced:
            pictures = self._deinterlace(pictures)
        previous = first - 1
        for picture in pictures:
            if self._source.counted or picture.pts is None:
                found = previous + 1
            else:
                found = int(self._source.pts.searchsorted(picture.pts, side="right")) - 1
            if found > previous:
                previous = found
                yield found, picture

    def _packets_from(self, rank: int) -> tuple[Iterator[Packet], int]:
        """Open or seek so that decoding gives `rank`; return the packets and the first rank."""
        keys = self._source.key_ranks
        place = int(keys.searchsorted(rank, side="right")) - 1
        while place > 0:
            self._open()
            stream = self._stream()
            key = int(keys[place])
            assert self._container is not None
            try:
                self._container.seek(int(self._source.pts[key]), stream=stream)
            except av.error.FFmpegError as error:
                _log.debug("%s: cannot seek (%s)", self._path.name, error)
                break
            packets = self._container.demux(stream)
            for packet in packets:
                if packet.size and packet.is_keyframe:
                    found = self._rank_of(packet)
                    if found is not None and found <= rank:
                        return _joined(packet, packets), found
                    break
            place = min(place - 1, place // 2)
        self._open(fresh=True)
        assert self._container is not None
        return self._container.demux(self._stream()), 0

    def _rank_of(self, packet: Packet) -> int | None:
        """Return the rank a packet's picture has, or None if its time stamps do not tell."""
        stamp = packet.dts if self._source.counted else packet.pts
        if stamp is None:
            return None
        rank = int(self._source.pts.searchsorted(stamp))
        return rank if rank < len(self._source.pts) else None

    def _open(self, fresh: bool = False) -> None:
        if self._container is not None and not fresh:
            return
        if self._container is not None:
            self._container.close()
        self._container = open_media(self._path, CLIP_KINDS)
        context = self._stream().codec_context
        context.thread_type = "AUTO"
        context.thread_count = min(_MAX_THREADS, _num_cores())
        context.options = {"max_pixels": str(MAX_PIXELS)}

    def _stream(self) -> VideoStream:
        assert self._container is not None
        stream = picture_stream(self._container)
        if stream is None:
            raise InputError(f"{self._path.name} has changed and holds no picture any more.")
        return stream

    def _decode(self, packets: Iterator[Packet]) -> Iterator[VideoFrame]:
        """Decode packets, stepping over damaged ones."""
        context = self._stream().codec_context
        exact = self._source.counted or self._source.interlaced
        skip_until = int(self._source.pts[self._skip_below])
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if not exact and packet.pts is not None:
                    context.skip_frame = "NONREF" if packet.pts < skip_until else "DEFAULT"
                pictures = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                _log.debug("%s: damaged data (%s)", self._path.name, error)
                continue
            yield from pictures

    def _deinterlace(self, pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        filtering: Deinterlacer | None = None
        for picture in pictures:
            if filtering is None:
                filtering = Deinterlacer(
                    picture.width, picture.height, picture.format.name, self._source.tick
                )
            yield from filtering.push(picture)
        if filtering is not None:
            yield from filtering.push(None)


def _joined(first: Packet, rest: Iterator[Packet]) -> Iterator[Packet]:
    yield first
    yield from rest


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
