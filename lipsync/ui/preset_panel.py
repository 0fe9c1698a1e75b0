"""The panel of settings: preset cards, *Advanced*, and how both are remembered and shared.

The settings stand in the page's address and in the visitor's own browser; the server keeps
nothing of them between two events but which preset a page shows.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from html import escape
from typing import Any

import gradio as gr

from lipsync.errors import InputError
from lipsync.presets import Preset, Problem
from lipsync.ui.availability import (
    absent_weights,
    require_weights,
    say_name,
    say_size,
    usable_presets,
)
from lipsync.ui.choices import (
    GUIDANCE,
    SEED,
    SOFTNESS,
    STEPS,
    Choices,
    check_choices,
    choices_from_json,
    choices_from_query,
    choices_to_json,
    choices_to_query,
    defaults_for,
    has_choices,
    switch_preset,
    used_settings,
)
from lipsync.ui.events import AT_ONCE
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import LOCALES, Words, label, words_for, words_in
from lipsync.weights import ModelStore

STORAGE_KEY = "lipsync-studio-choices"
# what the list shows, and the exact rate
_RATES = [(rate, rate) for rate in ("24", "25", "30", "50", "60")]
_RATES.insert(2, ("29.97", "30000/1001"))
_NAMES = tuple(field.name for field in fields(Choices))


@dataclass(frozen=True)
class PresetPanel:
    """The components of the panel and the presets it offers, by name."""

    presets: Mapping[str, Preset]
    store: ModelStore  # where their checkpoints are looked for
    can_fetch: bool  # whether visitors may have them fetched
    # value: the chosen preset's name; `times`: name -> words on its card; `absent`: name -> why it
    # cannot be chosen. Its `select` asks to have a preset's checkpoints fetched.
    cards: gr.HTML
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    fps: gr.Dropdown
    fit: gr.HTML
    softness: gr.Slider
    mark: gr.Checkbox
    dice: gr.Button
    link: gr.HTML  # value: the query that names the settings
    notice: gr.HTML
    memory: gr.BrowserState
    shown_preset: gr.State  # the preset whose settings the page shows

    @property
    def inputs(self) -> list[Any]:
        """The components that hold a choice, in the order of the fields of `Choices`."""
        return [self.cards, *(getattr(self, name) for name in _NAMES[1:])]

    @property
    def outputs(self) -> list[Any]:
        """The components that `write_choices` updates."""
        return [*self.inputs, self.shown_preset, self.link, self.memory]


def lay_out_presets(
    presets: Sequence[Preset],
    problems: Sequence[Problem],
    store: ModelStore,
    *,
    can_fetch: bool = True,
) -> PresetPanel:
    """Lay out the panel inside the current Blocks; `presets` must not be empty.

    The first one whose checkpoints are in `store` is chosen. `problems` are the preset files that
    were left out; `can_fetch` says whether visitors may have checkpoints fetched.
    """
    by_name = {preset.name: preset for preset in presets}
    first = next(iter(_usable_first(by_name, store).values()))
    chosen = defaults_for(first)
    cards = _lay_out_cards(first, by_name, problems, store, can_fetch=can_fetch)
    notice = gr.HTML(visible=False, elem_id="link-troubles")
    with gr.Accordion(label("inputs.advanced"), open=False, elem_id="advanced"):
        with gr.Row():
            steps, guidance = _lay_out_sliders(chosen, first)
        fit = make_widget("fits", chosen.fit, elem_id="fit")
        with gr.Row():
            fps, softness = _lay_out_rate(chosen), _lay_out_softness(chosen)
        with gr.Row():
            with gr.Column(min_width=160):
                seed, dice = _lay_out_seed(chosen)
            mark = gr.Checkbox(
                chosen.mark,
                label=label("inputs.mark"),
                info=label("inputs.mark-help"),
                elem_id="mark",
                min_width=160,
            )
    link = make_widget("link", choices_to_query(chosen, chosen), elem_id="link", keys=list(_NAMES))
    return PresetPanel(
        presets=by_name,
        store=store,
        can_fetch=can_fetch,
        cards=cards,
        steps=steps,
        guidance=guidance,
        seed=seed,
        fps=fps,
        fit=fit,
        softness=softness,
        mark=mark,
        dice=dice,
        link=link,
        notice=notice,
        # no secret worth the name: it keeps settings readable to the next start of the app
        memory=gr.BrowserState(storage_key=STORAGE_KEY, secret=STORAGE_KEY),
        shown_preset=gr.State(first.name),
    )


def connect_choices(screen: gr.Blocks, panel: PresetPanel) -> None:
    """Restore the settings when the page opens, from its link, else from the browser's memory,
    else the first preset's defaults, and carry every change into both."""
    keeper = _Keeper(panel)
    kept = [panel.link, panel.memory]
    screen.load(keeper.restore, panel.memory, [*panel.outputs, panel.notice], **AT_ONCE)
    panel.cards.input(
        keeper.choose_preset, [panel.shown_preset, *panel.inputs], panel.outputs, **AT_ONCE
    )
    panel.dice.click(keeper.throw_dice, panel.inputs, [panel.seed, *kept], **AT_ONCE)
    gr.on(
        [component.input for component in panel.inputs[1:]],
        keeper.keep,
        panel.inputs,
        kept,
        # a slider on its way sends many values: the last one must be what stays
        trigger_mode="always_last",
        **AT_ONCE,
    )


