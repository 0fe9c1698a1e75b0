"""SyncNet's face detector: heads, priors, boxes, and which of them stay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input
from published_grids import Heads, prior_boxes
from published_sfd import S3FDNet, detect_published, find_boxes

from lipsync.face.boxes import keep_apart

HEAD = 1e-4  # relative to the head's largest value
BOX = 1e-4  # of the picture's side; scores
PIXEL = 0.05  # px
SIZE = (128, 160)
_HALVED = 2  # grids of which every second row and column were kept


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare everything that was recorded of the detector."""
    network = S3FDNet().eval()
    fill_weights(network, family.salt)
    image = make_input("sfd.image", (1, 3, *SIZE), family.salt, (-120, 140))
    with torch.inference_mode():
        heads = network(image)
    yield from check_heads(family, heads)
    arrays = family.arrays
    grids = [(head.boxes.shape[2], head.boxes.shape[3]) for head in heads]
    priors = prior_boxes(grids, SIZE)
    yield Check(f"{family.name}.sfd_n_priors", abs(len(priors) - int(arrays["sfd_n_priors"])), 0)
    ends = np.concatenate([priors[:8], priors[-4:]])
    error = largest_error(ends, arrays["sfd_priors_first8_last4"])
    yield Check(f"{family.name}.sfd_priors_first8_last4", error, 1e-6)
    found = find_boxes(heads, SIZE)
    yield Skip(f"{family.name}.sfd_detect_shape", "ours has a row per face and no empty ones")
    count = int(arrays["sfd_detect_count"])
    yield Check(f"{family.name}.sfd_detect_count", abs(len(found) - count), 0)
    error = largest_error(found[:10], arrays["sfd_detect_top10"])
    yield Check(f"{family.name}.sfd_detect_top10", error, BOX)
    frame = make_input("sfd.frame", (256, 320, 3), family.salt, (0, 256)).numpy().astype(np.uint8)
    found = detect_published(network, frame, min_score=0.5, scale=0.5)
    recorded = arrays["sfd_detect_faces_conf0.5_scale0.5"]
    yield Check(f"{family.name}.sfd_detect_faces", largest_error(found, recorded), PIXEL)
    boxes = arrays["nms_in"]
    for key in [key for key in arrays if key.startswith("nms_keep_")]:
        kept = keep_apart(boxes[:, :4], boxes[:, 4], float(key.removeprefix("nms_keep_")))
        error = largest_error(np.array(kept), arrays[key])
        yield Check(f"{family.name}.{key}", error, 0)


def check_heads(family: Family, heads: list[Heads]) -> Iterator[Check]:
    """Compare what the six grids say, and the shapes of it."""
    shapes = [list(part.shape) for head in heads for part in (head.classes, head.boxes)]
    error = largest_error(np.array(shapes), family.arrays["sfd_shapes"])
    yield Check(f"{family.name}.sfd_shapes", error, 0)
    for level, head in enumerate(heads):
        step = 2 if level < _HALVED else 1
        for key, part in ((f"sfd_conf{level}", head.classes), (f"sfd_loc{level}", head.boxes)):
            recorded = family.arrays[key]
            largest = np.abs(recorded).max()
            ours = part[:, :, ::step, ::step].numpy()
            error = largest_error(ours / largest, recorded / largest)
            yield Check(f"{family.name}.{key} (relative)", error, HEAD)
