"""The LatentSync engine as shared code sees it: Whisper's features steer a UNet that repaints the
lower face in the latents of a picture codec, 16 frames at a time. https://arxiv.org/abs/2412.09262
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from lipsync.engines.latentsync.settings import LatentSyncSettings
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

# the keys of sd-vae-ft-mse and Whisper tiny in the weight table; networks.py loads them
_COMMON_WEIGHTS = ("sd-vae-ft-mse", "whisper-tiny")
_WINDOW = 16
# seconds of one pass of the UNet over one frame at 256 px: on a slow card, and on two cores
_CARD_PASS, _CPU_PASS = 0.004, 3.0
_CACHED = 0.15  # of a whole step, what a step with kept features takes
_CODEC_PASSES = 8  # of the UNet, that encoding and decoding a frame is worth


class LatentSyncEngine:
    """Repaint the lower face by diffusion; needs its checkpoints and wants a graphics card."""

    spec = EngineSpec(
        name="latentsync",
        label="LatentSync",
        licence="CreativeML Open RAIL++-M",
        window=_WINDOW,
        wants_card=True,
    )
    Settings: type = LatentSyncSettings

    def __init__(self, residence: Residence) -> None:
        """Load models into `residence` when they are needed."""
        self._residence = residence

    @classmethod
    def needed_weights(cls, settings: LatentSyncSettings) -> tuple[str, ...]:
        """Return the keys of UNet, VAE and Whisper."""
        return (settings.checkpoint, *_COMMON_WEIGHTS)

    @classmethod
    def template(cls, settings: LatentSyncSettings) -> str:
        """Return the template that the UNet was trained on."""
        return "latentsync"

    @classmethod
    def crop_size(cls, settings: LatentSyncSettings) -> int:
        """Return the side of the face that the network paints."""
        return settings.resolution

    @classmethod
    def pace(cls, settings: LatentSyncSettings, on_card: bool) -> float:
        """Return seconds per frame, counted in passes of the UNet over it."""
        overlap = 0 if settings.windows == "compat" else settings.overlap
        again = _WINDOW / (_WINDOW - overlap)  # frames that two windows share are painted twice
        whole = 1 / settings.cache_interval
        steps = settings.steps * (whole + _CACHED * (1 - whole))
        passes = steps * (2 if settings.guidance > 1 else 1) * again
        unit = (_CARD_PASS if on_card else _CPU_PASS) * (settings.resolution / 256) ** 2
        return unit * (passes + _CODEC_PASSES)

    def load(self, settings: LatentSyncSettings) -> tuple[str, ...]:
        """Make Whisper, the UNet and the VAE resident."""
        # they bring PyTorch: whoever only asks for the settings need not wait
        from lipsync.engines.latentsync.networks import use_encoder, use_networks

        with (
            use_encoder(self._residence, settings.checkpoint),
            use_networks(self._residence, settings),
        ):
            return ()

    def encode_audio(
        self,
        audio: Audio,
        num_frames: int,
        fps: Fraction,
        settings: LatentSyncSettings,
        checkpoint: Checkpoint,
    ) -> Features:
        """Return `num_frames` rows of Whisper's hidden states, (50, 384) each in the published
        size; known voices come from the cache."""
        from lipsync.audio.feature_cache import FeatureCache
        from lipsync.audio.whisper import encode_voice, hear_frames
        from lipsync.engines.latentsync.networks import use_encoder

        checkpoint()
        with use_encoder(self._residence, settings.checkpoint) as encoder:
            rows = encode_voice(encoder, audio, settings.windows, checkpoint, FeatureCache())
        checkpoint()
        return hear_frames(rows, num_frames, fps)

    def generate(
        self,
        scene: Scene,
        windows: Iterable[Window],
        settings: LatentSyncSettings,
        rng: torch.Generator,
    ) -> Generator[Generated | Working, None, None]:
        """Yield repainted faces; the mask is the template's."""
        from lipsync.engines.latentsync.networks import use_networks
        from lipsync.engines.latentsync.painter import paint_scene

        with use_networks(self._residence, settings) as networks:
            yield from paint_scene(networks, self._residence, scene, windows, settings, rng)
