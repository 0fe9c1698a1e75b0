"""The engine's networks, resident: which files they come from, and that they fit each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders import AutoencoderKL

from lipsync.audio.whisper import WhisperEncoder, load_encoder
from lipsync.device import require_memory
from lipsync.engines.latentsync.noise import LATENT_CHANNELS
from lipsync.engines.latentsync.params import STAGE2, UNetParams
from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.unet_checkpoint import load_unet
from lipsync.engines.latentsync.vae import VAEParams, load_vae
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.weights import Located

VAE_KEY = "sd-vae-ft-mse"
WHISPER_KEY = "whisper-tiny"
PARAMS_NAME = "params.json"  # beside a UNet of the user's own: what differs from the published one

_WIDE_WHISPER_KEY, _WIDE = "whisper-small", 768  # for the UNets that hear this width
_VAE_CONFIG = {  # name in the file -> ours
    "block_out_channels": "widths",
    "layers_per_block": "layers",
    "norm_num_groups": "groups",
    "latent_channels": "latent_channels",
}
# What a window needs beside the weights, per px of a face and byte of a number, measured at full
# size on a processor: the UNet per pass of guidance, the VAE per frame that it has at once.
_UNET_BYTES, _VAE_BYTES = 2431, 857
_RESERVE = 1.5  # times that, for what a card's libraries take on the way
_OTHER_WEIGHTS = 92_000_000  # numbers in VAE and Whisper encoder
_BASE_BYTES = 1.0e9  # CUDA's own


@dataclass(frozen=True)
class Networks:
    """What paints. It may be shared by jobs that take turns."""

    unet: UNet
    vae: AutoencoderKL


@contextmanager
def use_networks(residence: Residence, settings: LatentSyncSettings) -> Iterator[Networks]:
    """Lend the UNet and the VAE that a job with `settings` needs.

    Raises InputError where a file is absent, damaged or another one than it should be, and where
    the device's memory does not suffice.
    """
    located = residence.store.locate(settings.checkpoint)
    params = read_params(located)
    device, dtype = residence.device, residence.dtype
    name = f"UNet {settings.checkpoint}{' compiled' if settings.compile else ''}"
    needed = working_memory(params, settings, dtype)
    if device.type != "cpu" and name not in {part.name for part in residence.parts()}:
        needed += weights_memory(params, dtype)
    require_memory(f"{located.checkpoint.title} at {settings.resolution} px", needed, device)

    def load() -> UNet:
        unet = load_unet(
            *(located.path, params), resolution=settings.resolution, device=device, dtype=dtype
        )
        if settings.compile:
            unet.compile()
        return unet

    def load_codec() -> AutoencoderKL:
        files = residence.store.locate(VAE_KEY).files
        config, weights = files
        return load_vae(weights, read_vae_params(config), device=device, dtype=dtype)

    with ExitStack() as lent:
        unet = lent.enter_context(residence.use(name, load))
        vae = lent.enter_context(residence.use(f"VAE {VAE_KEY}", load_codec))
        yield Networks(unet, vae)


@contextmanager
def use_encoder(residence: Residence, checkpoint: str) -> Iterator[WhisperEncoder]:
    """Lend the Whisper encoder that the UNet of `checkpoint` was trained to hear through.

    Raises InputError as `use_networks` does, also where the two do not fit.
    """
    located = residence.store.locate(checkpoint)
    width = read_params(located).audio_width
    key = _WIDE_WHISPER_KEY if width == _WIDE else WHISPER_KEY
    path = residence.store.locate(key).path

    def load() -> WhisperEncoder:
        return load_encoder(path, residence.device, residence.dtype)

    with residence.use(f"Whisper encoder {key}", load) as encoder:
        if encoder.width != width:
            raise InputError(
                f"{path.name} gives {encoder.width} numbers per feature where the UNet of "
                f"{located.checkpoint.title} hears {width}; put the Whisper it was trained with "
                f"into {path.parent}."
            )
        yield encoder


def working_memory(params: UNetParams, settings: LatentSyncSettings, dtype: torch.dtype) -> int:
    """Return the bytes, about, that painting a window takes beside the weights."""
    passes = 1 if settings.low_memory or settings.guidance <= 1 else 2
    painting = _UNET_BYTES * passes * params.widths[0] / STAGE2.widths[0]
    coding = _VAE_BYTES * settings.codec_frames
    most = max(painting, coding) * dtype.itemsize * settings.resolution**2
    return int(_RESERVE * most)


def weights_memory(params: UNetParams, dtype: torch.dtype) -> int:
    """Return the bytes that the weights of UNet, VAE and Whisper take on a card, and the card's own
    needs. On the CPU weights of float32 stay in the mapped file."""
    with torch.device("meta"):
        count = sum(weight.numel() for weight in UNet(params).parameters())
    return int((count + _OTHER_WEIGHTS) * dtype.itemsize + _BASE_BYTES)


def read_params(located: Located) -> UNetParams:
    """Return the shape of the UNet in a folder: the published one, unless it is the user's own and
    a ``params.json`` there says otherwise (the fields of `UNetParams` that differ).

    Raises InputError for a file that cannot be read or names no such field.
    """
    path = located.folder / PARAMS_NAME
    if not located.is_own or not path.is_file():
        return STAGE2
    stated = _read_json(path)
    published = dataclasses.asdict(STAGE2)
    for name, value in stated.items():
        if name not in published:
            raise InputError(
                f"{path} names {name!r}, which is no field of a UNet; it has: "
                f"{', '.join(published)}."
            )
        is_deaf = name == "audio_width" and value is None
        if not is_deaf and not _is_like(value, published[name]):
            raise InputError(
                f"{path} says that {name} is {value!r}; give a value like "
                f"{json.dumps(published[name])}."
            )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()
    }
    params = UNetParams(**values)
    _check_fit(path, params)
    return params


def _is_like(value: Any, model: Any) -> bool:
    """Say whether a value from JSON is of the kind of `model`; numbers must be above 0."""
    if isinstance(model, tuple):
        is_list = isinstance(value, list) and len(value) > 0
        return is_list and all(_is_like(one, model[0]) for one in value)
    return type(value) is type(model) and (isinstance(value, bool) or value > 0)


def _check_fit(path: Path, params: UNetParams) -> None:
    for name in ("in_channels", "out_channels"):
        if getattr(params, name) != getattr(STAGE2, name):
            raise InputError(
                f"{path} says that {name} is {getattr(params, name)}, and faces are painted with "
                f"{getattr(STAGE2, name)}; leave it out."
            )
    levels = ("widths", "down_attention", "up_attention", "down_motion", "up_motion")
    if len({len(getattr(params, name)) for name in levels}) > 1:
        raise InputError(
            f"{path} does not give one value per level for each of {', '.join(levels)}; "
            "add what is missing."
        )
    for divisor in ("groups", "heads", "motion_heads"):
        if any(width % getattr(params, divisor) for width in params.widths):
            raise InputError(
                f"{path} gives widths that are no multiples of {divisor!r} "
                f"({getattr(params, divisor)}); change one of them."
            )


def read_vae_params(path: Path) -> VAEParams:
    """Return the shape of the picture codec that its ``config.json`` states.

    Raises InputError for a file that cannot be read or does not state it.
    """
    stated = _read_json(path)
    published = dataclasses.asdict(VAEParams())
    values: dict[str, Any] = {}
    for theirs, ours in _VAE_CONFIG.items():
        value = stated.get(theirs)
        is_foreign = ours == "latent_channels" and value != LATENT_CHANNELS
        if is_foreign or not _is_like(value, published[ours]):
            raise InputError(
                f"{path} does not describe a picture codec ({theirs} is {value!r}); fetch it again."
            )
        values[ours] = tuple(value) if isinstance(value, list) else value
    return VAEParams(**values)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); mend or replace it.") from error
    if not isinstance(stated, dict):
        raise InputError(f"{path} holds no JSON object; mend or replace it.")
    return stated
