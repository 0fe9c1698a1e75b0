"""From landmarks to matrix, crop, face and pasted picture, as the published program does it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from golden_folder import Check, Family, largest_error

from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    paste_reference,
    reference_matrices,
    reference_weight,
    stretch_reference,
)
from lipsync.face.align import fit_similarities
from lipsync.face.anchors import face_anchors, rounded_anchors

TURN, SHIFT = 1e-5, 2e-3  # of a matrix: its left half, and its last column in px
MEAN, LARGEST = 0.05, 3  # levels of a picture


def check(family: Family) -> Iterator[Check]:
    """Compare points, matrices at both sizes, and every stored picture."""
    arrays, facts = family.arrays, family.facts
    landmarks = arrays["lmk106"].astype(np.float64)
    points = rounded_anchors(landmarks)
    name = family.name
    anchors = largest_error(face_anchors(landmarks), arrays["landmarks3_float"])
    yield Check(f"{name}.landmarks3_float", anchors, 1e-6)
    yield Check(f"{name}.landmarks3", largest_error(points, arrays["landmarks3"]), 0)
    template = ReferenceTemplate(facts["resolution"])
    places = largest_error(template.places, arrays["face_template"])
    yield Check(f"{name}.face_template", places, 1e-6)
    size = np.array([template.width, template.height])
    yield Check(f"{name}.face_size_wh", largest_error(size, np.array(facts["face_size_wh"])), 0)
    matrices = reference_matrices(points, template)
    yield from check_matrices(f"{name}.matrices", matrices, arrays["matrices"])
    yield from check_matrices(
        f"{name}.matrices_without_bias",
        fit_similarities(points, template.places),
        arrays["matrices_without_bias"],
    )
    yield from check_matrices(
        f"{name}.matrices_first_frame_rule",
        reference_matrices(points, template, memory=0.0),
        arrays["matrices_first_frame_rule"],
    )
    large = ReferenceTemplate(512)
    yield from check_matrices(
        f"{name}.matrices_512", reference_matrices(points, large), arrays["matrices_512"]
    )
    size = np.array([large.width, large.height])
    stated = np.array(facts["face_size_wh_512"])
    yield Check(f"{name}.face_size_wh_512", largest_error(size, stated), 0)
    yield from check_pictures(family, matrices, template)
    yield from check_large(family, reference_matrices(points, large), large)


def check_matrices(vector: str, ours: np.ndarray, recorded: np.ndarray) -> Iterator[Check]:
    """Compare (T, 2, 3) matrices, turn and shift each with its own tolerance."""
    yield Check(f"{vector} turn", largest_error(ours[..., :2], recorded[..., :2]), TURN)
    yield Check(f"{vector} shift", largest_error(ours[..., 2], recorded[..., 2]), SHIFT)


def check_picture(vector: str, ours: np.ndarray, recorded: np.ndarray) -> Iterator[Check]:
    """Compare two uint8 pictures."""
    error = largest_error(ours, recorded)
    yield Check(vector, error, LARGEST)
    if np.isfinite(error):
        mean = float(np.abs(ours.astype(np.float64) - recorded).mean())
        yield Check(f"{vector} mean", mean, MEAN)


def paste_faces(
    family: Family, matrices: np.ndarray, template: ReferenceTemplate
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return all crops, all faces, and all frames with their face's *negative* pasted back.

    The negative was recorded, as an unchanged face would hide what the paste does to it.
    """
    crops, faces, restored = [], [], []
    for frame, matrix in zip(family.pictures("frames_png"), matrices, strict=True):
        crops.append(crop_reference(frame, matrix, template))
        faces.append(stretch_reference(crops[-1], template))
        restored.append(paste_reference(frame, -as_values(faces[-1]), matrix, template))
    return crops, faces, restored


def as_values(face: np.ndarray) -> torch.Tensor:
    """Return an (R, R, 3) uint8 face as (3, R, R) float32 in [-1, 1]."""
    return torch.from_numpy(face).permute(2, 0, 1).float() / 255 * 2 - 1


def check_means(vector: str, pictures: list[np.ndarray], stated: list[list[float]]) -> Check:
    """Compare the mean colours of whole pictures."""
    means = np.array([picture.mean(axis=(0, 1)) for picture in pictures])
    return Check(vector, largest_error(means, np.array(stated)), MEAN)


def check_pictures(
    family: Family, matrices: np.ndarray, template: ReferenceTemplate
) -> Iterator[Check]:
    """Compare crops, faces and pasted pictures at the recorded resolution."""
    facts, name = family.facts, family.name
    crops, faces, restored = paste_faces(family, matrices, template)
    kept = facts["kept_faces"]
    for key, pictures, rows in (
        ("crops_png", crops, kept),
        ("faces_png", faces, kept),
        ("restored_png", restored, facts["kept_restored"]),
    ):
        for row, recorded in zip(rows, family.pictures(key), strict=True):
            yield from check_picture(f"{name}.{key}[{row}]", pictures[row], recorded)
    yield check_means(f"{name}.face_mean_rgb", faces, facts["face_mean_rgb"])
    yield check_means(f"{name}.restored_mean_rgb", restored, facts["restored_mean_rgb"])
    frames = family.pictures("frames_png")
    changes = [
        np.abs(paste_reference(frame, as_values(face), matrix, template).astype(float) - frame)
        for frame, face, matrix in zip(frames, faces, matrices, strict=True)
    ]
    means = np.array([change.mean() for change in changes])
    stated = np.array(facts["identity_paste_absdiff_mean"])
    yield Check(f"{name}.identity_paste_absdiff_mean", largest_error(means, stated), MEAN)
    peaks = np.array([change.max() for change in changes])
    stated = np.array(facts["identity_paste_absdiff_max"])
    yield Check(f"{name}.identity_paste_absdiff_max", largest_error(peaks, stated), LARGEST)
    yield from check_masks(family, matrices, template)


def check_masks(
    family: Family, matrices: np.ndarray, template: ReferenceTemplate
) -> Iterator[Check]:
    """Compare what is pasted where: the first soft mask, and every mask's sum in pixels."""
    size = (family.facts["size_wh"][1], family.facts["size_wh"][0])
    masks = [reference_weight(size, matrix, template) for matrix in matrices]
    recorded = family.arrays["soft_mask_frame0"] / 65535
    yield Check(f"{family.name}.soft_mask_frame0", largest_error(masks[0], recorded), 1e-3)
    sums = np.array([float(mask.sum(dtype=np.float64)) for mask in masks])
    stated = np.array([restore["soft_mask_sum"] for restore in family.facts["restore"]])
    relative = largest_error(sums / stated, np.ones(len(stated)))
    yield Check(f"{family.name}.soft_mask_sum (relative)", relative, 1e-4)


def check_large(
    family: Family, matrices: np.ndarray, template: ReferenceTemplate
) -> Iterator[Check]:
    """Compare faces and pasted pictures at 512 px."""
    facts, name = family.facts, family.name
    _, faces, restored = paste_faces(family, matrices, template)
    for row, recorded in enumerate(family.pictures("face512_png")):
        yield from check_picture(f"{name}.face512_png[{row}]", faces[row], recorded)
    yield check_means(f"{name}.face512_mean_rgb", faces, facts["face512_mean_rgb"])
    yield check_means(f"{name}.restored512_mean_rgb", restored, facts["restored512_mean_rgb"])
