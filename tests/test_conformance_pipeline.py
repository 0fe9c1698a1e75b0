"""The runner of whole recorded calls, on a folder that our own program has recorded.

That says nothing of the numbers, which are only right where the published program's own recordings
pass; it says that everything comes from the folder, and that whatever is wrong there is missed.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import conformance_pipeline as runner
import numpy as np
import pytest
import torch
from conformance_whisper import build_encoder
from golden_folder import Check, Family, Skip
from golden_recipe import fill_weights, make_input
from golden_sound import read_wave
from golden_unet import read_params
from PIL import Image

from lipsync.engines.latentsync.published import (
    PublishedProcedure,
    PublishedSettings,
    RepaintedFrame,
    hear_published,
)
from lipsync.engines.latentsync.sampling import Sampling
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import build_vae
from lipsync.face.anchors import ANCHORS, rounded_anchors

pytestmark = pytest.mark.slow  # each takes seconds

SALT, SEED, SIDE = "sea", 11, 64
STEPS = 2
NUM_SAMPLES, NUM_SOURCE, NUM_OUTPUT = 2080, 3, 5
UNET: dict[str, Any] = json.loads(
    Path(__file__).with_name("golden").joinpath("unet_tiny.json").read_text("utf-8")
)["configs"]["A_motion"]
VAE: dict[str, Any] = {
    "block_out_channels": [32, 32, 32, 32],
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "latent_channels": 4,
    "scaling_factor": 0.25,
    "shift_factor": 0.1,
}
HEARING = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 64, "n_audio_head": 1}


def pack(pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures' PNG files end to end, and their lengths."""
    files = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    return np.concatenate(files), np.array([len(file) for file in files])


