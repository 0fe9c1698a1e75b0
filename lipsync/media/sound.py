"""Sound of a voice or clip, on the file's own clock.

Sample 0 is time 0 of the file: the first picture where there is one, else the first sample. So
a clip's own sound stays in step with its pictures, and the analysis copy read here agrees with
the voice that the writer puts into the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from lipsync.errors import InputError
from lipsync.media.container import (
    VOICE_KINDS,
    check_decodable,
    check_file,
    open_media,
    sound_stream,
    time_zero,
)
from lipsync.types import Audio

MIN_VOICE_SECONDS = 0.2
SILENCE = 10.0 ** (-60.0 / 20.0)  # peak of full scale under which nothing can be heard
_WAVE_SIZE_UNKNOWN = 0x7FF00000  # programs that write to a pipe state some size from here up
_GAP_SECONDS = 0.05  # a longer hole in the time stamps is filled with silence
# How loud each channel is in the mono copy; a voice usually sits in the middle.
_MONO_WEIGHTS = {"FC": 1.0, "FL": 0.5, "FR": 0.5, "LFE": 0.0, "LFE2": 0.0}
_OTHER_WEIGHT = 0.25


@dataclass(frozen=True)
class Sound:
    """A sound stream as found in its file."""

    start: Fraction  # s on the file's own clock; negative where sound comes before the picture
    end: Fraction  # s on the file's own clock
    rate: int  # Hz
    channels: int
    layout: str
    codec: str

    @property
    def duration(self) -> Fraction:
        """Seconds from time 0 of the file to the end of the sound."""
        return max(self.end, Fraction(0))


def inspect_sound(path: Path) -> Sound:
    """Return what the sound of a file is, reading but not decoding it all.

    Raises `InputError` if there is no sound or none of it decodes.
    """
    _check_wave_complete(path)
    with open_media(path, VOICE_KINDS) as container:
        stream = sound_stream(container)
        if stream is None:
            raise InputError(
                f"{path.name} has no sound (no audio stream); choose a voice as {VOICE_KINDS}."
            )
        check_decodable(stream, path)
        zero = time_zero(container)
        # Other kinds of file leave a guess here rather than state how long they are.
        states_duration = "mov" in container.format.name.split(",")
        declared = stream.duration if states_duration else None
        declared_end = None
        if declared is not None and stream.time_base is not None:
            declared_end = (stream.start_time or 0) * stream.time_base + declared * stream.time_base
        end = _last_second(container, stream)
        codec = stream.codec_context.codec.canonical_name
        rate = stream.codec_context.sample_rate
        layout = stream.codec_context.layout
        start = Fraction(stream.start_time or 0) * Fraction(stream.time_base or 0)
    if declared_end is not None and end < declared_end - max(Fraction(1, 2), declared_end / 20):
        raise InputError(
            f"{path.name} should hold {float(declared_end):.1f} s of sound but breaks off after "
            f"{max(float(end), 0.0):.1f} s; copy or download it again."
        )
    if next(iter(_decoded(path)), None) is None:
        raise InputError(
            f"{path.name} holds no sound that can be decoded ({codec}); convert it to wav or m4a."
        )
    return Sound(start - zero, end - zero, rate, layout.nb_channels, layout.name, codec)


def _check_wave_complete(path: Path) -> None:
    """Raise `InputError` if a WAV file is shorter than its first line says."""
    check_file(path)
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    stated, found = int.from_bytes(head[4:8], "little") + 8, path.stat().st_size
    if stated < _WAVE_SIZE_UNKNOWN and found < 0.95 * stated:
        raise InputError(
            f"{path.name} breaks off: {found / 1e6:.2f} MB of {stated / 1e6:.2f} MB are there; "
            "copy or download it again."
        )


def _last_second(container: InputContainer, stream: AudioStream) -> Fraction:
    """Return the container time in seconds at which the sound ends, without decoding."""
    tick = Fraction(stream.time_base or 0)
    rate = stream.codec_context.sample_rate or 1
    trims_itself = container.format.name == "ogg"  # its last duration is already the true one
    last, trimmed = 0, 0
    try:
        for packet in container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0:
                continue
            end = (stamp if stamp is not None else last) + (packet.duration or 0)
            if end >= last:
                last, trimmed = end, 0 if trims_itself else _samples_cut_at_end(packet)
    except av.error.FFmpegError:
        # What lies behind the damage cannot be heard either.
        pass
    return last * tick - Fraction(trimmed, rate)


def _samples_cut_at_end(packet: av.Packet) -> int:
    """Return how many samples of the packet's duration are padding by the encoder."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    data = bytes(packet.get_sidedata("skip_samples"))
    return int.from_bytes(data[4:8], "little")


def _decoded(path: Path) -> Iterator[AudioFrame]:
    """Yield the decoded sound; damaged packets are left out."""
    with open_media(path, VOICE_KINDS) as container:
        stream = sound_stream(container)
        assert stream is not None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                continue
            yield from frames


