"""The inside of a mouth where no picture of the clip shows one: darkness, a tongue, a row of teeth.

Drawn in the mouth's own coordinates, so that teeth ride with the upper lip and never stretch with
the opening; shaded towards the corners and below the lip, tinted to the clip's light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DARK = np.array([44.0, 20.0, 20.0])  # RGB under white light, deep in the mouth
_TONGUE = np.array([150.0, 74.0, 72.0])
_TOOTH = np.array([214.0, 200.0, 184.0])
_TOOTH_HEIGHT = 0.062  # IOD that stand below the upper lip when the mouth is well open
_TOOTH_HIDDEN = 0.035  # IOD of opening at which teeth begin to show
# edges of the visible upper teeth, from the middle outwards, IOD; incisors are the widest
_TOOTH_EDGES = np.array([0.0, 0.062, 0.112, 0.162, 0.207, 0.25])
_GREY_SKIN = 150.0  # luminance of skin under the light the colours above were chosen for


@dataclass(frozen=True)
class Light:
    """What the clip's light does to a colour."""

    gain: np.ndarray  # (3,) per RGB channel


def judge_light(face: np.ndarray, mask: np.ndarray) -> Light:
    """Read the light off the skin: `face` (h, w, 3) uint8, `mask` (h, w) > 0 where skin is."""
    skin = face[mask > 0.5].mean(axis=0) if (mask > 0.5).any() else np.full(3, _GREY_SKIN)
    typical = np.array([196.0, 146.0, 126.0])  # skin of that luminance under white light
    cast = (skin / skin.mean()) / (typical / typical.mean())
    brightness = np.clip(skin.mean() / _GREY_SKIN, 0.35, 1.15)
    # half of the cast: skin differs between people more than light does
    return Light(brightness * np.sqrt(np.clip(cast, 0.6, 1.6)))


def draw_cavity(
    across: np.ndarray, below: np.ndarray, depth: np.ndarray, half_width: float, light: Light
) -> np.ndarray:
    """Return (..., 3) float32 RGB of the mouth's inside.

    `across` is the distance from the mouth's middle line, `below` that under the upper lip,
    `depth` the height of the opening at that place, all in IOD and of one shape; `half_width` is
    half the mouth's width, IOD.
    """
    sideways = np.clip(np.abs(across) / max(half_width, 1e-3), 0, 1)
    shade = (1 - 0.75 * sideways**2.2)[..., None]
    colour = _DARK * (0.55 + 0.45 * shade)

    share = np.clip(below / np.maximum(depth, 1e-3), 0, 1)
    bulge = np.clip(1 - sideways / 0.72, 0, 1) ** 0.7
    tongue = np.clip((share - 0.66) / 0.26, 0, 1) * bulge
    tongue *= np.clip((depth - 0.05) / 0.08, 0, 1)
    colour = colour + (tongue * 0.75)[..., None] * (_TONGUE * shade - colour)

    height = _TOOTH_HEIGHT * (1 - 0.35 * sideways**2)
    shown = np.clip((depth - _TOOTH_HIDDEN) / 0.03, 0, 1)
    edge = np.clip((height - below) / 0.012 + 0.5, 0, 1)
    nearest = np.abs(np.abs(across)[..., None] - _TOOTH_EDGES).min(axis=-1)
    gaps = 1 - 0.28 * np.exp(-((nearest / 0.006) ** 2)) * np.clip(below / 0.03, 0.2, 1)
    under_lip = 0.62 + 0.38 * np.clip(below / 0.035, 0, 1)
    tooth = _TOOTH * (gaps * under_lip * (1 - 0.6 * sideways**1.5))[..., None]
    weight = (edge * shown * np.clip((1 - sideways) / 0.12, 0, 1) * 0.9)[..., None]
    colour = colour + weight * (tooth - colour)
    return np.clip(colour * light.gain, 0, 255).astype(np.float32)
