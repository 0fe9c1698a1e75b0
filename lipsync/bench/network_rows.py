"""UNet, VAE and Whisper against plain ways of computing the same."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from lipsync.audio.feature_cache import FeatureCache
from lipsync.audio.signals import RATE
from lipsync.audio.whisper import encode_voice
from lipsync.bench.footprint import run_apart
from lipsync.bench.rows import Row, cpu_seconds, single_thread, time_both
from lipsync.bench.small_networks import Sizes, make_unet, make_whisper
from lipsync.bench.windows import make_window
from lipsync.engines.latentsync.attention import Attention
from lipsync.engines.latentsync.motion import TemporalAttention
from lipsync.engines.latentsync.sampling import Guide, Sampling
from lipsync.engines.latentsync.unet import UNet
from lipsync.types import Audio

_INTERVAL = 3  # the published program's own


class PlainAttention(nn.Module):
    """An attention's own weights with softmax(Q K^T) V written out."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.inner = attention

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        inner = self.inner
        if isinstance(inner, TemporalAttention):
            hidden = inner.pos_encoder(hidden)
        context = hidden if context is None else context
        query, key, value = (
            rearrange(projected, "n l (heads d) -> n heads l d", heads=inner.heads)
            for projected in (inner.to_q(hidden), inner.to_k(context), inner.to_v(context))
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        mixed = scores.softmax(dim=-1) @ value
        attended: Tensor = inner.to_out(rearrange(mixed, "n heads l d -> n l (heads d)"))
        return attended


def with_plain_attention(unet: UNet) -> UNet:
    """Return a copy of the network in which every attention is a `PlainAttention`."""
    plain = copy.deepcopy(unet)
    found = [name for name, part in plain.named_modules() if isinstance(part, Attention)]
    for name in found:
        parent, _, own = name.rpartition(".")
        attention = cast(Attention, plain.get_submodule(name))
        plain.get_submodule(parent).register_module(own, PlainAttention(attention))
    return plain


def measure_unet(sizes: Sizes) -> Iterator[Row]:
    """Yield what a step of denoising takes: attention, kept features, one pass instead of two."""
    unet = make_unet(sizes.unet)
    window = make_window(sizes, sizes.resolution)
    timestep = torch.tensor(501)

    def step(network: UNet, sampling: Sampling, calls: int = 1) -> Tensor:
        guide = Guide(network, window.inputs, sampling)
        noises = [guide.predict(window.noise, timestep) for _ in range(calls)]
        return noises[-1]

    plain = with_plain_attention(unet)
    guided, every = Sampling(guidance=1.5), Sampling(guidance=1.5, cache_interval=_INTERVAL)
    heard = replace(guided, guidance=1.0)
    with torch.inference_mode(), single_thread():
        ours, theirs = time_both(
            lambda: step(unet, guided), lambda: step(plain, guided), sizes.repeats
        )
        apart = float((step(unet, guided) - step(plain, guided)).abs().max())
        yield Row(
            "UNet step", "attention written out", ours, theirs, "CPU ms", apart, "of noise, largest"
        )
        ours, theirs = time_both(
            lambda: step(unet, every, _INTERVAL),
            lambda: step(unet, guided, _INTERVAL),
            sizes.repeats,
        )
        yield Row(
            f"UNet step, features kept for {_INTERVAL}",
            "everything each time",
            ours / _INTERVAL,
            theirs / _INTERVAL,
            "CPU ms",
        )
        ours, theirs = time_both(
            lambda: step(unet, heard), lambda: step(unet, guided), sizes.repeats
        )
        yield Row("UNet step, guidance 1.0", "guidance 1.5", ours, theirs, "CPU ms")


def measure_vae(sizes: Sizes) -> Iterator[Row]:
    """Yield what the picture codec takes for a window, four frames at once or all."""
    given = {"vae": asdict(sizes.vae), "resolution": sizes.resolution, "frames": sizes.frames}
    ours = run_apart("codec", {**given, "at_once": sizes.codec_frames})
    plain = run_apart("codec", {**given, "at_once": sizes.frames})
    rival = f"all {sizes.frames} at once"
    for step, name, unit in (
        ("encode", "encode_ms", "CPU ms"),
        ("decode", "decode_ms", "CPU ms"),
        ("peak memory", "peak_mb", "MB"),
    ):
        what = f"VAE {step}, {sizes.codec_frames} frames at once"
        yield Row(what, rival, ours[name], plain[name], unit)


def measure_whisper(sizes: Sizes) -> Iterator[Row]:
    """Yield what hearing a voice takes per second of it, and hearing it again."""
    from whisper.model import disable_sdpa

    encoder = make_whisper(sizes.whisper)
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, round(sizes.voice_seconds * RATE)).astype(np.float32)
    audio = Audio(samples, RATE)
    unit = "CPU ms per s of voice"

    def hear_plainly() -> Tensor:
        with disable_sdpa():
            return encode_voice(encoder, audio)

    with single_thread(), tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        ours, plain = time_both(
            lambda: encode_voice(encoder, audio), hear_plainly, max(sizes.repeats - 2, 1)
        )
        apart = float((encode_voice(encoder, audio) - hear_plainly()).abs().max())
        scale = audio.duration
        yield Row(
            "Whisper encoder",
            "attention written out",
            ours / scale,
            plain / scale,
            unit,
            apart,
            "of features, largest",
        )
        ours, plain = time_both(
            lambda: encode_voice(encoder, audio),
            lambda: encode_voice(encoder, audio, "compat"),
            max(sizes.repeats - 2, 1),
        )
        yield Row(
            "Whisper, readings that overlap", "30 s after 30 s", ours / scale, plain / scale, unit
        )
        cache = FeatureCache(Path(name))
        first = cpu_seconds(lambda: encode_voice(encoder, audio, cache=cache))
        again = cpu_seconds(lambda: encode_voice(encoder, audio, cache=cache))
        yield Row(
            "Whisper, the same voice again",
            "the first time",
            1000 * again / scale,
            1000 * first / scale,
            unit,
        )
