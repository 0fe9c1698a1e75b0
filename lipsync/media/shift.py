"""A copy of a clip whose sound comes earlier or later by whole frames, nothing coded anew.

Coded pictures and coded sound stay as they are; only the time stamps of the sound change. MP4 and
MOV say with an edit list from which sample on the sound is heard, so the move is exact to the
sample; MKV and WebM stamp packets in milliseconds, so there it is exact to half of one. What the
move pushes beyond either end is cut, at its start by whole packets in MKV and WebM; what it leaves
bare is silent. Tracks of data (GPS and the like) are left out: MP4 has no common form for them. Of
a broadcast's pictures (.ts) only the wrapping changes.
"""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from lipsync.errors import InputError, OutputError
from lipsync.media.container import CLIP_KINDS, open_media, picture_stream, time_zero
from lipsync.media.output import (
    FORMATS,
    check_ending,
    check_place,
    media_file,
    output_errors,
)
from lipsync.media.sound import inspect_sound
from lipsync.media.source import inspect_source

if TYPE_CHECKING:
    from lipsync.types import SyncScore

COPY_FORMATS = {**FORMATS, ".mkv": "matroska", ".webm": "webm"}  # name's ending -> muxer
_COPIED = ("video", "audio", "subtitle")
_EDITING = ("mp4", "mov")  # muxers that can begin in the middle of a packet
_BRANDS = ("major_brand", "minor_version", "compatible_brands")  # of the old file, not of the clip


def repair_offset(score: SyncScore) -> int:
    """Return by how many frames, at `score.fps`, to move the sound so that the offset becomes 0.

    Sound that comes before the lips has to be played later: > 0.
    """
    return score.offset_frames


def check_copy(source: Path, output: Path) -> None:
    """Raise `OutputError` unless a copy of `source` can be written to `output`."""
    check_place(output, (source,))
    check_ending(output, COPY_FORMATS)


def shift_sound(
    source: Path, output: Path, frames: int, fps: Fraction
) -> Generator[float, None, None]:
    """Write the clip `source` again, its sound `frames` / `fps` seconds later (< 0: earlier).

    Yields the share that is done, [0, 1]; closing the generator leaves no file. The picture's
    packets are copied bit for bit and keep their times; so do subtitles, chapters, tags and
    rotation. `output` may end in .mp4, .m4v, .mov, .mkv or .webm. Raises `InputError` where there
    is no sound, nothing to move or no times to go by, `OutputError` where `output` cannot be
    written or cannot hold what the clip is coded in.
    """
    check_copy(source, output)
    if not frames:
        raise InputError(f"{source.name} is in step as it is; there is no offset to repair.")
    clip = inspect_source(source)
    if not clip.has_audio:
        raise InputError(f"{source.name} has no sound that could be moved; choose a clip with one.")
    seconds = frames / fps
    ends = max(clip.duration, inspect_sound(source).end)
    if not -ends < seconds < ends:
        raise InputError(
            f"The sound of {source.name} was to move by {float(seconds):.1f} s, beyond the clip's "
            f"{float(ends):.1f} s; choose a smaller move."
        )
    with open_media(source, CLIP_KINDS) as opened:
        if clip.counted or int(clip.pts[0]) * clip.tick != time_zero(opened):
            raise InputError(
                f"{source.name} does not say when each picture is shown, so its pictures cannot "
                "be copied as they are; convert it to MP4 first."
            )
        plan = _Plan(opened, seconds, ends, COPY_FORMATS[output.suffix.lower()])
        with media_file(output, plan.muxer, plan.options) as made:
            yield from _copy(source, opened, output, made, plan)


