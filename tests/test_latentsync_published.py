"""The published procedure: its counts, its order of random numbers, its passes, what it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance_pipeline import Draws
from golden_recipe import fill_weights, make_input
from made_faces import faces_with, placed, scene_of, speaking

from lipsync.audio.whisper import FrameFeatures, WhisperEncoder, hear_frames
from lipsync.engines.latentsync.networks import Networks
from lipsync.engines.latentsync.painter import paint_scene
from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.prepare import keep_mask, prepare_faces
from lipsync.engines.latentsync.published import (
    Chunk,
    PublishedProcedure,
    PublishedSettings,
    hear_published,
    show_there_and_back,
)
from lipsync.engines.latentsync.reference_crop import ReferenceTemplate, reference_weight
from lipsync.engines.latentsync.sampling import Sampling
from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import VAEParams, build_vae, encode_faces
from lipsync.face.anchors import ANCHORS
from lipsync.residence import Residence
from lipsync.types import Generated, Window

SIDE = 64
SETTINGS = PublishedSettings(SIDE, Sampling(steps=2), seed=5)
TINY = UNetParams(
    widths=(32, 32),
    layers=1,
    down_attention=(True, False),
    up_attention=(False, True),
    audio_width=16,
    down_motion=(False, True),
    up_motion=(True, False),
)


@pytest.fixture(scope="module")
def networks() -> Networks:
    made = Networks(UNet(TINY), build_vae(VAEParams(widths=(32, 32, 32, 32), layers=1)))
    for network in (made.unet, made.vae):
        fill_weights(network)
        network.eval()
    return made


def voice(num_frames: int) -> FrameFeatures:
    return hear_frames(make_input("voice", (2 * num_frames, 1, 16)), num_frames, 25)


def faces(count: int) -> np.ndarray:
    drawn = make_input("faces", (count, SIDE, SIDE, 3), span=(0, 256))
    return drawn.byte().numpy()


def repaint(
    networks: Networks, count: int, sampling: Sampling = SETTINGS.sampling, seed: int = 5
) -> list[Chunk]:
    procedure = PublishedProcedure(
        networks.unet, networks.vae, PublishedSettings(SIDE, sampling, seed)
    )
    return list(procedure.repaint_faces(faces(count), voice(count)))


def shapes_seen(networks: Networks, count: int, sampling: Sampling) -> list[tuple[int, int]]:
    """Return batch and frames of every call of the UNet."""
    seen: list[tuple[int, int]] = []
    hook = networks.unet.register_forward_pre_hook(
        lambda _, given: seen.append((given[0].shape[0], given[0].shape[2]))
    )
    repaint(networks, count, sampling)
    hook.remove()
    return seen


def test_a_short_clip_is_shown_there_and_back_its_ends_twice() -> None:
    assert show_there_and_back(3, 11).tolist() == [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1]
    assert show_there_and_back(1, 3).tolist() == [0, 0, 0]
    assert show_there_and_back(5, 3).tolist() == [0, 1, 2]
    assert show_there_and_back(5, 5).tolist() == [0, 1, 2, 3, 4]


def test_a_second_of_voice_gives_two_frames_too_many() -> None:
    from whisper.model import AudioEncoder

    torch.manual_seed(0)
    encoder = WhisperEncoder(AudioEncoder(80, 1500, 8, 1, 1))
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    heard = hear_published(encoder, samples)
    assert heard.shape == (27, 20, 8)
    rows = heard.stack()
    assert not torch.equal(rows[22], rows[23])
    assert torch.equal(rows[25, -2:], rows[26, -2:])  # the voice is over


def test_the_last_chunk_is_shorter_and_never_filled_up(networks: Networks) -> None:
    guided, plain = Sampling(steps=1, guidance=1.5), Sampling(steps=1, guidance=1.0)
    assert shapes_seen(networks, 18, guided) == [(2, 16), (2, 2)]
    assert shapes_seen(networks, 18, plain) == [(1, 16), (1, 2)]
    chunks = repaint(networks, 18, plain)
    assert [(chunk.first, len(chunk.faces)) for chunk in chunks] == [(0, 16), (16, 2)]
    assert chunks[1].walk.shape == (1, 2, 4, 8, 8)


def test_reuse_begins_anew_with_every_chunk(networks: Networks) -> None:
    deep: list[int] = []
    hook = networks.unet.mid_block.register_forward_hook(
        lambda _, given, answer: deep.append(len(answer))
    )
    repaint(networks, 17, Sampling(steps=4, guidance=1.0, cache_interval=3))
    hook.remove()
    assert len(deep) == 4


def test_random_numbers_come_in_the_published_order(networks: Networks) -> None:
    seen: list[torch.Tensor] = []
    hook = networks.unet.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    with Draws() as draws:
        repaint(networks, 18, Sampling(steps=1))
    hook.remove()
    assert [tuple(drawn.squeeze().shape) for drawn in draws.drawn] == [
        (4, 8, 8),
        (16, 4, 8, 8),
        (16, 4, 8, 8),
        (2, 4, 8, 8),
        (2, 4, 8, 8),
    ]
    generator = torch.Generator().manual_seed(5)
    initial = torch.randn(4, 8, 8, generator=generator)
    for given, part in zip(seen, (slice(0, 16), slice(16, 18)), strict=True):
        prepared = prepare_faces(faces(18)[part], SIDE)
        frames = given.transpose(0, 1)  # (F, 13, h, w)
        assert torch.equal(frames[:, :4], initial.expand(len(frames), -1, -1, -1))
        for first, pictures in ((5, prepared.masked), (9, prepared.pixels)):
            noise = torch.randn(len(frames), 4, 8, 8, generator=generator)
            with torch.inference_mode():
                latents = encode_faces(networks.vae, pictures, noise)
            torch.testing.assert_close(frames[:, first : first + 4], latents)


def test_nothing_else_turns_the_dice_and_they_turn_nothing_else(networks: Networks) -> None:
    first = repaint(networks, 3)[0].faces
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(repaint(networks, 3)[0].faces, first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(repaint(networks, 3, seed=6)[0].faces, first)


def test_surroundings_stay_as_they_were(networks: Networks) -> None:
    (chunk,) = repaint(networks, 2)
    pixels = prepare_faces(faces(2), SIDE).pixels
    keep = keep_mask(SIDE)
    assert torch.equal(chunk.faces[..., keep == 1], pixels[..., keep == 1])
    assert (chunk.faces - pixels)[..., keep == 0].abs().mean() > 0.1


def test_nothing_is_computed_or_taken_before_it_is_asked_for(networks: Networks) -> None:
    calls: list[int] = []
    taken: list[int] = []

    def watched() -> Iterator[np.ndarray]:
        for number, face in enumerate(faces(40)):
            taken.append(number)
            yield face

    hook = networks.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    chunks = PublishedProcedure(networks.unet, networks.vae, SETTINGS).repaint_faces(
        watched(), voice(40)
    )
    assert (len(calls), len(taken)) == (0, 0)
    next(chunks)
    hook.remove()
    assert (len(calls), len(taken)) == (2, 16)


def test_a_checkpoint_stands_before_every_step(networks: Networks) -> None:
    calls: list[int] = []

    def checkpoint() -> None:
        if len(calls) == 3:
            raise InterruptedError

    hook = networks.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    settings = replace(SETTINGS, sampling=Sampling(steps=9))
    procedure = PublishedProcedure(networks.unet, networks.vae, settings, checkpoint)
    with pytest.raises(InterruptedError):
        next(procedure.repaint_faces(faces(2), voice(2)))
    hook.remove()
    assert len(calls) == 3


def test_too_few_faces_are_refused(networks: Networks) -> None:
    with pytest.raises(ValueError, match="2 pictures are too few"):
        list(
            PublishedProcedure(networks.unet, networks.vae, SETTINGS).repaint_faces(
                faces(2), voice(3)
            )
        )


def moving_landmarks(count: int) -> np.ndarray:
    """Return (count, 106, 2) px of a head that moves a little down the picture."""
    landmarks = np.zeros((count, 106, 2))
    places = ((44.0, 40.0), (76.0, 39.0), (60.0, 58.0))
    for group, place in zip(ANCHORS[106], places, strict=True):
        landmarks[:, list(group)] = place
    return landmarks + np.arange(count)[:, None, None] * [0.0, 2.0]


def test_frames_go_there_and_back_with_their_faces_and_places(networks: Networks) -> None:
    clip = make_input("clip", (4, 120, 110, 3), span=(0, 256)).byte().numpy()
    kept = clip.copy()
    asked: list[list[int]] = []

    def read(numbers: np.ndarray) -> Iterable[np.ndarray]:
        asked.append(numbers.tolist())
        return (clip[number] for number in numbers)

    procedure = PublishedProcedure(networks.unet, networks.vae, SETTINGS)
    frames = list(procedure.repaint_frames(read, moving_landmarks(4), voice(18)))
    order = [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0, 1]
    assert asked == [order]
    assert [frame.source for frame in frames] == order
    assert np.array_equal(clip, kept)
    template = ReferenceTemplate(SIDE)
    for frame in frames:
        twin = frames[order.index(frame.source)]  # the same picture, shown for the first time
        assert np.array_equal(frame.matrix, twin.matrix)
        assert np.array_equal(frame.aligned, twin.aligned)
        outside = reference_weight((120, 110), frame.matrix, template) == 0
        assert np.array_equal(frame.picture[outside], clip[frame.source][outside])
        assert not np.array_equal(frame.picture, clip[frame.source])
        assert 0.3 < outside.mean() < 0.9
    assert not torch.equal(frames[3].face, frames[4].face)


def test_frames_and_their_faces_become_the_same(networks: Networks) -> None:
    clip = make_input("clip", (3, 120, 110, 3), span=(0, 256)).byte().numpy()
    procedure = PublishedProcedure(networks.unet, networks.vae, SETTINGS)
    frames = list(
        procedure.repaint_frames(lambda numbers: clip[numbers], moving_landmarks(3), voice(3))
    )
    (chunk,) = procedure.repaint_faces([frame.aligned for frame in frames], voice(3))
    assert torch.equal(torch.stack([frame.face for frame in frames]), chunk.faces)


def test_the_engine_paints_the_same_where_it_is_told_to_be_compatible(networks: Networks) -> None:
    count, shown = 19, faces(19)
    scene = scene_of(
        placed(faces_with(speaking(count))), voice(count), template="latentsync", size=SIDE
    )
    window = Window(0, shown, np.zeros((count, 0, 3), np.float32), scene.features)
    settings = LatentSyncSettings(resolution=SIDE, steps=2, windows="compat")
    rng = torch.Generator().manual_seed(SETTINGS.seed)
    residence = Residence(device="cpu")
    painted = [
        part.faces
        for part in paint_scene(networks, residence, scene, [window], settings, rng)
        if isinstance(part, Generated)
    ]
    erased = keep_mask(SIDE).numpy() == 0
    ours = np.concatenate([chunk.faces.numpy() for chunk in repaint(networks, count)])
    levels = (ours.transpose(0, 2, 3, 1).clip(-1, 1) + 1) * 127.5
    assert np.abs(np.concatenate(painted) - levels)[:, erased].max() < 0.51
