"""Wav2Lip as an engine: what its network is shown, how it works with others, the published way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_scenes import cut_windows, faces_of, generate, hear, make_scene, part_of, quick, start
from made_faces import FPS, SIZE, frame_of, picture
from standin_models import residence_of, write_wav2lip

from lipsync.engines.wav2lip.chunks import chunk_starts, hear_voice, published_starts, take_chunks
from lipsync.engines.wav2lip.convert import load_generator
from lipsync.engines.wav2lip.engine import Wav2LipEngine
from lipsync.engines.wav2lip.folding import fold_norms
from lipsync.engines.wav2lip.inference import LipGenerator
from lipsync.engines.wav2lip.onnx_file import make_onnx
from lipsync.engines.wav2lip.painter import paint_scene, published_boxes, use_generator
from lipsync.engines.wav2lip.published import (
    Pads,
    crop_face,
    pad_boxes,
    paste_face,
    smooth_boxes,
    stack_faces,
)
from lipsync.engines.wav2lip.settings import MAX_PAD, WINDOW, Wav2LipSettings
from lipsync.errors import InputError
from lipsync.face.align import BOX_MARGIN, even_offset
from lipsync.media.colour import rgb_image
from lipsync.media.sound import read_audio
from lipsync.residence import Residence
from lipsync.types import Audio, Generated, Scene, Size
from lipsync.ui.words import words_in

COUNT = WINDOW + 5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for key in ("wav2lip", "wav2lip-gan"):
        write_wav2lip(folder / key)
    return folder


@pytest.fixture
def residence(models: Path) -> Iterator[Residence]:
    with closing(residence_of(models)) as made:
        yield made


@pytest.fixture
def engine(residence: Residence) -> Wav2LipEngine:
    return Wav2LipEngine(residence)


@pytest.fixture(scope="module")
def voice(short_voice: Path) -> Audio:
    return read_audio(short_voice, 16_000)


@pytest.fixture(scope="module")
def scene(models: Path, voice: Audio) -> Scene:
    return make_scene(Wav2LipEngine(residence_of(models)), voice, COUNT)


@pytest.fixture(scope="module")
def boxed(models: Path, voice: Audio) -> Scene:
    """The same face in the native crops of the published way."""
    engine = Wav2LipEngine(residence_of(models))
    return make_scene(engine, voice, COUNT, quick(engine, preprocessing="compat"))


def paint(residence: Residence, crops: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """Return what the network answers to (n, 96, 96, 3) faces: (n, 3, 96, 96) float32, BGR."""
    with use_generator(residence, Wav2LipSettings()) as generator:
        painted: np.ndarray = generator(chunks, stack_faces(crops))
    return painted


def window_crops(engine: Wav2LipEngine, scene: Scene) -> np.ndarray:
    """Return the crops (T, S, S, 3) of a scene."""
    return np.concatenate([window.faces for window in cut_windows(engine, scene)])


def test_each_frame_hears_its_own_window(engine: Wav2LipEngine, voice: Audio) -> None:
    for fps in (Fraction(25), Fraction(24000, 1001)):
        rows: Any = hear(engine, voice, 70, fps)
        assert np.array_equal(
            rows.stack().numpy(), take_chunks(hear_voice(voice), chunk_starts(70, fps))
        )
        assert torch.equal(rows[20:40][5:7].stack(), rows.stack()[25:27])


def test_compat_hears_the_published_windows(engine: Wav2LipEngine, voice: Audio) -> None:
    """Where the clip has more frames than they are, the last one is held."""
    settings = quick(engine, preprocessing="compat")
    mel = hear_voice(voice)
    wanted = take_chunks(mel, published_starts(mel.shape[1], 25.0))[:, 0]
    heard: Any = engine.encode_audio(voice, 60, FPS, settings, lambda: None)
    rows = heard.stack().numpy()[:, 0]
    assert len(wanted) < 60
    assert np.array_equal(rows[: len(wanted)], wanted)
    assert (rows[len(wanted) :] == wanted[-1]).all()
    ours = take_chunks(hear_voice(voice), chunk_starts(20, FPS))
    assert not np.array_equal(rows[:20], ours[:, 0])
    with pytest.raises(InputError, match=r"less than 0\.19 s"):
        engine.encode_audio(Audio(voice.samples[:2000], 16_000), 5, FPS, settings, lambda: None)


def test_a_face_is_what_the_network_says_to_its_crop(
    engine: Wav2LipEngine, residence: Residence, scene: Scene
) -> None:
    """Rounded, in RGB, each crop with its own sound; the mask is left to the template."""
    made = generate(engine, scene)
    assert all(one.masks is None for one in made)
    chunks: Any = scene.features
    painted = paint(residence, window_crops(engine, scene), chunks.stack().numpy())
    wanted = np.rint(255.0 * painted[:, ::-1].transpose(0, 2, 3, 1))
    faces = np.concatenate([one.faces for one in made])
    # a batch of another size adds in another order
    assert np.abs(faces.astype(int) - wanted).max() <= 1
    assert (faces == wanted).mean() > 0.99
    assert np.abs(np.diff(faces.astype(int), axis=0)).max() > 10


@pytest.mark.parametrize("batch", [1, 5, 8, WINDOW])
def test_frames_come_in_batches_and_in_order(
    engine: Wav2LipEngine, scene: Scene, batch: int
) -> None:
    made = generate(engine, scene, quick(engine, batch=batch))
    assert max(len(one.faces) for one in made) == batch
    faces = np.concatenate([one.faces for one in made])
    whole = faces_of(engine, scene, quick(engine))
    assert np.abs(faces.astype(int) - whole).max() <= 1
    part = faces_of(engine, part_of(scene, 3, 10), quick(engine, batch=batch))
    assert np.abs(part.astype(int) - whole[3:10]).max() <= 1


def test_a_batch_waits_for_its_turn(
    engine: Wav2LipEngine, residence: Residence, scene: Scene
) -> None:
    job = start(engine, scene, quick(engine))
    with ThreadPoolExecutor(1) as pool:
        with residence.turn:
            first = pool.submit(next, job)
            with pytest.raises(FutureTimeout):
                first.result(0.3)
        assert len(first.result(30).faces) == 8
    assert not residence.turn.locked()
    job.close()


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_closing_gives_everything_back(
    engine: Wav2LipEngine, residence: Residence, scene: Scene, stop_at: int
) -> None:
    job = start(engine, scene, quick(engine))
    for _ in range(stop_at):
        next(job)
    assert [part.users for part in residence.parts()] == [1]
    job.close()
    assert [part.users for part in residence.parts()] == [0]
    assert not residence.turn.locked()
    assert residence.release() == 1


def test_jobs_share_one_network(engine: Wav2LipEngine, residence: Residence, scene: Scene) -> None:
    """Side by side and one after the other they make what they make alone."""
    first = faces_of(engine, scene, quick(engine))
    with ThreadPoolExecutor(2) as threads:
        others = list(threads.map(lambda _: faces_of(engine, scene, quick(engine)), range(2)))
    again = faces_of(Wav2LipEngine(residence), scene, quick(engine))
    assert all(np.array_equal(first, other) for other in (*others, again))
    assert dict(residence.loads) == {"Wav2Lip wav2lip fp32": 1}
    faces_of(engine, scene, quick(engine, checkpoint="wav2lip-gan"))
    assert set(residence.loads) == {"Wav2Lip wav2lip fp32", "Wav2Lip wav2lip-gan fp32"}


def test_what_cannot_be_met_is_told(tmp_path: Path, models: Path) -> None:
    """An ONNX file of the user's own, told by its content, runs in fp32 on a processor."""
    path = tmp_path / "models" / "wav2lip" / "wav2lip.pth"
    path.parent.mkdir(parents=True)
    network = fold_norms(load_generator(models / "wav2lip" / "wav2lip.pth"))
    path.write_bytes(make_onnx(network, torch.float32, {}))
    with closing(residence_of(tmp_path / "models")) as residence:
        engine = Wav2LipEngine(residence)
        assert engine.load(quick(engine)) == ()
        (note,) = engine.load(quick(engine, precision="bf16"))
    assert note == "onnxruntime computes in fp32 on the processor; bf16 was asked for."


