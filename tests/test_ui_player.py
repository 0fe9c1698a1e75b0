"""What the player is told."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from numbered_films import eval_rate

from lipsync.types import Size, Skipped
from lipsync.ui.player import Film, make_player, player_value
from lipsync.ui.words import client_words, words_in

FILM = Film(Path('/tmp/a b"<#?.mp4'), Fraction(30000, 1001), 90, Size(360, 640))
EN = words_in("en")


def test_value_is_json_and_complete() -> None:
    value = player_value(
        FILM, "clip", EN, replace(FILM, num_frames=60), [Skipped(1, 1.5, "why")], ("A", "B")
    )
    told = json.loads(json.dumps(value))
    assert told["after"]["fps"] == pytest.approx(eval_rate("30000/1001"))
    assert (told["after"]["width"], told["after"]["height"]) == (640, 360)
    assert (told["after"]["frames"], told["before"]["frames"]) == (90, 60)
    assert told["skipped"] == [[1, 1.5, "why"]]
    assert told["labels"] == ["A", "B"]


def test_address_holds_nothing_that_means_something_in_an_address() -> None:
    src = player_value(FILM, "clip", EN)["after"]["src"]
    assert src == "gradio_api/file=/tmp/a%20b%22%3C%23%3F.mp4"


def test_plain_player_has_nothing_to_compare() -> None:
    value = player_value(FILM, "clip", EN)
    assert (value["before"], value["labels"], value["skipped"]) == (None, None, [])


def test_a_player_starts_empty() -> None:
    assert make_player("player").value is None


def test_both_languages_have_the_same_words() -> None:
    for area in ("player.", "score."):
        keys = [{key for key in texts if key.startswith(area)} for texts in client_words().values()]
        assert keys[0]
        assert keys[0] == keys[1]
