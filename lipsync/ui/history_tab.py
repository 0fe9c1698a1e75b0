"""The tab with what a visitor made before: its components, and what happens on a click.

The list comes from the server as the widget's ``listing``; what the visitor did goes back as its
value. Showing a job again and using its settings again belong to the tab that makes results; it
reads what was asked for with `read_action`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import gradio as gr
from gradio.events import Dependency

from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.record import repaired_ms, score_from_json
from lipsync.ui.events import AT_ONCE
from lipsync.ui.history import Entry, History
from lipsync.ui.player import make_player, player_value
from lipsync.ui.previews import file_address
from lipsync.ui.score_card import say_level, signed
from lipsync.ui.stage import film_of
from lipsync.ui.trouble import PlainWords
from lipsync.ui.visitors import read_visitor
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import Words, words_for

Kind = Literal["show", "again", "delete", "compare"]
WIDGET, PLAYER = "history", "history-player"  # element ids

_ID = re.compile(r"[0-9a-f]{1,64}")
_SHOW_PLAYER = f'() => {{ studio.reveal("#{PLAYER} .player:not([hidden])"); return []; }}'


@dataclass(frozen=True)
class Action:
    """What a visitor asked of the history: two ids to compare, otherwise one."""

    kind: Kind
    ids: tuple[str, ...]


@dataclass(frozen=True)
class HistoryTab:
    """The components of the tab."""

    widget: gr.HTML
    player: gr.HTML


def lay_out_history() -> HistoryTab:
    """Put the components into the surrounding tab or page."""
    widget = make_widget("history", None, elem_id=WIDGET, listing=None)
    return HistoryTab(widget, make_player(PLAYER))


def connect_history(
    ready: Dependency, tab: HistoryTab, handlers: HistoryHandlers, visitor: gr.BrowserState
) -> None:
    """Send the tab's events to `handlers`; the first list follows `ready`, after which `visitor`
    holds a token."""
    ready.then(handlers.list_entries, visitor, tab.widget, **AT_ONCE)
    tab.widget.input(handlers.act, [visitor, tab.widget], [tab.widget, tab.player], **AT_ONCE).then(
        None, js=_SHOW_PLAYER, **AT_ONCE
    )


def read_action(value: Any) -> Action:
    """Return what the widget's value asks for; raises InputError for one it never sends.

    The ids have their form only: whose they are is for `History.get` to find out.
    """
    if isinstance(value, dict) and value.get("kind") in get_args(Kind):
        kind, ids = cast(Kind, value["kind"]), value.get("ids")
        if (
            isinstance(ids, list)
            and len(ids) == (2 if kind == "compare" else 1)
            and all(isinstance(one, str) and _ID.fullmatch(one) for one in ids)
            and len(set(ids)) == len(ids)
        ):
            return Action(kind, tuple(ids))
    raise InputError("The history cannot read what was asked for; reload the page and try again.")


class HistoryHandlers:
    """The handlers of the tab; each looks only into the history of the visitor who asks."""

    def __init__(self, history: History, presets: Mapping[str, Preset]) -> None:
        """`presets` are those there are, by name: their titles come in the visitor's language."""
        self._history = history
        self._presets = presets

    def list_entries(self, visitor: Any, request: gr.Request) -> dict[str, Any]:
        """Return the widget's update with what the visitor has made, newest first."""
        return self._relist(read_visitor(visitor), words_for(request))

    def act(self, visitor: Any, asked: Any, request: gr.Request) -> list[Any]:
        """Delete or compare as asked; return the updates of widget and player.

        What belongs to the tab that makes results changes nothing here.
        """
        visitor, words = read_visitor(visitor), words_for(request)
        with PlainWords(words) as trouble:
            action = read_action(asked)
            if action.kind == "compare":
                first, second = (self._history.get(visitor, one) for one in action.ids)
                return [gr.skip(), gr.update(value=self._compare(first, second, words))]
            if action.kind != "delete":
                return [gr.skip(), gr.skip()]
            entry = self._history.get(visitor, action.ids[0])
            self._history.remove(visitor, entry.id)
            said = words("history.deleted", name=entry.clip_name)
            # the player may be showing the job that is gone
            return [self._relist(visitor, words, said=said), gr.update(value=None)]
        return [self._relist(visitor, words, trouble=trouble.sentence), gr.skip()]

    def _relist(
        self, visitor: str, words: Words, said: str | None = None, trouble: str | None = None
    ) -> dict[str, Any]:
        entries = []
        for entry in self._history.entries(visitor):
            with suppress(InputError):  # deleted in this very moment, in another tab
                entries.append(_describe(entry, self._title(entry, words), words))
        listing = {
            "entries": entries,
            "hours": f"{self._history.keep_seconds / 3600:g}",
            "most": self._history.keep_entries,
            "said": said,
            "trouble": trouble,
        }
        return gr.update(listing=listing)

    def _compare(self, first: Entry, second: Entry, words: Words) -> dict[str, Any]:
        return player_value(
            after=film_of(second, second.read_record()),
            before=film_of(first, first.read_record()),
            stem=second.result.stem,
            words=words,
            labels=(
                words("history.label-a", preset=self._title(first, words)),
                words("history.label-b", preset=self._title(second, words)),
            ),
        )

    def _title(self, entry: Entry, words: Words) -> str:
        """Return the title of the preset, as it was at the time where there is no such one now."""
        preset = self._presets.get(entry.choices.preset)
        return entry.preset if preset is None else preset.title_in(words.locale)


def _describe(entry: Entry, title: str, words: Words) -> dict[str, Any]:
    """Return one entry as the widget draws it; all of it is text to the widget, never HTML."""
    record = entry.read_record()
    score = record["score"]
    # a score that is there may still have no number
    number = None if score is None else score["confidence"]
    moved = repaired_ms(record)
    return {
        "id": entry.id,
        "name": entry.clip_name,
        "preset": title,
        "created": entry.created,
        "seconds": record["duration_seconds"],
        "is_part": record["settings"]["part"] is not None,
        "score": None if number is None else f"{number:.2f}",
        "judge": None if score is None else score["judge"],
        "verdict": None if score is None else say_level(score_from_json(score), words),
        "repaired": None if moved is None else words("score.repaired", ms=signed(moved)),
        "thumbnail": file_address(entry.thumbnail),
        "result": file_address(entry.result),
        "file": entry.result.name,
    }
