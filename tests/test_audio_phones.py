"""Phones of the bundled sentence, and the pull of made-up phones on a mouth."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from lipsync.audio.phones import (
    Phone,
    hear_visemes,
    recognise_phones,
    viseme_table,
    viseme_tracks,
)
from lipsync.audio.signals import RATE
from lipsync.example import example_voice
from lipsync.media.sound import read_audio

VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return read_audio(example_voice(), RATE).samples


def _assert_covers(phones: list[Phone], seconds: float) -> None:
    """Phones follow one another without holes and reach the end."""
    assert phones[0].start == pytest.approx(0.0, abs=0.02)
    assert phones[-1].end == pytest.approx(seconds, abs=0.1)
    for one, other in pairwise(phones):
        assert one.start < one.end
        assert other.start == pytest.approx(one.end, abs=0.1)


def test_the_sentence_has_vowels_and_lips_that_meet(sentence: np.ndarray) -> None:
    phones = recognise_phones(sentence)
    names = {phone.name for phone in phones}
    assert names <= set(viseme_table())
    assert len(names & VOWELS) >= 5
    assert names & {"M", "B", "P"}
    assert 6.0 < len(phones) / (len(sentence) / RATE) < 20.0  # a second
    _assert_covers(phones, len(sentence) / RATE)


def test_times_are_the_voice_s_own_at_any_speed(sentence: np.ndarray) -> None:
    for speed in (Fraction(92, 100), Fraction(27, 25)):
        _assert_covers(recognise_phones(sentence, speed), len(sentence) / RATE)


def test_a_long_voice_is_decoded_in_pieces_and_wholly(sentence: np.ndarray) -> None:
    long = np.tile(sentence, 5)[: 23 * RATE]
    pieces = 0

    def count() -> None:
        nonlocal pieces
        pieces += 1

    _assert_covers(recognise_phones(long, checkpoint=count), 23.0)
    assert 3 <= pieces <= 6


def test_a_checkpoint_that_raises_ends_it(sentence: np.ndarray) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recognise_phones(sentence, checkpoint=stop)


def test_what_was_heard_before_does_not_matter(sentence: np.ndarray) -> None:
    first = recognise_phones(sentence[: 2 * RATE])
    noise = np.random.default_rng(0).normal(0, 0.3, 2 * RATE).astype(np.float32)
    recognise_phones(noise)
    assert recognise_phones(sentence[: 2 * RATE]) == first


def test_loudness_does_not_matter(sentence: np.ndarray) -> None:
    loud = [phone.name for phone in recognise_phones(sentence[: 2 * RATE])]
    # a power of two, so that not even rounding differs
    assert [p.name for p in recognise_phones(sentence[: 2 * RATE] / np.float32(16))] == loud


@pytest.mark.parametrize("count", [0, 10, RATE // 11, RATE])
def test_silence_and_snippets_hold_no_phones(count: int) -> None:
    assert recognise_phones(np.zeros(count, np.float32)) == []


def test_the_table_knows_what_lips_do() -> None:
    table = viseme_table()
    for name in ("P", "B", "M"):
        assert table[name].closure == 1.0
        assert table[name].opening < 0.1
    for name in ("F", "V"):
        assert 0.5 < table[name].closure < 1.0
    assert table["AA"].opening > table["IY"].opening
    assert table["IY"].width > 0 > table["UW"].width
    for viseme in table.values():
        assert 0 <= viseme.opening <= 1
        assert -1 <= viseme.width <= 1
        assert 0 <= viseme.closure <= 1
        assert viseme.dominance > 0


def test_a_phone_pulls_the_mouth_while_it_lasts() -> None:
    phones = [Phone("AA", 0.0, 0.2), Phone("M", 0.2, 0.3), Phone("F", 0.5, 0.6)]
    times = np.arange(0.0, 3.0, 0.01)
    opening, _, closure, teeth = viseme_tracks(phones, times).T
    assert opening[10] > 0.7
    assert closure[25] > 0.8
    assert opening[25] < 0.2
    assert teeth[55] > 0.8
    assert teeth[:30].max() < 0.1
    assert np.abs(viseme_tracks(phones, times)[150:]).max() < 0.05  # long after: nothing pulls
    assert np.array_equal(viseme_tracks([], times), np.zeros((300, 4)))


def test_the_distance_a_pull_reaches_is_cut_where_it_is_nothing() -> None:
    phones = [Phone("AA", 1.0, 1.2)]
    far = viseme_tracks(phones, np.array([0.69, 0.71, 1.1]))
    assert far[0, 0] == 0.0
    assert 0.0 < far[1, 0] < 0.1
    assert far[2, 0] > 0.7


def test_visemes_of_the_sentence_open_and_close_the_lips(sentence: np.ndarray) -> None:
    times = np.arange(0, len(sentence) / RATE, 0.01)
    opening, _, closure, _ = hear_visemes(sentence, times).T
    assert np.ptp(opening) > 0.4
    assert closure.max() > 0.6
    assert opening[closure > 0.6].mean() < 0.5 * opening[closure < 0.2].mean()
