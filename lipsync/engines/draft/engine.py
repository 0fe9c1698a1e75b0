"""The draft engine as shared code sees it: voice to articulation, windows to painted crops."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from lipsync.threads import one_thread
from lipsync.types import Audio, Checkpoint, EngineSpec, Generated, Scene, Window

if TYPE_CHECKING:
    import torch

    from lipsync.engines.draft.motion import Person
    from lipsync.residence import Residence

_NUM_REFERENCES = 72
_WINDOW = 8


@dataclass(frozen=True)
class DraftSettings:
    """What a user can turn."""

    amplitude: float = field(
        default=1.0, metadata={"low": 0.3, "high": 1.8, "help": "how wide the mouth opens"}
    )
    width: float = field(
        default=1.0, metadata={"low": 0.0, "high": 2.0, "help": "how much it spreads and rounds"}
    )


class DraftEngine:
    """Warp the clip's own pixels so that the mouth follows the voice; no weights to download."""

    spec = EngineSpec(
        name="draft",
        label="Draft",
        licence="Apache-2.0",
        window=_WINDOW,
        references=_NUM_REFERENCES,
    )
    Settings: type = DraftSettings

    def __init__(self, residence: Residence | None = None) -> None:
        """Take the place where models stay, as every engine does; this one has none to keep."""

    @classmethod
    def needed_weights(cls, settings: DraftSettings) -> tuple[str, ...]:
        """Return (): whatever it uses comes with the program."""
        return ()

    @classmethod
    def template(cls, settings: DraftSettings) -> str:
        """Return the template that keeps the clip's own pixels."""
        return "native"

    @classmethod
    def crop_size(cls, settings: DraftSettings) -> None:
        """Return None: it paints the clip's own pixels."""

    @classmethod
    def pace(cls, settings: DraftSettings, on_card: bool) -> float:
        """Return 0: what it takes is what jobs usually take."""
        return 0.0

    def load(self, settings: DraftSettings) -> tuple[str, ...]:
        """Do nothing: there is nothing to load."""
        return ()

    def encode_audio(
        self,
        audio: Audio,
        num_frames: int,
        fps: Fraction,
        settings: DraftSettings,
        checkpoint: Checkpoint,
    ) -> torch.Tensor:
        """Return (num_frames, 5) float32; the columns are those of `hear_articulation`."""
        import torch  # a second or more; whoever only asks for the settings need not wait

        from lipsync.engines.draft.articulation import hear_articulation

        with one_thread():
            return torch.from_numpy(hear_articulation(audio, num_frames, fps, checkpoint))

    def want(self, scene: Scene, person: Person, settings: DraftSettings) -> np.ndarray:
        """Return (T, 3) the mouth that each frame of the scene should show, see `want_mouth`."""
        from lipsync.engines.draft.motion import want_mouth

        return want_mouth(
            heard_by(scene), person, float(scene.fps), settings.amplitude, settings.width
        )

    def generate(
        self,
        scene: Scene,
        windows: Iterable[Window],
        settings: DraftSettings,
        rng: torch.Generator,
    ) -> Generator[Generated, None, None]:
        """Yield painted crops with their masks, one `Generated` per window."""
        from lipsync.engines.draft.painter import paint_scene

        yield from paint_scene(scene, windows, partial(self.want, scene, settings=settings))


def heard_by(scene: Scene) -> np.ndarray:
    """Return (T, 5) float32: what `DraftEngine.encode_audio` has given for the scene."""
    return cast("torch.Tensor", scene.features).numpy()
