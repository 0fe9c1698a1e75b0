"""The score card's words and marks, as HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from lipsync.types import SyncScore
from lipsync.ui.score_card import level_of, score_card
from lipsync.ui.words import words_in

EN, ZH = words_in("en"), words_in("zh-CN")
SCORE = SyncScore(
    judge="correlate",
    worth="A coarse judge.",
    confidence=0.834,
    offset_frames=1,
    fps=Fraction(25),
    verdict="in sync",
    curve_offsets=(-2, -1, 0, 1, 2),
    curve=(-0.2, 0.1, 0.4, 0.5, 0.3),
    per_second=(0.9, 0.31, None, 0.8),
)


def test_number_verdict_offset_judge_and_worth() -> None:
    card = score_card(SCORE, None, None, EN, "player")
    assert '<span data-testid="confidence">0.83</span>' in card
    assert "In sync</p>" in card
    assert 'data-testid="offset">The lips come 40 ms late, too little to notice<' in card
    assert "Judge: correlate. A coarse judge." in card
    assert "baseline" not in card


@pytest.mark.parametrize(
    ("frames", "said", "best"),
    [
        (0, ">0 ms: sound and lips come together<", "fits best at 0 ms<"),
        (-2, ">The lips come 80 ms early<", "fits best at −80 ms<"),
        (3, ">The lips come 120 ms late<", "fits best at +120 ms<"),
    ],
)
def test_offset_says_what_it_means(frames: int, said: str, best: str) -> None:
    card = score_card(replace(SCORE, offset_frames=frames), None, None, EN, None)
    assert said in card
    assert best in card


def test_every_judged_second_is_a_button_and_the_rest_a_gap() -> None:
    card = score_card(SCORE, None, None, EN, "player")
    assert re.findall(r'data-seek="(\d)"', card) == ["0", "1", "3"]
    assert 'aria-label="second 1: 0.90, click to see it"' in card
    assert card.count('class="score-gap"') == 1
    assert 'aria-label="second 3: nothing to judge"' in card
    assert 'data-player="player"' in card


def test_worst_second_is_named_and_marked() -> None:
    card = score_card(SCORE, None, None, EN, "player")
    assert card.count("score-worst") == 1
    assert 'aria-label="second 2: 0.31, the weakest, click to see it"' in card
    assert "weakest: second 2<" in card
    (only,) = re.findall(r'<button[^>]*tabindex="0"[^>]*>', card)
    assert 'data-seek="1"' in only


def test_one_judged_second_is_not_called_the_worst() -> None:
    card = score_card(replace(SCORE, per_second=(None, 0.5)), None, None, EN, "player")
    assert "weakest" not in card
    assert 'tabindex="0"' in card


def test_without_a_player_nothing_can_be_clicked() -> None:
    card = score_card(SCORE, None, None, EN, None)
    assert "<button" not in card
    assert "lick" not in card
    assert 'role="img" aria-label="second 1: 0.90"' in card


def test_nothing_judged_draws_no_plot_and_no_curve() -> None:
    card = score_card(
        replace(SCORE, per_second=(None, None), curve=(), curve_offsets=()), None, None, EN, "p"
    )
    assert 'class="score-plot"' not in card
    assert "score-gap" not in card
    assert "<svg" not in card


def test_bars_of_a_judge_with_a_longer_scale_stay_within_the_plot() -> None:
    card = score_card(replace(SCORE, per_second=(8.0, 4.0, -1.0)), None, None, EN, "player")
    assert re.findall(r"height:([\d.]+)%", card) == ["100.0", "50.0", "0.0"]


def test_curve_marks_its_peak() -> None:
    card = score_card(SCORE, None, None, EN, None)
    xs, ys = zip(
        *(pair.split(",") for pair in re.search(r'points="([^"]*)"', card)[1].split()), strict=True
    )
    peak = re.search(r'd="M([\d.]+) ([\d.]+)h0"', card)
    assert (peak[1], peak[2]) == (xs[3], ys[3])
    assert float(ys[3]) == min(map(float, ys))
    assert "fits best at +40 ms" in card
    assert "<span>−80 ms</span><span>+80 ms</span>" in card


def test_a_flat_curve_is_drawn() -> None:
    card = score_card(replace(SCORE, curve=(0.1,) * 5), None, None, EN, None)
    assert "nan" not in card
    assert "<polyline" in card


def test_baseline_stands_beside_the_number_and_in_the_plot() -> None:
    card = score_card(SCORE, None, replace(SCORE, confidence=0.71), EN, "player")
    assert "own speech: 0.71<" in card
    assert 'class="score-line" style="bottom:71.0%"' in card


def test_another_judge_is_never_on_the_same_scale() -> None:
    other = replace(SCORE, judge="syncnet", confidence=7.25)
    card = score_card(SCORE, None, other, EN, "player")
    assert "own speech: 7.25 by syncnet, on another scale<" in card
    assert "score-line" not in card


def test_missing_score_gives_the_reason_not_a_zero() -> None:
    card = score_card(None, "The sound is silent, so <b>.", None, EN, "player")
    assert "Sync not measured" in card
    assert "silent, so &lt;b&gt;." in card
    assert "confidence" not in card
    assert "No judge was asked." in score_card(None, None, None, EN, None)


def test_everything_is_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    bad = replace(SCORE, judge=evil, worth=evil, verdict=evil)
    card = score_card(bad, None, replace(bad, judge=evil + "2"), EN, evil)
    assert "<script" not in card
    assert '=""' not in card


VERDICTS = {
    "in sync": "good",
    "roughly in sync": "fair",
    "shifted: the sound comes 200 ms too early": "poor",
    "out of sync: the mouth does not follow this voice": "bad",
    "something a later judge says": "plain",
}


def test_every_level_has_a_shape_of_its_own() -> None:
    shapes = set()
    for verdict, level in VERDICTS.items():
        score = replace(SCORE, verdict=verdict)
        assert level_of(score) == level
        card = score_card(score, None, None, EN, None)
        assert f'class="score-verdict score-{level}"' in card
        shapes.add(re.search(r'class="score-shape" aria-hidden="true">(.)<', card)[1])
    assert len(shapes) == len(VERDICTS)


def test_chinese_card_has_no_english_words() -> None:
    card = score_card(SCORE, None, replace(SCORE, confidence=0.7), ZH, "player")
    text = re.sub(r"<[^>]*>", " ", card) + " ".join(re.findall(r'aria-label="([^"]*)"', card))
    left = set(re.findall(r"[A-Za-z]{2,}", text)) - {"ms", "correlate"}
    assert left <= {"coarse", "judge"}  # this test's own sentence has no translation
