"""Presets: a YAML file in a folder becomes a choice in the app.

A preset names an engine and its settings and says in one plain sentence whom it is for. A file
that is wrong is reported by name, line and cause, and the others still load. This module does not
know the engines; whoever does passes `check`.
"""

from __future__ import annotations

import math
import re
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

_MAX_BYTES = 16_384  # a preset is a dozen lines; more is not a preset
_MAX_DEPTH = 3  # document > settings > value; deeper nesting could exhaust the parser's stack
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Preset:
    """One choice of engine and settings, as people see it."""

    name: str  # the file's stem: small letters, digits, dashes
    title: str  # two or three words
    sentence: str  # whom it is for, in plain words
    engine: str
    settings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    fit: Fit = "bounce"
    quality: Quality = "high"
    order: int = 100  # smaller comes first


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


def load_presets(
    folders: Iterable[Path], check: Callable[[str, Mapping[str, float]], object]
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


def _read_preset(path: Path, check: Callable[[str, Mapping[str, float]], object]) -> Preset:
    if not _NAME.fullmatch(path.stem):
        raise _WrongError("the file name may hold small letters, digits and dashes only.")
    values, lines = _parse(_read_text(path))
    known = [f.name for f in fields(Preset) if f.name != "name"]
    for key in values:
        if key not in known:
            raise _WrongError(
                f"{key!r} is not a key of a preset; it has: {', '.join(known)}.", lines.get(key)
            )
    for key in ("title", "sentence", "engine"):
        if key not in values:
            raise _WrongError(f"the key {key!r} is missing; add it.")
    for key, value in values.items():
        cause = _find_fault(key, value)
        if cause:
            raise _WrongError(cause, lines[key])
    settings = values.get("settings") or {}
    try:
        check(values["engine"], settings)
    except InputError as error:
        raise _WrongError(str(error), lines.get("settings", lines["engine"])) from error
    return Preset(name=path.stem, **{**values, "settings": MappingProxyType(settings)})


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
    for key, _ in document.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _WrongError(f"{key.value!r} is given twice; keep one.", line)
        lines[key.value] = line
    return values, lines


def _find_fault(key: str, value: Any) -> str | None:
    """Return what is wrong with one value, or None."""
    if key in ("title", "sentence", "engine"):
        longest = {"title": 40, "sentence": 200, "engine": 40}[key]
        if not isinstance(value, str) or not 0 < len(value.strip()) <= longest:
            return f"{key!r} must be 1 to {longest} letters of text."
    elif key in ("fit", "quality"):
        choices = FITS if key == "fit" else get_args(Quality)
        if value not in choices:
            return f"{key!r} is {value!r}; choose one of: {', '.join(choices)}."
    elif key == "order":
        if type(value) is not int:  # bool is an int to isinstance
            return f"{key!r} is {value!r}; give a whole number."
    elif value is not None and not isinstance(value, dict):
        return "'settings' must hold lines such as 'amplitude: 1.0'."
    else:
        for name, number in (value or {}).items():
            if not isinstance(name, str):
                return f"setting {name!r} must have a name in letters."
            if type(number) not in (int, float) or not math.isfinite(number):
                return f"setting {name!r} is {number!r}; give a number."
    return None
