"""SyncNet's whole evaluation of clips that are taken for cropped faces.

The published program sends the frames through JPEG files first, ours does not: what was recorded
that way is compared with ours all the same, at the tolerance that the detour is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from conformance_scoring import compare_arrays
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights

from lipsync.audio.mfcc import mfcc
from lipsync.score.evaluation import embed_faces, measure_sync
from lipsync.score.sync import RATE, SyncMeasure
from lipsync.score.syncnet import SIDE, StripSyncNet, SyncNet

DIRECT, JPEG = 1e-3, 0.05  # absolute, of distances
EMBEDDING = 1e-4  # relative
PIXEL = 0.5  # levels, of a frame's mean colour
_SCALE = np.float32(0.1)  # of the last lip layer, where the two embeddings are to be balanced


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare every clip with both kinds of weights."""
    results = family.facts["results"]
    networks = {kind: build_network(family.salt, kind) for kind in ("plain", "balanced")}
    for name in family.facts["clips"]:
        path, stem = family.clips / name, Path(name).stem
        if not path.exists():
            yield Skip(f"{family.name}.{stem}", f"there is no {name} among the clips")
            continue
        count = max(case["frames"] for key, case in results.items() if key.startswith(f"{stem}_"))
        faces = list(islice(read_faces(path), count))
        means = np.array([face[..., ::-1].mean(axis=(0, 1)) for face in faces])
        recorded = family.arrays[f"{stem}_mean224"]
        yield Check(f"{family.name}.{stem}_mean224", largest_error(means, recorded), PIXEL)
        if f"{stem}_direct_plain_lipnorm" in family.arrays:
            yield from check_embeddings(family, stem, faces, networks["plain"])
        for kind, network in networks.items():
            yield from check_clip(family, stem, kind, measure(network, faces, family, stem))


def build_network(salt: str, kind: str) -> StripSyncNet:
    """Build the judge with weights made of names; `balanced` has both embeddings of like norms."""
    network = SyncNet().eval()
    fill_weights(network, salt)
    if kind == "balanced":
        last = network.netfclip[-1]
        assert isinstance(last, torch.nn.Linear)
        with torch.no_grad():
            last.weight.mul_(float(_SCALE))
            last.bias.mul_(float(_SCALE))
    return StripSyncNet(network)


def read_faces(path: Path) -> Iterator[np.ndarray]:
    """Yield frames as OpenCV decodes them, squeezed into the judge's square; uint8 RGB."""
    film = cv2.VideoCapture(str(path))
    try:
        while (read := film.read())[0]:
            yield cv2.resize(read[1], (SIDE, SIDE))[..., ::-1]
    finally:
        film.release()


def check_embeddings(
    family: Family, stem: str, faces: list[np.ndarray], network: StripSyncNet
) -> Iterator[Check]:
    """Compare each window's embedding, of lips and of sound."""
    norms = family.arrays[f"{stem}_direct_plain_lipnorm"]
    lips = np.concatenate(list(embed_faces(network, faces)))[: len(norms)]
    columns = torch.from_numpy(mfcc(read_samples(family, stem)).astype(np.float32))
    windows = columns.unfold(1, 20, 100 // RATE).transpose(0, 1)[: len(norms), None]
    with torch.inference_mode():
        sounds = network.embed_sound(windows).numpy()
    for key, ours in ((f"{stem}_direct_plain_lip", lips), (f"{stem}_aud", sounds)):
        recorded = family.arrays[f"{key}norm"]
        first = family.arrays[f"{key}16"]
        found = ours[:, : first.shape[1]] / recorded[:, None]
        error = largest_error(found, first / recorded[:, None])
        yield Check(f"{family.name}.{key}16 (relative)", error, EMBEDDING)
        error = largest_error(np.linalg.norm(ours, axis=1) / recorded, np.ones(len(recorded)))
        yield Check(f"{family.name}.{key}norm (relative)", error, EMBEDDING)


def measure(
    network: StripSyncNet, faces: list[np.ndarray], family: Family, stem: str
) -> SyncMeasure:
    """Evaluate a clip as the published program does."""
    return measure_sync(network, faces, read_samples(family, stem), compat=True)


def check_clip(family: Family, stem: str, kind: str, found: SyncMeasure) -> Iterator[Check | Skip]:
    """Compare a whole evaluation with what was recorded of either route."""
    for route, tolerance in (("direct", DIRECT), ("jpeg", JPEG)):
        name = f"{stem}_{route}_{kind}"
        case = family.facts["results"].get(name)
        if case is None:
            continue
        vector = f"{family.name}.{name}"
        yield Check(f"{vector}.windows", abs(len(found.distances) - case["windows"]), 0)
        yield Check(f"{vector}.offset", abs(found.offset - case["offset"]), 0)
        yield Check(f"{vector}.min_dist", abs(found.distance - case["min_dist"]), tolerance)
        yield Check(f"{vector}.conf", abs(found.confidence - case["conf"]), tolerance)
        if route == "jpeg":
            error = largest_error(found.curve[::-1], family.arrays[f"{name}_curve"])
            yield Check(f"{vector}_curve", error, tolerance)
            yield Skip(f"{vector}_fconfm", "single windows depend on who wrote the JPEG files")
        else:
            yield from compare_arrays(family, name, found, tolerance)
            if kind == "plain":
                yield from compare_arrays(family, stem, found, tolerance)


def read_samples(family: Family, stem: str) -> np.ndarray:
    """Return a clip's sound as our audio layer has it, float32 in [-1, 1)."""
    return family.arrays[f"{stem}_pcm"].astype(np.float32) / np.float32(32768)
