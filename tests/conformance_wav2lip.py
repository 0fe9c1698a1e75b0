"""Wav2Lip's networks on inputs drawn from their names, and the mel that they hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input
from golden_sound import read_wave
from published_s3fd import S3FD, detect_faces, pick_box
from torch import Tensor, nn

from lipsync.audio.mel import mel_filters, sync_mel
from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.engines.wav2lip.generator import Generator

PAINTED = 2e-5  # absolute, of levels in [0, 1]
HIDDEN = 1e-4  # absolute, of embeddings, logits and statistics of whole maps
ANSWER = 1e-5  # absolute, of unit vectors, probabilities and losses
PIXEL = 1e-3  # px
LEVEL = 1e-4  # of the mel, on a scale from -4 to 4
VOICE, SAMPLES = "demo1_audio.wav", 48_000
_LIVELY = float(np.float32(np.sqrt(2)))  # times which the discriminator tells faces apart better


def compare(family: Family, key: str, ours: np.ndarray | Tensor, tolerance: float) -> Check:
    """Compare an array with the one recorded under `key`."""
    error = largest_error(np.asarray(ours), family.arrays[key])
    return Check(f"{family.name}.{key}", error, tolerance)


def build_generator(salt: str) -> Generator:
    """Build the full-size generator with weights made of names."""
    network = Generator().eval()
    fill_weights(network, salt)
    return network


@torch.inference_mode()
def check_generator(family: Family) -> Iterator[Check]:
    """Compare what it paints, in both forms, and every block on the way."""
    network, salt = build_generator(family.salt), family.salt
    maps: dict[str, list[Tensor]] = {"enc": [], "dec": [], "audio": []}
    watched = {
        "enc": network.face_encoder_blocks,
        "dec": network.face_decoder_blocks,
        "audio": [network.audio_encoder],
    }
    for name, blocks in watched.items():
        for block in blocks:
            block.register_forward_hook(lambda _, __, made, name=name: maps[name].append(made))
    audio = make_input("w2l.audio", (2, 1, 80, 16), salt, (-4, 4))
    faces = make_input("w2l.faces", (2, 6, 96, 96), salt, (0, 1))
    logits = network.logits(audio, faces)
    yield compare(family, "gen_out", logits.sigmoid(), PAINTED)
    yield compare(family, "gen_logits_sub4", logits[..., ::4, ::4], HIDDEN)
    yield compare(family, "gen_audio_embedding", maps["audio"][0].flatten(1), HIDDEN)
    yield compare(family, "gen_bottleneck", maps["enc"][-1].flatten(1), HIDDEN)
    for name in ("enc", "dec"):
        shapes = np.array([made.shape for made in maps[name]])
        yield compare(family, f"gen_{name}_shapes", shapes, 0)
        yield compare(family, f"gen_{name}_mean_std", statistics(maps[name]), HIDDEN)
    audio = make_input("w2l.audio5", (2, 3, 1, 80, 16), salt, (-4, 4))
    faces = make_input("w2l.faces5", (2, 6, 3, 96, 96), salt, (0, 1))
    logits = network.logits(audio, faces)
    yield compare(family, "gen5_shape", np.array(logits.shape), 0)
    yield compare(family, "gen5_out_sub2", logits.sigmoid()[..., ::2, ::2], PAINTED)
    means = logits.mean(dim=(1, 3, 4)).T.flatten()  # recorded moment by moment
    yield compare(family, "gen5_logits_mean_per_image", means, HIDDEN)


def statistics(maps: list[Tensor]) -> np.ndarray:
    """Return mean and deviation of each map."""
    return np.array([[made.mean().item(), made.std().item()] for made in maps])


@torch.inference_mode()
def check_expert(family: Family) -> Iterator[Check]:
    """Compare how the expert hears and sees."""
    network = SyncExpert().eval()
    fill_weights(network, family.salt)
    mel = make_input("sync.mel", (3, 1, 80, 16), family.salt, (-4, 4))
    window = make_input("sync.window", (3, 15, 48, 96), family.salt, (0, 1))
    heard, seen = network(mel, window)
    yield compare(family, "sync_audio", heard, ANSWER)
    yield compare(family, "sync_face", seen, ANSWER)


@torch.inference_mode()
def check_discriminator(family: Family) -> Iterator[Check]:
    """Compare what is taken for filmed, plain and with livelier weights."""
    network = QualityDiscriminator().eval()
    fill_weights(network, family.salt)
    faces = make_input("disc.faces", (2, 3, 5, 96, 96), family.salt, (0, 1))
    for name in ("disc", "disc_he"):
        answer = network(faces)
        loss = nn.functional.binary_cross_entropy(answer, torch.ones_like(answer))
        yield compare(family, f"{name}_out", answer, ANSWER)
        yield compare(family, f"{name}_perceptual_loss", loss, ANSWER)
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.mul_(_LIVELY)


@torch.inference_mode()
def check_detector(family: Family) -> Iterator[Check]:
    """Compare what the six grids say, all faces, and the one box per picture."""
    network = S3FD().eval()
    fill_weights(network, family.salt)
    image = make_input("s3fd.image", (1, 3, 128, 160), family.salt, (-120, 140))
    heads = network(image)
    maps = [part for head in heads for part in (head.background_and_face(), head.boxes)]
    yield compare(family, "s3fd_shapes", np.array([made.shape for made in maps]), 0)
    yield compare(family, "s3fd_mean_std", statistics(maps), HIDDEN)
    for place, made in enumerate(maps):
        step = 2 if place < 4 else 1  # of the two finest grids every second place was kept
        yield compare(family, f"s3fd_{place}", made[..., ::step, ::step], HIDDEN)
    frames = make_input("s3fd.frames", (2, 96, 128, 3), family.salt, (0, 256))
    found = detect_faces(network, frames.numpy().astype(np.uint8)[..., ::-1])
    yield compare(family, "s3fd_detect_count", np.array([len(faces) for faces in found]), 0)
    top = np.stack([faces[:6] for faces in found])
    yield compare(family, "s3fd_detect_top", top, PIXEL)
    boxes = [pick_box(faces) for faces in found]
    yield compare(family, "s3fd_batch_boxes", np.array(boxes), 0)


def check_mel(family: Family) -> Iterator[Check | Skip]:
    """Compare a voice with its ends reflected and with silence beyond them, filters and a tone."""
    filters = mel_filters(800, 55.0, 7600.0)
    yield compare(family, "mel_basis", filters, 1e-6)
    silence = sync_mel(np.zeros(600, np.float32), "reflect")
    yield compare(family, "mel_silence_first4", silence, 0)
    seconds = np.arange(3200) / 16_000
    tone = (0.9 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    yield compare(family, "mel_tone", sync_mel(tone, "reflect"), LEVEL)
    path = family.clips / VOICE
    if not path.exists():
        yield Skip(f"{family.name}.mel_librosa070", f"there is no {VOICE} among the clips")
        return
    samples = read_wave(path)[:SAMPLES]
    yield compare(family, "wav_first16", samples[:16], 0)
    yield compare(family, "mel_librosa070", sync_mel(samples, "reflect"), LEVEL)
    silent = sync_mel(samples, "constant")
    yield compare(family, "mel_librosa011_constant_first8", silent[:, :8], LEVEL)
    yield compare(family, "mel_librosa011_constant_last8", silent[:, -8:], LEVEL)
