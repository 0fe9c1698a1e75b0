"""Entry point of ``python -m lipsync``."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from lipsync.cli.commands import main


def _stop(signum: int, frame: FrameType | None) -> None:
    # a polite kill cleans up just as Ctrl-C does
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
