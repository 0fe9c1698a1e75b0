"""A judge with a network: the same way for each from a clip to what its network says of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from lipsync.face.detect import Detector
from lipsync.residence import Holder, Residence
from lipsync.score.demands import require_sound
from lipsync.score.watch import Watched, samples_of, watch_face
from lipsync.types import Audio, Clip, FaceChoice, SyncScore

_Network = TypeVar("_Network", bound=Holder)
_Heard = TypeVar("_Heard")


class NetworkJudge(ABC, Generic[_Network, _Heard]):
    """Asks a network, which stays in a residence; `judges.Judge` for whoever fills it in."""

    name: str
    worth: str
    weights: tuple[str, ...]  # the key of its one checkpoint
    points: np.ndarray  # (K,) landmarks that it needs of a face

    def __init__(self, residence: Residence) -> None:
        self._residence = residence

    def judge(
        self,
        clip: Clip,
        audio: Audio,
        face: FaceChoice,
        detector: Detector,
        numbers: range | None = None,
    ) -> Generator[int, None, SyncScore]:
        """As `judges.Judge` says."""
        require_sound(audio.samples)
        store, (key,) = self._residence.store, self.weights
        heard = self.hear(samples_of(clip, numbers, audio))
        del audio  # the sound of a long clip need not lie in memory while faces are looked for

        def load() -> _Network:
            return self.load(store.locate(key).path)

        with self._residence.use(store.checkpoint(key).title, load) as network:
            watched = yield from watch_face(clip, face, detector, numbers, self.points)
            held = yield from watched.show(self.hold(clip, watched, network, heard))
        return self.weigh(held)

    @abstractmethod
    def load(self, path: Path) -> _Network:
        """Return the network of the checkpoint `path`, on the residence's device.

        Raises InputError where the checkpoint is damaged or another one than it should be.
        """

    @abstractmethod
    def hear(self, samples: np.ndarray) -> _Heard:
        """Return what the network needs of a 16 kHz sound (N,) float32."""

    @abstractmethod
    def hold(
        self, clip: Clip, watched: Watched, network: _Network, heard: _Heard
    ) -> Generator[int, None, np.ndarray]:
        """Yield the row reached; return how the face agrees with the sound, shifted by up to 15
        frames either way: (R, 31) float32, NaN where nothing is measured."""

    @abstractmethod
    def weigh(self, held: np.ndarray) -> SyncScore:
        """Return what all rows that `hold` has returned say.

        Raises InputError where they say nothing.
        """
