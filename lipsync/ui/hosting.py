"""The app among strangers: limits, whose avatars it knows, and the server's guard.

Hosted mode is on where Hugging Face names the Space (``SPACE_ID``) or ``LIPSYNC_HOSTED=1`` is set.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipsync.avatar.store import AvatarStore
from lipsync.errors import InputError
from lipsync.media.probe import Limits
from lipsync.presets import Preset
from lipsync.residence import Residence
from lipsync.ui.availability import absent_weights
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.loan import import_spaces, wants_card

if TYPE_CHECKING:
    from lipsync.pipeline import LipSyncPipeline

MAX_SECONDS_NAME = "LIPSYNC_MAX_SECONDS"
IDLE_RELEASE_NAME = "LIPSYNC_IDLE_RELEASE"
_HOSTED_SECONDS, _OWN_SECONDS = 60.0, 3600.0  # of clip and voice
_HOSTED_UPLOAD, _OWN_UPLOAD = 200 * 2**20, 500 * 2**20  # bytes of one file
_LOWEST, _HIGHEST = 1.0, 6 * 3600.0  # seconds that the environment may set
_LONGEST_IDLE = 7 * 24 * 60.0  # minutes


@dataclass(frozen=True)
class Deployment:
    """Where the app runs and what its visitors may ask for."""

    is_hosted: bool
    max_seconds: float  # of a clip and of a voice
    max_upload: int  # bytes of one file

    @property
    def limits(self) -> Limits:
        """What the pipeline refuses."""
        return Limits(max_seconds=self.max_seconds)


def read_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """Return what the environment says.

    Raises InputError where ``LIPSYNC_MAX_SECONDS`` is not a number of seconds from 1 to 21 600.
    """
    is_hosted = bool(environment.get("SPACE_ID")) or environment.get("LIPSYNC_HOSTED") == "1"
    seconds = _HOSTED_SECONDS if is_hosted else _OWN_SECONDS
    stated = environment.get(MAX_SECONDS_NAME, "").strip()
    if stated:
        seconds = _read_seconds(stated)
    return Deployment(is_hosted, seconds, _HOSTED_UPLOAD if is_hosted else _OWN_UPLOAD)


def launch_extras(deployment: Deployment) -> dict[str, Any]:
    """Return the keyword arguments for ``launch`` that protect the server and its visitors, and
    have the page speak their language."""
    from lipsync.ui.guard import Guard
    from lipsync.ui.page_language import PageLanguage

    options = {"max_upload": deployment.max_upload, "is_public": deployment.is_hosted}
    return {
        "max_file_size": deployment.max_upload,
        "show_error": False,  # what a bug of ours says is for the log
        # outermost first; the form of starlette's Middleware: class, arguments, keyword arguments
        "app_kwargs": {"middleware": [(PageLanguage, (), {}), (Guard, (), options)]},
    }


def make_residence(idle_release: str) -> Residence:
    """Return what keeps loaded models, which lets go of those idle for `idle_release` minutes.

    Empty: never. Raises InputError where that is no number of minutes up to a week.
    """
    if not idle_release.strip():
        return Residence()
    try:
        minutes = float(idle_release)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= _LONGEST_IDLE:
        raise InputError(
            f"`--idle-release` or {IDLE_RELEASE_NAME} is {idle_release[:40]!r}; give minutes, more "
            f"than 0 and up to {_LONGEST_IDLE:g}, or leave it out."
        )
    return Residence(idle_release=60 * minutes)


def make_shelf(deployment: Deployment) -> Shelf:
    """Return where avatars lie: each visitor's own in an app among strangers, otherwise in the
    user's data folder, where the command line finds them too."""
    return Shelf(_own_avatars(deployment))


def make_pipeline(
    presets: Iterable[Preset], deployment: Deployment, residence: Residence
) -> LipSyncPipeline:
    """Return the pipeline of the app, made once when it starts; its models live in `residence`.

    It knows the avatars of a person's own machine; those of strangers come with their jobs.

    On a machine that lends its card per job, the models of those `presets` that want a card and
    whose checkpoints are here are loaded now, as a loan is too short for that.
    """
    # PyTorch comes with the pipeline, and must not come before `spaces`
    has_lent_card = import_spaces()
    from lipsync.pipeline import LipSyncPipeline

    avatars = _own_avatars(deployment)
    if not has_lent_card:
        return LipSyncPipeline(deployment.limits, residence=residence, avatars=avatars)
    from lipsync.ui.lent import LentPipeline

    pipeline = LentPipeline(deployment.limits, residence=residence, avatars=avatars)
    for preset in presets:
        if wants_card(preset.engine) and not absent_weights(preset, pipeline.store):
            pipeline.load(preset.engine, preset.settings)
    return pipeline


def _own_avatars(deployment: Deployment) -> AvatarStore | None:
    return None if deployment.is_hosted else AvatarStore()


def _read_seconds(stated: str) -> float:
    try:
        seconds = float(stated)
    except ValueError:
        seconds = math.nan
    if not _LOWEST <= seconds <= _HIGHEST:
        raise InputError(
            f"{MAX_SECONDS_NAME} is {stated[:40]!r}; "
            f"give a number of seconds from {_LOWEST:g} to {_HIGHEST:g}, or leave it out."
        )
    return seconds