def read_choices(*values: Any) -> Choices:
    """Return what the components of `PresetPanel.inputs` hold, unchecked (see `make_request`)."""
    return Choices(**dict(zip(_NAMES, values, strict=True)))


def write_choices(panel: PresetPanel, choices: Choices, words: Words) -> list[Any]:
    """Return one update for each of `PresetPanel.outputs`: the values, which cards and sliders are
    grey for what reason, the link and the memory.

    Raises InputError for choices that are out of range or whose checkpoints are not here.
    """
    choices = check_choices(choices, panel.presets)
    require_weights(panel.presets[choices.preset], panel.store)
    return _write(panel, choices, words)


def write_absences(panel: PresetPanel, words: Words) -> dict[str, Any]:
    """Return the update of the cards that says which presets cannot be chosen now, and why."""
    found = {}
    for name, preset in panel.presets.items():
        rows = absent_weights(preset, panel.store)
        if rows:
            named = [
                words("models.sized", title=say_name(words, row.title), size=say_size(row))
                for row in rows
            ]
            reason = words("models.absent-reason", models=join_words(words, named))
            if not panel.can_fetch:
                reason = " ".join((reason, words("models.hosted")))
            found[name] = reason
    return gr.update(absent=found)


def join_words(words: Words, parts: Sequence[str]) -> str:
    """Return `parts`, at least one, as a list in a sentence."""
    return reduce(lambda before, part: words("models.joined", before=before, part=part), parts)


def _write(panel: PresetPanel, choices: Choices, words: Words) -> list[Any]:
    updates = {name: gr.update(value=getattr(choices, name)) for name in _NAMES}
    updates["preset"] |= write_absences(panel, words)
    updates["fps"]["choices"] = _rate_choices(words)
    used = used_settings(panel.presets[choices.preset])
    for name in ("steps", "guidance"):
        updates[name] |= {"interactive": name in used, "info": words(_help_key(name, name in used))}
    return [*updates.values(), choices.preset, *_keep(panel, choices)]


