"""Wav2Lip's whole published inference of a clip and a voice, with boxes given."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from conformance_wav2lip import LEVEL, PAINTED, build_generator, compare
from golden_folder import Check, Family, Skip, largest_error
from golden_sound import read_wave

from lipsync.engines.wav2lip.chunks import hear_voice, published_starts, take_chunks
from lipsync.engines.wav2lip.published import (
    Pads,
    crop_face,
    pad_boxes,
    paste_face,
    smooth_boxes,
    stack_faces,
)
from lipsync.types import Audio, Size

MEAN, LARGEST = 0.01, 1  # levels of a picture
_AVERAGE = 1e-4  # of a whole face's values


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare boxes, inputs, what is painted, and the pictures that come out."""
    facts, arrays = family.facts, family.arrays
    for name in (facts["clip"], facts["audio"]):
        if not (family.clips / name).exists():
            yield Skip(family.name, f"there is no {name} among the clips")
            return
    frames = read_frames(family.clips / facts["clip"], facts["clip_frames"])
    yield compare(family, "n_frames_in", np.array(len(frames)), 0)
    crc = np.array([zlib.crc32(frame[..., ::-1].tobytes()) for frame in frames])
    yield Check(f"{family.name}.frame_crc", float(np.sum(crc != arrays["frame_crc"])), 0)
    size = Size(*frames[0].shape[:2])
    boxes = smooth_boxes(pad_boxes(arrays["boxes_in"], Pads(*facts["pads"]), size))
    yield compare(family, "boxes_used_x1y1x2y2", boxes, 0)
    samples = read_wave(family.clips / facts["audio"])[slice(*facts["audio_samples"])]
    mel = hear_voice(Audio(samples, 16_000))
    mels = take_chunks(mel, published_starts(mel.shape[1], facts["fps"]))
    yield compare(family, "mel_batch", mels[:, :, ::2], LEVEL)
    yield compare(family, "n_frames_written", np.array(len(mels)), 0)
    shown = np.arange(len(mels)) % len(frames)  # where the clip is too short it begins anew
    faces = stack_faces(np.stack([crop_face(frames[row], boxes[row]) for row in shown]))
    levels = np.rint(faces[..., ::4, ::4] * 255).astype(np.uint8)
    yield compare(family, "face_batch_u8_sub4", levels, 0)
    yield compare(family, "face_batch_mean_per_image", faces.mean(axis=(2, 3)), _AVERAGE)
    given = torch.from_numpy(mels), torch.from_numpy(faces)
    batches = list(zip(*[one.split(facts["wav2lip_batch_size"]) for one in given], strict=True))
    yield compare(family, "batch_sizes", np.array([len(batch) for batch, _ in batches]), 0)
    generator = build_generator(family.salt)
    with torch.inference_mode():
        painted = torch.cat([generator(*batch) for batch in batches]).numpy()
    yield compare(family, "pred_sub8", painted[..., ::8, ::8], PAINTED)
    yield compare(family, "pred_mean_per_image", painted.mean(axis=(2, 3)), PAINTED)
    made = [
        paste_face(frames[row], face, boxes[row]) for row, face in zip(shown, painted, strict=True)
    ]
    yield from check_pictures(family, made, boxes[0])
    yield Skip(f"{family.name}.out_crc", "a rounding of 1e-7 decides single levels")


def read_frames(path: Path, count: int) -> list[np.ndarray]:
    """Return the first frames as OpenCV decodes them, (H, W, 3) uint8 RGB."""
    film = cv2.VideoCapture(str(path))
    try:
        found = [film.read() for _ in range(count)]
    finally:
        film.release()
    return [np.ascontiguousarray(frame[..., ::-1]) for is_there, frame in found if is_there]


def check_pictures(family: Family, made: list[np.ndarray], box: np.ndarray) -> Iterator[Check]:
    """Compare the pasted face of the first picture, and all pictures coarsely."""
    left, top, right, bottom = box.tolist()
    pasted = made[0][top:bottom:2, left:right:2, ::-1]
    coarse = np.stack([picture[::16, ::16, ::-1] for picture in made])
    for key, ours in (("out_box_frame0", pasted), ("out_sub16", coarse)):
        yield compare(family, key, ours, LARGEST)
        difference = np.abs(ours.astype(np.float64) - family.arrays[key])
        yield Check(f"{family.name}.{key} mean", float(difference.mean()), MEAN)
    means = np.array([picture[..., ::-1].mean(axis=(0, 1)) for picture in made])
    recorded = family.arrays["out_frame_mean"]
    yield Check(f"{family.name}.out_frame_mean", largest_error(means, recorded), MEAN)
