"""What the networks are fed: normalised, masked and resized faces, and the pasted surroundings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from golden_folder import Check, Family, largest_error
from golden_recipe import make_input

from lipsync.engines.latentsync.prepare import paste_surroundings, prepare_faces, scale_faces

VALUE = 1e-6  # in [-1, 1]
LEVEL = 2 / 255
RESIZED = 2 * LEVEL + VALUE  # a resized face may be two levels off
STATISTIC = 1e-5  # mean, deviation and range of a whole tensor
ROWS = (0, 100, 200)


def check(family: Family) -> Iterator[Check]:
    """Compare tensors by some of their rows and by their statistics."""
    facts, name = family.facts, family.name
    faces = family.arrays["face0"].transpose(0, 2, 3, 1)
    crops = family.arrays["crop0"]
    side = faces.shape[1]
    whole, resized = prepare_faces(faces, side), prepare_faces(crops, side)
    keep = whole.keep.expand(len(faces), 1, side, side)
    drawn = make_input(
        f"prepare.decoded.{'x'.join(map(str, whole.pixels.shape))}",
        tuple(whole.pixels.shape),
        family.salt,
    )
    combined = paste_surroundings(drawn, whole)
    references = scale_faces(crops, side)
    rows = {
        "pixel": (whole.pixels, VALUE),
        "masked": (whole.masked, VALUE),
        "mask": (keep, VALUE),
        "resized_pixel": (resized.pixels, RESIZED),
        "resized_masked": (resized.masked, RESIZED),
        "process_images": (references, RESIZED),
        "combined": (combined, VALUE),
    }
    for key, (ours, tolerance) in rows.items():
        recorded = family.arrays[f"{key}_rows_0_100_200"]
        found = ours[0][:, list(ROWS)].numpy()
        yield Check(f"{name}.{key}_rows", largest_error(found, recorded), tolerance)
    small = scale_faces(crops[:1], 64)
    yield Check(f"{name}.down64", largest_error(small.numpy(), family.arrays["down64"]), RESIZED)
    yield check_statistics(f"{name}.pixel_values", whole.pixels, facts["pixel_values"])
    yield check_statistics(
        f"{name}.masked_pixel_values", whole.masked, facts["masked_pixel_values"]
    )
    yield check_statistics(f"{name}.masks", keep, facts["masks"])
    for key, ours in (("pixel_values", resized.pixels), ("masked", resized.masked)):
        stated = facts["resize_case"][key]
        yield check_statistics(f"{name}.resize_case.{key}", ours, stated)
    yield check_statistics(f"{name}.process_images", references, facts["process_images"])
    yield check_statistics(f"{name}.combined", combined, facts["combined"])


def check_statistics(vector: str, ours: torch.Tensor, stated: Mapping[str, Any]) -> Check:
    """Compare shape and mean, deviation, range and mean magnitude of a tensor."""
    values = ours.double()
    if list(values.shape) != stated["shape"]:
        return Check(f"{vector} (statistics)", float("inf"), STATISTIC)
    found = {
        "mean": values.mean(),
        "std": values.std(correction=0),
        "min": values.min(),
        "max": values.max(),
        "absmean": values.abs().mean(),
    }
    errors = [abs(float(value) - stated[key]) for key, value in found.items()]
    return Check(f"{vector} (statistics)", float(np.max(errors)), STATISTIC)
