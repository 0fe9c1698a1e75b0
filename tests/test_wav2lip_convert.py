"""Wav2Lip's files: every container they come in, and what is said of one that does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from golden_recipe import fill_weights, make_input
from safetensors.torch import save_file
from torch import Tensor, nn

from lipsync.engines.wav2lip.convert import load_discriminator, load_expert, load_generator
from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.errors import InputError

TINY = Params(2)
INPUTS = make_input("a", (1, 1, 80, 16), span=(-4, 4)), make_input("f", (1, 6, 96, 96))
State = dict[str, Tensor]


def build(kind: type[nn.Module], params: Params = TINY) -> nn.Module:
    network = kind(params).eval()
    fill_weights(network)
    return network


@cache
def _drawn(kind: type[nn.Module], params: Params) -> State:
    return build(kind, params).state_dict()


def state_of(kind: type[nn.Module] = Generator, params: Params = TINY) -> State:
    """Return a mapping that may be changed; its tensors may not."""
    return dict(_drawn(kind, params))


def with_shell(state: State) -> State:
    return {f"module.{name}": value for name, value in state.items()}


def run_of(network: nn.Module, state: State) -> dict[str, object]:
    """What training saves: the optimizer after a step weighs twice what the weights do."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    counters = {"global_step": 3000, "global_epoch": 2}
    return {"state_dict": state, "optimizer": optimizer.state_dict(), **counters}


def save(container: str, path: Path) -> Path:
    """Write the tiny generator as the `container` says."""
    network = build(Generator)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    if "shell" in container:
        state = with_shell(state)
    if "safetensors" in container:
        save_file(state, path)
    elif "script" in container:
        torch.jit.trace(network, INPUTS).save(path)
    else:
        whole = run_of(network, state) if "run" in container else state
        if "no optimizer" in container:
            whole["optimizer"] = None
        torch.save(whole, path, _use_new_zipfile_serialization="old" not in container)
    return path


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(
    "container",
    [
        *("run", "run shell", "run no optimizer", "run shell old"),
        *("bare", "bare shell", "bare old", "script", "safetensors shell"),
    ],
)
def test_every_container_gives_the_same_network(tmp_path: Path, container: str) -> None:
    # the name says nothing: what is in the file is what counts
    loaded = load_generator(save(container, tmp_path / "w.bin"))
    assert loaded.params == TINY
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    found, saved = loaded.state_dict(), state_of()
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)


@pytest.mark.parametrize(
    ("kind", "load"), [(SyncExpert, load_expert), (QualityDiscriminator, load_discriminator)]
)
def test_the_judges_are_loaded_too(
    tmp_path: Path, kind: type[nn.Module], load: Callable[[Path], nn.Module]
) -> None:
    path = tmp_path / "judge.pth"
    state = state_of(kind)
    torch.save({"state_dict": with_shell(state), "optimizer": None}, path)
    found = load(path).state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_half_precision_files_are_widened(tmp_path: Path) -> None:
    path = tmp_path / "half.pth"
    state = state_of()
    torch.save({name: v.half() if v.is_floating_point() else v for name, v in state.items()}, path)
    found = load_generator(path).state_dict()
    assert found["output_block.1.weight"].dtype == torch.float32
    torch.testing.assert_close(
        found["output_block.1.weight"], state["output_block.1.weight"], atol=1e-3, rtol=1e-3
    )


def complaint(path: Path, state: State, load: Callable[[Path], object] = load_generator) -> str:
    torch.save({"state_dict": with_shell(state)}, path)
    with pytest.raises(InputError) as caught:
        load(path)
    said = str(caught.value)
    assert re.fullmatch(rf"{re.escape(path.name)} [^;]*; choose [^;.]*\.", said), said
    return said


def test_another_network_of_the_family_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    said = complaint(path, state_of(SyncExpert))
    assert "holds a lip-sync expert (needed: a Wav2Lip generator)" in said
    said = complaint(path, state_of(QualityDiscriminator), load_expert)
    assert "holds a visual quality discriminator (needed: a lip-sync expert)" in said
    said = complaint(path, state_of(Generator), load_discriminator)
    assert "holds a Wav2Lip generator (needed: a visual quality discriminator)" in said


def test_a_network_of_another_family_is_named(tmp_path: Path) -> None:
    said = complaint(tmp_path / "vae.pth", {"encoder.conv_in.weight": torch.zeros(2)})
    assert "vae.pth holds 1 tensors but no Wav2Lip generator" in said


def test_another_width_is_named_where_one_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "wide.pth"
    said = complaint(path, state_of(params=Params(6)), lambda path: load_generator(path, TINY))
    assert "holds a Wav2Lip generator of width 6 (needed: 2)" in said
    assert load_generator(path).params == Params(6)


def test_a_width_that_cannot_be_told_is_said(tmp_path: Path) -> None:
    state = state_of()
    first = "audio_encoder.0.conv_block.0.weight"
    said = complaint(tmp_path / "odd.pth", {**state, first: state[first][:1]})
    assert "holds a Wav2Lip generator whose width cannot be told" in said


def test_missing_strange_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    path, state = tmp_path / "some.pth", state_of()
    bias = state.pop("output_block.1.bias")
    said = complaint(path, state)
    assert "lacks 1 of the Wav2Lip generator's 352 tensors, such as output_block.1.bias" in said
    said = complaint(path, {**state, "output_block.1.bias": bias, "extra": bias})
    assert "tensors that the Wav2Lip generator has no place for (1, such as extra)" in said
    said = complaint(path, {**state, "output_block.1.bias": bias[:2]})
    assert "has 1 of the Wav2Lip generator's 352 tensors in another shape" in said


def test_a_prefix_within_a_name_is_no_shell(tmp_path: Path) -> None:
    state = state_of()
    inner = {f"face.module.{name}": value for name, value in state.items()}
    said = complaint(tmp_path / "inner.pth", inner)
    assert "but no Wav2Lip generator" in said
