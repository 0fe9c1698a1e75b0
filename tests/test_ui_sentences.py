"""Whatever the program can say, it can say in Chinese."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from said_sentences import read_sentences

from lipsync.engines import ENGINES, engine_class, make_settings
from lipsync.errors import LipsyncError
from lipsync.media.output import check_output
from lipsync.media.probe import Limits, probe_clip, probe_voice
from lipsync.media.sound import check_voice
from lipsync.media.timeline import trim_range
from lipsync.presets import load_presets
from lipsync.types import Audio
from lipsync.ui.sentences import Template, read_templates, translate_sentence
from lipsync.ui.words import words_in

SAID = read_sentences()
CHINESE = read_templates("zh-CN")
# Latin letters that a Chinese reader expects: formats, tools, units, and what is typed as it stands
PLAIN = re.compile(
    r"[Hh]\.264|AAC|PNG|JPEG|WebP|MP4|8K|YAML|JSON|UTF-8|TMPDIR|[A-Z]+(?:_[A-Z]+)+|ffmpeg|moov|MB|kB|px|ms"
    r"|LatentSync|ONNX|onnxruntime|OpenAI|PyTorch|UNet|Whisper|fp32"
    r"|\b(mp4|mov|mkv|webm|avi|gif|png|jpg|webp|wav|mp3|m4a|ogg|flac)\b"
    r"|`[^`]*`|https://huggingface\.co|HTTP|ZIP|MIT|LRS2|GAN|RAIL\+\+-M"
    r"|(?:Stable)?SyncNet(?: v2)?|Wav2Lip|InsightFace|CreativeML Open|Stable Diffusion"
    r"|（(?:ft-mse|tiny|small|buffalo_l)）"
    r"|'[^']*'|\*name|\b[xy]\b|\b(true|false)\b"
)


def leftover_words(said: str, *names: str) -> list[str]:
    """Return the Latin words of `said` that are neither `names` nor in `PLAIN`."""
    for name in names:
        said = said.replace(name, "")
    return re.findall(r"[A-Za-z]+", PLAIN.sub("", said))


def system_words() -> set[str]:
    """Return the templates that are not ours but the system's, for the brackets."""
    text = Path("lipsync/ui/locales/sentences/zh-CN.yaml")
    listed = (Path(__file__).parents[1] / text).read_text("utf-8").split("# the system's")[1]
    return set(re.findall(r'^"(.*?)":', listed, re.MULTILINE))


def test_the_source_is_searched_well() -> None:
    """One of each kind: an error, a note, a verdict, a word in a placeholder, a whole constant."""
    assert {
        "{} is empty (0 bytes); copy or download it again.",
        "No speech was found in {}the voice, so the mouth stays at rest.",
        "shifted: the sound comes {} ms too {}",
        "early",
        "1 face was",
        "{} faces were",
        "mp4, mov, mkv, webm, avi, gif, png, jpg or webp",
        "the face is turned away here, so the mouth was left as it is",
        "The result could not be written to {} ({}); try another folder.",
        "{} lasts {} minutes; the limit is {} minutes: cut it into parts or raise the limit.",
    } <= SAID.keys()


def test_every_sentence_has_a_chinese_template() -> None:
    missing = {text: place for text, place in SAID.items() if text not in CHINESE}
    assert missing == {}, "add these to lipsync/ui/locales/sentences/zh-CN.yaml"


def test_no_template_outlives_its_sentence() -> None:
    assert CHINESE.keys() - SAID.keys() - system_words() == set()


@pytest.mark.parametrize("english", CHINESE)
def test_the_translation_holds_every_value_once(english: str) -> None:
    said = CHINESE[english].translation
    values = [f"«{number}»" for number in range(english.count("{}"))]
    filled = said.format(*values)
    assert all(filled.count(value) == 1 for value in values), said
    assert re.search(r"[\u4e00-\u9fff]", said) or "、" in said
    assert english.endswith(".") == said.endswith("。")
    assert leftover_words(filled) == []


