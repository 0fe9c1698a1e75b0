"""What a visitor is told when something goes wrong: one sentence, in the visitor's language."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Literal, Self

from lipsync.errors import LipsyncError
from lipsync.ui.words import Words

log = logging.getLogger(__name__)


class PlainWords:
    """A ``with`` block that ends quietly at an exception and keeps its `sentence`.

    A LipsyncError's own sentence is told; any other exception is a bug of ours, logged with its
    traceback and called so. A closed generator or an interrupt passes through.
    """

    sentence: str | None = None  # None = all went well

    def __init__(self, words: Words) -> None:
        self._words = words

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[True] | None:
        if isinstance(error, LipsyncError):
            self.sentence = self._words.sentence(str(error))
            return True
        if isinstance(error, Exception):  # not GeneratorExit: that is a client who left
            log.error("a job failed through a bug", exc_info=error)
            self.sentence = self._words("run.our-fault")
            return True
        return None
