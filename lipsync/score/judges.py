"""The judges by name, in order of trust, and which of them can be asked on this machine.

A judge that has weights needs them on this machine; `correlate` has none and is always there. The
numbers of two judges are on two scales and are never compared.
"""

from __future__ import annotations

from collections.abc import Generator
from types import MappingProxyType
from typing import Protocol

from lipsync.errors import InputError
from lipsync.face.detect import Detector
from lipsync.residence import Residence
from lipsync.score.correlate import CorrelateJudge
from lipsync.types import Audio, Clip, FaceChoice, SyncScore
from lipsync.weights import ModelStore

AUTO = "auto"
# judge -> keys of the weight table that it needs, most trusted first
_NEEDS = MappingProxyType(
    {"syncnet": ("syncnet-v2",), "stable_syncnet": ("stable-syncnet",), "correlate": ()}
)
JUDGES = tuple(_NEEDS)


class Judge(Protocol):
    """Somebody who says how well the mouth of a clip follows a sound."""

    name: str  # one of `JUDGES`
    worth: str  # one sentence: the scale of its numbers, and what they are worth
    weights: tuple[str, ...]  # keys of the weight table; () = it has none

    def judge(
        self,
        clip: Clip,
        audio: Audio,
        face: FaceChoice,
        detector: Detector,
        numbers: range | None = None,
    ) -> Generator[int, None, SyncScore]:
        """Yield how many frames' worth of work is done; the generator's return value is the score.

        `numbers` are the frames of the clip to look at (None = all); the 16 kHz sound starts with
        the first of them. Closing the generator stops within a second. Raises InputError where
        nothing can be said: no face or too little of one, silence.
        """
        ...


def choose_judge(wish: str, store: ModelStore) -> str:
    """Return the judge to ask: the one wished for, or for "auto" the best whose weights are here.

    Raises InputError for an unknown name and for a judge whose weights are absent.
    """
    if wish == AUTO:
        return next(name for name in JUDGES if not _absent(name, store))
    absent = _absent(_known(wish), store)
    if absent:
        keys = " ".join(absent)
        raise InputError(
            f"The judge {wish} needs weights that are not on this machine; fetch them with "
            f"`python -m lipsync models pull {keys}`, or ask the judge correlate, which has none."
        )
    return wish


def judge_weights(name: str) -> tuple[str, ...]:
    """Return the keys of the weight table that a judge needs; () = it has no weights."""
    return _NEEDS[_known(name)]


def open_judge(name: str, residence: Residence) -> Judge:
    """Return the judge called `name`, whose networks stay in `residence`; nothing is loaded yet.

    Raises InputError for an unknown name.
    """
    if _known(name) == "correlate":
        return CorrelateJudge()
    # with PyTorch, which takes a second of a start
    from lipsync.score.stable_judge import StableSyncNetJudge
    from lipsync.score.syncnet_judge import SyncNetJudge

    return SyncNetJudge(residence) if name == "syncnet" else StableSyncNetJudge(residence)


def _known(name: str) -> str:
    if name not in _NEEDS:
        known = ", ".join((AUTO, *JUDGES))
        raise InputError(f"There is no judge called {name!r}; choose one of: {known}.")
    return name


def _absent(name: str, store: ModelStore) -> tuple[str, ...]:
    """Return the keys of a judge's weights that are not on this machine, at a glance."""
    return tuple(key for key in _NEEDS[name] if store.state(key).kind not in ("own", "here"))
