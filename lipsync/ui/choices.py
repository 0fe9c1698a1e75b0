"""What a visitor may choose for a job, and how it becomes a request, a link and a memory.

Nothing here knows a component: the screen, the API, a link's query and the browser's storage all
bring the same eight values, and every one of them may be forged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from lipsync.engines import engine_class
from lipsync.errors import InputError
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.presets import Preset
from lipsync.types import FITS, FaceChoice, Fit, Request
from lipsync.ui.numbers import is_number

STEPS = (1, 50)
GUIDANCE = (1.0, 3.0)
SEED = (0, 2**32 - 1)
RATE = (1, 120)  # frames per second, what the media layer takes
SOFTNESS = (0.0, 2.0)  # times the width of the edge that the engine asks for
PREVIEW_SECONDS = 3.0

_USUAL = {"steps": 20, "guidance": 1.5}  # where neither preset nor engine says otherwise
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
# a fraction of bounded length: "1e999999999" would keep a processor busy for hours
_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?|[0-9]{1,6}/[0-9]{1,6}")
_NTSC = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 60))
_DECIMALS = 6  # kept of a number, so that a link brings back exactly what it was made of
_SHOWN = 40  # letters of a wrong value that a sentence repeats


@dataclass(frozen=True)
class Choices:
    """The settings of a job, as the screen, a link or a client of the API gives them."""

    preset: str
    steps: int = 20
    guidance: float = 1.5
    seed: int = 0
    fps: str = ""  # frames per second, "25" or "30000/1001"; "" = the clip's own
    fit: Fit = "bounce"
    softness: float = 1.0
    mark: bool = False  # a small visible "AI"


@dataclass(frozen=True)
class Selection:
    """The part of the clip to use, the face, and where the clip's player stands."""

    start: float | None = None  # seconds of the clip; None = its beginning
    end: float | None = None  # seconds of the clip; None = its end
    face: tuple[float, float, float] | None = None  # x, y (upright px) at that second of the clip
    playhead: float = 0.0  # seconds of the clip


def defaults_for(preset: Preset) -> Choices:
    """Return what is chosen where a visitor changes nothing but the preset."""
    settings = engine_class(preset.engine).Settings()
    values: dict[str, Any] = {
        name: preset.settings.get(name, getattr(settings, name, usual))
        for name, usual in _USUAL.items()
    }
    return Choices(preset.name, fit=preset.fit, **values)


def used_settings(preset: Preset) -> frozenset[str]:
    """Return which of ``steps`` and ``guidance`` the preset's engine has."""
    known = {field.name for field in fields(engine_class(preset.engine).Settings)}
    return frozenset(known & _USUAL.keys())


def switch_preset(choices: Choices, name: str, presets: Mapping[str, Preset]) -> Choices:
    """Return `choices` with the preset `name`, its steps and guidance where its engine has them.

    The fit follows the preset only where it was the old preset's own; everything else stays.
    """
    before, after = presets[choices.preset], presets[name]
    defaults = defaults_for(after)
    own: dict[str, Any] = {key: getattr(defaults, key) for key in used_settings(after)}
    fit = after.fit if choices.fit == before.fit else choices.fit
    return replace(choices, preset=name, fit=fit, **own)


def find_preset(name: Any, presets: Mapping[str, Preset]) -> Preset:
    """Return the preset called `name`; raises InputError where there is none."""
    if not isinstance(name, str) or name not in presets:
        raise InputError(
            f"There is no preset called {_quote(name)}; choose one of: {', '.join(presets)}."
        )
    return presets[name]


def check_choices(choices: Choices, presets: Mapping[str, Preset]) -> Choices:
    """Return `choices` in their proper types (a whole 20.0 becomes 20).

    Raises InputError at the first value that is of the wrong type or out of range.
    """
    values = {field.name: getattr(choices, field.name) for field in fields(Choices)}
    find_preset(values["preset"], presets)
    return Choices(**{name: _check(name, value) for name, value in values.items()})


def engine_settings(choices: Choices, preset: Preset) -> dict[str, Any]:
    """Return the settings for the engine of `preset`: its own, and those that were chosen."""
    used = {name: getattr(choices, name) for name in sorted(used_settings(preset))}
    return {**preset.settings, **used}


