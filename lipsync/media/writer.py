"""The result: one H.264 encode with the user's own voice beside it, in one pass.

Pictures are not touched again on their way; with `lossless` they read back bit for bit. The
file gets its final name only when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipsync.media.output import FORMATS, media_file, output_errors
from lipsync.media.picture import plane_view
from lipsync.media.voice_track import CodedVoice, CopiedVoice, add_voice
from lipsync.types import Colour, Frame, Size, Voice

Quality = Literal["high", "lossless"]
_RATE_CONTROL: dict[Quality, dict[str, str]] = {"high": {"crf": "18"}, "lossless": {"qp": "0"}}


class VideoWriter:
    """Writes frames and a voice to `path`; a context manager.

    `size` is (height, width), both even. The sound ends with the picture: a longer voice is cut,
    a shorter one ends early. The first frame hears `voice_start` seconds into the voice; only from
    0 can its coded sound be copied. `key_frames` is how many frames apart a player can jump to at
    once, None = the encoder's choice. `tags` become the file's metadata (title, comment ...).
    Leaving the `with` block by an exception leaves no file behind and an older file of the same
    name untouched. Raises `OutputError` where the disk or the folder refuses.
    """

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        size: Size,
        colour: Colour,
        voice: Voice | None = None,
        *,
        voice_start: Fraction = Fraction(0),
        quality: Quality = "high",
        preset: str = "veryfast",
        key_frames: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        assert size.height % 2 == 0
        assert size.width % 2 == 0
        self._path = path
        self._fps = fps
        self._size = size
        self._colour = colour
        self._voice = voice
        self._voice_start = voice_start
        self._options = {**_RATE_CONTROL[quality], "preset": preset}
        if key_frames is not None:
            self._options["g"] = str(key_frames)
        self._tags = dict(tags or {})
        self._stack = ExitStack()  # what leaving the block ends, in turn
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._sound: CopiedVoice | CodedVoice | None = None
        self.num_frames = 0  # written so far

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            made = media_file(
                self._path, FORMATS[self._path.suffix.lower()], {"movflags": "+faststart"}
            )
            self._container = stack.enter_context(made)
            with output_errors(self._path):
                self._add_streams(self._container, stack)
            stack.enter_context(self._finished())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, frame: Frame) -> None:
        """Append one frame; its planes are copied, its index does not matter."""
        assert frame.size == self._size
        assert self._stream is not None
        picture = self._picture(frame)
        with output_errors(self._path):
            self._mux(self._stream.encode(picture))
            self.num_frames += 1
            self._mux_sound(last=False)

    def _add_streams(self, container: OutputContainer, stack: ExitStack) -> None:
        container.metadata.update(self._tags)
        stream = container.add_stream("libx264", rate=self._fps, options=self._options)
        context = stream.codec_context
        context.width, context.height = self._size.width, self._size.height
        context.pix_fmt = "yuv420p"
        context.sample_aspect_ratio = Fraction(1)
        context.color_range = 2 if self._colour.full_range else 1
        context.color_primaries = self._colour.primaries
        context.color_trc = self._colour.transfer
        context.colorspace = self._colour.space
        self._stream = stream
        if self._voice is not None:
            sound = add_voice(container, self._voice.path, self._voice_start)
            self._sound = stack.enter_context(closing(sound))

    def _picture(self, frame: Frame) -> VideoFrame:
        picture = VideoFrame(self._size.width, self._size.height, "yuv420p")
        for number, plane in enumerate((frame.y, frame.u, frame.v)):
            np.copyto(plane_view(picture, number), plane)
        picture.color_range = 2 if self._colour.full_range else 1
        picture.colorspace = self._colour.space
        picture.color_primaries = self._colour.primaries
        picture.color_trc = self._colour.transfer
        picture.pts = self.num_frames
        picture.time_base = 1 / self._fps
        return picture

    def _mux(self, packets: Iterator[Packet] | list[Packet]) -> None:
        assert self._container is not None
        for packet in packets:
            self._container.mux(packet)

    def _mux_sound(self, last: bool) -> None:
        if self._sound is not None:
            self._mux(self._sound.packets_until(self.num_frames / self._fps, last))

    @contextmanager
    def _finished(self) -> Iterator[None]:
        """Write what the encoders still hold, unless the body raises."""
        yield
        assert self.num_frames > 0, "no frame was written"
        assert self._stream is not None
        with output_errors(self._path):
            self._mux(self._stream.encode(None))
            self._mux_sound(last=True)