class _Keeper:
    """The handlers of one panel; they hold no visitor's settings."""

    def __init__(self, panel: PresetPanel) -> None:
        self._panel = panel
        self._presets = panel.presets

    def restore(self, stored: Any, request: gr.Request) -> list[Any]:
        """Return every output with what the page opens with, and what of its link or of the last
        visit cannot be used."""
        words = words_for(request)
        query = dict(request.query_params)
        is_link = has_choices(query)
        # what nobody names is the first that can be used
        presets = _usable_first(self._presets, self._panel.store)
        choices, troubles = choices_from_query(query, presets)
        if not is_link:
            choices = choices_from_json(stored, presets) or choices
        try:
            require_weights(presets[choices.preset], self._panel.store)
        except InputError as error:
            troubles.append(str(error))
            choices = switch_preset(choices, next(iter(presets)), presets)
        updates = _write(self._panel, choices, words)
        updates[-1] = gr.skip()  # somebody's link is not yet the visitor's own wish
        title = words("inputs.link-troubles" if is_link else "inputs.memory-troubles")
        notice = gr.update(value=_troubles_html(title, troubles, words), visible=bool(troubles))
        return [*updates, notice]

    def choose_preset(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Return every output with another preset and what goes with it."""
        name, *rest = values
        before = self._read(shown, *rest)
        # forged: the cards offer no such preset
        if before is None or not isinstance(name, str) or name not in self._presets:
            return [gr.skip()] * len(self._panel.outputs)
        words = words_for(request)
        try:
            return write_choices(self._panel, switch_preset(before, name, self._presets), words)
        except InputError:  # deleted since the page was told
            back = write_absences(self._panel, words) | {"value": shown}
            return [back, *[gr.skip()] * (len(self._panel.outputs) - 1)]

    def throw_dice(self, *values: Any) -> list[Any]:
        """Return a new seed, then link and memory with it."""
        seed = secrets.randbelow(SEED[1] + 1)
        place = _NAMES.index("seed")
        return [seed, *self.keep(*values[:place], seed, *values[place + 1 :])]

    def keep(self, *values: Any) -> list[Any]:
        """Return link and memory for what was changed; both stay where it cannot be used."""
        choices = self._read(*values)
        return [gr.skip(), gr.skip()] if choices is None else _keep(self._panel, choices)

    def _read(self, *values: Any) -> Choices | None:
        """Return the choices with a default for what cannot be used (an empty seed, while its
        new one is being typed); None where there is no such preset."""
        return choices_from_json(dict(zip(_NAMES, values, strict=True)), self._presets)


def _keep(panel: PresetPanel, choices: Choices) -> list[Any]:
    """Return the values of the link and of the memory."""
    defaults = defaults_for(panel.presets[choices.preset])
    return [choices_to_query(choices, defaults), choices_to_json(choices)]


def _usable_first(presets: Mapping[str, Preset], store: ModelStore) -> dict[str, Preset]:
    """Return all presets, those that can be used first."""
    return usable_presets(presets, store) | dict(presets)


def _lay_out_cards(
    chosen: Preset,
    presets: Mapping[str, Preset],
    problems: Sequence[Problem],
    store: ModelStore,
    *,
    can_fetch: bool,
) -> gr.HTML:
    usable = usable_presets(presets, store)
    return make_widget(
        "presets",
        chosen.name,
        elem_id="preset",
        presets=[
            {
                "name": preset.name,
                "titles": {locale: preset.title_in(locale) for locale in LOCALES},
                "sentences": {locale: preset.sentence_in(locale) for locale in LOCALES},
            }
            for preset in presets.values()
        ],
        # the file's name only: where the server keeps it is nobody's business
        problems=[
            {
                "file": problem.path.name,
                "line": problem.line,
                "causes": {locale: words_in(locale).sentence(problem.cause) for locale in LOCALES},
            }
            for problem in problems
        ],
        times={},
        # the reasons come with the first event, in the visitor's language
        absent={name: "" for name in presets if name not in usable},
        can_fetch=can_fetch,
    )


def _lay_out_sliders(chosen: Choices, preset: Preset) -> tuple[gr.Slider, gr.Slider]:
    used = used_settings(preset)
    steps, guidance = (
        gr.Slider(
            minimum=limits[0],
            maximum=limits[1],
            value=getattr(chosen, name),
            step=step,
            label=label(f"inputs.{name}"),
            info=label(_help_key(name, name in used)),
            interactive=name in used,
            elem_id=name,
        )
        for name, limits, step in (("steps", STEPS, 1), ("guidance", GUIDANCE, 0.1))
    )
    return steps, guidance


def _lay_out_rate(chosen: Choices) -> gr.Dropdown:
    return gr.Dropdown(
        _rate_choices(words_in("en")),
        value=chosen.fps,
        allow_custom_value=True,
        label=label("inputs.fps"),
        info=label("inputs.fps-help"),
        elem_id="fps",
    )


def _lay_out_softness(chosen: Choices) -> gr.Slider:
    return gr.Slider(
        *SOFTNESS,
        value=chosen.softness,
        step=0.1,
        label=label("inputs.softness"),
        info=label("inputs.softness-help"),
        elem_id="softness",
    )


def _lay_out_seed(chosen: Choices) -> tuple[gr.Number, gr.Button]:
    # no limits here: Gradio would tell a wrong seed in words of its own
    seed = gr.Number(
        chosen.seed,
        precision=0,
        label=label("inputs.seed"),
        info=label("inputs.seed-help"),
        elem_id="seed",
    )
    return seed, gr.Button(label("inputs.dice"), size="sm", elem_id="dice")


def _help_key(name: str, is_used: bool) -> str:
    return f"inputs.{name}-{'help' if is_used else 'unused'}"


def _rate_choices(words: Words) -> list[tuple[str, str]]:
    return [(words("inputs.fps-clip"), ""), *_RATES]


def _troubles_html(title: str, troubles: Sequence[str], words: Words) -> str:
    items = "".join(f"<li>{escape(words.sentence(trouble))}</li>" for trouble in troubles)
    return (
        '<div class="card trouble link-troubles" role="status">'
        f"<p>{escape(title)}</p><ul>{items}</ul></div>"
    )
