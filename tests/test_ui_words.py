"""Both languages say the same things, and nothing on the screen is missing from them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import pytest
import yaml

from lipsync.ui.words import LOCALES, choose_locale, client_words, label, words_for, words_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREEN = Path(__file__).resolve().parents[1] / "lipsync" / "ui"
TEXTS = client_words()
AREAS = {key.split(".")[0] for key in TEXTS["en"]}
_KEY = re.compile(rf"({'|'.join(sorted(AREAS))})\.[A-Za-z0-9_.-]+")
_FILE = re.compile(r".*\.(js|css|csv|html|json|yaml|mp4|wav|png|jpg|txt|md)")
# Latin letters a Chinese reader expects: names, formats, units, and what is typed as it stands
_PLAIN = re.compile(
    r"Lipsync Studio|\b(AI|API|CPU|CSV|GPU|JPEG|JSON|MP3|MP4|WAV|YAML|MOV|WebM|PNG)\b"
    r"|\b(fps|GB|Hz|kB|kHz|MB|ms|px|s|[A-Z]|Home|End|Shift)\b|\{\w+\}|<[^>]+>"
)


def strings_in_python(path: Path) -> Iterator[str]:
    """Yield a module's strings; a placeholder of an f-string reads ``*``."""
    tree = ast.parse(path.read_text("utf-8"))
    inner = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "*" for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.value


def strings_in_script(path: Path) -> Iterator[str]:
    """Yield what stands in quotes; ``${…}`` of a template reads ``*``."""
    code = re.sub(r"^\s*//.*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
    for found in re.finditer(r'"([^"\n]*)"|`([^`]*)`', code):
        yield found[1] if found[1] is not None else re.sub(r"\$\{[^}]*\}", "*", found[2])


def used_keys() -> dict[str, str]:
    """Return key, or pattern with ``*``, -> the file that names it."""
    found = {}
    for path in sorted(SCREEN.rglob("*")):
        strings: Iterator[str] = iter(())
        if path.suffix == ".py":
            strings = strings_in_python(path)
        elif path.suffix == ".js":
            strings = strings_in_script(path)
        for text in strings:
            if _KEY.fullmatch(text.replace("*", "x")) and not _FILE.fullmatch(text):
                found[text] = path.name
    return found


def fits(used: str, key: str) -> bool:
    plain = key.removesuffix(".one")
    return re.fullmatch(re.escape(used).replace(r"\*", ".+"), plain) is not None


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{([^}]*)\}", text))


def test_both_languages_have_the_same_keys() -> None:
    english, chinese = (set(TEXTS[locale]) for locale in LOCALES)
    assert {key for key in english if not key.endswith(".one")} <= chinese
    assert chinese <= english  # Chinese may say one as it says many


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_can_be_shown(locale: str) -> None:
    """YAML reads a bare yes or 25 as no text; scripts know plain names in braces only."""
    for key, text in TEXTS[locale].items():
        assert isinstance(text, str), key
        assert text.strip() == text != "", key
        assert all(re.fullmatch(r"[a-z_]+", name) for name in placeholders(text)), key


def test_no_line_of_a_file_hides_another() -> None:
    for path in SCREEN.glob("locales/*/*.yaml"):
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), path


def test_both_languages_take_the_same_values() -> None:
    for key, chinese in TEXTS["zh-CN"].items():
        ours, theirs = placeholders(TEXTS["en"][key]), placeholders(chinese)
        if key.endswith(".one"):  # there, the number may be said or left out
            ours, theirs = ours - {"count"}, theirs - {"count"}
        assert ours == theirs, key


def test_one_of_something_has_a_word_for_many() -> None:
    for key, text in TEXTS["en"].items():
        if key.endswith(".one"):
            many = TEXTS["en"][key.removesuffix(".one")]
            assert placeholders(text) <= placeholders(many) | {"count"}, key


def test_chinese_texts_hold_no_english() -> None:
    left = {key: re.findall(r"[A-Za-z]+", _PLAIN.sub("", t)) for key, t in TEXTS["zh-CN"].items()}
    assert {key: words for key, words in left.items() if words} == {}


def test_every_key_that_is_used_exists() -> None:
    missing = {
        used: place
        for used, place in used_keys().items()
        if not any(fits(used, key) for key in TEXTS["en"])
    }
    assert missing == {}


def test_every_key_that_exists_is_used() -> None:
    used = used_keys()
    assert [key for key in TEXTS["en"] if not any(fits(one, key) for one in used)] == []


def test_one_takes_its_own_words() -> None:
    key = next(key for key in TEXTS["en"] if key.endswith(".one")).removesuffix(".one")
    values = dict.fromkeys(placeholders(TEXTS["en"][key]), "x")
    words = words_in("en")
    assert words(key, **{**values, "count": 1}) != words(key, **{**values, "count": 2})
    with pytest.raises(KeyError):
        words("app.nothing-of-the-kind")


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("", "en"),
        ("*", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("zh-Hant-HK;q=0.8", "zh-CN"),
        ("ZH", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("de,zh;q=0.7,en;q=0.3", "zh-CN"),
        ("en;q=0.3, zh;q=0.7", "zh-CN"),
        ("zh;q=0, de", "en"),
        ("zh;q=nan,en;q=0.1", "en"),
        ("zha, zh-CN;q=0.1", "zh-CN"),
        (";;,,;q=1", "en"),
    ],
)
def test_the_language_asked_for_first_that_is_spoken(accepted: str, locale: str) -> None:
    assert choose_locale(accepted) == locale


def test_without_a_request_english_is_spoken() -> None:
    assert words_for(None).locale == "en"


# what a browser says of itself, and what the whole screen then speaks
READERS = [
    ("zh-CN", "zh-CN"),
    ("zh-TW", "zh-CN"),
    ("zh-HK", "zh-CN"),
    ("zh-Hans-CN", "zh-CN"),
    ("en-GB", "en"),
    ("de", "en"),
]


def say_locale(request: gr.Request) -> str:
    return words_for(request).locale


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from served_blocks import serve_blocks

    with gr.Blocks() as blocks:
        gr.Textbox(label=label("sentences.untranslated"), elem_id="labelled")
        gr.HTML(f"<p>{label('sentences.untranslated')}</p>", elem_id="embedded")
        gr.File(elem_id="of-gradio")
        handled = gr.Textbox(elem_id="handled")
        blocks.load(say_locale, None, handled)
    with serve_blocks(blocks) as served:
        yield served


@pytest.mark.browser
@pytest.mark.parametrize(("reader", "locale"), READERS)
def test_the_whole_screen_speaks_one_language(
    browser: Browser, address: str, reader: str, locale: str
) -> None:
    """Labels, HTML, scripts, handlers, Gradio's own words and the page's ``lang`` agree."""
    from playwright.sync_api import expect

    said = TEXTS[locale]["sentences.untranslated"]
    context = browser.new_context(locale=reader)
    try:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#handled textarea")).to_have_value(locale)
        expect(page.locator("#labelled")).to_contain_text(said)
        expect(page.locator("#embedded")).to_have_text(said)
        expect(page.locator("#of-gradio")).to_contain_text(
            {"en": "Click to Upload", "zh-CN": "点击上传"}[locale]
        )
        assert page.evaluate("studio.locale") == locale
        assert page.evaluate("document.documentElement.lang") == locale
    finally:
        context.close()
