"""LatentSync whole, with small networks: seams, seeds, turns, stopping, and what it costs."""

from __future__ import annotations

import dataclasses
import shutil
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from engine_scenes import faces_of, generate, make_scene, part_of, quick, start
from standin_models import change_codec, make_standins, residence_of
from watched_networks import before_each, lent, unet_calls

from lipsync.engines.latentsync.engine import LatentSyncEngine
from lipsync.engines.latentsync.windows import plan_windows
from lipsync.errors import InputError
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.residence import Residence
from lipsync.types import Generated, Scene, Working
from lipsync.ui.words import words_in
from lipsync.weights import ModelStore

RATE = 16_000


def make_sure(codec: dict[str, torch.Tensor]) -> None:
    """Let a face have one possible latent, as it nearly has with the published codec."""
    codec["quant_conv.weight"][4:] = 0
    codec["quant_conv.bias"][4:] = -30


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_standins(tmp_path_factory.mktemp("models"))
    change_codec(folder, make_sure)
    return folder


@pytest.fixture(scope="module")
def residence(models: Path) -> Iterator[Residence]:
    with closing(residence_of(models)) as made:
        yield made


@pytest.fixture(scope="module")
def engine(residence: Residence) -> LatentSyncEngine:
    return LatentSyncEngine(residence)


@pytest.fixture(scope="module")
def long_scene(engine: LatentSyncEngine) -> Scene:
    """64 frames of a face that drifts and nods, and of a voice."""
    return make_scene(engine, read_audio(example_voice(), RATE), 64)


@pytest.fixture(scope="module")
def scene(long_scene: Scene) -> Scene:
    return part_of(long_scene, 0, 20)


