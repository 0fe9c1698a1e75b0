"""Opening media files that strangers hand in.

Every file is opened as a plain local file, by a short list of demuxers that never follow a
reference to another file or to the network; a play list dressed up as a video is refused.
"""

from __future__ import annotations

import os
import stat
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from lipsync.errors import InputError

DEMUXERS = (
    "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,"
    "wav,w64,mp3,aac,flac,aiff,caf,amr,au,ac3,eac3"
)
CLIP_KINDS = "mp4, mov, mkv, webm, avi, gif, png, jpg or webp"
VOICE_KINDS = "wav, mp3, m4a, ogg, flac or any video with sound"
MAX_PIXELS = 8192 * 8192  # decoders refuse larger pictures before they allocate them
_PICTURE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"jxl ")


def check_file(path: Path) -> None:
    """Raise `InputError` unless `path` is an ordinary, readable file that holds something."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the name and the folder.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be reached ({reason}); check the path and its permissions."
        ) from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} is not a file name ({error}); choose a file.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder; choose one file inside it.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is not an ordinary file; copy its content into a file first.")
    if status.st_size == 0:
        raise InputError(f"{path.name} is empty (0 bytes); copy or download it again.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read; change its permissions or copy it elsewhere.")


def is_picture(path: Path) -> bool:
    """Return whether the first bytes of `path` are those of a still picture (gif: a video)."""
    with path.open("rb") as file:
        head = file.read(16)
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    modern = head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS
    return webp or modern or head.startswith(_PICTURE_STARTS)


def open_media(path: Path, kinds: str) -> InputContainer:
    """Open a video or sound file for reading; `kinds` names for the user what would do.

    Raises `InputError` if the file is missing, empty, cut off or no media at all.
    """
    check_file(path)
    try:
        return av.open(
            "file:" + str(path.absolute()),
            container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        raise InputError(_describe_unopenable(path, kinds, error)) from error


def _describe_unopenable(path: Path, kinds: str, error: av.error.FFmpegError) -> str:
    """Return the sentence for a file that no demuxer takes."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide"):
        return (
            f"{path.name} breaks off before its index (the 'moov' part is missing or damaged), "
            "so nothing in it can be played; record, copy or download it again."
        )
    if head.startswith(b"\x1aE\xdf\xa3") or head[:4] in (b"RIFF", b"OggS", b"fLaC"):
        return (
            f"{path.name} breaks off right after its start, so nothing in it can be played; "
            "copy or download it again."
        )
    if _is_text(head):
        return f"{path.name} holds text, not {kinds}; choose a media file."
    what = error.strerror or "unknown data"
    return f"{path.name} is no media file that can be read here ({what}); {kinds} is needed."


def _is_text(head: bytes) -> bool:
    """Return whether these bytes read as text: UTF-8 without control characters."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(ord(c) < 32 and c not in "\t\n\r\f\x1b" for c in text)


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the first moving-picture stream; cover art does not count."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def sound_stream(container: InputContainer) -> AudioStream | None:
    """Return the stream that players choose: the one marked as default, else the first."""
    streams = container.streams.audio
    for stream in streams:
        if stream.disposition & Disposition.default:
            return stream
    return streams[0] if streams else None


def time_zero(container: InputContainer) -> Fraction:
    """Return the container time in seconds at which the file's own clock starts.

    That is the start of the picture where there is one, so that picture and sound keep their
    relation, else the start of the sound.
    """
    stream = picture_stream(container) or sound_stream(container)
    if stream is None or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def check_decodable(stream: VideoStream | AudioStream | None, path: Path) -> None:
    """Raise `InputError` if no decoder for this stream is at hand."""
    try:
        known = stream is not None and stream.codec_context is not None
        name = stream.codec_context.name if stream is not None and known else "unknown"
    except (AttributeError, av.error.DecoderNotFoundError):
        known, name = False, "unknown"
    if not known:
        raise InputError(
            f"{path.name} is coded in a way that cannot be decoded here ({name}); convert it to "
            "H.264 video with AAC sound first."
        )
