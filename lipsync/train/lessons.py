"""What one clip teaches: what ridge, networks and judge hear of it, beside its true mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.engines.draft.articulation import net_features, ridge_features
from lipsync.score.correlate import drop_slow, judge_features
from lipsync.train.clips import TalkingClip, matches
from lipsync.train.fit import Pair
from lipsync.train.overlap import name_groups

_TREMBLE = 0.5  # frames; faster than this the mesh trembles and the mouth does not


@dataclass(frozen=True)
class Lesson:
    """One clip, ready to be learnt from; all at 25 Hz, T rows."""

    clip: TalkingClip
    person: str  # clips of one person or one recording are fitted and held out together
    mouth: np.ndarray  # (T, 3) the true opening, width and jaw drop, IOD
    ridge: Pair  # 70 features
    network: Pair  # 42 features
    judge: Pair  # 175 features; the mouth without its slow part


def study_clip(clip: TalkingClip, person: str) -> Lesson:
    """Work out the features and the true mouth of one clip."""
    mouth = gaussian_filter1d(clip.mouth(), _TREMBLE, axis=0, mode="nearest")
    channels, times = clip.voice.channels, clip.all_times
    judged = judge_features(clip.samples, len(times))
    return Lesson(
        clip=clip,
        person=person,
        mouth=mouth,
        ridge=Pair(clip.seen_part(ridge_features(channels, times)), mouth),
        network=Pair(clip.seen_part(net_features(channels, times)), mouth),
        judge=Pair(clip.seen_part(judged), drop_slow(mouth)),
    )


def study_clips(clips: Sequence[TalkingClip], same_person: Sequence[str] = ()) -> dict[str, Lesson]:
    """Return clip name -> lesson.

    Clips that share sound, or fit one of the patterns `same_person`, count as one person's.
    """
    groups = name_groups(clips)
    for pattern in same_person:
        joined = {groups[clip.name] for clip in clips if matches(clip.name, (pattern,))}
        groups = {n: min(joined) if group in joined else group for n, group in groups.items()}
    return {clip.name: study_clip(clip, groups[clip.name]) for clip in clips}