def test_numbers_that_overflow_are_told(tmp_path: Path, scene: Scene) -> None:
    path = write_wav2lip(tmp_path / "models" / "wav2lip")
    state = torch.load(path, weights_only=True)
    state["state_dict"]["module.output_block.1.bias"][0] = torch.nan
    torch.save(state, path)
    with closing(residence_of(tmp_path / "models")) as residence:
        engine = Wav2LipEngine(residence)
        with pytest.raises(InputError, match="numbers that fp32 cannot hold") as refused:
            generate(engine, scene)
        assert not residence.turn.locked()
    assert words_in("zh-CN").sentence(str(refused.value)).startswith("网络")


class FullCard:
    """What runs a network where there is no memory left."""

    def paint(self, mels: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def parameters(self) -> Iterator[torch.Tensor]:
        yield from ()

    buffers = parameters


def test_a_full_card_is_one_sentence(
    engine: Wav2LipEngine, residence: Residence, scene: Scene
) -> None:
    full = LipGenerator(FullCard(), "eager", "fp16", ())
    windows = cut_windows(engine, scene)
    with pytest.raises(InputError, match="graphics card's memory has run out") as refused:
        list(paint_scene(full, residence, scene, windows, Wav2LipSettings()))
    assert words_in("zh-CN").sentence(str(refused.value)).startswith("显存")
    assert not residence.turn.locked()


def published(
    residence: Residence, scene: Scene, pads: Pads, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the published program's whole frames (T, H, W, 3), and their boxes, of made faces."""
    frame = rgb_image(frame_of(picture()))
    size = Size(SIZE, SIZE)
    found = scene.track.boxes[rows.min() : rows.max() + 1]
    boxes = smooth_boxes(pad_boxes(np.maximum(found, 0), pads, size))[rows - rows.min()]
    chunks: Any = scene.features
    crops = np.stack([crop_face(frame, box) for box in boxes])
    painted = paint(residence, crops, chunks.stack().numpy())
    pasted = [paste_face(frame, *one) for one in zip(painted, boxes, strict=True)]
    return np.stack(pasted), boxes


@pytest.mark.parametrize("is_backwards", [False, True])
def test_compat_is_the_published_picture(
    engine: Wav2LipEngine, residence: Residence, boxed: Scene, is_backwards: bool
) -> None:
    """On whole frames, not on our crops, also where a clip runs backwards."""
    if is_backwards:
        boxed = dataclasses.replace(boxed, rows=boxed.rows[::-1])
    pads = Pads(3, 20, 5, 7)
    sides = {"pad_top": 3, "pad_bottom": 20, "pad_left": 5, "pad_right": 7}
    settings = quick(engine, preprocessing="compat", **sides)
    made = generate(engine, boxed, settings)
    wanted, boxes = published(residence, boxed, pads, boxed.rows)
    offset = even_offset(boxed.alignment.matrices[0])
    assert offset is not None
    (left, top), side = offset, boxed.alignment.size
    rows, columns = (np.clip(np.arange(side) + edge, 0, SIZE - 1) for edge in (top, left))
    seen = wanted[:, rows[:, None], columns]
    faces = np.concatenate([one.faces for one in made])
    masks = np.concatenate([np.asarray(one.masks) for one in made])
    for face, mask, frame, box in zip(faces, masks, seen, boxes, strict=True):
        x1, y1, x2, y2 = (box - [left, top, left, top]).tolist()
        hard = np.zeros((side, side), np.float32)
        hard[y1:y2, x1:x2] = 1.0
        assert np.array_equal(mask, hard)
        inside = np.s_[y1:y2, x1:x2]
        # a batch of another size adds in another order
        assert np.abs(face[inside].astype(int) - frame[inside]).max() <= 1
    assert len({tuple(box) for box in boxes.tolist()}) > 3


def test_pads_stay_within_the_crop(boxed: Scene) -> None:
    assert MAX_PAD < BOX_MARGIN
    sides = {f"pad_{side}": MAX_PAD for side in ("top", "bottom", "left", "right")}
    boxes = published_boxes(boxed, Wav2LipSettings(preprocessing="compat", **sides))
    assert boxes.min() >= 1
    assert boxes.max() < boxed.alignment.size
    # and within the frame, which ends before they do
    narrow = dataclasses.replace(boxed, size=Size(SIZE, 150))
    corner = even_offset(boxed.alignment.matrices[0])
    assert corner is not None
    assert published_boxes(narrow, Wav2LipSettings())[:, 2].max() == 150 - corner[0]


def test_a_face_beyond_the_edge_is_no_trouble(engine: Wav2LipEngine, boxed: Scene) -> None:
    away = boxed.track.boxes + np.float32([300, 0, 300, 0])
    track = dataclasses.replace(boxed.track, boxes=away)
    made = generate(
        engine, dataclasses.replace(boxed, track=track), quick(engine, preprocessing="compat")
    )
    assert sum(len(one.faces) for one in made) == COUNT


def test_settings_choose_how_faces_are_cut() -> None:
    smooth, compat = Wav2LipSettings(), Wav2LipSettings(preprocessing="compat")
    assert (Wav2LipEngine.template(smooth), Wav2LipEngine.crop_size(smooth)) == ("wav2lip", 96)
    assert (Wav2LipEngine.template(compat), Wav2LipEngine.crop_size(compat)) == ("box", None)
    assert Wav2LipEngine.needed_weights(Wav2LipSettings("wav2lip-gan")) == ("wav2lip-gan",)
    assert Wav2LipEngine.pace(smooth, True) < Wav2LipEngine.pace(smooth, False)


def test_only_finished_faces_are_yielded(engine: Wav2LipEngine, scene: Scene) -> None:
    """A batch takes less than a second, so there is no need to rest within one."""
    assert all(isinstance(step, Generated) for step in start(engine, scene, quick(engine)))
