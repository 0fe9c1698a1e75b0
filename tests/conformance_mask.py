"""The mask at every recorded size, and at the size of its latents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from golden_folder import Check, Family, largest_error

from lipsync.engines.latentsync.prepare import keep_mask, shrink_mask


def check(family: Family) -> Iterator[Check]:
    """Compare pixels, checksums and latent masks."""
    name = family.name
    for size in [key for key in family.facts if key.isdigit()]:
        facts = family.facts[size]
        mask = keep_mask(int(size))
        levels = np.rint(mask.numpy() * 255).astype(np.uint8)
        recorded = family.arrays[f"mask_{size}"]
        yield Check(f"{name}.mask_{size}", largest_error(levels, recorded), 0)
        same = hashlib.sha256(levels.tobytes()).hexdigest() == facts["sha256_uint8"]
        yield Check(f"{name}.mask_{size}.sha256 (0 = equal)", 0 if same else 1, 0)
        fractional = int(((mask > 0) & (mask < 1)).sum())
        difference = abs(fractional - facts["fractional_pixels"])
        yield Check(f"{name}.mask_{size}.fractional_pixels", difference, 0)
        latent = shrink_mask(mask).numpy()
        recorded = family.arrays[f"latent_mask_{size}"]
        yield Check(f"{name}.latent_mask_{size}", largest_error(latent, recorded), 1e-6)