def seam_strength(faces: np.ndarray, overlap: int) -> float:
    """Return how much the picture changes at windows' borders, as a multiple of elsewhere.

    A border is where a window's first frame stands and where it stands alone for the first time.
    """
    changes = np.abs(np.diff(faces.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    starts = [place.start for place in plan_windows(len(faces), overlap)][1:]
    borders = sorted({frame for one in starts for frame in (one, one + overlap)})
    shared = {frame for one in starts for frame in range(one, one + overlap)}
    inside = [frame for frame in range(1, len(faces)) if frame not in {*borders, *shared}]
    usual = np.median([changes[frame - 1] for frame in inside])
    return float(np.mean([changes[frame - 1] for frame in borders]) / usual)


def test_where_windows_meet_nothing_shows(engine: LatentSyncEngine, long_scene: Scene) -> None:
    """And it would, if neighbours shared no frames."""
    strengths = {}
    for overlap in (0, 4):
        settings = quick(engine, overlap=overlap)
        strengths[overlap] = seam_strength(faces_of(engine, long_scene, settings), overlap)
    assert strengths[4] <= 1.2 < 2.0 < strengths[0], strengths


def test_a_cancelled_job_changes_nothing_for_the_next(
    engine: LatentSyncEngine, scene: Scene
) -> None:
    settings = quick(engine, steps=2, guidance=1.0)
    first = faces_of(engine, scene, settings, seed=5)
    for stop_at in (1, 5, 6, 8):
        job = start(engine, scene, settings, seed=5)
        for _ in range(stop_at):
            next(job)
        job.close()
    assert np.array_equal(faces_of(engine, scene, settings, seed=5), first)
    assert not np.array_equal(faces_of(engine, scene, settings, seed=6), first)


def test_jobs_side_by_side_make_what_they_make_alone(
    engine: LatentSyncEngine, long_scene: Scene
) -> None:
    jobs = [
        (part_of(long_scene, 0, 20), quick(engine, steps=2, cache_interval=2), 1),
        (part_of(long_scene, 30, 48), quick(engine, steps=2, guidance=1.0, scheduler="dpm++"), 2),
    ]
    alone = [faces_of(engine, *job) for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as threads:
        beside = list(threads.map(lambda job: faces_of(engine, *job), jobs))
    for one, other in zip(alone, beside, strict=True):
        assert np.array_equal(one, other)


def test_a_frame_s_latents_do_not_depend_on_the_part_rendered(
    tmp_path: Path, long_scene: Scene
) -> None:
    """Even with a codec that has many for each face: which one is taken, the frame decides."""
    models = make_standins(tmp_path / "models")
    with closing(Residence(ModelStore(tmp_path, models), device="cpu")) as residence:
        engine = LatentSyncEngine(residence)
        settings = quick(engine, steps=1, guidance=1.0)
        known: dict[str, list[torch.Tensor]] = {}
        for name, (begin, stop) in {"whole": (0, 28), "part": (10, 26), "other": (0, 16)}.items():
            shown = part_of(long_scene, begin, stop)
            if name == "other":  # the same faces, at another place of the result
                shown = dataclasses.replace(shown, first_output=40)
            with unet_calls(residence) as calls:
                generate(engine, shown, settings)
            known[name] = [call[0, 4:] for call in calls]  # mask and latents of both pictures
            starts = [call[0, :4] for call in calls]
            # all frames start from the same noise
            assert all(torch.equal(one, starts[0][:, :1].expand_as(one)) for one in starts)
    first, second = known["whole"]  # frames 0 to 15, then 12 to 27
    (part,) = known["part"]  # frames 10 to 25
    torch.testing.assert_close(part[:, :6], first[:, 10:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(part[:, 2:], second[:, :14], atol=1e-4, rtol=1e-4)
    # frames that two windows share are not encoded twice
    assert torch.equal(first[:, 12:], second[:, :4])
    assert not torch.allclose(known["other"][0], first, atol=0.01)


def test_between_two_rests_is_one_piece_of_work(
    engine: LatentSyncEngine, residence: Residence, scene: Scene
) -> None:
    """A step or a few pictures, in a turn, so that other jobs and a wish to stop come through."""
    runs = {"unet": 0, "codec": 0}
    pictures: list[int] = []

    def count_step(_: torch.Tensor) -> None:
        assert residence.turn.locked()
        runs["unet"] += 1

    def count_pictures(given: torch.Tensor) -> None:
        assert residence.turn.locked()
        runs["codec"] += 1
        pictures.append(len(given))

    settings = quick(engine, steps=3)
    rests: list[float] = []
    with lent(residence) as networks, ExitStack() as hooks:
        codec = cast(Any, networks.vae)
        hooks.enter_context(before_each([networks.unet], count_step))
        hooks.enter_context(before_each([codec.encoder, codec.decoder], count_pictures))
        made = 0
        before = dict(runs)
        for step in start(engine, scene, settings):
            assert not residence.turn.locked()
            assert runs["unet"] - before["unet"] <= 1
            assert runs["codec"] - before["codec"] <= 2  # a face, and the same with a part erased
            assert (runs["unet"] > before["unet"]) + (runs["codec"] > before["codec"]) == 1
            if runs["unet"] > before["unet"]:
                assert isinstance(step, Working)
            before = dict(runs)
            if isinstance(step, Generated):
                made += len(step.faces)
                rests.append(0.0)
                continue
            assert 0.0 <= step.frames <= len(scene.rows) - made
            rests.append(step.frames)
    assert runs["unet"] == 2 * 3  # two windows
    assert max(pictures) <= 4
    assert made == len(scene.rows)
    # within a window the work that is told grows step by step, and stays short of what it gives
    steps = [frames for frames in rests if frames > 0]
    assert steps == pytest.approx([12 * k / 4 for k in (1, 2, 3)] + [8 * k / 4 for k in (1, 2, 3)])


@pytest.mark.parametrize("stop_at", [1, 4, 5, 6, 8])
def test_closing_stops_at_once_and_gives_the_parts_back(
    engine: LatentSyncEngine, residence: Residence, scene: Scene, stop_at: int
) -> None:
    job = start(engine, scene, quick(engine, steps=3))
    with unet_calls(residence) as calls:
        for _ in range(stop_at):
            step = next(job)
        done = len(calls)
        assert [part.users for part in residence.parts() if "UNet" in part.name] == [2]
        job.close()
        assert [part.users for part in residence.parts() if "UNet" in part.name] == [1]
        assert next(job, None) is None
        assert len(calls) == done
        assert isinstance(step, Working | Generated)
    assert all(part.users == 0 for part in residence.parts())
    assert not residence.turn.locked()


def test_after_a_cancelled_job_all_memory_can_be_freed(models: Path, scene: Scene) -> None:
    residence = residence_of(models)
    engine = LatentSyncEngine(residence)
    with lent(residence) as networks:
        ghosts = weakref.ref(networks.unet), weakref.ref(networks.vae)
    job = start(engine, scene, quick(engine))
    for _ in range(7):
        next(job)
    assert residence.release() == 0
    job.close()
    del networks, job
    assert residence.release() == 2
    assert [ghost() for ghost in ghosts] == [None, None]


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({"guidance": 1.0}, [1, 1]),
        ({"guidance": 1.1}, [2, 2]),
        ({"low_memory": True}, [1] * 4),
    ],
    ids=str,
)
def test_how_many_pictures_are_computed_at_once(
    engine: LatentSyncEngine,
    residence: Residence,
    scene: Scene,
    changes: dict[str, Any],
    batches: list[int],
) -> None:
    with unet_calls(residence) as calls:
        generate(engine, part_of(scene, 0, 2), quick(engine, steps=2, **changes))
    assert [len(call) for call in calls] == batches
    assert {call.shape[1:] for call in calls} == {(13, 16, 8, 8)}


def test_short_of_memory_the_picture_is_the_same(
    engine: LatentSyncEngine, residence: Residence, scene: Scene
) -> None:
    pictures: list[int] = []
    with lent(residence) as networks:
        codec = cast(Any, networks.vae)
        shown = part_of(scene, 0, 6)
        whole = faces_of(engine, shown, quick(engine, steps=2))
        with before_each([codec.encoder, codec.decoder], lambda given: pictures.append(len(given))):
            apart = faces_of(engine, shown, quick(engine, steps=2, low_memory=True))
    assert set(pictures) == {1}
    assert np.abs(whole.astype(int) - apart).max() <= 1


def test_the_published_windows(
    engine: LatentSyncEngine, residence: Residence, long_scene: Scene
) -> None:
    """16, 16 and 8 frames, none of them shared, whatever is said of sharing."""
    shown = part_of(long_scene, 0, 40)
    settings = quick(engine, windows="compat", steps=1, overlap=8)
    with unet_calls(residence) as calls:
        made = faces_of(engine, shown, settings)
    assert [call.shape[2] for call in calls] == [16, 16, 8]
    assert len(made) == 40
    # what comes before a window, it does not see, but its draws come after
    assert np.array_equal(made[:16], faces_of(engine, part_of(shown, 0, 16), settings))


@pytest.mark.parametrize("resolution", [64, 128])
def test_faces_are_as_large_as_asked(
    engine: LatentSyncEngine, residence: Residence, scene: Scene, resolution: int
) -> None:
    """Crops of another size are brought to it."""
    settings = quick(engine, resolution=resolution, steps=1)
    with unet_calls(residence) as calls:
        made = faces_of(engine, part_of(scene, 0, 3), settings)
    assert made.shape == (3, resolution, resolution, 3)
    assert calls[0].shape == (2, 13, 16, resolution // 8, resolution // 8)


def test_numbers_that_overflow_are_told(tmp_path: Path, models: Path, scene: Scene) -> None:
    spoilt = Path(shutil.copytree(models, tmp_path / "models"))

    def spoil(codec: dict[str, torch.Tensor]) -> None:
        codec["decoder.conv_out.bias"][0] = torch.inf

    change_codec(spoilt, spoil)
    with closing(Residence(ModelStore(tmp_path, spoilt), device="cpu")) as residence:
        engine = LatentSyncEngine(residence)
        with pytest.raises(InputError) as refused:
            generate(engine, part_of(scene, 0, 2), quick(engine, steps=1))
        assert all(part.users == 0 for part in residence.parts())
        assert not residence.turn.locked()
    told = str(refused.value)
    assert told.startswith("The networks came to numbers that float32 cannot hold, so there is no")
    assert told.endswith("start again.")
    assert "float32" in words_in("zh-CN").sentence(told)
    assert words_in("zh-CN").sentence(told).startswith("网络")


def test_a_full_card_is_one_sentence(
    engine: LatentSyncEngine, residence: Residence, scene: Scene
) -> None:
    def refuse(_: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with (
        lent(residence) as networks,
        before_each([networks.unet], refuse),
        pytest.raises(InputError) as refused,
    ):
        generate(engine, part_of(scene, 0, 2), quick(engine, steps=1))
    assert str(refused.value).startswith("The graphics card's memory has run out; ")
    assert words_in("zh-CN").sentence(str(refused.value)).startswith("显存")
    assert not residence.turn.locked()


def test_a_second_job_loads_nothing(
    engine: LatentSyncEngine, residence: Residence, scene: Scene
) -> None:
    shown, settings = part_of(scene, 0, 2), quick(engine, steps=1)
    first = faces_of(engine, shown, settings)
    before = dict(residence.loads)
    assert before
    assert np.array_equal(faces_of(LatentSyncEngine(residence), shown, settings), first)
    assert dict(residence.loads) == before


@pytest.mark.slow
def test_a_compiled_network_paints_the_same(
    engine: LatentSyncEngine, residence: Residence, scene: Scene
) -> None:
    """Beside the one that is not."""
    plain = faces_of(engine, scene, quick(engine))
    compiled = faces_of(engine, scene, quick(engine, compile=True))
    assert np.abs(plain.astype(int) - compiled).max() <= 2
    names = {part.name for part in residence.parts()}
    assert {"UNet latentsync-1.5", "UNet latentsync-1.5 compiled"} <= names
