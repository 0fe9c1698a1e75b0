"""Start the screen: ``python app.py [--host 127.0.0.1] [--port 7860]``; Spaces starts here too."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from functools import partial


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return host and port; Gradio's own environment variables give the defaults."""
    parser = argparse.ArgumentParser(description="Lipsync Studio in the browser.")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    parser.add_argument("--port", type=int, default=port)
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
    from lipsync.ui import hosting
    from lipsync.ui.launch import launch_options
    from lipsync.ui.layout import build_ui

    has_lent_gpu = hosting.import_spaces()  # before torch
    ensure_ffmpeg_on_path()
    try:
        deployment = hosting.read_deployment()
        make_pipeline = partial(hosting.make_pipeline, deployment=deployment)
        screen = build_ui(
            make_pipeline, preset_folders(), limits=deployment.limits, loads_first=has_lent_gpu
        )
    except LipsyncError as error:
        sys.exit(str(error))
    options = launch_options(deployment)
    gc.freeze()
    gc.enable()
    try:
        screen.launch(server_name=arguments.host, server_port=arguments.port, **options)
    except OSError:
        sys.exit(
            f"{arguments.host}:{arguments.port} cannot be served, another program may be using it; "
            "choose another with --port."
        )


if __name__ == "__main__":
    main()
