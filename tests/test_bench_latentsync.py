"""The LatentSync bench: both ways it compares make the same, and every row comes out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from conftest import run_ffmpeg

from lipsync.audio.whisper import EncoderSize
from lipsync.bench import latentsync as bench
from lipsync.bench.distances import REFERENCE, measure_distances, ways
from lipsync.bench.face_rows import make_portrait, measure_faces, open_portrait
from lipsync.bench.footprint import measure_codec, repeat_clip
from lipsync.bench.full_size import measure_decoding, measure_painting, measure_step
from lipsync.bench.network_rows import measure_unet, measure_whisper, with_plain_attention
from lipsync.bench.rows import single_thread
from lipsync.bench.small_networks import Sizes, make_unet, write_checkpoints
from lipsync.bench.whole_frame import crop_plainly, paste_plainly
from lipsync.bench.windows import make_window
from lipsync.engines.latentsync.engine import LatentSyncEngine, LatentSyncSettings
from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    paste_reference,
)
from lipsync.engines.latentsync.sampling import Sampling
from lipsync.engines.latentsync.vae import VAEParams
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.types import Size
from lipsync.weights import ModelStore

pytestmark = pytest.mark.slow  # each takes seconds

CPU = torch.device("cpu")
TINY = Sizes(
    UNetParams(
        widths=(32, 32),
        layers=1,
        heads=2,
        motion_heads=2,
        audio_width=32,
        down_attention=(True, False),
        up_attention=(False, True),
        down_motion=(True, False),
        up_motion=(False, True),
    ),
    VAEParams(widths=(8, 8, 8, 8), layers=1, groups=4),
    EncoderSize(80, 1500, 32, 2, 1),
    frames=2,
    codec_frames=2,
    resolution=64,
    walk_resolution=64,
    voice_seconds=1.0,
    repeats=1,
)


def test_attention_written_out_is_the_same() -> None:
    unet = make_unet(TINY.unet)
    plain = with_plain_attention(unet)
    window = make_window(TINY, 128)
    inputs = window.inputs
    latents = torch.cat([window.noise, inputs.keep, inputs.masked, inputs.reference], dim=1)
    latents = latents.transpose(0, 1)[None]
    with torch.inference_mode():
        noises = [net(latents, torch.tensor(500), inputs.audio) for net in (unet, plain)]
    assert (noises[0] - noises[1]).abs().max() < 1e-4
    assert noises[0].std() > 0.1  # not a network that begins at zero


def test_the_whole_frame_way_gives_the_published_pictures() -> None:
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 256, (24, 20, 3), np.uint8), (200, 240))
    template = ReferenceTemplate(64)
    size = (template.height, template.width)
    face = torch.rand(3, 64, 64) * 2 - 1
    for shift in (-40.0, 20.0):  # in the middle, and over the picture's edge
        matrix = np.array([[0.9, 0.1, shift], [-0.1, 0.9, -50.0]], np.float32)
        crops = [crop_plainly(image, matrix, size), crop_reference(image, matrix, template)]
        assert cv2.absdiff(*crops).mean() < 0.05
        pasted = [
            paste_plainly(image, face, matrix, size),
            paste_reference(image, face, matrix, template),
        ]
        assert cv2.absdiff(*pasted).max() <= 1
        assert cv2.absdiff(pasted[0], image).mean() > 1


def test_rows_of_networks_have_ratios_and_agree() -> None:
    rows = [*measure_unet(TINY), *measure_whisper(TINY)]
    assert len(rows) == 6
    for row in rows:
        assert math.isfinite(row.ratio)
        assert row.ratio > 0
    assert all(row.difference < 1e-3 for row in rows if row.difference is not None)
    assert sum(row.difference is not None for row in rows) == 2


def test_rows_of_faces_agree() -> None:
    rows = list(measure_faces(make_portrait(Size(480, 270)), 64, repeats=1))
    assert [row.step.partition(",")[0] for row in rows] == ["align"] * 2 + ["paste back"] * 2
    for row in rows:
        assert row.ratio > 0
        assert row.difference is None or row.difference < 0.5


def test_distances_start_at_the_reference() -> None:
    compared = {
        "again": REFERENCE,
        "fewer": Sampling(steps=2),
        "kept": replace(REFERENCE, cache_interval=5),
    }
    itself, again, fewer, kept = measure_distances(TINY, compared)
    assert itself.latents == again.latents == again.levels == 0
    assert 0 < kept.latents < fewer.latents
    assert fewer.levels > 0
    assert fewer.seconds > 0


def test_every_bundled_preset_is_among_the_ways() -> None:
    compared = ways()
    assert {f"preset {name}" for name in bench._ON_CARD} <= set(compared)
    assert compared["preset latentsync-1.5"] == REFERENCE
    assert {"ddim", "dpm++", "unipc"} == {way.scheduler for way in compared.values()}


def test_what_a_card_runs_at_full_size_runs_at_any() -> None:
    compared = {f"preset {name}": Sampling(steps=1) for name in bench._ON_CARD}
    painted = list(bench.measure_card(TINY, CPU, compared))
    assert [one.resolution for one in painted] == [64, 64, 128]
    assert all(one.seconds_per_second > 0 and one.peak_mb > 0 for one in painted)
    for measured in (
        measure_step(TINY, CPU, torch.float32),
        measure_decoding(TINY, CPU, torch.float32),
        measure_painting("x", TINY, CPU, torch.float32, Sampling(steps=1)),
    ):
        assert bench.describe(measured)


def test_the_codec_is_measured() -> None:
    measured = measure_codec(TINY.vae, resolution=64, frames=3, at_once=2)
    assert measured["encode_ms"] > 0
    assert measured["decode_ms"] > 0
    assert measured["peak_mb"] >= 0


def test_the_engine_takes_the_small_checkpoints(tmp_path: Path) -> None:
    write_checkpoints(tmp_path / "own", "latentsync-1.5", TINY)
    store = ModelStore(tmp_path / "models", tmp_path / "own", is_offline=True)
    residence = Residence(store, device="cpu")
    LatentSyncEngine(residence).load(LatentSyncSettings(resolution=64))
    assert len(residence.parts()) == 3


def test_a_repeated_clip_lasts_as_long_as_asked(tmp_path: Path) -> None:
    source = "testsrc=size=64x48:rate=25:duration=0.6"
    run_ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", tmp_path / "short.mp4")
    repeat_clip(tmp_path / "short.mp4", tmp_path / "long.mp4", 2.0)
    with av.open(str(tmp_path / "long.mp4")) as found:
        times = [frame.time for frame in found.decode(video=0)]
    assert len(times) == 60
    assert np.allclose(np.diff(times), 0.04, atol=1e-3)


def test_threads_come_back() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    with single_thread():
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_the_command_prints_a_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--only", "unet", "--clips", str(tmp_path)], TINY) == 0
    assert "attention written out" in capsys.readouterr().out
    assert bench.main(["--only", "whisper", "--json"], TINY) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]
    assert [row["unit"] for row in report["rows"]] == ["CPU ms per s of voice"] * 3
    assert all(row["ratio"] > 0 for row in report["rows"])


def test_wrong_folders_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        open_portrait(tmp_path / "absent")
    with pytest.raises(InputError, match="--clips"):
        list(bench.measure_jobs(tmp_path))
    assert open_portrait(tmp_path).source == "made"


@pytest.mark.slow
def test_the_codec_in_a_process_of_its_own() -> None:
    rows = list(bench.measure_rows(["vae"], None, TINY))
    assert [row.unit for row in rows] == ["CPU ms", "CPU ms", "MB"]
    assert all(row.ours >= 0 for row in rows)
