"""The score as people read it: a number, what it means, and which seconds to look at.

Bars and curve are drawn on the judge's own scale, so that two cards of one judge can be compared
at a glance, and cards of two judges look like what they are.
"""

from __future__ import annotations

from html import escape
from statistics import median

import gradio as gr

from lipsync.types import SyncScore
from lipsync.ui.words import Words

# what a verdict begins with -> how it is shown; the shape says it without the colour
_LEVELS = {"in sync": "good", "roughly in sync": "fair", "shifted": "poor", "out of sync": "bad"}
_SHAPES = {"good": "●", "fair": "◐", "poor": "▲", "bad": "✕", "plain": "–"}
_UNNOTICED_MS = 45  # sound this much before the lips goes unnoticed (ITU-R BT.1359)
_FIXABLE_MS = 80  # from here on the sound can be moved; one frame of 40 ms is normal
_FAR_MS = 200  # from here on nobody would call it slight
_UNITS = {"correlate": 1.0, "stable_syncnet": 1.0, "syncnet": 10.0}  # judge -> top of its scale
_PUBLISHED = "syncnet"  # whose numbers papers call LSE-C and LSE-D
_CURVE_SIZE = 240, 44  # of the drawing, in its own units
_ON_FIX = 'if (event.target.closest(".score-fix")) trigger("click");'


def make_score_view(elem_id: str, *, visible: bool = True) -> gr.HTML:
    """Return an empty place for a card; it is clicked where *Fix offset* on the card is."""
    script = f'element.addEventListener("click", (event) => {{ {_ON_FIX} }});'
    return gr.HTML(visible=visible, elem_id=elem_id, js_on_load=script)


def level_of(score: SyncScore) -> str:
    """Return how good a score is: "good", "fair", "poor", "bad", or "plain" for the verdict of a
    judge that has words of its own.

    "poor" and "bad" are out of sync: by an offset that can be repaired, or beyond repair.
    """
    level = _LEVELS.get(score.verdict.partition(":")[0], "plain")
    if level in ("plain", "bad"):
        return level
    apart = abs(score.frames_ms)
    if apart >= _FAR_MS:
        return "poor"
    return "fair" if apart >= _FIXABLE_MS else level.replace("poor", "fair")


def say_level(score: SyncScore, words: Words) -> str:
    """Return the plain verdict: in sync, slightly off or out of sync; the judge's own words where
    they are others."""
    level = level_of(score)
    return words.sentence(score.verdict) if level == "plain" else words(f"score.short_{level}")


def is_fixable(score: SyncScore | None) -> bool:
    """Return whether the sound is off by two frames of 40 ms or more; one is normal."""
    return score is not None and abs(score.frames_ms) >= _FIXABLE_MS


