"""``python -m lipsync avatar``: prepare a clip once, let it speak many times."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync.cli.codes import EXIT_DONE
from lipsync.cli.job import add_job, run_job
from lipsync.cli.options import (
    add_detector,
    add_json,
    add_limit,
    add_settings,
    open_pipeline,
    print_json,
)
from lipsync.cli.progress import ProgressLine, describe_progress
from lipsync.steps import exhaust, map_steps
from lipsync.types import Progress
from lipsync.weights import describe_size

if TYPE_CHECKING:
    from lipsync.avatar.store import Avatar

_EPILOG = """\
An avatar keeps a copy of the clip, the faces found in it and where an engine's crops lie on them,
so that no speech after the first looks for faces. `sync` finds an avatar by the clip's content too.
"""


def add_avatar(commands: argparse._SubParsersAction) -> None:
    """Add the command and its kinds to the parser's."""
    avatar = commands.add_parser(
        "avatar",
        help="prepare a clip once, let it speak many times",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kinds = avatar.add_subparsers(dest="kind", required=True, metavar="KIND")
    create = kinds.add_parser("create", help="prepare a clip as NAME", allow_abbrev=False)
    create.add_argument("name", metavar="NAME", help="letters, digits, spaces, - and _")
    create.add_argument(
        "--video", type=Path, required=True, metavar="VIDEO", help="a video or a photo"
    )
    create.add_argument(
        "--engine", default="draft", metavar="E", help="whom to prepare it for; default: draft"
    )
    add_settings(create)
    add_detector(create)
    add_limit(create)
    speak = kinds.add_parser("speak", help="make NAME speak AUDIO", allow_abbrev=False)
    speak.add_argument("name", metavar="NAME", help="see `avatar list`")
    speak.add_argument(
        "--audio",
        type=Path,
        required=True,
        metavar="AUDIO",
        help="a voice, from any sound or video",
    )
    add_job(speak)
    listing = kinds.add_parser("list", help="what avatars there are", allow_abbrev=False)
    remove = kinds.add_parser("rm", help="delete an avatar, its copy too", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME", help="see `avatar list`")
    for kind in (create, listing, remove):
        add_json(kind)
    for kind in (create, speak, listing, remove):
        kind.add_argument(
            "--home",
            type=Path,
            metavar="DIR",
            help="where avatars are kept; default: LIPSYNC_HOME, or the user's data folder",
        )


def run_avatar(arguments: argparse.Namespace) -> int:
    """Run the kind of command that was chosen; return the exit code. Raises LipsyncError."""
    return _KINDS[arguments.kind](arguments)


def _create(arguments: argparse.Namespace) -> int:
    from lipsync.avatar.store import AvatarStore

    store = AvatarStore(arguments.home)
    with (
        closing(open_pipeline(arguments.max_minutes, arguments.detector)) as pipeline,
        closing(ProgressLine(sys.stderr, describe_making)) as line,
    ):
        making = pipeline.create_avatar(
            arguments.name,
            arguments.video,
            arguments.engine,
            dict(arguments.settings),
            store,
        )
        made = exhaust(map_steps(line.show, making))
    if arguments.as_json:
        print_json(avatar_as_json(made))
    else:
        print(describe_avatar(made))
    return EXIT_DONE


def _speak(arguments: argparse.Namespace) -> int:
    from lipsync.avatar.store import AvatarStore

    avatar = AvatarStore(arguments.home).get(arguments.name)
    return run_job(arguments, avatar.video, arguments.home)


def _list(arguments: argparse.Namespace) -> int:
    from lipsync.avatar.store import AvatarStore

    store = AvatarStore(arguments.home)
    avatars, troubles = store.list(), store.troubles()
    if arguments.as_json:
        told = [avatar_as_json(avatar) for avatar in avatars]
        print_json({"folder": str(store.folder), "avatars": told, "troubles": list(troubles)})
        return EXIT_DONE
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    for avatar in avatars:
        print(describe_avatar(avatar))
    if not avatars:
        print("There is no avatar yet; see `avatar create`.")
    print(f"They lie in {store.folder}.")
    return EXIT_DONE


def _remove(arguments: argparse.Namespace) -> int:
    from lipsync.avatar.store import AvatarStore

    store = AvatarStore(arguments.home)
    name = store.find_name(arguments.name).name
    freed = store.remove(name)
    if arguments.as_json:
        print_json({"name": name, "bytes_freed": freed})
    else:
        print(f"{name}: removed, {describe_size(freed)} freed")
    return EXIT_DONE


_KINDS = {"create": _create, "speak": _speak, "list": _list, "rm": _remove}


def describe_avatar(avatar: Avatar) -> str:
    """Return one line about an avatar, for people."""
    clip = avatar.clip
    length = "a picture" if clip.is_still else f"{clip.duration:.2f} s"
    engines = ", ".join(avatar.engines) or "no engine of this version yet"
    return (
        f"{avatar.name}: {clip.size.width} x {clip.size.height} px, {length}, "
        f"prepared for {engines}, {describe_size(avatar.bytes)}"
    )


def avatar_as_json(avatar: Avatar) -> dict[str, Any]:
    """Return an avatar as plain JSON values."""
    clip = avatar.clip
    return {
        "name": avatar.name,
        "key": avatar.key,
        "created": avatar.created,
        "video": str(avatar.video),
        "thumbnail": str(avatar.thumbnail),
        "engines": list(avatar.engines),
        "bytes": avatar.bytes,
        "seconds": clip.duration,
        "fps": float(clip.fps),
        "size": {"width": clip.size.width, "height": clip.size.height},
    }


def describe_making(progress: Progress, bar: bool = True) -> str:
    """Return one line: what is done, how far; bytes as a share."""
    if progress.stage in ("check", "copy"):
        percent = round(100 * progress.share)
        progress = Progress(progress.stage, percent, 100)
    return describe_progress(progress, bar)
