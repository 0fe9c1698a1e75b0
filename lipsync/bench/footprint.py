"""Peaks of memory, each in a process of its own: the only honest way to one.

`python -m lipsync.bench.footprint TASK` reads its numbers as JSON from stdin and prints what it
measured as one JSON object.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from lipsync.bench.cost import peak_mb
from lipsync.bench.full_size import FULL, measure_decoding, measure_step
from lipsync.bench.rows import cpu_seconds, single_thread
from lipsync.bench.small_networks import make_vae, write_checkpoints
from lipsync.engines.latentsync.noise import LATENT_CHANNELS
from lipsync.engines.latentsync.prepare import LATENT_SCALE
from lipsync.engines.latentsync.vae import VAEParams, decode_faces, encode_faces
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.pipeline import LipSyncPipeline
from lipsync.residence import Residence
from lipsync.types import Audio, Request
from lipsync.weights import ModelStore

_CHECKPOINT = "latentsync-1.5"
_JOB_SETTINGS = {"resolution": 64, "steps": 2}  # what grows with a job does not depend on them


def run_apart(task: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task in a new process and return what it measured."""
    command = [sys.executable, "-m", "lipsync.bench.footprint", task]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"measuring {task} failed:\n{done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure_codec(
    vae: VAEParams, *, resolution: int, frames: int, at_once: int
) -> dict[str, float]:
    """Encode and decode `frames` faces, `at_once` at a time: CPU ms, and the peak beyond before."""
    network = make_vae(vae)
    side = resolution // LATENT_SCALE
    faces = torch.rand(frames, 3, resolution, resolution) * 2 - 1
    latents = torch.randn(frames, LATENT_CHANNELS, side, side)

    def encode() -> None:
        for part, noise in zip(faces.split(at_once), latents.split(at_once), strict=True):
            encode_faces(network, part, noise)

    def decode() -> None:
        for part in latents.split(at_once):
            decode_faces(network, part)

    before = peak_mb()
    with torch.inference_mode(), single_thread():
        encode_ms, decode_ms = (1000 * cpu_seconds(work) for work in (encode, decode))
    return {"encode_ms": encode_ms, "decode_ms": decode_ms, "peak_mb": peak_mb() - before}


def measure_job(clip: Path, seconds: float) -> dict[str, float]:
    """Run a whole job on `seconds` of `clip`, shown over and over, with small networks."""
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        folder = Path(name)
        # features of this voice belong to nobody's cache
        os.environ.update(XDG_CACHE_HOME=name, LOCALAPPDATA=name)
        write_checkpoints(folder / "own", _CHECKPOINT)
        repeat_clip(clip, folder / "clip.mp4", seconds)
        _write_voice(folder / "voice.wav", seconds)
        store = ModelStore(folder / "models", folder / "own", is_offline=True)
        request = Request(
            folder / "clip.mp4",
            folder / "voice.wav",
            folder / "out.mp4",
            engine="latentsync",
            settings=_JOB_SETTINGS,
        )
        with closing(LipSyncPipeline(residence=Residence(store, device="cpu"))) as pipeline:
            # one at a time: each carries a preview, and a list of them would be the memory measured
            for progress in pipeline.sync(request):
                result = progress.result
        assert result is not None
        return {
            "seconds": result.duration,
            "job_seconds": sum(result.timings.values()),
            "peak_mb": peak_mb(),
        }


def measure_full() -> dict[str, Any]:
    """Run one guided step of the full-size UNet in float32 on the CPU, and decode four faces."""
    cpu = torch.device("cpu")
    # the smaller peak first: peaks never fall
    decoded = measure_decoding(FULL, cpu, torch.float32)
    step = measure_step(FULL, cpu, torch.float32)
    return {"passes": [asdict(step), asdict(decoded)]}


def repeat_clip(clip: Path, output: Path, seconds: float) -> None:
    """Write a clip's pictures over and over, as they are coded, until they last `seconds`."""
    with av.open(str(output), "w") as sink:
        stream: av.VideoStream | None = None
        shift = 0
        while True:
            with av.open(str(clip)) as source:
                pictures = source.streams.video[0]
                stream = stream or sink.add_stream_from_template(pictures)
                stop = shift
                for packet in source.demux(pictures):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    stop = max(stop, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    sink.mux(packet)
                shift = stop
                assert pictures.time_base is not None
                if shift * pictures.time_base >= seconds:
                    return


def _write_voice(output: Path, seconds: float) -> None:
    voice: Audio = read_audio(example_voice())
    samples = np.tile(voice.samples, math.ceil(seconds / voice.duration))
    with wave.open(str(output), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice.rate)
        levels = np.rint(samples[: round(seconds * voice.rate)].clip(-1, 1) * 32767)
        file.writeframes(levels.astype("<i2").tobytes())


def _run_task(task: str, given: dict[str, Any]) -> dict[str, Any]:
    if task == "codec":
        stated = given.pop("vae")
        vae = VAEParams(**{**stated, "widths": tuple(stated["widths"])})
        return measure_codec(vae, **given)
    if task == "job":
        return measure_job(Path(given["clip"]), given["seconds"])
    return measure_full()


if __name__ == "__main__":
    print(json.dumps(_run_task(sys.argv[1], json.load(sys.stdin))))
