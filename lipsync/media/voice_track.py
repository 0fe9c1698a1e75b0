"""The user's own voice as a sound track of the result: copied where MP4 allows, else AAC.

Both kinds hand out packets up to a given second, so that they can be written beside the picture
as it grows, and end with the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from lipsync.errors import InputError
from lipsync.media.container import VOICE_KINDS, open_media, sound_stream, time_zero
from lipsync.media.sound import inspect_sound, read_sound

BIT_RATE = 192_000
_COPIED = ("aac", "mp3", "ac3", "eac3", "alac")
_MP3_SLOWEST = 16_000  # Hz; MP4 has no place for slower MP3
# The rates AAC knows, Hz, and a layout it can code for each number of channels.
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_LEAD_SECONDS = Fraction(1, 10)  # coded sound kept before time 0, for decoders to warm up on


def may_copy(codec: str, rate: int) -> bool:
    """Return whether an MP4 can hold sound of this codec and rate (Hz) as it is."""
    return codec in _COPIED and not (codec == "mp3" and rate < _MP3_SLOWEST)


def add_voice(
    container: OutputContainer, path: Path, start: Fraction = Fraction(0)
) -> CopiedVoice | CodedVoice:
    """Add the sound of `path` from `start` seconds on to a file about to be written.

    Packets seldom begin at a given moment, so sound from a later one is coded anew, exact to the
    sample. Raises `InputError` if the file has no sound that decodes.
    """
    sound = inspect_sound(path)
    if start == 0 and may_copy(sound.codec, sound.rate):
        return CopiedVoice(container, path)
    return CodedVoice(container, path, start)


class CopiedVoice:
    """The coded sound itself, packet by packet."""

    def __init__(self, container: OutputContainer, path: Path) -> None:
        self._input = open_media(path, VOICE_KINDS)
        stream = sound_stream(self._input)
        if stream is None:
            raise InputError(f"{path.name} has changed and holds no sound any more.")
        self._zero = time_zero(self._input)
        self._end = inspect_sound(path).duration
        self._stream = container.add_stream_from_template(stream)
        self._packets = self._read(stream)
        self._next = next(self._packets, None)

    def packets_until(self, seconds: Fraction, last: bool = False) -> Iterator[Packet]:
        """Yield the packets that end by `seconds`; with `last`, the one cut there as well."""
        seconds = min(seconds, self._end)
        while self._next is not None:
            packet = self._next
            assert packet.pts is not None
            tick = Fraction(packet.time_base)
            if (packet.pts + (packet.duration or 0)) * tick > seconds:
                left = round(seconds / tick) - packet.pts
                if not last or left <= 0:
                    return
                packet.duration = left
                self._packets = iter(())
            self._next = next(self._packets, None)
            packet.stream = self._stream
            yield packet

    def close(self) -> None:
        """Close the voice file."""
        self._input.close()

    def _read(self, stream: AudioStream) -> Iterator[Packet]:
        """Yield packets on the file's own clock with time stamps that only grow."""
        tick = Fraction(stream.time_base or 0)
        shift = round(self._zero / tick)
        newest: int | None = None
        packets = self._input.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                return  # the rest of the file is damaged and cannot be heard either
            if packet is None:
                return
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 or stamp is None:
                continue
            stamp -= shift
            too_early = (stamp + (packet.duration or 0)) * tick < -_LEAD_SECONDS
            if too_early or (newest is not None and stamp <= newest):
                continue
            packet.pts = packet.dts = newest = stamp
            yield packet


class CodedVoice:
    """The sound coded anew as AAC, at its own rate and channels where AAC knows them."""

    def __init__(self, container: OutputContainer, path: Path, start: Fraction) -> None:
        sound = inspect_sound(path)
        rate = next((known for known in _AAC_RATES if known >= sound.rate), _AAC_RATES[-1])
        layout = _AAC_LAYOUTS.get(sound.channels, "stereo")
        stream = container.add_stream("aac", rate=rate, layout=layout)
        stream.codec_context.bit_rate = BIT_RATE
        self._stream: AudioStream = stream
        self._frames = read_sound(path, start)
        self._next: AudioFrame | None = next(self._frames, None)

    def packets_until(self, seconds: Fraction, last: bool = False) -> Iterator[Packet]:
        """Yield what the encoder gives for sound up to `seconds`; with `last`, to its end."""
        while self._next is not None:
            frame = self._next
            assert frame.pts is not None
            left = int(seconds * frame.sample_rate) - frame.pts
            if frame.samples > left:
                if not last or left <= 0:
                    break
                frame = _beginning(frame, left)
                self._frames = iter(())
            self._next = next(self._frames, None)
            yield from self._stream.encode(frame)
        if last:
            yield from self._stream.encode(None)

    def close(self) -> None:
        """Close the voice file."""
        self._frames = iter(())
        self._next = None


def _beginning(frame: AudioFrame, samples: int) -> AudioFrame:
    """Return the first `samples` of a float planar frame."""
    short = AudioFrame.from_ndarray(
        frame.to_ndarray()[:, :samples].copy(), frame.format.name, frame.layout.name
    )
    short.sample_rate, short.time_base, short.pts = frame.sample_rate, frame.time_base, frame.pts
    return short
