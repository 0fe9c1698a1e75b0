"""Whisper's encoder: mel, hidden states, and which rows of them each frame hears.

The checkpoint is written in openai-whisper's own format and read by our loader.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import make_weight
from golden_sound import is_exact, read_wave

from lipsync.audio.mel import whisper_mel
from lipsync.audio.whisper import (
    WhisperEncoder,
    count_compat_frames,
    encode_voice,
    frame_rows,
    hear_frames,
    load_encoder,
)
from lipsync.media.sound import read_audio
from lipsync.types import Audio

NETWORK = 1e-4  # absolute, float32; frames: whole rows, so equal or not
RESAMPLED = 2e-3  # the voice came through a resampler, which is not ours
MEL = 1e-4


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare every voice of the family, then the table of counts."""
    encoder = build_encoder(family)
    for name, case in family.facts["cases"].items():
        path = find_sound(family, case["how"])
        if path.exists():
            yield from check_voice(family, encoder, name, case)
        else:
            yield Skip(f"{family.name}.{name}", f"there is no {path.name} among the clips")
    wrong = [
        (rows, fps)
        for rows, counts in family.facts["chunk_count_by_feature_length"].items()
        for fps, count in counts.items()
        if count_compat_frames(int(rows), float(fps)) != count
    ]
    yield Check(f"{family.name}.chunk_count_by_feature_length", len(wrong), 0)


def build_encoder(family: Family) -> WhisperEncoder:
    """Write a whole checkpoint, decoder and all, with weights made of names; load its encoder."""
    shapes = family.facts["state_dict_keys"]
    state = {name: make_weight(name, tuple(shape), family.salt) for name, shape in shapes.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whisper.pt"
        torch.save({"dims": family.facts["dims"], "model_state_dict": state}, path)
        return load_encoder(path)


def find_sound(family: Family, how: str) -> Path:
    """Return the file that the recording names in words."""
    source = re.search(r"[\w-]+\.(wav|mp3|m4a|mp4)\b", how)
    if source is None:
        raise ValueError(f"no sound is named in: {how}")
    return family.clips / source[0]


def read_case(path: Path, how: str) -> np.ndarray:
    """Return the samples that the recording describes in words."""
    samples = read_wave(path) if is_exact(path) else read_audio(path).samples
    if found := re.search(r"tiled (\d+) times", how):
        samples = np.tile(samples, int(found[1]))
    if found := re.search(r"first (\d+) samples", how):
        samples = samples[: int(found[1])]
    if found := re.search(r"samples \[(\d+):(\d+)\]", how):
        samples = samples[int(found[1]) : int(found[2])]
    return samples


def check_voice(
    family: Family, encoder: WhisperEncoder, name: str, case: dict[str, Any]
) -> Iterator[Check]:
    """Compare one voice: what was recorded of it differs from case to case."""
    path = find_sound(family, case["how"])
    samples, exact = read_case(path, case["how"]), is_exact(path)
    mel = whisper_mel(samples)
    features = encode_voice(encoder, Audio(samples, 16000), "compat")
    values = features.numpy()
    rows = values.reshape(len(values), -1).astype(np.float64)
    shapes = [*mel.shape, *values.shape]
    wanted = [*case["mel_shape"], *case["features_shape"]]
    yield Check(f"{family.name}.{name}.shapes", largest_error(*map(np.array, (shapes, wanted))), 0)
    known = {
        "mel_first_300": mel,
        "mel_colmean": mel.astype(np.float64).mean(axis=0),
        "feat": values,
        "feat_rowmean": rows.mean(axis=1),
        "feat_rowstd": rows.std(axis=1),
        "feat_first5": values[:5],
        "feat_first20": values[:20],
        "feat_last20": values[-20:],
        "feat_1490_1510": values[1490:1510],
    }
    for key in [key for key in family.arrays if key.startswith(f"{name}.")]:
        kind = key.removeprefix(f"{name}.")
        recorded = family.arrays[key]
        if kind in known:
            ours = known[kind]
            if kind == "mel_first_300":
                ours = mel_columns(mel, recorded.shape[1])
            tolerance = (MEL if kind.startswith("mel") else NETWORK) if exact else RESAMPLED
            yield Check(f"{family.name}.{key}", largest_error(ours, recorded), tolerance)
        else:
            ours = frames_heard(features, case, kind)
            tolerance = NETWORK if exact else RESAMPLED
            yield Check(f"{family.name}.{key}", largest_error(ours, recorded), tolerance)
    for key, count in case.items():
        if key.startswith("num_chunks_fps"):
            found = count_compat_frames(len(values), float(key.removeprefix("num_chunks_fps")))
            yield Check(f"{family.name}.{name}.{key}", abs(found - count), 0)


def mel_columns(mel: np.ndarray, width: int) -> np.ndarray:
    """Return the first 300 columns; where fewer were kept, they lie around the border at 30 s."""
    start = 0 if width == min(300, mel.shape[1]) else 3000 - width // 2
    return mel[:, start : start + width]


def frames_heard(features: torch.Tensor, case: dict[str, Any], kind: str) -> np.ndarray:
    """Return what the frames hear that the array called `kind` was recorded of."""
    if found := re.fullmatch(r"chunk_rows_fps([\d.]+)", kind):
        count = count_compat_frames(len(features), float(found[1]))
        return frame_rows(count, float(found[1]), len(features))
    if found := re.fullmatch(r"chunks_fps(\d+)_0_1_7_last", kind):
        count = count_compat_frames(len(features), int(found[1]))
        heard = hear_frames(features, count, int(found[1])).stack()
        return heard[[0, 1, 7, -1]].numpy()
    found = re.fullmatch(r"window_(\d+)_sub", kind)
    assert found is not None, kind
    start = int(found[1])
    heard = hear_frames(features, start + 16, 25)[start:].stack()
    assert list(heard.shape) == case["window_shape"]
    return heard[[0, -1]].numpy()
