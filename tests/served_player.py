"""The player and the score card on a page of their own, and how a test works and watches them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from conftest import run_ffmpeg
from numbered_films import READ_FRAMES, make_film
from served_blocks import serve_blocks

from lipsync.types import Size, Skipped, SyncScore
from lipsync.ui.player import Film, make_player, player_value
from lipsync.ui.score_card import score_card
from lipsync.ui.words import words_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

EN = words_in("en")
FRAMES = 125
SKIPPED = [Skipped(1.0, 2.0, "no face is seen")]
SCORE = SyncScore(
    *("correlate", "A coarse judge.", 0.8, 1, Fraction(25), "in sync"),
    per_second=(0.9, 0.8, None, 0.3, 0.7),
)
# what both videos show, at every repaint for so many milliseconds
WATCH = f"""async (length) => {{
    const read = {READ_FRAMES};
    const seen = [];
    for (const end = performance.now() + length; performance.now() < end; ) {{
        await new Promise(requestAnimationFrame);
        seen.push(read());
    }}
    return seen;
}}"""


@contextmanager
def serve_player(folder: Path) -> Iterator[str]:
    """Serve a player, a score card, and a button for each value the player may get.

    The films are made in `folder`.
    """
    make_film(run_ffmpeg, folder / "after.mp4", sound=True)
    make_film(run_ffmpeg, folder / "before.mp4")
    make_film(run_ffmpeg, folder / "short.mp4", fps="30", frames=60, sound=True)
    make_film(run_ffmpeg, folder / "tall.mp4", size=(216, 384))
    gr.set_static_paths([folder])
    after = Film(folder / "after.mp4", Fraction(25), FRAMES, Size(202, 360))
    before = replace(after, path=folder / "before.mp4")
    short = Film(folder / "short.mp4", Fraction(30), 60, Size(202, 360))
    tall = Film(folder / "tall.mp4", Fraction(25), FRAMES, Size(384, 216))
    values = {
        "plain": player_value(after, "clip", EN, skipped=SKIPPED),
        "both": player_value(after, "clip", EN, before, SKIPPED),
        "results": player_value(after, "clip", EN, short, labels=("<b>One", "Two")),
        "tall": player_value(tall, "clip", EN, tall, labels=("A long name " * 5, "Other " * 9)),
        "lost": player_value(after, "clip", EN, replace(after, path=folder / "gone.mp4")),
        "gone": player_value(replace(after, path=folder / "gone.mp4"), "clip", EN),
        "none": None,
    }
    with gr.Blocks() as blocks:
        player = make_player("player")
        gr.HTML(score_card(SCORE, None, None, EN, "player"))
        for name, value in values.items():
            button = gr.Button(name, elem_id=name)
            button.click(lambda value=value: gr.update(value=value), None, player)
    with serve_blocks(blocks) as url:
        yield url


def show(page: Page, name: str) -> None:
    page.click(f"#{name}")
    comparable = "false" if name == "plain" else "true"
    page.wait_for_function(
        f"""() => {{
            const player = document.querySelector(".player");
            return player?.dataset.comparable === "{comparable}"
                && player.querySelector("video").readyState >= 2;
        }}"""
    )


def shown(page: Page) -> list[int]:
    return page.evaluate(READ_FRAMES)


def press(page: Page, keys: str) -> None:
    page.locator(".player").focus()
    page.keyboard.press(keys)


def await_frame(page: Page, frame: int) -> None:
    """Wait until the player stands on `frame` and the picture is that frame."""
    page.wait_for_function(
        f"() => document.querySelector('.player').dataset.frame === '{frame}' "
        f"&& ({READ_FRAMES})()[0] === {frame}"
    )


def await_rest(page: Page) -> None:
    page.wait_for_function(
        """() => [...document.querySelectorAll(".player video")]
            .every((video) => video.paused && !video.seeking)"""
    )


def is_together(seen: list[list[int | None]], moved: int) -> bool:
    """Return whether the videos were never more than a frame apart, and really went on.

    A video that has no picture at the moment, while it jumps, is not counted.
    """
    shown = [pair for pair in seen if None not in pair]
    firsts = [pair[0] for pair in shown]
    apart = [pair for pair in shown if abs(pair[0] - pair[1]) > 1]
    return (
        len(shown) >= len(seen) / 2
        and max(firsts) - min(firsts) >= moved
        # a repaint may fall between the two pictures' own, for a single frame of a busy screen
        and len(apart) <= len(shown) // 20
    )


def watch_together(
    page: Page, length: int, moved: int, seconds: float, rates: tuple[int, int] = (25, 25)
) -> list[list[int | None]]:
    """Watch both pictures for `length` ms and assert that they are in step.

    A machine that stands still for a moment, as those of tests do, is watched again, from
    `seconds` into the film on.
    """
    first, second = rates
    for _ in range(4):
        seen = [[a, b and round(b / second * first)] for a, b in page.evaluate(WATCH, length)]
        if is_together(seen, moved):
            return seen
        page.evaluate("seconds => studio.seek('player', seconds)", seconds)
        page.wait_for_timeout(300)
    raise AssertionError(f"not in step: {seen}")
