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
    curve=(-0.2, 0.1, 0.4, 0.5, 0.4),
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
OFFSETS = {"poor": 5, "bad": 9}


def test_every_level_has_a_shape_of_its_own() -> None:
    shapes = set()
    for verdict, level in VERDICTS.items():
        score = replace(SCORE, verdict=verdict, offset_frames=OFFSETS.get(level, 1))
        assert level_of(score) == level
        card = score_card(score, None, None, EN, None)
        assert f'class="score-verdict score-{level}"' in card
        shapes.add(re.search(r'class="score-shape" aria-hidden="true">(.)<', card)[1])
    assert len(shapes) == len(VERDICTS)


@pytest.mark.parametrize(
    ("verdict", "frames", "said"),
    [
        ("in sync", -1, "In sync"),
        ("in sync", 2, "Slightly off"),
        ("roughly in sync", 0, "Slightly off"),
        ("shifted: the sound comes 80 ms too late", -2, "Slightly off"),
        ("shifted: the sound comes 160 ms too early", 4, "Slightly off"),
        ("roughly in sync", 5, "Out of sync"),
        ("shifted: the sound comes 320 ms too early", 8, "Out of sync"),
        (
            "out of sync: the mouth does not follow this voice",
            0,
            "Out of sync: the mouth does not follow this voice",
        ),
        ("something a later judge says", 9, "Something a later judge says"),
    ],
)
def test_verdict_is_one_of_three_plain_ones(verdict: str, frames: int, said: str) -> None:
    score = replace(SCORE, verdict=verdict, offset_frames=frames)
    assert f"</span> {said}</p>" in score_card(score, None, None, EN, None)


@pytest.mark.parametrize(("frames", "is_there"), [(0, 0), (1, 0), (-1, 0), (2, 1), (-2, 1)])
def test_offset_can_be_fixed_from_two_frames_on(frames: int, is_there: int) -> None:
    card = score_card(replace(SCORE, offset_frames=frames), None, None, EN, "player", can_fix=True)
    assert card.count(">Fix offset</button>") == is_there
    assert card.count("One frame (40 ms) is normal") == is_there
    assert "moves the sound by −80 ms" in card or frames != -2
    assert "Fix offset" not in score_card(replace(SCORE, offset_frames=9), None, None, EN, "player")


def test_a_mouth_that_does_not_follow_is_no_matter_of_offset() -> None:
    score = replace(SCORE, offset_frames=9, verdict="out of sync: the mouth does not follow this")
    assert "may not help" in score_card(score, None, None, EN, "player", can_fix=True)


SYNCNET = replace(
    SCORE,
    judge="syncnet",
    confidence=5.0,
    distance=7.214,
    curve=(12.0, 12.5, 12.25, 7.25, 12.5),
    per_second=(8.0, 5.0, -1.0),
)


def test_bars_are_drawn_on_the_judges_own_scale() -> None:
    card = score_card(SYNCNET, None, replace(SYNCNET, confidence=2.5), EN, None)
    assert re.findall(r"height:([\d.]+)%", card) == ["80.0", "50.0", "0.0"]
    assert 'class="score-line" style="bottom:25.0%"' in card
    assert "from 0 to about 10<" in card
    assert "from 0 to 1<" in score_card(SCORE, None, None, EN, None)
    own = score_card(replace(SYNCNET, judge="another"), None, None, EN, None)
    assert re.findall(r"height:([\d.]+)%", own) == ["100.0", "62.5", "0.0"]
    assert "on its own scale<" in own


def test_distance_is_told_where_there_is_one() -> None:
    assert "Distance (LSE-D): 7.21; smaller is closer" in score_card(SYNCNET, None, None, EN, None)
    assert "Distance" not in score_card(SCORE, None, None, EN, None)


def marked(card: str) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Return where the mark is, and the points of the line."""
    points = re.search(r'points="([^"]*)"', card)[1].split()
    mark = re.search(r'd="M([\d.]+) ([\d.]+)h0"', card)
    pairs = [pair.split(",") for pair in points]
    return (float(mark[1]), float(mark[2])), [(float(x), float(y)) for x, y in pairs]


def test_curve_of_distances_is_marked_at_its_lowest_point() -> None:
    card = score_card(SYNCNET, None, None, EN, None)
    mark, points = marked(card)
    assert mark == points[3]
    assert mark[1] == max(y for _, y in points)  # y grows downwards
    assert "fits best at +40 ms" in card
    assert "lower is closer" in card
    # a dip by half of the judge's scale is half as deep as the drawing
    assert mark[1] - points[2][1] == pytest.approx(17.0, abs=0.1)


def test_mark_is_at_the_scores_own_offset_not_at_the_highest_point() -> None:
    mark, points = marked(score_card(replace(SCORE, offset_frames=0), None, None, EN, None))
    assert mark == points[2]
    outside = score_card(replace(SCORE, offset_frames=9), None, None, EN, None)
    assert "<polyline" in outside
    assert "h0" not in outside


def test_a_curve_that_hardly_moves_looks_flat() -> None:
    _, points = marked(
        score_card(replace(SCORE, curve=(0.1, 0.12, 0.1, 0.14, 0.1)), None, None, EN, None)
    )
    heights = [y for _, y in points]
    assert max(heights) - min(heights) < 2


def test_chinese_card_has_no_english_words() -> None:
    card = score_card(SCORE, None, replace(SCORE, confidence=0.7), ZH, "player")
    text = re.sub(r"<[^>]*>", " ", card) + " ".join(re.findall(r'aria-label="([^"]*)"', card))
    left = set(re.findall(r"[A-Za-z]{2,}", text)) - {"ms", "correlate"}
    assert left <= {"coarse", "judge"}  # this test's own sentence has no translation
