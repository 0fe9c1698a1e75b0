"""Every word of the screen, in every language it speaks.

The words lie in ``locales/<language>/<area>.yaml`` as lines ``key: text``; the whole key is
``area.key``. Fixed labels are resolved by the browser (`label`), what a handler says is put
together here in the visitor's language (`Words`), and widgets in JavaScript get all of it
(`client_words`). What the pipeline says is translated whole (`Words.sentence`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import yaml
from gradio.i18n import I18nData

from lipsync.ui.sentences import translate_sentence

LOCALES = ("en", "zh-CN")
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
    """Return the one of `LOCALES` that suits an ``Accept-Language`` header's first language."""
    first = accepted.split(",")[0].split(";")[0].strip().lower()
    return "zh-CN" if first.split("-")[0] == "zh" else "en"


def label(key: str) -> I18nData:
    """Return a marker for a component's label, help or HTML text, which the browser resolves."""
    assert key in _read_texts()["en"], f"no word {key!r}"
    return _catalogue(key)


def make_i18n() -> gr.I18n:
    """Return what ``launch(i18n=…)`` needs so that the browser can resolve `label`."""
    texts = _read_texts()
    chinese = ("zh", "zh-CN", "zh-Hans", "zh-Hans-CN", "zh-SG", "zh-TW", "zh-HK", "zh-Hant")
    return gr.I18n(en=texts["en"], **dict.fromkeys(chinese, texts["zh-CN"]))


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
