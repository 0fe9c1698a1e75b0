"""Excerpts of one recording are recognised by their sound, whatever their names say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from synthetic_talk import make_talk

from lipsync.train.clips import TalkingClip
from lipsync.train.lessons import study_clips
from lipsync.train.overlap import name_groups, separate, share_sound


def excerpt(clip: TalkingClip, name: str, start: int, stop: int) -> TalkingClip:
    """Return seconds `start` to `stop`, quieter and with some noise, as another codec would."""
    noise = np.random.default_rng(0).normal(scale=2e-3, size=(stop - start) * 16000)
    samples = 0.6 * clip.samples[start * 16000 : stop * 16000] + noise
    return replace(clip, name=name, samples=samples.astype(np.float32))


def test_an_excerpt_shares_sound_and_a_stranger_does_not() -> None:
    one, other = noisy("one", 1), noisy("other", 2)
    assert share_sound(excerpt(one, "cut", 2, 6), one)
    assert not share_sound(one, other)


def test_nothing_near_the_held_out_clip_is_learnt_from() -> None:
    one, other = noisy("one", 1), noisy("other", 2)
    apart = separate([excerpt(one, "cut", 2, 6), other], [one])
    assert [clip.name for clip in apart.clips] == ["other"]
    assert "held-out one" in apart.refused["cut"]


def test_groups_join_through_a_clip_between() -> None:
    whole = noisy("whole", 1)
    first, last = excerpt(whole, "first", 0, 4), excerpt(whole, "last", 4, 8)
    groups = name_groups([first, last, noisy("other", 2), whole])
    assert groups["first"] == groups["last"] == groups["whole"]
    assert groups["other"] == "other"


def test_patterns_join_what_the_sound_cannot_tell() -> None:
    lessons = study_clips([noisy("A_one", 1), noisy("a_two", 2), noisy("b", 3)], ("a_*",))
    assert lessons["A_one"].person == lessons["a_two"].person != lessons["b"].person


def noisy(name: str, seed: int) -> TalkingClip:
    """Return a synthetic talk whose sound is as rich as a voice: hums of one pitch are alike."""
    clip = make_talk(name, seed)
    breath = np.random.default_rng(seed + 50).normal(scale=0.05, size=len(clip.samples))
    return replace(clip, samples=(clip.samples + breath).astype(np.float32))
