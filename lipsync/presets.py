"""Presets: a YAML file in a folder becomes a choice in the app.

A preset names an engine and its settings and says in one plain sentence whom it is for. A file
that is wrong is reported by name, line and cause, and the others still load. This module does not
know the engines; whoever does passes `check`.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import yaml

from lipsync.errors import InputError
from lipsync.types import FITS, Fit

PRESETS_FOLDER = Path(__file__).resolve().parents[1] / "presets"

Quality = Literal["high", "lossless"]
Setting = float | str  # whole numbers, true and false are numbers too

_MAX_BYTES = 16_384  # a preset is a dozen lines; more is not a preset
_MAX_DEPTH = 3  # document > translations > language; deeper could exhaust the parser's stack
_LONGEST = {"title": 40, "sentence": 200, "engine": 40}  # letters
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")


@dataclass(frozen=True)
class Preset:
    """One choice of engine and settings, as people see it."""

    name: str  # the file's stem: small letters, digits, dots, dashes
    title: str  # two or three words
    sentence: str  # whom it is for, in plain words
    engine: str
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
    fit: Fit = "bounce"
    quality: Quality = "high"
    order: int = 100  # smaller comes first
    # language tag ("zh-CN", or "zh" for all Chinese) -> title and sentence in that language
    translations: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def title_in(self, locale: str) -> str:
        """Return the title in the language of `locale`, a tag; as written where none is given."""
        return self._translated("title", locale) or self.title

    def sentence_in(self, locale: str) -> str:
        """Return the sentence in the language of `locale`, as written where none is given."""
        return self._translated("sentence", locale) or self.sentence

    def _translated(self, key: str, locale: str) -> str | None:
        tags = (locale, locale.split("-")[0])
        found = (self.translations[tag].get(key) for tag in tags if tag in self.translations)
        return next((text for text in found if text), None)


@dataclass(frozen=True)
class Problem:
    """A preset file that was left out, and why."""

    path: Path
    line: int | None  # counted from 1; None where the whole file is meant
    cause: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        return f"The preset {self.path.name} was left out: {where}: {self.cause}"


class _WrongError(Exception):
    """What is wrong, and at which line."""

    def __init__(self, cause: str, line: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line


def user_presets_folder() -> Path:
    """Return the folder for a user's own presets, which need not exist.

    It is the one named by the variable LIPSYNC_PRESETS, else ``lipsync-studio/presets`` where the
    system keeps a user's settings: ``~/.config`` or XDG_CONFIG_HOME, on Windows APPDATA.
    """
    named = os.environ.get("LIPSYNC_PRESETS")
    if named:
        return Path(named).expanduser()
    settings = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME", "")
    if not os.path.isabs(settings):  # also what the XDG standard asks for
        # not Path.home(): a container's user may have none, and then just has no presets
        settings = os.path.expanduser("~/.config")
    return Path(settings) / "lipsync-studio" / "presets"


def preset_folders() -> tuple[Path, Path]:
    """Return the folders to load presets from: ours, then the user's, which wins."""
    return PRESETS_FOLDER, user_presets_folder()


def load_presets(
    folders: Iterable[Path], check: Callable[[str, Mapping[str, Setting]], object]
) -> tuple[list[Preset], list[Problem]]:
    """Read every ``*.yaml`` of `folders`; return the presets in order and the files left out.

    `check` is called with engine name and settings and raises InputError where they do not exist
    or are out of bounds (`lipsync.engines.make_settings` fits). A preset in a later folder
    replaces one of the same name in an earlier folder. Raises nothing for a wrong file.
    """
    presets: dict[str, Preset] = {}
    problems: list[Problem] = []
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            try:
                preset = _read_preset(path, check)
            except _WrongError as wrong:
                problems.append(Problem(path, wrong.line, wrong.cause))
            else:
                presets[preset.name] = preset
    return sorted(presets.values(), key=lambda preset: (preset.order, preset.name)), problems