def make_request(
    choices: Choices,
    selection: Selection,
    clip: Path,
    voice: Path,
    output: Path,
    presets: Mapping[str, Preset],
    preview: bool = False,
) -> Request:
    """Return the job that was asked for; `presets` are the ones there are, by name.

    With `preview` it is 3 seconds of the result from the playhead on, not scored, the last 3 where
    the playhead stands later. Raises InputError for anything of the wrong type or out of range,
    and with `preview` for files that cannot be read.
    """
    choices = check_choices(choices, presets)
    start, end, face, playhead = _check_selection(selection)
    preset = presets[choices.preset]
    request = Request(
        video=clip,
        audio=voice,
        output=output,
        engine=preset.engine,
        settings=engine_settings(choices, preset),
        face=FaceChoice() if face is None else FaceChoice(click=face[:2], click_seconds=face[2]),
        fit=choices.fit,
        start=start,
        end=end,
        fps=Fraction(choices.fps) if choices.fps else None,
        softness=choices.softness,
        mark=choices.mark,
        seed=choices.seed,
        quality=preset.quality,
    )
    if not preview:
        return request
    return replace(request, part=(_output_second(request, playhead), PREVIEW_SECONDS), score=False)


def choices_to_query(choices: Choices, defaults: Choices) -> str:
    """Return a link's query without "?": the preset, then what differs from its `defaults`."""
    pairs = [("preset", choices.preset)]
    for name, value in list(asdict(choices).items())[1:]:
        if value != getattr(defaults, name):
            pairs.append((name, _spell(value)))
    return urlencode(pairs)


def choices_from_query(
    query: Mapping[str, str], presets: Mapping[str, Preset]
) -> tuple[Choices, list[str]]:
    """Return the choices of a link and a sentence for every value in it that is ignored.

    What a link does not name is the preset's default; keys that are no setting mean nothing here.
    `presets` must not be empty; the first one stands in for one that is missing or unknown.
    """
    preset, troubles = next(iter(presets.values())), []
    if "preset" in query:
        try:
            preset = find_preset(query["preset"], presets)
        except InputError as error:
            troubles.append(str(error))
    found: dict[str, Any] = {}
    for name in _NAMES[1:]:
        if name in query:
            try:
                found[name] = _check(name, _PARSERS[name](query[name]))
            except InputError as error:
                troubles.append(str(error))
    return replace(defaults_for(preset), **found), troubles


def has_choices(query: Mapping[str, str]) -> bool:
    """Return whether a link's query names any setting."""
    return any(name in query for name in _NAMES)


def choices_to_json(choices: Choices) -> dict[str, Any]:
    """Return `choices` as the browser remembers them."""
    return asdict(choices)


def choices_from_json(value: Any, presets: Mapping[str, Preset]) -> Choices | None:
    """Return remembered choices, or None where `value` holds none for a preset there is.

    A single wrong value becomes the preset's default: what was remembered is old or forged, and
    nobody is waiting for it.
    """
    if not isinstance(value, dict) or not isinstance(value.get("preset"), str):
        return None
    if value["preset"] not in presets:
        return None
    found: dict[str, Any] = {}
    for name in _NAMES[1:]:
        if name in value:
            try:
                found[name] = _check(name, value[name])
            except InputError:
                continue
    return replace(defaults_for(presets[value["preset"]]), **found)


def _output_second(request: Request, playhead: float) -> float:
    """Return the second of the result that first shows what the clip's player shows, or an earlier
    one where less than a whole preview would follow."""
    clip, voice = probe_clip(request.video), probe_voice(request.audio).duration
    start = request.start or 0.0
    length = min(request.end or clip.duration, clip.duration) - start
    if clip.is_still or length <= 0:  # or a range that the job itself will refuse
        return 0.0
    inside = min(max(playhead - start, 0.0), length)
    if request.fit == "stretch":
        inside *= voice / length
    total = min(length, voice) if request.fit == "cut" else voice
    return min(inside, max(total - PREVIEW_SECONDS, 0.0))


