"""The score as people read it: a number, what it means, and which seconds to look at."""

from __future__ import annotations

from html import escape

from lipsync.types import SyncScore
from lipsync.ui.words import Words

# what a verdict begins with -> how it is shown; the shape says it without the colour
_LEVELS = {"in sync": "good", "roughly in sync": "fair", "shifted": "poor", "out of sync": "bad"}
_SHAPES = {"good": "●", "fair": "◐", "poor": "▲", "bad": "✕", "plain": "–"}
_UNNOTICED_MS = 45  # sound this much before the lips goes unnoticed (ITU-R BT.1359)
_CURVE_SIZE = 240, 44  # of the drawing, in its own units


def level_of(score: SyncScore) -> str:
    """Return how good a score is: "good", "fair", "poor", "bad", or "plain" for the verdict of a
    judge that has words of its own."""
    return _LEVELS.get(score.verdict.partition(":")[0], "plain")


def score_card(
    score: SyncScore | None,
    reason: str | None,
    baseline: SyncScore | None,
    words: Words,
    player_id: str | None,
) -> str:
    """Return the card of `score`, or the `reason` why there is none, as HTML.

    `baseline` is the score of the source's own speech. A click on a second moves the player whose
    elem_id is `player_id`; with None the seconds are only shown.
    """
    if score is None:
        why = words.sentence(reason) if reason else words("score.not_asked")
        return (
            f'<div class="score-card"><p class="score-verdict">{_say(words, "not_measured")}</p>'
            f'<p class="score-note">{escape(why)}</p></div>'
        )
    same = baseline is not None and baseline.judge == score.judge
    verdict = words.sentence(score.verdict)
    parts = [
        f'<div class="score-head"><div class="score-number"><span data-testid="confidence">'
        f"{score.confidence:.2f}</span><small>{_say(words, 'confidence')}</small></div>",
        f'<div><p class="score-verdict score-{level_of(score)}">{_shape(level_of(score))}'
        f"{escape(verdict[:1].upper() + verdict[1:])}</p>"
        f'<p class="score-note" data-testid="offset">{escape(_offset(score, words))}</p>',
        _baseline(baseline, same, words) if baseline else "",
        "</div></div>",
        '<div class="score-plots">',
        _seconds(score, baseline.confidence if baseline and same else None, words, player_id),
        _curve(score, words),
        "</div>",
        f'<p class="score-note">{_say(words, "judged_by", judge=score.judge)} '
        f"{escape(words.sentence(score.worth))}</p>",
    ]
    return f'<div class="score-card">{"".join(parts)}</div>'


def _say(words: Words, key: str, **values: object) -> str:
    return escape(words(f"score.{key}", **values))


def _shape(level: str) -> str:
    return f'<span class="score-shape" aria-hidden="true">{_SHAPES[level]}</span> '


def _signed(number: int) -> str:
    return f"{number:+d}".replace("-", "\N{MINUS SIGN}") if number else "0"


def _offset(score: SyncScore, words: Words) -> str:
    milliseconds = round(score.offset_ms)
    if milliseconds == 0:
        return words("score.together")
    way = "late" if milliseconds > 0 else "early"
    said = words(f"score.lips_{way}", ms=abs(milliseconds))
    return said + (words("score.unnoticed") if abs(milliseconds) <= _UNNOTICED_MS else "")


def _baseline(baseline: SyncScore, same: bool, words: Words) -> str:
    number = f"{baseline.confidence:.2f}"
    if same:
        text = _say(words, "baseline", number=number)
    else:  # another judge counts on a scale of its own
        text = _say(words, "baseline_other", number=number, judge=baseline.judge)
    return f'<p class="score-note" data-testid="baseline">{text}</p>'


def _seconds(score: SyncScore, line: float | None, words: Words, player_id: str | None) -> str:
    judged = [value for value in score.per_second if value is not None]
    if not judged:
        return ""
    lowest = score.per_second.index(min(judged))
    worst = lowest if len(judged) > 1 else None
    top = max(1.0, *judged)
    bars = []
    for second, value in enumerate(score.per_second):
        if value is None:
            bars.append(_gap(second, words))
            continue
        text = words(
            "score.second_worst" if second == worst else "score.second",
            number=second + 1,
            value=f"{value:.2f}",
        )
        kind = "score-bar score-worst" if second == worst else "score-bar"
        inside = f'<i style="height:{100 * max(0.0, value) / top:.1f}%"></i>'
        if player_id is None:
            bars.append(f'<span class="{kind}" role="img" {_named(text)}>{inside}</span>')
            continue
        # one stop for the tab key; score.js moves it with the arrows
        act = f'data-seek="{second}" tabindex="{0 if second == lowest else -1}"'
        said = _named(text + words("score.click_second"))
        bars.append(f'<button type="button" class="{kind}" {act} {said}>{inside}</button>')
    mark = ""
    if line is not None:
        mark = f'<i class="score-line" style="bottom:{100 * min(1.0, line / top):.1f}%"></i>'
    player = "" if player_id is None else f' data-player="{escape(player_id)}"'
    told = "" if worst is None else _say(words, "worst", number=worst + 1)
    title = _say(words, "each_second")
    return (
        f'<div class="score-part"><p class="score-title">{title}'
        f'<span class="score-note">{told}</span></p>'
        f'<div class="score-plot" role="group" aria-label="{title}"{player}>'
        f"{mark}{''.join(bars)}</div></div>"
    )


def _gap(second: int, words: Words) -> str:
    said = _named(words("score.second_none", number=second + 1))
    return f'<span class="score-gap" role="img" {said}></span>'


def _named(text: str) -> str:
    return f'aria-label="{escape(text)}" title="{escape(text)}"'


def _curve(score: SyncScore, words: Words) -> str:
    if len(score.curve) < 3:
        return ""
    width, height = _CURVE_SIZE
    low, high = min(score.curve), max(score.curve)
    first, last = score.curve_offsets[0], score.curve_offsets[-1]

    def place(offset: int, value: float) -> tuple[float, float]:
        across = (offset - first) / (last - first)
        up = (value - low) / (high - low) if high > low else 0.5
        return 4 + across * (width - 8), height - 5 - up * (height - 10)

    pairs = list(zip(score.curve_offsets, score.curve, strict=True))
    line = " ".join("{:.1f},{:.1f}".format(*place(*pair)) for pair in pairs)
    peak_x, peak_y = place(*max(pairs, key=lambda pair: pair[1]))
    peak = round(score.offset_ms)
    ends = [round(float(offset * 1000 / score.fps)) for offset in (first, last)]
    return (
        f'<div class="score-part"><p class="score-title">{_say(words, "shifts")}'
        f'<span class="score-note">{_say(words, "best_shift", ms=_signed(peak))}</span></p>'
        f'<svg class="score-curve" viewBox="0 0 {width} {height}" role="img" '
        f'preserveAspectRatio="none" aria-label="{_say(words, "curve", ms=_signed(peak))}">'
        f'<line x1="{peak_x:.1f}" x2="{peak_x:.1f}" y1="0" y2="{height}"/>'
        f'<polyline points="{line}"/>'
        f'<path d="M{peak_x:.1f} {peak_y:.1f}h0"/></svg>'  # a dot, round at any width
        f'<p class="score-ends score-note"><span>{_signed(ends[0])} ms</span>'
        f"<span>{_signed(ends[1])} ms</span></p></div>"
    )
