"""Whole jobs with a small Wav2Lip generator in the user's own folder: clip and voice to file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import run_ffmpeg
from seen_scenes import SceneNotes, count_changed
from standin_models import residence_of, write_wav2lip
from watched_jobs import GAP, assert_sensible, frames_of, refuse, run, same

from lipsync import LipSyncPipeline, Request
from lipsync.cli.commands import main
from lipsync.engines import make_settings
from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.engine import Wav2LipEngine
from lipsync.engines.wav2lip.folding import fold_norms
from lipsync.engines.wav2lip.onnx_file import make_onnx
from lipsync.engines.wav2lip.painter import published_boxes
from lipsync.example import example_photo, example_voice
from lipsync.face.align import TEMPLATES
from lipsync.face.mask import template_mask
from lipsync.record import make_record
from lipsync.residence import Residence
from lipsync.types import Result, Scene

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
GAN = {"checkpoint": "wav2lip-gan"}
COMPAT = {"checkpoint": "wav2lip-gan", "preprocessing": "compat", "pad_bottom": 20}


class SeenEngine(SceneNotes, Wav2LipEngine):
    """Wav2Lip, and which scenes it was shown."""


@pytest.fixture(scope="module")
def residence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Residence]:
    models = tmp_path_factory.mktemp("models")
    write_wav2lip(models / "wav2lip-gan")
    with closing(residence_of(models)) as made:
        yield made


@pytest.fixture(scope="module")
def engine(residence: Residence) -> SeenEngine:
    return SeenEngine(residence)


@pytest.fixture(scope="module")
def pipeline(residence: Residence, engine: SeenEngine) -> Iterator[LipSyncPipeline]:
    with closing(LipSyncPipeline(engines={"wav2lip": engine}, residence=residence)) as made:
        yield made


def ask(clip: Path, voice: Path, output: Path, **changes: Any) -> Request:
    """Return a request for Wav2Lip that keeps the picture as it is and asks for no score."""
    usual = {"settings": GAN, "quality": "lossless", "score": False}
    return Request(clip, voice, output, "wav2lip", **{**usual, **changes})


def masks_of(scene: Scene, values: dict[str, Any]) -> list[np.ndarray]:
    """Return where each frame may change, (S, S): the template's mask, or the published boxes."""
    settings, side = make_settings("wav2lip", values), scene.alignment.size
    if settings.preprocessing == "smooth":
        return [template_mask(TEMPLATES["wav2lip"].mask, side)] * len(scene.rows)
    masks = np.zeros((len(scene.rows), side, side), np.float32)
    for mask, (left, top, right, bottom) in zip(
        masks, published_boxes(scene, settings).tolist(), strict=True
    ):
        mask[top:bottom, left:right] = 1.0
    return list(masks)


@pytest.mark.parametrize("settings", [GAN, COMPAT], ids=["smooth", "compat"])
def test_only_mouths_change_and_where_nobody_is_nothing_does(
    pipeline: LipSyncPipeline,
    engine: SeenEngine,
    gap_clip: Path,
    tmp_path: Path,
    settings: dict[str, Any],
) -> None:
    """To the last bit, and the result is as long as it says."""
    voice = run_ffmpeg("-i", example_voice(), "-t", 1.6, tmp_path / "voice.wav")
    request = ask(gap_clip, voice, tmp_path / "out.mp4", settings=settings)
    engine.scenes.clear()
    result = run(pipeline, request)
    source, written = frames_of(gap_clip), frames_of(request.output)
    assert result.num_frames == len(written) == 40
    assert result.num_frames == round(Fraction(result.duration).limit_denominator(1000) * 25)
    assert all(same(source[t], written[t]) for t in range(GAP.start, GAP.stop))
    first, second = engine.scenes
    assert (first.first_output, second.first_output) == (0, GAP.stop)
    assert first.size == (240, 240)
    changed = 0
    for scene, frames in ((first, slice(0, GAP.start)), (second, slice(GAP.stop, 40))):
        changed += count_changed(scene, masks_of(scene, settings), source[frames], written[frames])
    assert changed >= 28
    check_record(request, result)


