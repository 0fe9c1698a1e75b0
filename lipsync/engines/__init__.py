"""The engines this program knows, by name.

A new engine is a folder here and one line in `ENGINES`; shared code never asks which one it
is talking to.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import typing
from collections.abc import Mapping
from typing import Any

from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.types import Engine

# name -> "module:class"; imported when first asked for, so that start-up loads no engine
ENGINES: dict[str, str] = {
    "draft": "lipsync.engines.draft.engine:DraftEngine",
    "latentsync": "lipsync.engines.latentsync.engine:LatentSyncEngine",
    "wav2lip": "lipsync.engines.wav2lip.engine:Wav2LipEngine",
}


def engine_class(name: str) -> type[Any]:
    """Return the class of the engine called `name` (it has `spec` and `Settings`), not loaded.

    Raises InputError for a name that is not registered.
    """
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise InputError(f"There is no engine called {name!r}; choose one of: {known}.")
    module, attribute = ENGINES[name].split(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def create_engine(name: str, residence: Residence | None = None) -> Engine:
    """Build the engine called `name`; its models load on first use and stay in `residence`."""
    engine: Engine = engine_class(name)(residence or Residence())
    return engine


def needed_weights(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the checkpoints that the engine `name` needs with loose `values`.

    Raises InputError as `make_settings` does.
    """
    keys: tuple[str, ...] = engine_class(name).needed_weights(make_settings(name, values))
    return keys


def make_settings(name: str, values: Mapping[str, Any]) -> Any:
    """Build the frozen Settings of the engine `name` from loose values (text is converted).

    Each field of a Settings dataclass carries its bounds in
    ``field(metadata={"low": …, "high": …, "help": …})``, with "multiple" where only multiples of
    that number make sense; a field that is a word, or yes or no, carries ``"choices": (…)``.
    Raises InputError for an unknown key, a value of the wrong kind, or one out of bounds.
    """
    settings = engine_class(name).Settings
    hints = typing.get_type_hints(settings)
    fields = {f.name: f for f in dataclasses.fields(settings)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            known = ", ".join(fields)
            raise InputError(f"The {name} engine has no setting {key!r}; it has: {known}.")
        made[key] = _convert(key, value, hints[key], fields[key].metadata)
    return settings(**made)


def _convert(key: str, value: Any, kind: type, bounds: Mapping[str, Any]) -> Any:
    if "choices" in bounds:
        return _choose(key, value, bounds["choices"])
    low, high = bounds["low"], bounds["high"]
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Setting {key} is {value!r}; give a number from {low} to {high}."
        ) from error
    if not math.isfinite(number) or not low <= number <= high:
        raise InputError(f"Setting {key} is {value}; give a number from {low} to {high}.")
    if kind is int and number != int(number):
        raise InputError(f"Setting {key} is {value}; give a whole number from {low} to {high}.")
    step = bounds.get("multiple")
    if step and number % step:
        raise InputError(
            f"Setting {key} is {value}; give a multiple of {step} from {low} to {high}."
        )
    return kind(number)


def _choose(key: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return the choice that `value` is or spells; True and False are spelt as in YAML."""
    for choice in choices:
        spelt = str(choice).lower() if isinstance(choice, bool) else choice
        if value is choice or (isinstance(value, str) and value.strip() == spelt):
            return choice
    known = ", ".join(str(choice).lower() for choice in choices)
    raise InputError(f"Setting {key} is {value!r}; choose one of: {known}.")
