"""The lip-sync expert: tells whether five mouths and 0.2 s of voice belong together.

Two encoders, each ending in one vector of length 1 without a negative entry; their cosine, in
[0, 1], says how well both fit. The generator is trained on it.
Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", 2020.
https://github.com/Rudrabha/Wav2Lip
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lipsync.engines.wav2lip.generator import Params
from lipsync.engines.wav2lip.units import HALF, Row, make_audio_encoder, make_stages

WINDOW = 5  # frames


class SyncExpert(nn.Module):
    """The network under its published names."""

    def __init__(self, params: Params | None = None) -> None:
        super().__init__()
        self.params = params or Params()
        width = self.params.width
        rows: tuple[Row, ...] = (
            (width, 7, 1, 3, 0),
            (2 * width, 5, (1, 2), 1, 2),
            (4 * width, 3, 2, 1, 3),
            (8 * width, 3, 2, 1, 2),
            (16 * width, 3, 2, 1, 2),
            (16 * width, 3, 2, 1, 0),
            (16 * width, 3, 1, 0, 0),
            (16 * width, 1, 1, 0, 0),
        )
        stages = make_stages(3 * WINDOW, rows)
        self.face_encoder = nn.Sequential(*[unit for stage in stages for unit in stage])
        self.audio_encoder = make_audio_encoder(width, residuals=2)

    def forward(self, mel: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Return how it hears and how it sees, (B, 512) each at full width, of length 1.

        `mel` is (B, 1, 80, 16) in [-4, 4]; `window` (B, 15, 48, 96) in [0, 1] as `stack_window`
        makes it.
        """
        heard = functional.normalize(self.audio_encoder(mel).flatten(1))
        seen = functional.normalize(self.face_encoder(window).flatten(1))
        return heard, seen


def stack_window(faces: Tensor) -> Tensor:
    """Return (B, 15, 48, 96), frame by frame then colour, of (B, 3, 5, 96, 96): lower halves."""
    return faces[..., HALF:, :].transpose(1, 2).flatten(1, 2)