def check_record(request: Request, result: Result) -> None:
    """See that the result says with what it was made and what may be done with it."""
    assert result.models == ("Wav2Lip GAN",)
    assert any("no commercial use" in note for note in result.notes)
    record = json.loads(json.dumps(make_record(request, result, preset=None), allow_nan=False))
    assert record["settings"]["engine_settings"].items() >= dict(request.settings).items()
    assert record["settings"]["engine_settings"].items() >= {"batch": 8}.items()


def test_a_photo_speaks_and_a_job_can_be_cancelled(
    pipeline: LipSyncPipeline, residence: Residence, short_voice: Path, tmp_path: Path
) -> None:
    """A cancelled one leaves no file, no part in use and no turn taken."""
    request = ask(example_photo(), short_voice, tmp_path / "out.mp4")
    for stop_at in (1, 10):
        job = pipeline.sync(request)
        generating = (progress for progress in job if progress.stage == "generate")
        for _ in range(stop_at):
            progress = next(generating)
        assert progress.done == stop_at
        assert [part.users for part in residence.parts()] == [1]
        job.close()
        assert list(tmp_path.iterdir()) == []
        assert [part.users for part in residence.parts()] == [0]
        assert not residence.turn.locked()
    seen = list(pipeline.sync(request))
    assert_sensible(seen)
    written = frames_of(request.output)
    assert len(written) == 30
    luma = [frame.y.astype(int) for frame in written]
    moves = [np.abs(after - before).max() for before, after in pairwise(luma)]
    assert max(moves) > 10
    assert set(residence.loads.values()) == {1}


def test_a_wish_that_cannot_be_met_is_in_the_notes(
    face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    path = write_wav2lip(tmp_path / "models" / "wav2lip")
    path.write_bytes(make_onnx(fold_norms(load_generator(path)), torch.float32, {}))
    values = {"precision": "fp16"}
    request = ask(
        *(face_clip, short_voice, tmp_path / "out.mp4"), end=0.2, fit="cut", settings=values
    )
    with closing(residence_of(tmp_path / "models")) as residence:
        notes = run(LipSyncPipeline(residence=residence), request).notes
    assert notes[0] == "onnxruntime computes in fp32 on the processor; fp16 was asked for."


def test_the_command_line_takes_an_engine_by_its_name(
    residence: Residence,
    face_clip: Path,
    short_voice: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LIPSYNC_MODELS", str(residence.store.own_folder))
    monkeypatch.setenv("LIPSYNC_DEVICE", "cpu")
    line = ["sync", str(face_clip), str(short_voice), "-o", str(tmp_path / "out.mp4")]
    wishes = ["--set", "checkpoint=wav2lip-gan", "--set", "preprocessing=compat", "--fit", "hold"]
    assert main([*line, "--engine", "wav2lip", *wishes, "--json", "--no-score"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["settings"]["preset"]) == (30, None)
    assert report["settings"]["engine_settings"].items() >= {"pad_bottom": 10}.items()
    assert main([*line, "--engine", "wav2lop"]) == 2
    assert "no engine called 'wav2lop'; choose one of: draft" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*line, "--engine", "wav2lip", "--preset", "wav2lip"])


def test_models_that_are_not_here_are_named(
    residence: Residence, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = ask(face_clip, short_voice, tmp_path / "out.mp4", settings={})
    with closing(LipSyncPipeline(residence=residence)) as pipeline:
        sentence = refuse(pipeline, request)
    assert "models pull wav2lip`, or put wav2lip.pth into " in sentence


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/clips are not here")
@pytest.mark.parametrize("settings", [GAN, COMPAT], ids=["smooth", "compat"])
def test_a_real_clip(
    pipeline: LipSyncPipeline, engine: SeenEngine, tmp_path: Path, settings: dict[str, Any]
) -> None:
    clip = CLIPS / "vr_3.mp4"
    engine.scenes.clear()
    request = ask(clip, example_voice(), tmp_path / "out.mp4", part=(0.4, 1.2), settings=settings)
    result = run(pipeline, request)
    (scene,) = engine.scenes
    numbers = range(scene.first_output, scene.first_output + result.num_frames)
    source, written = frames_of(clip, numbers), frames_of(request.output)
    assert len(written) == round(1.2 * result.fps)
    masks = masks_of(scene, settings)
    assert count_changed(scene, masks, source, written) == len(written)
