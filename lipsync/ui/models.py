"""What the Models tab shows and does: the listing in the visitor's words, and what is asked for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import gradio as gr

from lipsync.engines import needed_weights
from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.residence import Part, Residence
from lipsync.ui.availability import absent_weights, say_name, say_size
from lipsync.ui.cards import say_wait
from lipsync.ui.errands import Errand, Errands
from lipsync.ui.preset_panel import PresetPanel, join_words, write_absences
from lipsync.ui.trouble import PlainWords
from lipsync.ui.words import Words, words_for
from lipsync.weights import Checkpoint, State, describe_size

MODELS = "models"  # id of the tab
_MINUTE = 60.0  # s

Kind = Literal["fetch", "stop", "verify", "delete", "release"]


@dataclass(frozen=True)
class Wish:
    """What a visitor asked of the tab; `keys` are names of checkpoints, unchecked."""

    kind: Kind
    keys: tuple[str, ...]


def read_wish(value: Any) -> Wish:
    """Return what the widget's value asks for; raises InputError for one it never sends."""
    if isinstance(value, dict) and value.get("kind") in get_args(Kind):
        keys = value.get("keys")
        if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
            return Wish(cast(Kind, value["kind"]), tuple(dict.fromkeys(keys)))
    raise InputError("The models' tab cannot read what was asked for; reload the page, try again.")


