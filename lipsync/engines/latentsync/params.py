"""The numbers that make one LatentSync UNet differ from another, and the three published sets."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class UNetParams:
    """Shape of the UNet; the defaults are the published stage-2 network (1.27 billion numbers).

    "Down stage i" and "up stage i" count in the order they run, so up stage 0 is the coarsest.
    """

    in_channels: int = 13  # noisy latent 4, mask 1, masked latent 4, reference latent 4
    out_channels: int = 4  # the predicted noise
    widths: tuple[int, ...] = (320, 640, 1280, 1280)  # channels per level, finest first
    layers: int = 2  # per down stage; an up stage has one more
    down_attention: tuple[bool, ...] = (True, True, True, False)  # per down stage
    up_attention: tuple[bool, ...] = (False, True, True, True)  # per up stage
    heads: int = 8  # of every spatial attention
    groups: int = 32  # of the group norms, those of the motion modules aside
    eps: float = 1e-5  # of the residual layers' group norms
    audio_width: int | None = 384  # of a Whisper feature; None = the network cannot hear
    down_motion: tuple[bool, ...] = (True, True, True, True)  # per down stage
    mid_motion: bool = False
    up_motion: tuple[bool, ...] = (True, True, True, True)  # per up stage
    motion_heads: int = 8
    motion_layers: int = 1  # transformer blocks in a motion module
    motion_attentions: int = 2  # temporal attentions in such a block
    max_frames: int = 24  # in a window; the length of the table of positions

    @property
    def time_width(self) -> int:
        """Width of the embedded timestep."""
        return 4 * self.widths[0]


STAGE2 = UNetParams()
STAGE2_EFFICIENT = replace(STAGE2, down_motion=(False,) * 4)
STAGE1 = replace(STAGE2_EFFICIENT, up_motion=(False,) * 4)
