"""Networks on inputs drawn from their names, and the features that SyncNet hears.

A folder's `forward` has no JSON: what is in it is told by the names of its arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import conformance_sfd
import conformance_wav2lip
import conformance_wav2lip_training
import numpy as np
import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input
from golden_sound import read_wave
from torch import Tensor, nn

from lipsync.audio.mfcc import count_columns, mfcc
from lipsync.score.syncnet import StripSyncNet, SyncNet

EMBEDDING = 1e-4  # relative to the embedding's length
STAGE = 1e-3  # relative to a layer's deviation
FEATURE = 1e-8  # absolute, in float64
VOICE = "demo1_audio.wav"


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare every array that a part of ours answers for; name those without one."""
    answered: list[str] = []
    for first, (beginnings, part) in PARTS.items():
        if first in family.arrays:
            answered += beginnings
            yield from part(family)
    for key in family.arrays:
        if not key.startswith(tuple(answered)):
            yield Skip(f"{family.name}.{key}", "not built yet")


def check_syncnet(family: Family) -> Iterator[Check]:
    """Compare both embeddings, in the published form and in the quick one, and every layer."""
    network = SyncNet().eval()
    fill_weights(network, family.salt)
    lips = make_input("syncnet.lip", (2, 3, 5, 224, 224), family.salt, (0, 255))
    sound = make_input("syncnet.mfcc", (3, 1, 13, 20), family.salt) * 10
    with torch.inference_mode():
        features = network.lip_features(lips)
        yield from compare_embeddings(family, "lipfeat", features, "")
        yield from compare_embeddings(family, "lip", network.embed_lips(lips), "")
        yield from compare_embeddings(family, "aud", network.embed_sound(sound), "")
        quick = StripSyncNet(network)
        strips = torch.cat([quick.embed_strip(window.transpose(0, 1)) for window in lips])
        yield from compare_embeddings(family, "lip", strips, " as a strip")
        yield from compare_embeddings(family, "aud", quick.embed_sound(sound), " folded")
        yield compare_stages(family, "lip", network.netcnnlip, lips)
        yield compare_stages(family, "aud", network.netcnnaud, sound)


def compare_embeddings(family: Family, name: str, found: Tensor, form: str) -> Iterator[Check]:
    """Compare the first numbers, the length and the sum of each embedding."""
    norms = family.arrays[f"{name}_norm"]
    ours = {
        f"{name}64": found[:, :64].numpy(),
        f"{name}_norm": found.norm(dim=1).numpy(),
        f"{name}_sum": found.sum(dim=1).numpy(),
    }
    for key, values in ours.items():
        if key in family.arrays:
            lengths = norms[:, None] if values.ndim == 2 else norms
            error = largest_error(values / lengths, family.arrays[key] / lengths)
            yield Check(f"{family.name}.{key}{form} (relative)", error, EMBEDDING)


def compare_stages(family: Family, name: str, layers: nn.Sequential, hidden: Tensor) -> Check:
    """Compare mean and deviation of what every layer gives."""
    recorded = family.arrays[f"{name}_stage_mean_std"]
    found = []
    for layer in layers:
        hidden = layer(hidden)
        found.append([hidden.double().mean().item(), hidden.double().std().item()])
    error = largest_error(np.array(found) / recorded[:, 1:], recorded / recorded[:, 1:])
    return Check(f"{family.name}.{name}_stage_mean_std (relative)", error, STAGE)


def check_features(family: Family) -> Iterator[Check | Skip]:
    """Compare the coefficients of silence, of a voice, and how many there are."""
    silence = mfcc(np.zeros(1600, np.float32))
    error = largest_error(silence, family.arrays["mfcc_silence"])
    yield Check(f"{family.name}.mfcc_silence", error, FEATURE)
    lengths = family.arrays["mfcc_lengths"]
    wrong = sum(count_columns(int(samples)) != columns for samples, columns in lengths)
    yield Check(f"{family.name}.mfcc_lengths", wrong, 0)
    path = family.clips / VOICE
    if not path.exists():
        yield Skip(f"{family.name}.mfcc", f"there is no {VOICE} among the clips")
        return
    voice = read_wave(path)
    first = (voice[:16] * 32768).astype(np.int16)
    yield Check(f"{family.name}.pcm_first16", largest_error(first, family.arrays["pcm_first16"]), 0)
    for key, samples in (("mfcc", voice[:48000]), ("mfcc_speech_700", voice[30000:30700])):
        error = largest_error(mfcc(samples), family.arrays[key])
        yield Check(f"{family.name}.{key}", error, FEATURE)


# an array that tells that a part is there -> how the part's arrays begin, and who compares them
PARTS: dict[str, tuple[tuple[str, ...], Callable[[Family], Iterator[Check | Skip]]]] = {
    "lip64": (("lip", "aud"), check_syncnet),
    "mfcc_lengths": (("mfcc", "pcm_"), check_features),
    "sfd_shapes": (("sfd_", "nms_"), conformance_sfd.check),
    "gen_out": (("gen_", "gen5_"), conformance_wav2lip.check_generator),
    "sync_audio": (("sync_",), conformance_wav2lip.check_expert),
    "disc_out": (("disc_",), conformance_wav2lip.check_discriminator),
    "s3fd_shapes": (("s3fd_",), conformance_wav2lip.check_detector),
    "train_sync_loss": (("train_",), conformance_wav2lip_training.training_checks),
}