def score_card(
    score: SyncScore | None,
    reason: str | None,
    baseline: SyncScore | None,
    words: Words,
    player_id: str | None,
    *,
    can_fix: bool = False,
) -> str:
    """Return the card of `score`, or the `reason` why there is none, as HTML.

    `baseline` is the score of the source's own speech. A click on a second moves the player whose
    elem_id is `player_id`; with None the seconds are only shown. With `can_fix` a button offers to
    repair an offset that is more than normal; see `make_score_view`.
    """
    if score is None:
        why = words.sentence(reason) if reason else words("score.not_asked")
        return (
            f'<div class="score-card"><p class="score-verdict">{_say(words, "not_measured")}</p>'
            f'<p class="score-note">{escape(why)}</p></div>'
        )
    same = baseline is not None and baseline.judge == score.judge
    parts = [
        f'<div class="score-head"><div class="score-number"><span data-testid="confidence">'
        f"{score.confidence:.2f}</span><small>{_say(words, 'confidence')}"
        f"{' (LSE-C)' if score.judge == _PUBLISHED else ''}</small>"
        f"<small>{escape(_scale(score, words))}</small></div>",
        f'<div class="score-said"><p class="score-verdict score-{level_of(score)}">'
        f"{_shape(level_of(score))}{escape(_verdict(score, words))}</p>"
        f'<p class="score-note" data-testid="offset">{escape(_offset(score, words))}</p>',
        _fix(score, words) if can_fix and is_fixable(score) else "",
        _distance(score, words),
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


def signed(number: int) -> str:
    """Return a number with its sign, a true minus; 0 has none."""
    return f"{number:+d}".replace("-", "\N{MINUS SIGN}") if number else "0"


def _verdict(score: SyncScore, words: Words) -> str:
    # a mouth that does not follow says more than how far it is off
    is_beyond = level_of(score) == "bad"
    verdict = words.sentence(score.verdict) if is_beyond else say_level(score, words)
    return verdict[:1].upper() + verdict[1:]


def _scale(score: SyncScore, words: Words) -> str:
    unit = _UNITS.get(score.judge)
    if unit is None:
        return words("score.scale_own")
    return words("score.scale_about" if unit > 1 else "score.scale", top=f"{unit:g}")


def _fix(score: SyncScore, words: Words) -> str:
    why = "fix_unsure" if level_of(score) == "bad" else "fix_why"
    said = _say(words, why, ms=signed(round(score.frames_ms)))
    return (
        f'<p class="score-fixing"><button type="button" class="score-fix">{_say(words, "fix")}'
        f'</button><span class="score-note">{said}</span></p>'
    )


def _distance(score: SyncScore, words: Words) -> str:
    if score.distance is None:
        return ""
    name = " (LSE-D)" if score.judge == _PUBLISHED else ""
    said = _say(words, "distance", name=name, number=f"{score.distance:.2f}")
    return f'<p class="score-note" data-testid="distance">{said}</p>'


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
    top = max(_UNITS.get(score.judge, 0.0), *judged, line or 0.0) or 1.0
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
        mark = f'<i class="score-line" style="bottom:{100 * line / top:.1f}%"></i>'
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
    first, last = score.curve_offsets[0], score.curve_offsets[-1]
    pairs = dict(zip(score.curve_offsets, score.curve, strict=True))
    best = pairs.get(score.offset_frames, max(score.curve))
    is_dip = best < median(score.curve)  # distances, not likenesses
    # the best end lies at the drawing's edge; from there the judge's own scale
    low, high = min(score.curve), max(score.curve)
    span = max(high - low, _UNITS.get(score.judge, 0.0)) or 1.0
    bottom = low if is_dip else high - span

    def place(offset: int, value: float) -> tuple[float, float]:
        across = (offset - first) / (last - first)
        up = (value - bottom) / span
        return 4 + across * (width - 8), height - 5 - up * (height - 10)

    line = " ".join("{:.1f},{:.1f}".format(*place(*pair)) for pair in pairs.items())
    at, mark = round(score.offset_ms), ""
    if score.offset_frames in pairs:
        x, y = place(score.offset_frames, best)
        mark = (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>'
            f'<path d="M{x:.1f} {y:.1f}h0"/>'  # a dot, round at any width
        )
    ends = [round(float(offset * 1000 / score.fps)) for offset in (first, last)]
    return (
        f'<div class="score-part"><p class="score-title">'
        f"{_say(words, 'shifts_apart' if is_dip else 'shifts')}"
        f'<span class="score-note">{_say(words, "best_shift", ms=signed(at))}</span></p>'
        f'<svg class="score-curve" viewBox="0 0 {width} {height}" role="img" '
        f'preserveAspectRatio="none" '
        f'aria-label="{_say(words, "curve_apart" if is_dip else "curve", ms=signed(at))}">'
        f'<polyline points="{line}"/>{mark}</svg>'
        f'<p class="score-ends score-note"><span>{signed(ends[0])} ms</span>'
        f"<span>{signed(ends[1])} ms</span></p></div>"
    )
