"""Every word of the screen, in every language it speaks.

The words lie in ``locales/<language>/<area>.yaml`` as lines ``key: text``; the whole key is
``area.key``. Fixed labels are resolved by the browser (`label`), what a handler says is put
together here in the visitor's language (`Words`), and widgets in JavaScript get all of it
(`client_words`). What the pipeline says is translated whole (`Words.sentence`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import yaml
from gradio.i18n import I18nData

from lipsync.ui.sentences import translate_sentence

LOCALES = ("en", "zh-CN")
_SPOKEN = {"en": "en", "zh": "zh-CN"}  # language -> locale
_FOLDER = Path(__file__).with_name("locales")
_catalogue = gr.I18n()  # makes the markers that the browser replaces; holds no words itself


class Words:
    """The words of one language: ``words("run.place", count=2)``."""

    def __init__(self, locale: str) -> None:
        """`locale` is one of `LOCALES`; it raises KeyError for any other."""
        self._texts = _read_texts()[locale]
        self.locale = locale

    def __call__(self, key: str, **values: Any) -> str:
        """Return the text of `key`, not escaped, with ``{name}`` replaced by `values`.

        Where ``key.one`` exists it is taken for ``count=1``. Raises KeyError for an unknown key.
        """
        if values.get("count") == 1 and f"{key}.one" in self._texts:
            key = f"{key}.one"
        return self._texts[key].format(**values)

    def sentence(self, text: str) -> str:
        """Return `text`, an error, note or verdict of the pipeline, in this language, not escaped.

        One that has no translation comes back in English, behind a word that says so.
        """
        if self.locale == "en":
            return text
        said = translate_sentence(text, self.locale)
        return said if said is not None else self("sentences.untranslated", text=text)


@cache
def words_in(locale: str) -> Words:
    """Return the words of `locale`, one of `LOCALES`."""
    return Words(locale)


def words_for(request: gr.Request | None) -> Words:
    """Return the words in the language the visitor's browser asks for, English if unknown."""
    asked = (request.headers.get("accept-language") or "") if request is not None else ""
    return words_in(choose_locale(asked))


def choose_locale(accepted: str) -> str:
    """Return the one of `LOCALES` that an ``Accept-Language`` header prefers, English if none.

    Every Chinese gets the Simplified one: most readers of Traditional follow it more easily than
    English. The page's scripts speak the same one (page_language.py).
    """
    wishes = [_read_wish(wish) for wish in accepted.split(",")]
    for weight, language in sorted(wishes, key=lambda wish: -wish[0]):
        if weight > 0 and language in _SPOKEN:
            return _SPOKEN[language]
    return "en"


def _read_wish(wish: str) -> tuple[float, str]:
    """Return weight and language of one part of the header, ``zh-TW;q=0.8`` -> 0.8, ``zh``."""
    tag, _, weight = wish.partition(";")
    language = tag.strip().lower().split("-")[0]
    if not weight:
        return 1.0, language
    stated = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight)
    return (float(stated[1]) if stated else 0.0), language


def label(key: str) -> I18nData:
    """Return a marker for a component's label, help or HTML text, which the browser resolves."""
    assert key in _read_texts()["en"], f"no word {key!r}"
    return _catalogue(key)


def make_i18n() -> gr.I18n:
    """Return what ``launch(i18n=…)`` needs so that the browser can resolve `label`."""
    return gr.I18n(**_read_texts())  # page_language.py tells Gradio which of the two to take


def client_words() -> dict[str, dict[str, str]]:
    """Return locale -> key -> text, for the widgets."""
    return _read_texts()


@cache
def _read_texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = {}
    for locale in LOCALES:
        texts[locale] = {}
        for path in sorted((_FOLDER / locale).glob("*.yaml")):
            lines = yaml.safe_load(path.read_text("utf-8")) or {}
            texts[locale].update({f"{path.stem}.{key}": text for key, text in lines.items()})
    return texts
