"""The words and numbers of the cards."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.types import Progress
from lipsync.ui import cards
from lipsync.ui.words import words_in

EN, ZH = words_in("en"), words_in("zh-CN")
RECORD = {
    "size": {"width": 1280, "height": 720},
    "fps": 30000 / 1001,
    "duration_seconds": 4.2,
    "timings_seconds": {"faces": 2.0, "generate": 1.5},
    "skipped": [{"start_seconds": 3.2, "end_seconds": 64.14, "reason": "no face <here>"}],
    "notes": ["A note & more."],
}


def test_facts_card_tells_facts_spans_and_notes() -> None:
    card = cards.facts_card(EN, RECORD)
    for words in (
        "0:03.2 to 1:04.1",
        "no face &lt;here&gt;",
        "A note &amp; more.",
        "1280 × 720 · 29.97 fps · 4.2 s · made in 3.5 s",
    ):
        assert words in card, words
    assert "每秒 29.97 帧" in cards.facts_card(ZH, RECORD)


def test_progress_card_shows_stage_share_time_and_preview() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    card = cards.progress_card(EN, Progress("generate", 1, 2, 75.0, picture))
    assert "Painting the mouth" in card
    assert "about 1 min 15 s left" in card
    assert 'src="data:image/jpeg;base64,' in card
    assert 'role="progressbar"' in card
    early = cards.progress_card(EN, Progress("generate", 1, 2))
    assert "left" not in early.replace('class="left"', "")
    assert "<img" not in early


def test_share_rises_through_the_stages_and_ends_at_one() -> None:
    walk = [Progress(stage, done, 4) for stage in cards.STAGES for done in range(5)]
    shares = [round(cards.overall_share(progress), 9) for progress in walk]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert cards.overall_share(Progress("faces", 0, 0)) == cards.STAGES["faces"]


def test_waiting_card_tells_place_and_wait_as_far_as_known() -> None:
    assert "One job before yours · about 12 s to wait" in cards.waiting_card(EN, 1, 12.0)
    assert "3 jobs before yours" in cards.waiting_card(EN, 3, None)
    assert "to wait" not in cards.waiting_card(EN, 3, None)
    assert "前面还有 3 个任务" in cards.waiting_card(ZH, 3, None)


def test_sentences_are_escaped() -> None:
    for card in (cards.error_card, cards.sentence_card, cards.quiet_line):
        assert "<script>" not in card("<script>alert(1)</script>")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (4.23, "4.2 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (3700, "1 h 1 min")],
)
def test_seconds_as_people_say_them(seconds: float, said: str) -> None:
    assert cards.say_seconds(EN, seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (4.4, "4 s"), (33, "35 s"), (58, "1 min 0 s"), (187, "3 min 5 s")],
)
def test_waits_are_told_roughly(seconds: float, said: str) -> None:
    assert cards.say_wait(EN, seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2")])
def test_clock(seconds: float, said: str) -> None:
    assert cards.say_clock(seconds) == said
