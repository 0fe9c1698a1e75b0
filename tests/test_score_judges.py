"""The judges: who is asked, what they refuse, and what the ones with networks look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import run_ffmpeg
from golden_recipe import fill_weights
from standin_models import write_syncnet

from lipsync import LipSyncPipeline, Request
from lipsync.errors import InputError
from lipsync.example import example_voice
from lipsync.face.detect import Detector
from lipsync.face.detectors import open_detector
from lipsync.media.probe import probe_clip
from lipsync.media.sound import read_audio
from lipsync.residence import Residence
from lipsync.score.judges import JUDGES, choose_judge, judge_weights, open_judge
from lipsync.score.stable_judge import StableSyncNetJudge, weigh_cosines
from lipsync.score.stable_syncnet import VARIANTS, EncoderParams, StableSyncNet
from lipsync.score.syncnet import StripSyncNet, SyncNet, SyncNetParams
from lipsync.score.syncnet_judge import SyncNetJudge
from lipsync.score.verdict import Limits, find_verdict
from lipsync.score.watch import samples_of, watch_face
from lipsync.steps import exhaust
from lipsync.types import Audio, FaceChoice
from lipsync.weights import ModelStore

TINY = SyncNetParams((2, 2, 2, 2, 2, 4), (2, 2, 2, 2, 2, 4), embedding=8)
FILES = {"syncnet-v2": "syncnet_v2.model", "stable-syncnet": "stable_syncnet.pt"}


class Counting(StripSyncNet):
    """A network that writes down how many windows it was shown at once."""

    def __init__(self, network: SyncNet) -> None:
        super().__init__(network)
        self.shown: list[int] = []

    def embed_strip(self, frames: torch.Tensor) -> torch.Tensor:
        self.shown.append(len(frames) - 4)
        return super().embed_strip(frames)


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    with closing(open_detector("mediapipe")) as opened:
        yield opened


@pytest.fixture(scope="module")
def voice() -> Audio:
    return read_audio(example_voice(), 16_000)


@pytest.fixture
def residence(tmp_path: Path) -> Iterator[Residence]:
    """Small networks are resident under the names that the judges look for."""
    network = SyncNet(TINY).eval()
    fill_weights(network)
    with closing(Residence(ModelStore(tmp_path), device="cpu")) as made:
        with made.use("SyncNet v2", lambda: Counting(network)):
            pass
        with made.use("StableSyncNet", _small_stable):
            pass
        yield made


def _small_stable() -> StableSyncNet:
    params = VARIANTS["16_pixel"]

    def narrow(encoder: EncoderParams) -> EncoderParams:
        return dataclasses.replace(encoder, widths=(*(32,) * (len(encoder.widths) - 1), 64))

    network = StableSyncNet(
        dataclasses.replace(params, sound=narrow(params.sound), sight=narrow(params.sight))
    ).eval()
    fill_weights(network)
    return network


def _store(folder: Path, *keys: str) -> ModelStore:
    for key in keys:
        (folder / "own" / key).mkdir(parents=True)
        (folder / "own" / key / FILES[key]).write_bytes(b"weights")
    return ModelStore(folder / "cache", folder / "own")


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ((), "correlate"),
        (("stable-syncnet",), "stable_syncnet"),
        (("stable-syncnet", "syncnet-v2"), "syncnet"),
    ],
)
def test_the_most_trusted_judge_that_is_here(
    tmp_path: Path, keys: tuple[str, ...], chosen: str
) -> None:
    store = _store(tmp_path, *keys)
    assert choose_judge("auto", store) == chosen
    assert choose_judge(chosen, store) == chosen
    assert choose_judge("correlate", store) == "correlate"


def test_a_judge_that_is_not_here_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models pull stable-syncnet`, or ask the judge correlate"):
        choose_judge("stable_syncnet", _store(tmp_path, "syncnet-v2"))
    with pytest.raises(InputError, match="no judge called 'lse'; choose one of: auto, syncnet"):
        choose_judge("lse", ModelStore(tmp_path))
    for ask in (judge_weights, lambda name: open_judge(name, Residence(ModelStore(tmp_path)))):
        with pytest.raises(InputError, match="no judge called 'auto'"):
            ask("auto")


def test_judges_say_who_they_are_and_load_nothing_before_they_are_asked(tmp_path: Path) -> None:
    residence = Residence(ModelStore(tmp_path))
    opened = [open_judge(name, residence) for name in JUDGES]
    assert tuple(judge.name for judge in opened) == JUDGES
    assert [judge.weights for judge in opened] == [judge_weights(name) for name in JUDGES]
    assert len({judge.worth for judge in opened}) == len(JUDGES)
    assert all("only about 7 times in 10" in judge.worth for judge in opened)
    assert residence.parts() == ()


def test_each_judge_has_limits_of_its_own() -> None:
    limits = Limits(lowest=2.0, good=6.0)
    assert find_verdict(1.9, 0, limits).startswith("out of sync")
    assert find_verdict(2.0, 1, limits) == "roughly in sync"
    assert find_verdict(6.0, -1, limits) == "in sync"
    assert find_verdict(9.0, 2, limits) == "shifted: the sound comes 80 ms too early"
    assert find_verdict(9.0, -3, limits) == "shifted: the sound comes 120 ms too late"
    assert find_verdict(9.0, 4, Limits(2.0, 6.0, offset=5)) == "in sync"


@pytest.mark.parametrize("kind", [SyncNetJudge, StableSyncNetJudge])
def test_what_cannot_be_judged_is_said(
    kind: type[SyncNetJudge] | type[StableSyncNetJudge],
    residence: Residence,
    detector: Detector,
    voice: Audio,
    face_clip: Path,
    tmp_path: Path,
) -> None:
    judge, clip, face = kind(residence), probe_clip(face_clip), FaceChoice()
    silent = Audio(np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(InputError, match="sound is silent"):  # before any frame is looked at
        next(judge.judge(clip, silent, face, detector))
    with pytest.raises(InputError, match=r"visible for only 0\.5 s"):
        exhaust(judge.judge(clip, voice, face, detector, range(12)))
    with pytest.raises(InputError, match=r"together for only 0\.\d+ s|Too little of the face"):
        exhaust(judge.judge(clip, Audio(voice.samples[16_000:18_000], 16_000), face, detector))
    grey = run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x64:r=25:d=1.2", tmp_path / "grey.mp4")
    with pytest.raises(InputError, match="No face was found"):
        exhaust(judge.judge(probe_clip(grey), voice, face, detector))
    assert all(part.users == 0 for part in residence.parts())


def test_no_window_crosses_a_gap(
    residence: Residence, detector: Detector, voice: Audio, gap_clip: Path
) -> None:
    """Two stretches, each too short for a score, make one together."""
    clip = probe_clip(gap_clip)
    watched = exhaust(watch_face(clip, FaceChoice(), detector))
    stretches = [s.stop - s.start for s in watched.track.segments()]
    assert len(stretches) == 2
    steps = SyncNetJudge(residence).judge(clip, voice, FaceChoice(), detector)
    seen = []
    try:
        while True:
            seen.append(next(steps))
    except StopIteration as end:
        score = end.value
    assert seen == sorted(seen)
    assert seen[-1] <= clip.num_frames
    with residence.use("SyncNet v2", SyncNet) as network:
        assert sum(network.shown) == sum(length - 4 for length in stretches)
    assert score.judge == "syncnet"
    assert len(score.curve) == len(score.curve_offsets)
    assert 0 in score.curve_offsets
    assert len(score.per_second) == 2


def test_closing_a_judge_lets_go_of_everything(
    residence: Residence, detector: Detector, voice: Audio, face_clip: Path
) -> None:
    for name in ("syncnet", "stable_syncnet"):
        steps = open_judge(name, residence).judge(
            probe_clip(face_clip), voice, FaceChoice(), detector
        )
        while next(steps) <= 9:  # of 25; a third is to follow the face
            pass
        assert any(part.users for part in residence.parts())
        steps.close()
        assert not any(part.users for part in residence.parts())
        assert not residence.turn.locked()


def test_other_rates_are_seen_at_the_nearest_moment(
    detector: Detector, voice: Audio, face_clip: Path, tmp_path: Path
) -> None:
    fast = run_ffmpeg(
        *("-stream_loop", 1, "-i", face_clip, "-r", 30, "-c:v", "libx264", "-an"),
        tmp_path / "30.mp4",
    )
    clip = probe_clip(fast)
    watched = exhaust(watch_face(clip, FaceChoice(), detector))
    assert len(watched.numbers) == round(clip.num_frames / 30 * 25)
    moments = np.arange(len(watched.numbers)) * 1.2
    assert np.abs(watched.numbers[:-1] - moments[:-1]).max() <= 0.5
    assert len(samples_of(clip, None, voice)) == len(voice.samples)
    # a part begins at 7/30 s; the first of 25 pictures a second after that is shown at 6/25 s
    part = exhaust(watch_face(clip, FaceChoice(), detector, range(7, 43)))
    assert part.numbers[:3].tolist() == [7, 8, 10]
    assert len(samples_of(clip, range(7, 43), voice)) == len(voice.samples) - round(
        (6 / 25 - 7 / 30) * 16_000
    )


def test_stable_syncnet_sees_every_eighth_window(
    residence: Residence, detector: Detector, voice: Audio, face_clip: Path, tmp_path: Path
) -> None:
    long = run_ffmpeg("-stream_loop", 1, "-i", face_clip, "-c", "copy", tmp_path / "long.mp4")
    clip = probe_clip(long)
    score = exhaust(StableSyncNetJudge(residence).judge(clip, voice, FaceChoice(), detector))
    assert score.judge == "stable_syncnet"
    assert 0 <= score.confidence <= 1
    assert score.confidence == pytest.approx(max(score.curve), abs=1e-4)
    assert score.curve[score.curve_offsets.index(score.offset_frames)] == max(score.curve)
    # windows begin at frames 0, 8, 16, 24 and 32; a sound 15 frames earlier is there for three
    assert score.curve_offsets == tuple(range(-15, 16))
    assert len(score.per_second) == -(-clip.num_frames // 25)
    assert score.distance is None


def test_the_highest_cosine_is_the_offset() -> None:
    cosines = np.full((50, 31), np.nan, np.float32)
    cosines[8::8] = 0.25
    cosines[8::8, 15 - 3] = (0.5, 0.75, 1.0, 0.5, 0.75, 1.0)  # a sound three frames earlier
    cosines[8:, 0] = np.nan
    cosines[8, 0] = 1.0  # on one window only
    score = weigh_cosines(cosines)
    assert score.offset_frames == 3
    assert score.confidence == pytest.approx(0.75)
    assert score.verdict == "shifted: the sound comes 120 ms too early"
    assert score.curve_offsets == tuple(range(-15, 15))
    assert score.curve[score.curve_offsets.index(3)] == pytest.approx(0.75)
    assert score.per_second == (pytest.approx(0.75), pytest.approx(0.75))
    with pytest.raises(InputError, match="Too little of the face"):
        weigh_cosines(np.full((50, 31), np.nan, np.float32))


def test_a_job_is_scored_by_a_syncnet_of_its_own_folder(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    """The published size and container, numbers drawn by name; "auto" takes it."""
    write_syncnet(tmp_path / "own" / "syncnet-v2")
    residence = Residence(ModelStore(tmp_path / "cache", tmp_path / "own"), device="cpu")
    with closing(LipSyncPipeline(residence=residence)) as pipeline:
        request = Request(face_clip, short_voice, tmp_path / "out.mp4")
        result = list(pipeline.sync(request))[-1].result
        assert result is not None
        score = result.score
        assert score is not None, result.score_reason
        assert score.judge == "syncnet"
        assert score.fps == Fraction(25)
        assert score.distance == pytest.approx(min(score.curve), abs=1e-3)
        median = float(np.median(score.curve))
        assert score.confidence == pytest.approx(median - score.distance, abs=1e-3)
        assert score.offset_frames in score.curve_offsets
        assert list(score.curve_offsets) == sorted(score.curve_offsets)
        assert len(score.per_second) == 2
        said = "Scored by SyncNet v2 under MIT for the code, nothing stated for the weights: Free"
        assert any(note.startswith(said) for note in result.notes)
        assert "SyncNet v2" not in result.models
        assert [part.name for part in pipeline.parts()] == ["SyncNet v2"]
        with pytest.raises(InputError, match="models pull stable-syncnet"):
            pipeline.score(result.output, judge="stable_syncnet")