class _Plan:
    """When things happen in the copy, in seconds on the clocks of the two containers."""

    def __init__(self, opened: InputContainer, seconds: Fraction, ends: Fraction, muxer: str):
        self.muxer = muxer
        self.move = seconds
        self.zero = time_zero(opened)  # of the first picture
        # a broadcast's clock begins anywhere, an MP4's would wait that long
        self.begin = Fraction(max(opened.start_time or 0, 0), av.time_base)
        self.end = self.zero + ends  # of the sound, moved or not
        self.options: dict[str, str] = {}
        if muxer in _EDITING:
            rate, *_ = (sound.rate for sound in opened.streams.audio)
            # edits count in this unit; the usual milliseconds would round the sound's begin
            self.options = {"movflags": "+faststart", "movie_timescale": str(rate)}


def _copy(
    source: Path, opened: InputContainer, output: Path, made: OutputContainer, plan: _Plan
) -> Generator[float, None, None]:
    """Copy the packets; yield after each of the picture."""
    picture = picture_stream(opened)
    assert picture is not None
    tracks = _add_tracks(opened, made, output, plan)
    packets = opened.demux([opened.streams[index] for index in tracks])
    first_shown = round(plan.zero / Fraction(picture.time_base or 1))
    share = 0.0
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return  # the rest is damaged and was never shown either
        if packet is None:
            return
        if packet.size == 0 or packet.pts is None:
            continue
        index = packet.stream_index
        if index == picture.index and packet.is_discard and packet.pts > first_shown:
            raise InputError(
                f"{source.name} hides some of its pictures with an edit list, so they cannot be "
                "copied as they are; convert it to a new MP4 first."
            )
        seconds = packet.pts * Fraction(packet.time_base) - plan.zero
        with output_errors(output):
            tracks[index].write(packet)
        if index == picture.index:
            # pictures are not coded in the order of display
            share = max(share, min(float(seconds / (plan.end - plan.zero)), 1.0))
            yield share


def _add_tracks(
    opened: InputContainer, made: OutputContainer, output: Path, plan: _Plan
) -> dict[int, _Track]:
    """Give the copy the tracks of the clip with all that is known of them, by the clip's index."""
    tracks: dict[int, _Track] = {}
    made.metadata.update({k: v for k, v in opened.metadata.items() if k not in _BRANDS})
    for stream in opened.streams:
        if stream.type not in _COPIED or stream.codec_context is None:
            continue
        try:
            copy = made.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            codec = stream.codec_context.codec.canonical_name
            raise OutputError(
                f"{output.name} cannot hold what the clip is coded in ({codec}); "
                "end its name as the clip's or in .mkv."
            ) from error
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        if isinstance(stream, VideoStream) and isinstance(copy, VideoStream):
            copy.codec_context.framerate = stream.average_rate or Fraction(0)
            if "mp4" in opened.format.name.split(",") and plan.muxer in _EDITING:
                # hev1 and hvc1 are one coding, but Apple plays only the second
                copy.codec_context.codec_tag = stream.codec_context.codec_tag
        tracks[stream.index] = _Track(made, stream, copy, plan)
    made.set_chapters(opened.chapters())
    return tracks


class _Track:
    """Takes the packets of one track to its copy."""

    def __init__(self, made: OutputContainer, stream: Stream, copy: Stream, plan: _Plan) -> None:
        tick = Fraction(stream.time_base or 1)
        self._made = made
        self._copy = copy
        self._begin, self._end = round(plan.begin / tick), round(plan.end / tick)
        self._is_sound = stream.type == "audio"
        self._move = round(plan.move / tick) if self._is_sound else 0
        self._may_edit = plan.muxer in _EDITING

    def write(self, packet: Packet) -> None:
        """Write a packet to the copy, unless it is sound that nobody can hear there."""
        assert packet.pts is not None
        stamp, length = packet.pts + self._move, packet.duration or 0
        if self._is_sound:
            # one packet of what was not heard before stays: decoders warm up on it
            if min(stamp, packet.pts) + 2 * length <= self._begin or stamp >= self._end:
                return
            if not self._may_edit and stamp < self._begin:
                return
            packet.duration = min(length, self._end - stamp)
        packet.pts = stamp - self._begin
        if packet.dts is not None:
            packet.dts += self._move - self._begin
        packet.stream = self._copy
        self._made.mux(packet)
