"""What the pipeline says in English, in the visitor's language.

Errors, notes and verdicts are written in English where they arise and the command line shows them
so. ``locales/sentences/<language>.yaml`` holds each of them as a template, ``{}`` for every value,
beside its translation, which may place the values by number (``{1}``). Values that are words of
ours themselves ("the file", "early") stand there too and are translated where they come up.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import yaml

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).with_name("locales") / "sentences"
_MAX_LETTERS = 4000  # longer is no sentence of ours
_MAX_DEPTH = 4  # a word within a cause within a sentence, and one to spare


@dataclass(frozen=True)
class Template:
    """A sentence of ours with ``{}`` for every value, and its translation."""

    pieces: tuple[str, ...]  # the text before, between and behind the values
    translation: str

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two templates that both fit is meant: the smaller."""
        return -sum(map(len, self.pieces)), len(self.pieces)

    def find_values(self, text: str) -> list[str] | None:
        """Return what stands in the places of the values, or None where `text` is another sentence.

        Reads from left to right and never goes back, so a hostile value costs no time.
        """
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) == 1:
            return [] if text == first else None
        if not text.startswith(first) or not text.endswith(last):
            return None
        values, place, end = [], len(first), len(text) - len(last)
        for piece in self.pieces[1:-1]:
            found = text.find(piece, place, end)
            if found < 0:
                return None
            values.append(text[place:found])
            place = found + len(piece)
        return [*values, text[place:end]] if place <= end else None


@lru_cache(maxsize=512)  # what is missing is then logged once, not at every glance at the screen
def translate_sentence(text: str, locale: str) -> str | None:
    """Return `text`, a sentence of the pipeline, in the language of `locale` (not English).

    None, and a line in the log, where it has no translation. Raises FileNotFoundError for a
    language that has no list of sentences.
    """
    said = _translate(text, locale)
    if said is None:
        log.warning("no %s for the sentence %.200r", locale, text)
    return said


@cache
def read_templates(locale: str) -> dict[str, Template]:
    """Return English template -> `Template`, the more text and the fewer values, the earlier."""
    lines: dict[str, str] = yaml.safe_load((_FOLDER / f"{locale}.yaml").read_text("utf-8"))
    templates = {text: Template(tuple(text.split("{}")), said) for text, said in lines.items()}
    longest = sorted(templates.items(), key=lambda line: line[1].rank)
    return dict(longest)


def _translate(text: str, locale: str, depth: int = 0) -> str | None:
    if len(text) > _MAX_LETTERS or depth > _MAX_DEPTH:
        return None
    for template in read_templates(locale).values():
        values = template.find_values(text)
        if values is not None:
            words = [_translate(value, locale, depth + 1) or value for value in values]
            return template.translation.format(*words)
    return None