def write_hearing(folder: Path, clips: Path) -> Family:
    """Write a voice and the whisper family that names it."""
    from whisper.model import AudioEncoder

    with wave.open(str(clips / "hum.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        tone = make_input("voice", (NUM_SAMPLES,)) * 3000
        file.writeframes(tone.short().numpy().tobytes())
    with torch.device("meta"):
        state = AudioEncoder(80, 1500, 64, 1, 1).state_dict()
    facts = {
        "salt": SALT,
        "dims": {**HEARING, "n_audio_layer": 1},
        "state_dict_keys": {f"encoder.{name}": list(w.shape) for name, w in state.items()},
        "cases": {"src": {"how": "clips/hum.wav"}},
    }
    (folder / "whisper.json").write_text(json.dumps(facts))
    return Family(folder / "whisper.json", clips)


def record_call(
    frames: list[RepaintedFrame], drawn: list[torch.Tensor], walk: torch.Tensor
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a folder says of one call, and its arrays."""
    faces = torch.stack([frame.face for frame in frames])
    final, lengths = pack([frames[1].picture])
    each = faces.double().flatten(1)
    facts = {
        "rng_draws_in_order": [[list(one.shape), str(one.dtype), False] for one in drawn],
        "draw_means": [float(one.double().mean()) for one in drawn],
        "timesteps": [501, 1],
        "chunk_sizes": [len(frames)],
        "latent_norm_after_each_step": [walk.flatten(1).norm(dim=1).tolist()],
        "decoded": {
            "shape": list(faces.shape),
            "mean": float(each.mean()),
            "std": float(each.std()),
            "min": float(each.min()),
            "max": float(each.max()),
            "absmean": float(each.abs().mean()),
        },
        "decoded_kept": [0, 4],
        "decoded_frame_mean": each.mean(dim=1).tolist(),
        "decoded_frame_std": each.std(dim=1).tolist(),
        "final_kept": [1],
        "final_mean_rgb": [frame.picture.mean(axis=(0, 1)).tolist() for frame in frames],
    }
    arrays = {
        "matrices": np.stack([frame.matrix for frame in frames]),
        "aligned_u8": np.stack([frame.aligned for frame in frames]).transpose(0, 3, 1, 2),
        "initial_noise": drawn[0].numpy(),
        "latents_chunk0_step0": walk[0].transpose(0, 1)[None].numpy(),
        "latents_chunk0_final": walk[-1].transpose(0, 1)[None].numpy(),
        "decoded_f16": faces[[0, 4]].half().numpy(),
        "final": final,
        "final_len": lengths,
    }
    return facts, arrays


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A folder as the published program's recordings are, with other sizes and another salt."""
    folder, clips = tmp_path_factory.mktemp("golden"), tmp_path_factory.mktemp("clips")
    hearing = write_hearing(folder, clips)
    unet, vae = UNet(read_params(UNET)).eval(), build_vae(runner.read_vae_params(VAE)).eval()
    fill_weights(unet, SALT)
    fill_weights(vae, SALT)
    pictures = list(make_input("clip", (NUM_SOURCE, 110, 100, 3), span=(0, 256)).byte().numpy())
    landmarks = np.zeros((NUM_SOURCE, 106, 2), np.int16)
    for group, place in zip(ANCHORS[106], ((34, 38), (66, 37), (50, 55)), strict=True):
        landmarks[:, list(group)] = place
    landmarks += np.arange(NUM_SOURCE, dtype=np.int16)[:, None, None]
    voice = hear_published(build_encoder(hearing), read_wave(clips / "hum.wav"))
    settings = PublishedSettings(SIDE, Sampling(STEPS, 1.5, cache_interval=3), SEED)
    procedure = PublishedProcedure(unet, vae, settings)
    frames = list(
        procedure.repaint_frames(lambda order: [pictures[i] for i in order], landmarks, voice)
    )
    with runner.Draws() as draws:
        (chunk,) = procedure.repaint_faces([frame.aligned for frame in frames], voice)
    outcome, arrays = record_call(frames, draws.drawn, chunk.walk)
    possible = vae.encode(make_input("vae.input", (1, 3, 16, 16), SALT, (-1, 1))).latent_dist
    decoded = vae.decode(make_input("vae.latent", (1, 4, 2, 2), SALT)).sample
    files, lengths = pack(pictures)
    np.savez(
        folder / "pipeline_tiny.npz",
        **{f"main.{key}": value for key, value in arrays.items()},
        **{"vae.mean": possible.mean.detach(), "vae.logvar": possible.logvar.detach()},
        **{"vae.decoded": decoded.detach(), "frames_png": files, "frames_png_len": lengths},
        lmk106=landmarks,
        landmarks3=rounded_anchors(landmarks),
    )
    asked = {
        "video_frames": NUM_SOURCE,
        "audio_samples": NUM_SAMPLES,
        "num_output_frames": NUM_OUTPUT,
        "fps": 25,
        "guidance": 1.5,
        "steps": STEPS,
        "deepcache": True,
    }
    facts = {
        "salt": SALT,
        "seed": SEED,
        "resolution": SIDE,
        "unet_config": UNET,
        "vae_config": VAE,
        "vae_keys": {name: list(weight.shape) for name, weight in vae.state_dict().items()},
        "frame_sha256_all": hashlib.sha256(np.stack(pictures).tobytes()).hexdigest(),
        "scenarios": {"main": {**asked, **outcome}},
    }
    path = folder / "pipeline_tiny.json"
    path.write_text(json.dumps(facts))
    return Family(path, clips)


def outcomes(family: Family) -> tuple[list[str], list[str]]:
    """Return the names of the vectors that were missed, and those that were skipped."""
    found = list(runner.check(family))
    missed = [one.vector for one in found if isinstance(one, Check) and not one.passed]
    return missed, [one.vector for one in found if isinstance(one, Skip)]


def spoil(family: Family, folder: Path, **changes: Any) -> Family:
    """Write the same family into `folder`, its JSON saying something else."""
    for name in ("pipeline_tiny.npz", "whisper.json"):
        shutil.copy(family.path.with_name(name), folder)
    path = folder / family.path.name
    path.write_text(json.dumps({**family.facts, **changes}))
    return Family(path, family.clips)


def test_what_was_recorded_passes(recording: Family) -> None:
    assert outcomes(recording) == ([], [])


def test_another_seed_is_missed_at_both_levels(recording: Family, tmp_path: Path) -> None:
    missed, _ = outcomes(spoil(recording, tmp_path, seed=SEED + 1))
    assert "pipeline_tiny.main.initial_noise" in missed
    assert "pipeline_tiny.main.latents_chunk0_final" in missed
    assert "pipeline_tiny.main from frames.final[1]" in missed
    assert "pipeline_tiny.vae.mean" not in missed


def test_another_count_ends_the_call(recording: Family, tmp_path: Path) -> None:
    call = {**recording.facts["scenarios"]["main"], "num_output_frames": NUM_OUTPUT + 1}
    missed, skipped = outcomes(spoil(recording, tmp_path, scenarios={"main": call}))
    assert (missed, skipped) == (["pipeline_tiny.main.num_output_frames"], [])


def test_without_its_voice_a_call_is_skipped_by_name(recording: Family, tmp_path: Path) -> None:
    (found,) = (
        one for one in runner.check(Family(recording.path, tmp_path)) if isinstance(one, Skip)
    )
    assert str(found) == "skip pipeline_tiny.main: there is no hum.wav among the clips"