def _check(name: str, value: Any) -> Any:
    return _CHECKS[name](value)


def _check_selection(
    selection: Selection,
) -> tuple[float | None, float | None, tuple[float, float, float] | None, float]:
    start, end = selection.start, selection.end
    for name, second in (("start", start), ("end", end)):
        if second is not None and not (is_number(second) and second >= 0):
            raise InputError(
                f"The trim {name} is {_quote(second)}; give seconds from 0 upwards or none."
            )
    if end is not None and end <= (start or 0.0):
        raise InputError(
            f"The trim from {start or 0:g} s to {end:g} s leaves nothing; "
            "the end must come after the start."
        )
    face = selection.face
    if face is not None and not (
        isinstance(face, (tuple, list))
        and len(face) == 3
        and all(is_number(number) for number in face)
        and face[2] >= 0
    ):
        raise InputError(
            "The chosen face is not a place in the clip; give x and y in pixels and the second."
        )
    if not is_number(selection.playhead):
        raise InputError(f"The playhead is at {_quote(selection.playhead)}; give seconds.")
    click = None if face is None else (float(face[0]), float(face[1]), float(face[2]))
    return start, end, click, float(selection.playhead)


def _check_whole(words: str, limits: tuple[int, int]) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not is_number(value) or not limits[0] <= value <= limits[1] or value != int(value):
            raise InputError(
                f"The {words} is {_quote(value)}; "
                f"give a whole number from {limits[0]} to {limits[1]}."
            )
        return int(value)

    return check


def _check_range(words: str, limits: tuple[float, float]) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not is_number(value) or not limits[0] <= value <= limits[1]:
            raise InputError(
                f"The {words} is {_quote(value)}; "
                f"give a number from {limits[0]:g} to {limits[1]:g}."
            )
        return round(float(value), _DECIMALS)

    return check


def _check_rate(value: Any) -> str:
    if value == "":
        return ""
    text = str(value) if is_number(value) else value
    if isinstance(text, str) and _RATE.fullmatch(text) and not re.search(r"/0+$", text):
        rate = Fraction(text)
        # "29.97" is how people write 30000/1001
        rate = next((exact for exact in _NTSC if abs(rate - exact) < Fraction(1, 200)), rate)
        if RATE[0] <= rate <= RATE[1]:
            return str(rate)
    raise InputError(
        f"The frame rate is {_quote(value)}; give {RATE[0]} to {RATE[1]} frames per second, "
        "such as 25 or 30000/1001, or leave it empty to keep the clip's own."
    )


def _check_fit(value: Any) -> Fit:
    if not isinstance(value, str) or value not in FITS:
        raise InputError(
            f"The choice for a longer voice is {_quote(value)}; choose one of: {', '.join(FITS)}."
        )
    return cast(Fit, value)


def _check_mark(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"The mark is {_quote(value)}; give true or false.")
    return value


def _quote(value: Any) -> str:
    """Return a wrong value for a sentence, shortened."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return repr(value).lower()
    if is_number(value) or isinstance(value, float):
        return f"{value:.12g}"
    return "something that is no number"  # a list, or more digits than anybody wants to read


def _spell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return str(value).lower()


def _parse_number(text: str) -> float | int | str:
    """Return the number that `text` spells in plain decimals, or `text` itself, which no check
    takes for a number."""
    if not _DECIMAL.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _parse_mark(text: str) -> bool | str:
    return {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)


_NAMES = tuple(field.name for field in fields(Choices))
_CHECKS: dict[str, Callable[[Any], Any]] = {
    "preset": str,
    "steps": _check_whole("number of steps", STEPS),
    "guidance": _check_range("guidance", GUIDANCE),
    "seed": _check_whole("seed", SEED),
    "fps": _check_rate,
    "fit": _check_fit,
    "softness": _check_range("mask's softness", SOFTNESS),
    "mark": _check_mark,
}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "steps": _parse_number,
    "guidance": _parse_number,
    "seed": _parse_number,
    "fps": str,
    "fit": str,
    "softness": _parse_number,
    "mark": _parse_mark,
}
