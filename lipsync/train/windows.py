"""Windows of five frames, the unit that Wav2Lip's networks learn from.

Which window comes when follows from a seed and a running number alone, so that a run that goes on
from step n sees what it would have seen. Nothing is drawn again and again: only windows of which
every frame and every column of the mel is there can be drawn at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lipsync.audio.mel import sync_columns
from lipsync.engines.wav2lip.chunks import COLUMNS, take_chunks
from lipsync.engines.wav2lip.expert import WINDOW
from lipsync.engines.wav2lip.units import HALF
from lipsync.errors import InputError
from lipsync.train.prepared import PreparedVideo

PUBLISHED_LEAD = 1  # frames by which the sound of a single frame begins before it
EXAM_SEED = 0  # of validation's windows, which are the same whatever a run's own seed
MIN_STARTS = 2  # windows a video must have: a right one and another one


@dataclass(frozen=True)
class Batch:
    """What the generator is given and what it should paint; BGR in [0, 1], T = 5 frames."""

    faces: Tensor  # (B, 6, T, 96, 96) float32: the right window, lower half 0, then another one
    own_mels: Tensor  # (B, T, 1, 80, 16) float32: what is heard with each frame
    mel: Tensor  # (B, 1, 80, 16) float32: what is heard with the whole window
    filmed: Tensor  # (B, 3, T, 96, 96) float32: the right window

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(part.to(device) for part in vars(self).values()))


@dataclass(frozen=True)
class SyncBatch:
    """Lips and voices of which the expert shall say whether they belong together."""

    faces: Tensor  # (B, 3, 5, 96, 96) float32 BGR in [0, 1]
    mel: Tensor  # (B, 1, 80, 16) float32
    together: Tensor  # (B,) float32, 1 = yes, 0 = no

    def to(self, device: torch.device) -> SyncBatch:
        """Return the batch on `device`."""
        return SyncBatch(*(part.to(device) for part in vars(self).values()))


def first_column(frame: int) -> int:
    """Return the column of the mel at which the sound of a frame at 25 fps begins."""
    return sync_columns(frame).start


def window_starts(runs: Sequence[range], num_columns: int, lead: int) -> np.ndarray:
    """Return (S, 2) int64: the first frame of each whole window, and its row among the faces.

    A window lies within one of the `runs`; its own mel and those of its frames, which begin `lead`
    frames before them, lie within `num_columns`.
    """
    found = []
    row = 0
    for run in runs:
        for place in range(len(run) - WINDOW + 1):
            frame = run.start + place
            last = max(first_column(frame), first_column(frame + WINDOW - 1 - lead))
            if frame >= lead and last + COLUMNS <= num_columns:
                found.append((frame, row + place))
        row += len(run)
    return np.array(found, np.int64).reshape(-1, 2)


class Windows:
    """Windows of prepared videos in an endless order; an epoch takes one of each video.

    `lead` is by how many frames the mel of a single frame begins before it: 1 as the published
    networks were trained, 0 as their inference feeds them. Raises InputError where there is no
    video, or one without two windows.
    """

    def __init__(
        self, videos: Sequence[PreparedVideo], seed: int, lead: int = PUBLISHED_LEAD
    ) -> None:
        if not videos:
            raise InputError(
                "Too few videos are prepared to train on some and validate on others; two or more "
                "are needed: prepare more."
            )
        self._videos = tuple(videos)
        self._seed = seed
        self._lead = lead
        for video in videos:
            if len(self._starts(video)) < MIN_STARTS:
                raise InputError(
                    f"The prepared video {video.folder} ({video.name}) has no two windows of "
                    f"{WINDOW} frames with sound; delete that folder."
                )

    def epoch(self, step: int, size: int) -> int:
        """Return how often every video has been seen after `step` batches of `size`."""
        return step * size // len(self._videos)

    def batch(self, step: int, size: int) -> Batch:
        """Return the generator's batch number `step`, counted from 0, of `size` windows."""
        return _stacked([self._sample(step * size + place) for place in range(size)])

    def sync_batch(self, step: int, size: int) -> SyncBatch:
        """Return the expert's batch number `step`, counted from 0, of `size` windows."""
        faces, mels, together = [], [], []
        for place in range(size):
            video, right, other, draw = self._pick(step * size + place)
            is_right = bool(draw.integers(2))
            faces.append(_network_faces(video, right[1] if is_right else other[1]))
            mels.append(take_chunks(video.mel().T, np.array([first_column(right[0])]))[0])
            together.append(float(is_right))
        return SyncBatch(_tensor(faces), _tensor(mels), torch.tensor(together))

    def _starts(self, video: PreparedVideo) -> np.ndarray:
        return window_starts(video.runs, video.num_columns, self._lead)

    def _pick(self, index: int) -> tuple[PreparedVideo, list[int], list[int], np.random.Generator]:
        """Return a video, the first frames and rows of two of its windows, and what else to draw
        from."""
        epoch, place = divmod(index, len(self._videos))
        video = self._videos[_order(self._seed, epoch, len(self._videos))[place]]
        draw = np.random.default_rng((self._seed, 1, index))
        starts = self._starts(video)
        right, other = starts[draw.choice(len(starts), 2, replace=False)].tolist()
        return video, right, other, draw

    def _sample(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        video, (frame, row), (_, other_row), _ = self._pick(index)
        filmed = _network_faces(video, row)
        hidden = filmed.copy()
        hidden[..., HALF:, :] = 0.0
        own = [first_column(frame + place - self._lead) for place in range(WINDOW)]
        chunks = take_chunks(video.mel().T, np.array([*own, first_column(frame)]))
        faces = np.concatenate([hidden, _network_faces(video, other_row)])
        return faces, chunks[:-1], chunks[-1], filmed


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the order (count,) in which an epoch takes its videos."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def _network_faces(video: PreparedVideo, row: int) -> np.ndarray:
    """Return (3, 5, 96, 96) float32 BGR in [0, 1] from a row of the faces on."""
    faces = video.faces()[row : row + WINDOW, ..., ::-1]
    return np.moveaxis(faces, -1, 0).astype(np.float32) / np.float32(255)


def _stacked(samples: list[tuple[np.ndarray, ...]]) -> Batch:
    return Batch(*(_tensor(parts) for parts in zip(*samples, strict=True)))


def _tensor(parts: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(parts))
