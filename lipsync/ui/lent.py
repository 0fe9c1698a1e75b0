"""A pipeline on a machine that lends its graphics card for one job at a time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing

from lipsync.avatar.store import AvatarStore
from lipsync.errors import LipsyncError
from lipsync.media.probe import Limits
from lipsync.pipeline import LipSyncPipeline
from lipsync.residence import Residence
from lipsync.types import Engine, Progress, Request
from lipsync.ui.loan import gpu_seconds, on_gpu, wants_card


class LentPipeline(LipSyncPipeline):
    """A pipeline whose jobs are lent a card if their engine wants one; others spend no quota."""

    def __init__(
        self,
        limits: Limits | None = None,
        engines: Mapping[str, Engine] | None = None,
        residence: Residence | None = None,
        avatars: AvatarStore | None = None,
    ) -> None:
        super().__init__(limits, engines, residence, avatars=avatars)
        self._lent = on_gpu(self._carry, gpu_seconds)

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        """As `LipSyncPipeline.sync`."""
        if not wants_card(request.engine):
            yield from super().sync(request)
            return
        with closing(self._lent(request)) as steps:
            for step in steps:
                if isinstance(step, LipsyncError):
                    raise step
                yield step

    def _carry(self, request: Request) -> Generator[Progress | LipsyncError, None, None]:
        # of an error that leaves the lent process, only the name of its class would arrive
        try:
            yield from super().sync(request)
        except LipsyncError as error:
            yield error