@pytest.mark.parametrize("english", CHINESE)
def test_a_sentence_with_values_is_found_again(english: str) -> None:
    """What the program says with file names and numbers in it comes out with the same ones."""
    values = [f"my clip {number}.mp4" for number in range(english.count("{}"))]
    text = english.replace("{}", "%s") % tuple(values)
    said = words_in("zh-CN").sentence(text)
    assert said == CHINESE[english].translation.format(*values)
    assert leftover_words(said, *values) == []


def complaint(act: Callable[[], object]) -> str:
    with pytest.raises(LipsyncError) as caught:
        act()
    return str(caught.value)


def test_what_really_goes_wrong_is_said_in_chinese(tmp_path: Path, face_clip: Path) -> None:
    text, cut = tmp_path / "notes.mp4", tmp_path / "cut.mp4"
    text.write_text("no film at all")
    cut.write_bytes(face_clip.read_bytes()[:3000])
    clip = probe_clip(face_clip)
    complaints = [
        complaint(lambda: probe_clip(tmp_path / "away.mp4")),
        complaint(lambda: probe_clip(tmp_path)),
        complaint(lambda: probe_clip(text)),
        complaint(lambda: probe_clip(cut)),
        complaint(lambda: probe_clip(face_clip, Limits(max_seconds=0.5))),
        complaint(lambda: probe_voice(text)),
        complaint(lambda: check_voice(Audio(np.zeros(16_000, np.float32), 16_000))),
        complaint(lambda: trim_range(clip, 9.0, None)),
        complaint(lambda: trim_range(clip, -1.0, None)),
        complaint(lambda: check_output(tmp_path / "out.avi", ())),
        complaint(lambda: make_settings("none", {})),
        complaint(lambda: make_settings("draft", {"amplitude": "loud"})),
        complaint(lambda: make_settings("draft", {"colour": 1})),
    ]
    names = ("away.mp4", "notes.mp4", "cut.mp4", "face.mp4", "out.avi", str(tmp_path))
    settings = ("amplitude", *ENGINES, *engine_class("draft").Settings.__dataclass_fields__)
    for english in complaints:
        said = words_in("zh-CN").sentence(english)
        assert leftover_words(said, str(tmp_path), *names, *settings) == [], (english, said)


def test_words_inside_a_sentence_are_translated_too(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: A\nsentence: B.\nengine: none\n")
    _, problems = load_presets([tmp_path], make_settings)
    said = words_in("zh-CN").sentence(str(problems[0]))
    known = ", ".join(ENGINES)
    assert said == (
        f"预设 mine.yaml 未被采用：第 3 行：没有名为 'none' 的引擎；请从中选择：{known}。"
    )
    assert words_in("zh-CN").sentence("shifted: the sound comes 40 ms too late") == (
        "有偏移：声音晚了 40 毫秒"
    )


def test_english_stays_word_for_word() -> None:
    assert words_in("en").sentence("Whatever {this} is.") == "Whatever {this} is."


def test_an_unknown_sentence_is_shown_whole_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = "Nobody {ever} translated this one."
    with caplog.at_level(logging.WARNING):
        said = [words_in("zh-CN").sentence(text) for _ in range(3)]
    assert said == ["以下是英文原文：" + text] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_values_are_read_from_the_left_and_the_end_counts() -> None:
    template = Template(("", " is ", "."), "{0}：{1}。")
    assert template.find_values("a.mp4 is b is c.") == ["a.mp4", "b is c"]
    assert template.find_values("a is b") is None
    assert Template(("The ", " x."), "").find_values("The x.") is None
    assert Template(("early",), "").find_values("early on") is None


def test_a_hostile_value_costs_no_time() -> None:
    """A matcher that goes back would not end within a lifetime here."""
    text = "Setting " + "a is a; give a number from " * 150
    assert translate_sentence(text, "zh-CN") is None


def test_a_value_with_braces_is_no_placeholder() -> None:
    said = words_in("zh-CN").sentence("{0}{x} is a folder; choose one file inside it.")
    assert said == "{0}{x} 是文件夹；请选择其中的一个文件。"
