"""Where a result goes: checked first, written beside its final name, renamed when whole."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import av
from av.container import OutputContainer

from lipsync.errors import OutputError

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}  # name's ending -> muxer
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_output(output: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise `OutputError` unless a result can be written to `output`.

    Its folder must exist and be writable, its name end in .mp4, .m4v or .mov, and it must not be
    a folder or one of the `inputs`, under whatever name.
    """
    check_place(output, inputs)
    if output.suffix.lower() not in FORMATS:
        raise OutputError(
            f"The result is an MP4 video, but {output.name} does not end in .mp4; "
            "give a name that does."
        )


def check_ending(output: Path, endings: Collection[str]) -> None:
    """Raise `OutputError` unless the name of `output` ends in one of `endings`."""
    if output.suffix.lower() not in endings:
        raise OutputError(
            f"{output.name} does not end in {' or '.join(endings)}; give a name that does."
        )


def check_place(output: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise `OutputError` unless a file of any kind can be written to `output`.

    Its folder must exist and be writable, and it must not be a folder or one of the `inputs`, under
    whatever name.
    """
    if output.is_dir():
        raise OutputError(f"{output} is a folder; give the name of a file inside it.")
    folder = output.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}; create it or choose another.")
    for path in inputs:
        if _same_file(output, path):
            raise OutputError(
                f"{output.name} is one of the inputs and would be overwritten; "
                "give the result another name."
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"Nothing may be written to {folder}; choose another folder.")


def _same_file(output: Path, path: Path) -> bool:
    if output.exists() and path.exists():
        return output.samefile(path)
    return output.resolve() == path.resolve()


@contextmanager
def partial_file(output: Path) -> Iterator[Path]:
    """Give a new name beside `output`; rename it to `output` at the end.

    If the body raises, what was written is removed and `output` stays as it was.
    """
    partial = output.with_name(f".{secrets.token_hex(8)}.part{output.suffix.lower()}")
    try:
        yield partial
        with output_errors(output):
            os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def media_file(
    output: Path, muxer: str, options: Mapping[str, str] | None = None
) -> Iterator[OutputContainer]:
    """Lend a new container, of the `muxer` with these `options`, that becomes `output` at the end.

    If the body raises, what was written is removed, quickly, and `output` stays as it was. Raises
    `OutputError` where the disk or the folder refuses.
    """
    with partial_file(output) as partial:
        address = "file:" + str(partial.absolute())
        with output_errors(output):
            made = av.open(address, "w", format=muxer, container_options=dict(options or {}))
        with ExitStack() as undo:
            undo.callback(_give_up, made, partial)
            yield made
            undo.pop_all()
        with output_errors(output):
            made.close()


def _give_up(made: OutputContainer, partial: Path) -> None:
    if partial.exists():
        # closing would first move all data to make room for the index in front
        os.truncate(partial, 0)
    with suppress(av.error.FFmpegError):  # why it is not finished is on its way
        made.close()


@contextmanager
def output_errors(output: Path) -> Iterator[None]:
    """Turn the system's and the muxer's complaints about writing into an `OutputError`."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        folder = output.absolute().parent
        if error.errno in _NO_SPACE:
            # the name may be a partial file's, which nobody knows
            text = f"There is no room left for the result in {folder}; free some space."
        elif error.errno in _NOT_ALLOWED:
            text = f"Nothing may be written to {folder}; choose another folder."
        elif error.errno in (errno.ENOENT, errno.ENOTDIR):
            text = f"The folder {folder} is gone or never was; create it or choose another."
        else:
            reason = error.strerror or str(error)
            text = f"The result could not be written to {folder} ({reason}); try another folder."
        raise OutputError(text) from error
