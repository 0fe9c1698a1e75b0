"""Wav2Lip's networks: published names at any width, time in the right order, and what each sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_recipe import fill_weights, make_input
from torch import nn

from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert, stack_window
from lipsync.engines.wav2lip.generator import Generator, Params

KEYS = json.loads(Path(__file__).with_name("golden").joinpath("wav2lip/keys.json").read_text())
TINY = Params(4)
NETWORKS = [
    (Generator, "Wav2Lip", 36_298_035),
    (SyncExpert, "SyncNet_color", 16_435_072),
    (QualityDiscriminator, "Wav2Lip_disc_qual", 14_113_793),
]


@pytest.fixture(scope="module")
def generator() -> Generator:
    """A small generator with weights made of names."""
    network = Generator(TINY).eval()
    fill_weights(network)
    return network


@pytest.mark.parametrize(("kind", "name", "size"), NETWORKS)
def test_the_whole_network_has_the_published_names_and_shapes(
    kind: type[nn.Module], name: str, size: int
) -> None:
    with torch.device("meta"):
        network = kind()
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert found == KEYS[name]
    assert sum(weight.numel() for weight in network.parameters()) == size


@pytest.mark.parametrize(("kind", "name", "size"), NETWORKS)
def test_every_channel_count_follows_from_the_width(
    kind: type[nn.Module], name: str, size: int
) -> None:
    """But for colours, the mel's one channel, and single numbers."""
    with torch.device("meta"):
        network = kind(Params(8))
    fixed = {1, 3, 6, 15}
    for key, value in network.state_dict().items():
        for small, whole in zip(value.shape[:2], KEYS[name][key][:2], strict=True):
            assert small == whole or (whole not in fixed and 4 * small == whole), key


@pytest.mark.parametrize("kind", [Generator, SyncExpert, QualityDiscriminator])
def test_the_width_is_told_from_shapes(kind: type[nn.Module]) -> None:
    with torch.device("meta"):
        assert Params.of(kind(Params(6)).state_dict()) == Params(6)
    with pytest.raises(ValueError, match="none of the first layers"):
        Params.of({"conv_in.weight": torch.zeros(3)})


@pytest.mark.parametrize("width", [0, 7, -2])
def test_a_width_has_two_halves(width: int) -> None:
    with pytest.raises(ValueError, match="no even number"):
        Params(width)


@torch.inference_mode()
def test_moments_are_painted_as_single_faces_are(generator: Generator) -> None:
    audio = make_input("a", (2, 3, 1, 80, 16), span=(-4, 4))
    faces = make_input("f", (2, 6, 3, 96, 96), span=(0, 1))
    whole = generator(audio, faces)
    assert whole.shape == (2, 3, 3, 96, 96)
    for row in range(2):
        alone = generator(audio[row], faces[row].transpose(0, 1))
        torch.testing.assert_close(whole[row].transpose(0, 1), alone, atol=1e-5, rtol=0)
    assert not torch.allclose(whole[0, :, 0], whole[0, :, 1], atol=1e-3)


@torch.inference_mode()
def test_logits_are_what_the_sigmoid_is_given(generator: Generator) -> None:
    audio, faces = make_input("a", (1, 1, 80, 16)), make_input("f", (1, 6, 96, 96))
    logits = generator.logits(audio, faces)
    assert logits.min() < 0 < logits.max()
    torch.testing.assert_close(generator(audio, faces), logits.sigmoid())


@torch.inference_mode()
def test_the_voice_is_heard(generator: Generator) -> None:
    audio, faces = make_input("a", (2, 1, 80, 16), span=(-4, 4)), make_input("f", (1, 6, 96, 96))
    one, other = generator.logits(audio, faces.expand(2, -1, -1, -1))
    assert (one - other).abs().max() > 1e-3


def test_voice_and_faces_agree_about_time(generator: Generator) -> None:
    for audio, faces in (((2, 1, 80, 16), (2, 6, 3, 96, 96)), ((2, 3, 1, 80, 16), (2, 6, 96, 96))):
        with pytest.raises(ValueError, match=r"audio of \d and faces of \d dimensions"):
            generator(torch.zeros(audio), torch.zeros(faces))


def test_a_window_is_lower_halves_frame_by_frame() -> None:
    faces = torch.arange(2 * 3 * 5 * 96 * 96.0).reshape(2, 3, 5, 96, 96)
    window = stack_window(faces)
    assert window.shape == (2, 15, 48, 96)
    for frame in range(5):
        for colour in range(3):
            assert torch.equal(window[1, 3 * frame + colour], faces[1, colour, frame, 48:])


@torch.inference_mode()
def test_the_expert_gives_unit_vectors_without_negatives() -> None:
    network = SyncExpert(TINY).eval()
    fill_weights(network)
    mel = make_input("m", (3, 1, 80, 16), span=(-4, 4))
    heard, seen = network(mel, make_input("w", (3, 15, 48, 96), span=(0, 1)))
    for vector in (heard, seen):
        assert vector.shape == (3, 64)
        assert vector.min() >= 0
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(3))


@torch.inference_mode()
def test_the_discriminator_sees_lower_halves_moment_by_moment() -> None:
    network = QualityDiscriminator(TINY).eval()
    fill_weights(network)
    faces = make_input("d", (2, 3, 3, 96, 96), span=(0, 1))
    answer = network(faces)
    assert answer.shape == (6, 1)
    assert (answer > 0).all()
    assert (answer < 1).all()
    torch.testing.assert_close(network(faces[1:, :, 2:]), answer[5:])
    faces[..., :48, :] = 0
    torch.testing.assert_close(network(faces), answer)
    faces[0, :, 1, 60:] = 0
    changed = (network(faces) - answer).abs()[:, 0] > 1e-6
    assert changed.tolist() == [False, False, True, False, False, False]