def read_sound(path: Path, start: Fraction = Fraction(0)) -> Iterator[AudioFrame]:
    """Yield the sound as float planar frames without a gap, beginning exactly at `start` seconds.

    Rate and channels are the file's own, as at its start. Holes become silence; what lies before
    time 0, or overlaps, or is an encoder's padding, is left out. `pts` counts samples from `start`.
    """
    sound = inspect_sound(path)
    first = round(start * sound.rate)
    for frame in _read_whole(path, sound):
        assert frame.pts is not None
        if first == 0:
            yield frame
        elif frame.pts + frame.samples > first:
            early = max(first - frame.pts, 0)
            yield _frame(frame.to_ndarray()[:, early:], sound, frame.pts + early - first)


def _read_whole(path: Path, sound: Sound) -> Iterator[AudioFrame]:
    """Yield what `read_sound` does, from time 0."""
    with open_media(path, VOICE_KINDS) as container:
        zero = time_zero(container)
    convert = AudioResampler(format="fltp", layout=sound.layout, rate=sound.rate)
    done, total = 0, round(sound.duration * sound.rate)
    for decoded in _decoded(path):
        place = done
        if decoded.pts is not None and decoded.time_base is not None:
            place = round((decoded.pts * decoded.time_base - zero) * sound.rate)
        for frame in convert.resample(decoded):
            samples = frame.to_ndarray()
            if done == 0 or abs(place - done) > _GAP_SECONDS * sound.rate:
                if place > done:
                    yield from _silence(sound, done, min(place, total))
                    done = min(place, total)
                samples = samples[:, max(done - place, 0) :]
            samples = samples[:, : total - done]
            if samples.shape[1]:
                yield _frame(samples, sound, done)
            done += samples.shape[1]
            place += frame.samples


def _frame(samples: np.ndarray, sound: Sound, place: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", sound.layout)
    frame.sample_rate = sound.rate
    frame.time_base = Fraction(1, sound.rate)
    frame.pts = place
    return frame


def _silence(sound: Sound, start: int, stop: int) -> Iterator[AudioFrame]:
    """Yield silence a second at a time, so that a wrong time stamp cannot fill the memory."""
    while start < stop:
        length = min(sound.rate, stop - start)
        yield _frame(np.zeros((sound.channels, length), np.float32), sound, start)
        start += length


def read_audio(
    path: Path, rate: int = 16000, start: float = 0.0, duration: float | None = None
) -> Audio:
    """Return the sound of a file as mono float32 at `rate` Hz; sample 0 is time `start`.

    Channels are mixed by where they stand (the middle counts most, the subwoofer not at all).
    `duration` seconds at most are returned, all of them if None. Raises `InputError` if the file
    has no sound that decodes.
    """
    sound = inspect_sound(path)
    mix = _mono_mix(sound.layout, sound.channels)
    convert = AudioResampler(format="flt", layout="mono", rate=rate)
    first = round(start * rate)
    stop = round(float(sound.duration) * rate)
    if duration is not None:
        stop = min(stop, first + round(duration * rate))
    samples = np.zeros(max(stop - first, 0), np.float32)
    done = 0

    def put(frames: list[AudioFrame]) -> None:
        nonlocal done
        for frame in frames:
            piece = frame.to_ndarray()[0]
            a, b = max(first - done, 0), min(stop - done, len(piece))
            if b > a:
                samples[done + a - first : done + b - first] = piece[a:b]
            done += len(piece)

    for frame in read_sound(path):
        mono = AudioFrame.from_ndarray((mix @ frame.to_ndarray())[None], "flt", "mono")
        mono.sample_rate, mono.time_base, mono.pts = sound.rate, frame.time_base, frame.pts
        put(convert.resample(mono))
        if done >= stop:
            break
    else:
        put(convert.resample(None))
    np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return Audio(np.clip(samples, -1.0, 1.0, out=samples), rate)


def _mono_mix(layout: str, channels: int) -> np.ndarray:
    """Return (channels,) float32 weights that add up to 1."""
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    weights = np.array([_MONO_WEIGHTS.get(name, _OTHER_WEIGHT) for name in names], np.float32)
    if len(weights) != channels or weights.sum() == 0:
        weights = np.ones(channels, np.float32)
    return weights / weights.sum()


def check_voice(audio: Audio, name: str = "The voice") -> None:
    """Raise `InputError` if a voice is shorter than 0.2 s or silent (peak under −60 dB)."""
    if audio.duration < MIN_VOICE_SECONDS:
        raise InputError(
            f"{name} holds only {audio.duration:.2f} s of sound; "
            f"the voice needs at least {MIN_VOICE_SECONDS} s."
        )
    if float(np.abs(audio.samples).max()) < SILENCE:
        raise InputError(
            f"{name} is silent from beginning to end; choose a recording in which someone speaks."
        )
