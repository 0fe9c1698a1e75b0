"""Start the screen: ``python app.py [--port 7860] [--idle-release 10]``; Spaces starts here too."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from functools import partial


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; environment variables, Gradio's and ours, give the defaults."""
    parser = argparse.ArgumentParser(description="Lipsync Studio in the browser.")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("GRADIO_SERVER_PORT", "7860"))
    idle = os.environ.get("LIPSYNC_IDLE_RELEASE", "")
    parser.add_argument("--idle-release", metavar="MIN", default=idle, help="default: never")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Build the screen and serve it until interrupted."""
    arguments = parse_arguments(words)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by gradio's import: no call home
    gc.disable()  # all that is loaded now stays; to look for garbage in it takes half a second

    from lipsync.errors import LipsyncError
    from lipsync.media.export import ensure_ffmpeg_on_path
    from lipsync.presets import preset_folders
    from lipsync.ui import hosting, loan
    from lipsync.ui.launch import serve
    from lipsync.ui.layout import build_ui

    has_lent_gpu = loan.import_spaces()  # before torch
    ensure_ffmpeg_on_path()
    try:
        deployment = hosting.read_deployment()
        residence = hosting.make_residence(arguments.idle_release)
        screen = build_ui(
            partial(hosting.make_pipeline, deployment=deployment, residence=residence),
            preset_folders(),
            limits=deployment.limits,
            loads_first=has_lent_gpu,
            residence=residence,
            can_fetch=not deployment.is_hosted,
            shelf=hosting.make_shelf(deployment),
        )
        gc.freeze()
        gc.enable()
        serve(screen, deployment, arguments.host, arguments.port)
    except LipsyncError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