class ModelHandlers:
    """The handlers of the tab; what they tell is the same for every visitor."""

    def __init__(self, panel: PresetPanel, residence: Residence) -> None:
        """`panel` offers the presets, and says where models lie and whether visitors may change
        them; `residence` is what holds those that are loaded."""
        self._panel = panel
        self._store = panel.store
        self._residence = residence
        self.errands = Errands(panel.store)
        self._needed_by: dict[str, list[Preset]] = {}
        for preset in panel.presets.values():
            for key in needed_weights(preset.engine, preset.settings):
                self._needed_by.setdefault(key, []).append(preset)

    def open(self, request: gr.Request) -> list[Any]:
        """Return the updates of widget and cards, that the tab is open, and the clock running."""
        return [*self._look(words_for(request)), True, gr.Timer(active=True)]

    def leave(self) -> list[Any]:
        """Return that the tab is not open, and the clock, which runs on for a download."""
        return [False, gr.Timer(active=self.errands.is_any_running())]

    def look(self, request: gr.Request, is_open: bool) -> list[Any]:
        """Return the updates of widget and cards, and the clock, which stops when nobody looks."""
        is_needed = is_open or self.errands.is_any_running()
        clock = gr.skip() if is_needed else gr.Timer(active=False)
        return [*self._look(words_for(request)), clock]

    def want(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """Go to the tab and ask there whether to fetch what the preset of `event` lacks: return
        the tab to go to, then as `open`."""
        said = event._data  # whatever a client sends
        name = said.get("preset") if isinstance(said, dict) else None
        preset = self._panel.presets.get(name) if isinstance(name, str) else None
        if preset is None or not self._panel.can_fetch:
            return [gr.skip()] * 5
        widget, *others = self.open(request)
        rows = absent_weights(preset, self._store)
        widget["wanted"] = {
            "keys": [row.key for row in rows],
            "size": describe_size(sum(row.size or 0 for row in rows)),
            "n": secrets.token_hex(8),
        }
        return [gr.Tabs(selected=MODELS), widget, *others]

    def act(self, request: gr.Request, asked: Any) -> list[Any]:
        """Do what was asked for; return the updates of widget, cards and clock."""
        words = words_for(request)
        said = ""
        with PlainWords(words) as trouble:
            said = self._do(read_wish(asked), words)
        widget, absences = self._look(words)
        widget |= {"said": said, "trouble": trouble.sentence or ""}
        return [widget, absences, gr.Timer(active=True)]

    def _do(self, wish: Wish, words: Words) -> str:
        """Do it and return what there is to say about it, in words."""
        if not self._panel.can_fetch:
            raise InputError(
                "Models cannot be changed by visitors of a shared app; ask its owner, or use the "
                "app on a computer of your own."
            )
        if wish.kind == "release":
            released = self._residence.release()
            return words("models.released" if released else "models.released-none", count=released)
        told = [self._do_one(wish.kind, self._store.checkpoint(key), words) for key in wish.keys]
        return " ".join(filter(None, told))

    def _do_one(self, kind: Kind, checkpoint: Checkpoint, words: Words) -> str:
        key = checkpoint.key
        if kind == "fetch" or kind == "verify":
            self.errands.begin(key, kind)
        elif kind == "stop":
            self.errands.stop(key)
        else:
            freed, title = self.errands.remove(key), say_name(words, checkpoint.title)
            if freed:
                return words("models.deleted", title=title, size=describe_size(freed))
            return words("models.deleted-nothing", title=title)
        return ""

    def _look(self, words: Words) -> list[dict[str, Any]]:
        """Return the updates of widget and cards; costs a few looks at the disk."""
        parts = self._residence.parts()
        own = None if not self._panel.can_fetch else self._store.own_folder
        listing = {
            "lead": words("models.lead" if self._panel.can_fetch else "models.hosted"),
            "rows": [self._row(row, words) for row in self._store.checkpoints],
            "own": "" if own is None else words("models.own-folder", folder=own),
            "parts": [say_part(part, words) for part in parts],
            "has_idle": self._panel.can_fetch and any(part.users == 0 for part in parts),
        }
        return [gr.update(listing=listing), write_absences(self._panel, words)]

    def _row(self, checkpoint: Checkpoint, words: Words) -> dict[str, Any]:
        """Return one checkpoint as the widget draws it; all of it is text there, never HTML."""
        state = self._store.state(checkpoint.key)
        errand = self.errands.find(checkpoint.key)
        is_busy = errand is not None and errand.is_running
        share = errand.share if errand is not None else None
        licence, can_change = checkpoint.licence, self._panel.can_fetch
        return {
            "key": checkpoint.key,
            "title": say_name(words, checkpoint.title),
            "size": say_size(checkpoint),
            "freed": describe_size(state.arrived),
            "needs": self._say_needs(checkpoint.key, words),
            "is_needed": checkpoint.key in self._needed_by,
            "kind": state.kind,
            "state": _say_state(state, words),
            "licence": words("models.licence", name=say_name(words, licence.name)),
            "meaning": words.sentence(licence.meaning),
            "place": (
                words("models.place", folder=state.folder)
                if can_change and state.kind != "absent"
                else ""
            ),
            "actions": ["cancel"] if is_busy else _list_actions(state) if can_change else [],
            "is_busy": is_busy,
            "share": share,
            "errand": "" if errand is None else say_errand(errand, state, words),
            "is_trouble": errand is not None and errand.outcome in ("failed", "broken"),
        }

    def _say_needs(self, key: str, words: Words) -> str:
        titles = [preset.title_in(words.locale) for preset in self._needed_by.get(key, [])]
        if not titles:
            return words("models.needed-by-none")
        return words("models.needed-by", presets=join_words(words, titles))


def say_errand(errand: Errand, state: State, words: Words) -> str:
    """Return how an errand stands or how it ended, in one line."""
    if errand.trouble is not None:
        return words.sentence(errand.trouble)
    if errand.outcome == "broken":
        return words("run.our-fault")
    if errand.outcome == "stopped":
        return words(f"models.stopped-{errand.kind}")
    if errand.outcome == "done":
        if errand.kind == "fetch":
            return words("models.fetched")
        return words("models.verified-own" if state.kind == "own" else "models.verified")
    if errand.is_stopping:
        return words("models.stopping")
    return words("models.beginning") if errand.step is None else _say_step(errand, words)


def say_part(part: Part, words: Words) -> dict[str, str]:
    """Return a loaded part as the widget draws it."""
    facts = words(
        "models.part", dtype=part.dtype, device=part.device, size=describe_size(part.size)
    )
    minutes = int(part.idle_seconds / _MINUTE)
    if part.users:
        use = words("models.in-use")
    elif minutes == 0:
        use = words("models.idle-now")
    else:
        use = words("models.idle", count=minutes)
    return {"name": part.name, "facts": facts, "use": use}


def _say_step(errand: Errand, words: Words) -> str:
    step = errand.step
    assert step is not None
    done = describe_size(step.done)
    if step.total is not None:
        done = words("models.of", done=done, total=describe_size(step.total))
    if errand.rate is not None:
        done = words("models.pace", progress=done, rate=describe_size(round(errand.rate)))
    if errand.seconds_left is not None:
        done = words("models.left", progress=done, time=say_wait(words, errand.seconds_left))
    return words(f"models.stage-{step.stage}", file=step.name, done=done)


def _say_state(state: State, words: Words) -> str:
    percent = ""
    if state.kind == "partial" and state.checkpoint.size:
        percent = str(min(100 * state.arrived // state.checkpoint.size, 99))
    return words(f"models.state-{state.kind}", percent=percent or "?")


def _list_actions(state: State) -> list[str]:
    """Return what a visitor may do with a checkpoint in this state."""
    return {
        "own": ["verify"],
        "here": ["verify", "delete"],
        "damaged": ["fetch-damaged", "verify", "delete"],
        "partial": ["fetch-partial", "delete"],
        "absent": ["fetch"],
    }[state.kind]
