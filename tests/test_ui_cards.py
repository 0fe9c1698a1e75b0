"""The words and numbers of the cards."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipsync.types import Progress, Result, Size, Skipped, SyncScore
from lipsync.ui import cards

SCORE = SyncScore("correlate", "A coarse judge.", 0.834, 1, Fraction(25), "the lips follow.")
RESULT = Result(
    output=Path("x.mp4"),
    num_frames=105,
    fps=Fraction(30000, 1001),
    size=Size(720, 1280),
    duration=4.2,
    score=SCORE,
    score_reason=None,
    skipped=(Skipped(3.2, 64.14, "no face <here>"),),
    timings={"faces": 2.0, "generate": 1.5},
    notes=("A note & more.",),
)


def test_result_card_shows_score_facts_spans_and_notes() -> None:
    card = cards.result_card(RESULT)
    for words in (
        ">0.83<",
        "The lips follow.",
        "+40 ms: the sound comes first",
        "correlate",
        "A coarse judge.",
        "0:03.2 to 1:04.1",
        "no face &lt;here&gt;",
        "A note &amp; more.",
        "1280 × 720 · 29.97 fps · 4.2 s · made in 3.5 s",
    ):
        assert words in card, words


@pytest.mark.parametrize(
    ("frames", "words"), [(0, "0 ms: sound and lips"), (-2, "-80 ms: the lips come first")]
)
def test_offset_is_told_in_words(frames: int, words: str) -> None:
    assert words in cards.result_card(replace(RESULT, score=replace(SCORE, offset_frames=frames)))


def test_missing_score_is_not_a_zero() -> None:
    card = cards.result_card(replace(RESULT, score=None, score_reason="The voice is silent."))
    assert "Sync not measured" in card
    assert "The voice is silent." in card
    assert "confidence" not in card


def test_progress_card_shows_stage_share_time_and_preview() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    card = cards.progress_card(Progress("generate", 1, 2, 75.0, picture))
    assert "Painting the mouth" in card
    assert "about 1 min 15 s left" in card
    assert 'src="data:image/jpeg;base64,' in card
    assert 'role="progressbar"' in card
    assert "left" not in cards.progress_card(Progress("generate", 1, 2)).replace('class="left"', "")
    assert "<img" not in cards.progress_card(Progress("generate", 1, 2))


def test_share_rises_through_the_stages_and_ends_at_one() -> None:
    walk = [Progress(stage, done, 4) for stage in cards.STAGES for done in range(5)]
    shares = [round(cards.overall_share(progress), 9) for progress in walk]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert cards.overall_share(Progress("faces", 0, 0)) == cards.STAGES["faces"][1]


def test_sentences_are_escaped() -> None:
    assert "<script>" not in cards.error_card("<script>alert(1)</script>")
    assert "<b>" not in cards.preset_sentence("<b>")
    assert "<b>" not in cards.problems_card(["<b>"])
    assert cards.problems_card([]) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (4.23, "4.2 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (3700, "1 h 1 min")],
)
def test_seconds_as_people_say_them(seconds: float, said: str) -> None:
    assert cards.say_seconds(seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2")])
def test_clock(seconds: float, said: str) -> None:
    assert cards.say_clock(seconds) == said
