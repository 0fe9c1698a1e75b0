"""The Wav2Lip engine as shared code sees it: a small network paints the lower half of a 96 px face,
frame by frame, from 0.2 s of the voice's mel. https://arxiv.org/abs/2008.10010
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from lipsync.engines.wav2lip.settings import WINDOW, Wav2LipSettings
from lipsync.types import (
    Audio,
    Checkpoint,
    EngineSpec,
    Features,
    Generated,
    Scene,
    Window,
    Working,
)

if TYPE_CHECKING:
    import torch

    from lipsync.residence import Residence

_SIDE = 96  # px of the face that the network paints
_CARD_PACE, _CPU_PACE = 0.004, 0.15  # seconds a frame, on a slow card and on two cores


class Wav2LipEngine:
    """Paint the lower face at 96 px; quick on a processor too, and needs its checkpoint."""

    spec = EngineSpec(
        name="wav2lip",
        label="Wav2Lip",
        licence="Wav2Lip terms (trained on LRS2)",
        window=WINDOW,
        wants_card=True,
    )
    Settings: type = Wav2LipSettings

    def __init__(self, residence: Residence) -> None:
        """Load the network into `residence` when it is needed."""
        self._residence = residence

    @classmethod
    def needed_weights(cls, settings: Wav2LipSettings) -> tuple[str, ...]:
        """Return the key of the generator."""
        return (settings.checkpoint,)

    @classmethod
    def template(cls, settings: Wav2LipSettings) -> str:
        """Return the aligned template, or the one that published boxes lie in."""
        return "box" if settings.preprocessing == "compat" else "wav2lip"

    @classmethod
    def crop_size(cls, settings: Wav2LipSettings) -> int | None:
        """Return the side of the network's face; None where it is cut out of native crops."""
        return None if settings.preprocessing == "compat" else _SIDE

    @classmethod
    def pace(cls, settings: Wav2LipSettings, on_card: bool) -> float:
        """Return what one frame takes, whatever is chosen."""
        return _CARD_PACE if on_card else _CPU_PACE

    def load(self, settings: Wav2LipSettings) -> tuple[str, ...]:
        """Make the generator resident; tell what is used where `precision` cannot be had."""
        # it brings PyTorch: whoever only asks for the settings need not wait
        from lipsync.engines.wav2lip.painter import use_generator

        with use_generator(self._residence, settings) as generator:
            return generator.notes

    def encode_audio(
        self,
        audio: Audio,
        num_frames: int,
        fps: Fraction,
        settings: Wav2LipSettings,
        checkpoint: Checkpoint,
    ) -> Features:
        """Return `num_frames` windows of the mel, (1, 80, 16) float32 each when stacked."""
        from lipsync.engines.wav2lip.heard import hear_frames

        checkpoint()
        heard = hear_frames(audio, num_frames, fps, compat=settings.preprocessing == "compat")
        checkpoint()
        return heard

    def generate(
        self,
        scene: Scene,
        windows: Iterable[Window],
        settings: Wav2LipSettings,
        rng: torch.Generator,
    ) -> Generator[Generated | Working, None, None]:
        """Yield painted faces, a batch at a time; the mask is the template's, compat brings its
        hard rectangles. Nothing here is random."""
        from lipsync.engines.wav2lip.painter import paint_scene, use_generator

        with use_generator(self._residence, settings) as generator:
            yield from paint_scene(generator, self._residence, scene, windows, settings)
