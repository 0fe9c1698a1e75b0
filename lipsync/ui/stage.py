"""The stage: what is shown of one finished job, fresh or out of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import gradio as gr

from lipsync.presets import Preset
from lipsync.record import repaired_ms, score_from_json
from lipsync.types import Size, Skipped
from lipsync.ui import cards
from lipsync.ui.again import list_changes
from lipsync.ui.availability import usable_presets
from lipsync.ui.history import Entry, History
from lipsync.ui.player import Film, player_value
from lipsync.ui.score_card import score_card, signed
from lipsync.ui.updates import JobUpdates, shown
from lipsync.ui.words import Words
from lipsync.weights import ModelStore

SYNC = "sync"  # id of the tab that holds the stage
PLAYER = "player"  # element id of the stage's player


class Stage:
    """Puts entries of the history on the screen."""

    def __init__(self, presets: Mapping[str, Preset], history: History, store: ModelStore) -> None:
        """`store` knows which of `presets` can be used."""
        self._presets = presets
        self._store = store
        self.history = history

    def show(self, entry: Entry, words: Words, extras: str = "") -> JobUpdates:
        """Return the updates that show `entry`; `extras` says what is still being made for it.

        Raises InputError where the entry is gone.
        """
        record = entry.read_record()
        lent = self.history.lend(entry)
        presets = usable_presets(self._presets, self._store)
        changes = list_changes(entry.choices, presets, words)
        return JobUpdates(
            status=gr.update(value="", visible=False),
            player=gr.update(value=_play(entry, record, words), visible=True),
            score=shown(_judge(record, words)),
            facts=shown(cards.facts_card(words, record)),
            extras=shown(cards.quiet_line(extras) if extras else ""),
            files=gr.update(visible=True),
            download=gr.update(value=str(lent.result)),
            record=gr.update(value=str(lent.record)),
            make_both=gr.update(visible=entry.before is not None),
            both=gr.update(value=None, visible=False),
            again=gr.update(choices=changes, value=None, visible=True),
            generate=gr.update(interactive=True),
            preview=gr.update(interactive=True),
            cancel=gr.update(interactive=bool(extras)),
            clock=gr.Timer(active=False),
            shown=entry.id,
        )

    def show_comparison(self, entry: Entry, words: Words, extras: str = "") -> JobUpdates:
        """Return the updates that add the source beside the result, and what comes after it."""
        return JobUpdates(
            player=gr.update(value=_play(entry, entry.read_record(), words)),
            extras=shown(cards.quiet_line(extras) if extras else ""),
            make_both=gr.update(visible=True),
            cancel=gr.update(interactive=bool(extras)),
        )

    def show_score(self, entry: Entry, words: Words) -> JobUpdates:
        """Return the updates that show score and record anew, now with the source's own."""
        return JobUpdates(
            score=shown(_judge(entry.read_record(), words)),
            record=gr.update(value=str(self.history.lend(entry).record)),
        )


def film_of(entry: Entry, record: Mapping[str, Any]) -> Film:
    """Return the result of a finished job, whose `record` was read, as the player takes it."""
    size = Size(record["size"]["height"], record["size"]["width"])
    return Film(entry.result, Fraction(record["fps_exact"]), record["frames"], size)


def _play(entry: Entry, record: Mapping[str, Any], words: Words) -> dict[str, Any]:
    after = film_of(entry, record)
    return player_value(
        after=after,
        # frame for frame the same length and rate
        before=replace(after, path=entry.before) if entry.before else None,
        stem=entry.result.stem,
        words=words,
        skipped=[Skipped(**span) for span in record["skipped"]],
    )


def _judge(record: Mapping[str, Any], words: Words) -> str:
    if record["settings"]["part"] is not None:
        return f'<div class="card"><p>{words("run.preview-note")}</p></div>'
    score, baseline = (
        score_from_json(found) if (found := record.get(key)) else None
        for key in ("score", "baseline")
    )
    card = score_card(score, record["score_reason"], baseline, words, PLAYER, can_fix=True)
    moved = repaired_ms(record)
    if moved is not None:
        said = words("score.repaired", ms=signed(moved))
        card += f'<p class="hint" data-testid="repaired">{said}</p>'
    return f'<div class="card">{card}</div>'
