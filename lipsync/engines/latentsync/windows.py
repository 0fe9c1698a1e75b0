"""Where a scene is cut into windows for a network that sees 16 frames at a time, and their seams.

Neighbouring windows share frames; over these, one passes into the next, so that no border shows.
`compat` cuts as the published program does: no shared frames, a shorter last window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = 16  # frames the published networks were trained on


@dataclass(frozen=True)
class Place:
    """A window within its scene."""

    start: int
    stop: int  # behind the last real frame
    length: int  # frames the network is given; those behind `stop` repeat the last real one
    until: int  # frames before this one are finished with this window; the next one starts here


def plan_windows(total: int, overlap: int, *, is_padded: bool = True) -> Iterator[Place]:
    """Yield the windows of a scene of `total` frames; neighbours share `overlap` of them.

    With `is_padded` the last one is filled up to 16 frames, else it is shorter. Raises ValueError
    unless 0 <= overlap <= 8.
    """
    if not 0 <= overlap <= WINDOW // 2:
        raise ValueError(f"windows of {WINDOW} frames cannot share {overlap}")
    start = 0
    while True:
        stop = min(start + WINDOW, total)
        is_last = stop == total
        until = total if is_last else stop - overlap
        yield Place(start, stop, WINDOW if is_padded else stop - start, until)
        if is_last:
            return
        start = until


def pad_window(values: Tensor, length: int) -> Tensor:
    """Return (length, ...): the (F, ...) frames, the last one repeated."""
    if len(values) == length:
        return values
    return torch.cat([values, values[-1:].expand(length - len(values), *values.shape[1:])])


def join_windows(before: Tensor, after: Tensor) -> Tensor:
    """Return `after` (F, ...) with its first frames mixed with `before` (overlap, ...), which the
    window before has made of the same frames: less and less of it, frame by frame."""
    shared = len(before)
    share = (torch.arange(shared, device=after.device, dtype=after.dtype) + 1) / (shared + 1)
    mixed = torch.lerp(before, after[:shared], share.view(-1, *[1] * (after.dim() - 1)))
    return torch.cat([mixed, after[shared:]])
