"""Preset files: what loads, what is left out, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.presets import (
    PRESETS_FOLDER,
    Preset,
    load_presets,
    preset_folders,
    user_presets_folder,
)

GOOD = "title: Draft\nsentence: For everyone.\nengine: draft\n"


def accept(engine: str, settings: Mapping[str, float]) -> None:
    if engine != "draft":
        raise InputError(f"There is no engine called {engine!r}; choose one of: draft.")


def load_one(folder: Path, text: str | bytes, name: str = "mine.yaml") -> Preset | str:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    presets, problems = load_presets([folder], accept)
    assert len(presets) + len(problems) == 1
    return presets[0] if presets else str(problems[0])


def test_bundled_presets_suit_their_engines() -> None:
    presets, problems = load_presets([PRESETS_FOLDER], make_settings)
    assert problems == []
    assert presets[0].name == "draft"
    assert all(preset.sentence.endswith(".") for preset in presets)
    assert all(preset.sentence_in("zh-CN").endswith("。") for preset in presets)
    assert all(preset.title_in("zh-CN") != preset.title for preset in presets)


def test_every_key_is_read(tmp_path: Path) -> None:
    text = GOOD + "fit: hold\nquality: lossless\norder: 3\nsettings:\n  amplitude: 0.5\n"
    preset = load_one(tmp_path, text)
    assert isinstance(preset, Preset)
    assert (preset.name, preset.title, preset.fit, preset.quality, preset.order) == (
        "mine",
        "Draft",
        "hold",
        "lossless",
        3,
    )
    assert dict(preset.settings) == {"amplitude": 0.5}


def test_translations_are_read_by_language(tmp_path: Path) -> None:
    text = GOOD + "translations:\n  zh-CN: {title: 草稿}\n  zh: {title: 稿, sentence: 人人可用。}\n"
    preset = load_one(tmp_path, text)
    assert isinstance(preset, Preset)
    assert (preset.title_in("zh-CN"), preset.sentence_in("zh-CN")) == ("草稿", "人人可用。")
    assert (preset.title_in("zh-SG"), preset.sentence_in("zh")) == ("稿", "人人可用。")
    assert (preset.title_in("en"), preset.sentence_in("de")) == ("Draft", "For everyone.")


def test_a_preset_without_translations_keeps_its_words(tmp_path: Path) -> None:
    preset = load_one(tmp_path, GOOD + "translations:\nsettings:\n")
    assert isinstance(preset, Preset)
    assert (preset.title_in("zh-CN"), preset.sentence_in("zh-CN")) == ("Draft", "For everyone.")


def test_order_then_name_and_later_folders_replace(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    (first / "b.yaml").write_text(GOOD)
    (first / "a.yaml").write_text(GOOD)
    (first / "z.yaml").write_text(GOOD + "order: 1\n")
    (second / "b.yaml").write_text(GOOD.replace("Draft", "Mine"))
    presets, problems = load_presets([first, second], accept)
    assert [preset.name for preset in presets] == ["z", "a", "b"]
    assert presets[2].title == "Mine"
    assert problems == []


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        (GOOD + "colour: red\n", "line 4", "'colour' is not a key of a preset"),
        ("title: A\nsentence: B.\n", "the file", "'engine' is missing"),
        (GOOD + "fit: twist\n", "line 4", "'fit' is 'twist'; choose one of: bounce, loop"),
        (GOOD + "quality: 3\n", "line 4", "choose one of: high, lossless"),
        (GOOD + "order: true\n", "line 4", "give a whole number"),
        (GOOD + "settings:\n  amplitude: .nan\n", "line 5", "give a number"),
        (GOOD + "settings:\n  a: 1\n  a: 2\n", "line 6", "'a' is given twice"),
        (GOOD + "<<: {order: true}\n", "the file", "give a whole number"),
        (GOOD + "translations: zh\n", "line 4", "such as 'zh-CN:'"),
        (GOOD + "translations:\n  中文: {title: 草稿}\n", "line 5", "'中文' is not a language"),
        (GOOD + "translations:\n  1: {title: 草稿}\n", "line 5", "1 is not a language"),
        (GOOD + "translations:\n  zh-CN: 草稿\n", "line 5", "'title' and a 'sentence'"),
        (GOOD + "translations:\n  zh:\n    name: 草稿\n", "line 6", "'name' is not translated"),
        (GOOD + "translations:\n  zh:\n    title: 3\n", "line 6", "must be 1 to 40 letters"),
        (GOOD + f"translations:\n  zh: {{title: {'长' * 41}}}\n", "line 5", "1 to 40 letters"),
        (GOOD + "translations: {zh: {title: [a]}}\n", "line 4", "nested too deeply"),
        (GOOD + "settings: 3\n", "line 4", "such as 'amplitude: 1.0'"),
        (GOOD + "title: B\n", "line 4", "'title' is given twice"),
        (GOOD + "order: *a\n", "line 4", "aliases"),
        (GOOD + "settings: {a: [[[1]]]}\n", "line 4", "nested too deeply"),
        (GOOD + "order: 2024-99-99\n", "the file", "not valid YAML"),
        (GOOD + "  x: [\n", "line", "not valid YAML"),
        ("title: !!python/object:os.system x\n", "line 1", "not valid YAML"),
        (GOOD.replace("draft", "none"), "line 3", "no engine called 'none'"),
        ("- a\n- b\n", "line 1", "such as 'title: Draft'"),
        ("", "line 1", "such as 'title: Draft'"),
        (GOOD.encode() + b"\xff\n", "line 4", "not UTF-8"),
        (GOOD + "#" * 20_000, "the file", "larger than 16 kB"),
        ("title: " + "[" * 5000, "line 1", "nested too deeply"),
        ("title: ''\nsentence: B.\nengine: draft\n", "line 1", "must be 1 to 40 letters"),
        ("? [a]\n: b\n" + GOOD, "line", "YAML"),
    ],
)
def test_wrong_file_is_named_with_line_and_cause(
    tmp_path: Path, text: str | bytes, line: str, cause: str
) -> None:
    said = load_one(tmp_path, text)
    assert isinstance(said, str)
    assert said.startswith("The preset mine.yaml was left out: ")
    assert line in said
    assert cause in said


def test_file_name_must_be_plain(tmp_path: Path) -> None:
    assert "file name" in str(load_one(tmp_path, GOOD, name="My Preset.yaml"))


def test_wrong_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("engine: [")
    (tmp_path / "good.yaml").write_text(GOOD)
    presets, problems = load_presets([tmp_path], accept)
    assert [preset.name for preset in presets] == ["good"]
    assert [problem.path.name for problem in problems] == ["bad.yaml"]


def test_users_folder_is_the_named_one_or_where_settings_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("LIPSYNC_PRESETS", str(tmp_path))
    assert user_presets_folder() == tmp_path
    monkeypatch.delenv("LIPSYNC_PRESETS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_presets_folder() == tmp_path / "lipsync-studio" / "presets"
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/config"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert user_presets_folder() == tmp_path / ".config" / "lipsync-studio" / "presets"


def test_users_presets_join_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSYNC_PRESETS", str(tmp_path / "missing"))
    ours, _ = load_presets(preset_folders(), make_settings)
    monkeypatch.setenv("LIPSYNC_PRESETS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(GOOD + "order: 1\n")
    presets, problems = load_presets(preset_folders(), make_settings)
    assert [preset.name for preset in presets] == ["mine", *(preset.name for preset in ours)]
    assert problems == []