def _read_preset(path: Path, check: Callable[[str, Mapping[str, Setting]], object]) -> Preset:
    if not _NAME.fullmatch(path.stem):
        raise _WrongError("the file name may hold small letters, digits, dots and dashes only.")
    values, lines = _parse(_read_text(path))
    known = [f.name for f in fields(Preset) if f.name != "name"]
    for key in values:
        if key not in known:
            raise _WrongError(
                f"{key!r} is not a key of a preset; it has: {', '.join(known)}.",
                _find_line(lines, str(key)),
            )
    for key in ("title", "sentence", "engine"):
        if key not in values:
            raise _WrongError(f"the key {key!r} is missing; add it.")
    for key, value in values.items():
        fault = _find_fault(key, value)
        if fault:
            place, cause = fault
            raise _WrongError(cause, _find_line(lines, place))
    for key in ("settings", "translations"):
        values[key] = MappingProxyType(values.get(key) or {})
    try:
        check(values["engine"], values["settings"])
    except InputError as error:
        place = "settings" if "settings" in lines else "engine"
        raise _WrongError(str(error), _find_line(lines, place)) from error
    return Preset(name=path.stem, **values)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _WrongError(f"it cannot be read ({error.strerror}).") from error
    if len(data) > _MAX_BYTES:
        raise _WrongError(f"it is larger than {_MAX_BYTES // 1024} kB; a preset is a few lines.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _WrongError("it is not UTF-8 text; save it as UTF-8.", line) from error


def _parse(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the values and the line of each key; both empty for an empty file."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            line = event.start_mark.line + 1 if event.start_mark else None
            if depth > _MAX_DEPTH:
                raise _WrongError("values are nested too deeply for a preset.", line)
            if isinstance(event, yaml.AliasEvent):
                raise _WrongError("aliases (*name) are not read; write the value out.", line)
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        cause = f"it is not valid YAML ({error.problem})."
        raise _WrongError(cause, mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a date such as 2024-99-99 looks right to YAML and is none
        raise _WrongError(f"it is not valid YAML ({error}).") from error
    if not isinstance(document, yaml.MappingNode):
        raise _WrongError("it must hold lines such as 'title: Draft'.", 1)
    lines: dict[str, int] = {}
    _note_lines(document, "", lines)
    return values, lines


def _note_lines(mapping: yaml.MappingNode, place: str, lines: dict[str, int]) -> None:
    """Add the line of every key to `lines`, named like ``translations.zh-CN.title``."""
    for key, value in mapping.value:
        name = f"{place}{key.value}"
        line = key.start_mark.line + 1
        if name in lines:
            raise _WrongError(f"{key.value!r} is given twice; keep one.", line)
        lines[name] = line
        if isinstance(value, yaml.MappingNode):
            _note_lines(value, f"{name}.", lines)


def _find_line(lines: Mapping[str, int], place: str) -> int | None:
    """Return the line of a key, or of what it lies in; None where YAML spells it differently."""
    while place not in lines and "." in place:
        place = place.rpartition(".")[0]
    return lines.get(place)


def _find_fault(key: str, value: Any) -> tuple[str, str] | None:
    """Return the place and the cause of what is wrong with one value, or None."""
    cause = None
    if key in _LONGEST:
        cause = _find_text_fault(key, value)
    elif key in ("fit", "quality"):
        choices = FITS if key == "fit" else get_args(Quality)
        if value not in choices:
            cause = f"{key!r} is {value!r}; choose one of: {', '.join(choices)}."
    elif key == "order":
        if type(value) is not int:  # bool is an int to isinstance
            cause = f"{key!r} is {value!r}; give a whole number."
    elif key == "settings":
        return _find_settings_fault(value)
    else:
        return _find_translations_fault(value)
    return (key, cause) if cause else None


def _find_text_fault(key: str, value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST[key]:
        return None
    return f"{key!r} must be 1 to {_LONGEST[key]} letters of text."


def _find_settings_fault(settings: Any) -> tuple[str, str] | None:
    if settings is not None and not isinstance(settings, dict):
        return "settings", "'settings' must hold lines such as 'amplitude: 1.0'."
    for name, value in (settings or {}).items():
        place = f"settings.{name}"
        if not isinstance(name, str):
            return place, f"setting {name!r} must have a name in letters."
        if type(value) not in (int, float, bool, str) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            return place, f"setting {name!r} is {value!r}; give a number, a word, true or false."
    return None


def _find_translations_fault(translations: Any) -> tuple[str, str] | None:
    if translations is not None and not isinstance(translations, dict):
        return "translations", "'translations' must hold languages such as 'zh-CN:'."
    for language, texts in (translations or {}).items():
        place = f"translations.{language}"
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            return place, f"{language!r} is not a language; write it as 'zh-CN' or 'de'."
        if not isinstance(texts, dict):
            return place, f"{language!r} must hold a 'title' and a 'sentence'."
        for key, text in texts.items():
            if key not in ("title", "sentence"):
                return f"{place}.{key}", f"{key!r} is not translated; keep 'title' and 'sentence'."
            cause = _find_text_fault(key, text)
            if cause:
                return f"{place}.{key}", cause
    return None
