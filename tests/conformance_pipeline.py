"""The published procedure's vectors: the picture codec, then whole calls, each at two levels.

From faces: the recorded aligned faces go in, so that nothing of the alignment is in the latents and
faces that come out. From frames: the stored pictures and landmarks go in, and pictures come out.
The voice and Whisper's shape are those of the whisper family in the same folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from conformance_align import check_matrices
from conformance_whisper import build_encoder, find_sound, read_case
from diffusers.models.autoencoders import AutoencoderKL
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input
from golden_unet import read_params
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lipsync.audio.whisper import FrameFeatures, WhisperEncoder
from lipsync.engines.latentsync.published import (
    Chunk,
    PublishedProcedure,
    PublishedSettings,
    RepaintedFrame,
    hear_published,
    show_there_and_back,
)
from lipsync.engines.latentsync.sampling import Sampling, make_scheduler
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import VAEParams, build_vae
from lipsync.face.anchors import rounded_anchors

NETWORK = 1e-4  # absolute, float32
FROM_FACES = 5e-3  # absolute, of latents about 5 large and of faces kept in float16
RELATIVE = 1e-3  # of the length of all latents of a chunk: the same, of 5
FACES_MEAN, FACES_LARGEST = 2e-3, 0.05  # of decoded faces, from frames
ALIGNED_MEAN, ALIGNED_LARGEST = 0.05, 3  # levels
FINAL_MEAN, FINAL_LARGEST = 0.05, 4  # levels
DRAWN = 1e-6  # mean of a draw
_CACHE_INTERVAL = 3  # of the recorded calls that reuse features


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare the codec, what all calls share, and every call from faces and from frames."""
    vae = build_vae(read_vae_params(family.facts["vae_config"])).eval()
    fill_weights(vae, family.salt)
    yield from check_vae(family, vae)
    hearing = Family(family.path.with_name("whisper.json"), family.clips)
    unet = UNet(read_params(family.facts["unet_config"])).eval()
    fill_weights(unet, family.salt)
    yield from check_sources(family)
    voice = find_voice(hearing)
    if isinstance(voice, str):
        for name in family.facts["scenarios"]:
            yield Skip(f"{family.name}.{name}", voice)
        return
    stage = Stage(family, unet, vae, build_encoder(hearing), voice)
    for name in family.facts["scenarios"]:
        yield from check_call(Call(stage, name))


def find_voice(hearing: Family) -> np.ndarray | str:
    """Return the samples that every call begins with, or why they are not to be had."""
    if not hearing.path.exists():
        return f"there is no {hearing.path.name} beside it for the hearing"
    how = hearing.facts["cases"]["src"]["how"]
    path = find_sound(hearing, how)
    return read_case(path, how) if path.exists() else f"there is no {path.name} among the clips"


@dataclass(frozen=True)
class Stage:
    """What all recorded calls share: tiny networks with weights made of names, and a voice."""

    family: Family
    unet: UNet
    vae: AutoencoderKL
    whisper: WhisperEncoder
    voice: np.ndarray  # (S,) float32

    @cached_property
    def pictures(self) -> list[np.ndarray]:
        """The stored frames, (H, W, 3) uint8 RGB each."""
        return self.family.pictures("frames_png")


@dataclass(frozen=True)
class Call:
    """One recorded call of the published program, to be made again."""

    stage: Stage
    name: str

    @property
    def family(self) -> Family:
        """Where it was recorded."""
        return self.stage.family

    @property
    def facts(self) -> dict[str, Any]:
        """What was asked, and outcomes that are numbers."""
        facts: dict[str, Any] = self.family.facts["scenarios"][self.name]
        return facts

    @property
    def vector(self) -> str:
        """What the names of its vectors begin with."""
        return f"{self.family.name}.{self.name}"

    @cached_property
    def voice(self) -> FrameFeatures:
        """What its frames hear."""
        samples = self.stage.voice[: self.facts["audio_samples"]]
        return hear_published(self.stage.whisper, samples, self.facts["fps"])

    @property
    def procedure(self) -> PublishedProcedure:
        """The published way with its settings."""
        shared, asked = self.family.facts, self.facts
        sampling = Sampling(
            steps=asked["steps"],
            guidance=asked["guidance"],
            cache_interval=_CACHE_INTERVAL if asked["deepcache"] else 1,
        )
        settings = PublishedSettings(shared["resolution"], sampling, shared["seed"])
        return PublishedProcedure(self.stage.unet, self.stage.vae, settings)

    @property
    def kept(self) -> list[int]:
        """The frames whose decoded faces were kept."""
        return list(self.facts.get("decoded_kept", range(self.facts["num_output_frames"])))


class Draws(TorchFunctionMode):
    """Every random tensor that anything draws, in order, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Tensor] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        if function.__name__.startswith(("rand", "normal")):
            self.drawn.append(found)
        return found


def check_sources(family: Family) -> Iterator[Check | Skip]:
    """Compare the stored frames with their digest, and the points that their faces hang on."""
    arrays = family.arrays
    if "frames_png" not in arrays:
        return
    digest = hashlib.sha256(np.stack(family.pictures("frames_png")).tobytes()).hexdigest()
    yield Check(f"{family.name}.frame_sha256_all", digest != family.facts["frame_sha256_all"], 0)
    points = rounded_anchors(arrays["lmk106"])
    yield Check(f"{family.name}.landmarks3", largest_error(points, arrays["landmarks3"]), 0)


def check_call(call: Call) -> Iterator[Check | Skip]:
    """Compare one call: what is counted before it begins, then both levels."""
    facts = call.facts
    if len(call.stage.voice) < facts["audio_samples"]:
        yield Skip(call.vector, f"its voice has only {len(call.stage.voice)} samples")
        return
    timesteps = make_scheduler("ddim", facts["steps"]).timesteps.numpy()
    stated = np.array(facts["timesteps"])
    yield Check(f"{call.vector}.timesteps", largest_error(timesteps, stated), 0)
    surplus = abs(len(call.voice) - facts["num_output_frames"])
    yield Check(f"{call.vector}.num_output_frames", surplus, 0)
    if not surplus:
        yield from check_from_faces(call)
        yield from check_from_frames(call)


def find_faces(call: Call) -> np.ndarray | None:
    """Return (N, R, R, 3) recorded faces in the order shown, None if there are not all.

    They may have been kept from another call: as many frames of the same clip are aligned alike.
    """
    for name, facts in call.family.facts["scenarios"].items():
        faces = call.family.arrays.get(f"{name}.aligned_u8")
        if faces is not None:
            shown = show_there_and_back(facts["video_frames"], facts["num_output_frames"])
            known = dict(zip(shown.tolist(), faces.transpose(0, 2, 3, 1), strict=True))
            wanted = show_there_and_back(
                call.facts["video_frames"], call.facts["num_output_frames"]
            ).tolist()
            if known.keys() >= set(wanted):
                return np.stack([known[number] for number in wanted])
    return None


def check_from_faces(call: Call) -> Iterator[Check | Skip]:
    """Compare what is drawn, all latents and all decoded faces, of recorded aligned faces."""
    faces = find_faces(call)
    if faces is None:
        yield Skip(f"{call.vector} from faces", "not all of its aligned faces are stored")
        return
    with Draws() as draws:
        chunks = list(call.procedure.repaint_faces(faces, call.voice))
    yield from check_draws(call, draws.drawn)
    yield from check_latents(call, chunks)
    decoded = torch.cat([chunk.faces for chunk in chunks]).double()
    recorded = call.family.arrays[f"{call.name}.decoded_f16"]
    error = largest_error(decoded[call.kept].numpy(), recorded)
    yield Check(f"{call.vector}.decoded_f16", error, FROM_FACES)
    stated = call.facts["decoded"]
    shape = largest_error(np.array(decoded.shape), np.array(stated["shape"]))
    yield Check(f"{call.vector}.decoded (shape)", shape, 0)
    found = {
        "mean": decoded.mean(),
        "std": decoded.std(correction=0),
        "min": decoded.min(),
        "max": decoded.max(),
        "absmean": decoded.abs().mean(),
    }
    error = max(abs(float(value) - stated[key]) for key, value in found.items())
    yield Check(f"{call.vector}.decoded (statistics)", error, FROM_FACES)
    each = decoded.flatten(1)
    for key, value in (("mean", each.mean(dim=1)), ("std", each.std(dim=1))):
        error = largest_error(value.numpy(), np.array(call.facts[f"decoded_frame_{key}"]))
        yield Check(f"{call.vector}.decoded_frame_{key}", error, FACES_MEAN)


def check_draws(call: Call, drawn: list[Tensor]) -> Iterator[Check]:
    """Compare all random tensors: how many, in which order, of which shape, and their means."""
    # an axis of length 1 more or less changes no number
    found = [(values.squeeze().shape, str(values.dtype)) for values in drawn]
    stated = [
        (torch.empty(shape).squeeze().shape, dtype)
        for shape, dtype, _ in call.facts["rng_draws_in_order"]
    ]
    yield Check(f"{call.vector}.rng_draws_in_order", found != stated, 0)
    means = np.array([float(values.double().mean()) for values in drawn])
    stated_means = np.array(call.facts["draw_means"])
    yield Check(f"{call.vector}.draw_means", largest_error(means, stated_means), DRAWN)
    first = call.family.arrays[f"{call.name}.initial_noise"]
    error = largest_error(drawn[0].squeeze().numpy(), first.squeeze())
    yield Check(f"{call.vector}.initial_noise", error, 0)


def check_latents(call: Call, chunks: list[Chunk]) -> Iterator[Check]:
    """Compare the chunks' sizes, the recorded steps of their walks, and every step's length."""
    sizes = np.array([len(chunk.faces) for chunk in chunks])
    stated = np.array(call.facts["chunk_sizes"])
    wrong = largest_error(sizes, stated)
    yield Check(f"{call.vector}.chunk_sizes", wrong, 0)
    if wrong:
        return
    for key, recorded in call.family.arrays.items():
        found = re.fullmatch(rf"{re.escape(call.name)}\.latents_chunk(\d+)_(final|step(\d+))", key)
        if found:
            step = -1 if found[2] == "final" else int(found[3])
            ours = chunks[int(found[1])].walk[step].transpose(0, 1)[None]
            error = largest_error(ours.numpy(), recorded)
            yield Check(f"{call.family.name}.{key}", error, FROM_FACES)
    lengths = np.array([chunk.walk.double().flatten(1).norm(dim=1).numpy() for chunk in chunks])
    known = np.array(call.facts["latent_norm_after_each_step"])
    error = largest_error(lengths / known, np.ones(known.shape))
    yield Check(f"{call.vector}.latent_norm_after_each_step (relative)", error, RELATIVE)


def check_from_frames(call: Call) -> Iterator[Check | Skip]:
    """Compare matrices, aligned and decoded faces and finished pictures, of stored frames."""
    vector, facts, arrays = f"{call.vector} from frames", call.facts, call.family.arrays
    if "frames_png" not in arrays:
        yield Skip(vector, "its frames are not stored")
        return
    pictures, landmarks = call.stage.pictures, arrays["lmk106"][: facts["video_frames"]]
    if len(landmarks) < facts["video_frames"]:
        yield Skip(vector, f"only {len(landmarks)} of its frames are stored")
        return
    frames = list(
        call.procedure.repaint_frames(
            lambda numbers: (pictures[number] for number in numbers), landmarks, call.voice
        )
    )
    matrices = np.stack([frame.matrix for frame in frames])
    yield from check_matrices(f"{vector}.matrices", matrices, arrays[f"{call.name}.matrices"])
    aligned = arrays.get(f"{call.name}.aligned_u8")
    if aligned is not None:
        ours = np.stack([frame.aligned for frame in frames]).transpose(0, 3, 1, 2)
        limits = (ALIGNED_MEAN, ALIGNED_LARGEST)
        yield from check_alike(f"{vector}.aligned_u8", ours, aligned, limits)
    decoded = torch.stack([frame.face for frame in frames]).numpy()
    yield from check_alike(
        f"{vector}.decoded_f16",
        decoded[call.kept],
        arrays[f"{call.name}.decoded_f16"],
        (FACES_MEAN, FACES_LARGEST),
    )
    means = decoded.astype(np.float64).mean(axis=(1, 2, 3))
    error = largest_error(means, np.array(facts["decoded_frame_mean"]))
    yield Check(f"{vector}.decoded_frame_mean", error, FACES_MEAN)
    yield from check_finished(call, vector, frames)


def check_finished(call: Call, vector: str, frames: list[RepaintedFrame]) -> Iterator[Check]:
    """Compare the kept pictures, and the mean colour of every one."""
    kept = zip(call.facts["final_kept"], call.family.pictures(f"{call.name}.final"), strict=True)
    for row, recorded in kept:
        ours, limits = frames[row].picture, (FINAL_MEAN, FINAL_LARGEST)
        yield from check_alike(f"{vector}.final[{row}]", ours, recorded, limits)
    colours = np.array([frame.picture.mean(axis=(0, 1)) for frame in frames])
    error = largest_error(colours, np.array(call.facts["final_mean_rgb"]))
    yield Check(f"{vector}.final_mean_rgb", error, FINAL_MEAN)


def check_alike(
    vector: str, ours: np.ndarray, recorded: np.ndarray, limits: tuple[float, float]
) -> Iterator[Check]:
    """Compare pictures by their mean difference and by the largest."""
    largest = largest_error(ours, recorded)
    yield Check(vector, largest, limits[1])
    if np.isfinite(largest):
        mean = float(np.abs(ours.astype(np.float64) - recorded).mean())
        yield Check(f"{vector} (mean)", mean, limits[0])


def read_vae_params(config: Mapping[str, Any]) -> VAEParams:
    """Return the parameters that a recorded codec's configuration describes."""
    return VAEParams(
        widths=tuple(config["block_out_channels"]),
        layers=config["layers_per_block"],
        groups=config["norm_num_groups"],
        latent_channels=config["latent_channels"],
        scale=config["scaling_factor"],
        shift=config["shift_factor"],
    )


def check_vae(family: Family, vae: AutoencoderKL) -> Iterator[Check]:
    """Compare the codec's names, means, variances and pictures, apart from any scale."""
    ours = {name: list(value.shape) for name, value in vae.state_dict().items()}
    named = family.facts["vae_keys"]
    wrong = [name for name in ours.keys() | named.keys() if ours.get(name) != named.get(name)]
    yield Check(f"{family.name}.vae_keys ({len(named)} names)", len(wrong), 0)
    recorded = family.arrays
    pictures = make_input("vae.input", recorded["vae.decoded"].shape, family.salt, (-1, 1))
    latents = make_input("vae.latent", recorded["vae.mean"].shape, family.salt)
    with torch.inference_mode():
        possible = vae.encode(pictures).latent_dist
        found = {
            "vae.mean": possible.mean,
            "vae.logvar": possible.logvar,
            "vae.decoded": vae.decode(latents).sample,
        }
    for name, value in found.items():
        error = largest_error(value.numpy(), recorded[name])
        yield Check(f"{family.name}.{name}", error, NETWORK)
