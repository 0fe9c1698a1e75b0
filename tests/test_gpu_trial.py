"""Products of matrices: what passes for right, and what does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lipsync.cli import gpu
from lipsync.cli.commands import main
from lipsync.device import choose_device, count_cards
from lipsync.errors import InputError
from lipsync.gpu.listing import Card, Software, list_cards, read_driver, read_software
from lipsync.gpu.trial import Trial, allowed_error, list_precisions, measure_error, try_device

CPU = torch.device("cpu")
SIZE = 96
without_card = pytest.mark.skipif(count_cards() > 0, reason="this machine has a card")


def try_cpu(multiply: Callable[..., Any] = torch.matmul) -> list[Trial]:
    return list(try_device(CPU, SIZE, 0.01, multiply))


def test_the_processor_computes_rightly() -> None:
    trials = try_cpu()
    assert [trial.precision for trial in trials] == ["float64", "float32", "bfloat16"]
    for trial in trials:
        assert trial.is_right, trial
        assert 0 < trial.rate < 1000
    exact, single, brain = (trial.error for trial in trials)
    assert exact < single < 1e-5 < 1e-3 < brain


def one_wrong_entry(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    torch.matmul(left, right, out=out)
    out[-1, 5] += math.sqrt(SIZE)  # as much as an entry is large


def nothing(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    """Leave the product as it is."""


def less_precise(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(left.bfloat16() @ right.bfloat16())


@pytest.mark.parametrize("multiply", [one_wrong_entry, nothing])
def test_a_wrong_product_is_suspicious(multiply: Callable[..., Any]) -> None:
    assert [trial.is_right for trial in try_cpu(multiply)] == [False, False, False]


def test_a_product_in_another_precision_is_suspicious() -> None:
    assert [trial.is_right for trial in try_cpu(less_precise)] == [False, False, True]


def test_the_error_is_in_parts_of_a_typical_entry() -> None:
    reference = torch.tensor([[3.0, -4.0], [0.0, 5.0]], dtype=torch.float64)
    product = reference.float()
    assert measure_error(product, reference) == 0
    product[1, 0] += 0.5
    assert measure_error(product, reference) == pytest.approx(0.5 / math.sqrt(12.5))
    product[0, 0] = math.nan
    assert math.isnan(measure_error(product, reference))


def test_coarser_precisions_may_err_more() -> None:
    order = ("float64", "float32", "tf32", "bfloat16")
    allowed = [allowed_error(precision, 4096) for precision in order]
    assert allowed == sorted(allowed)
    assert allowed[0] < 1e-13
    assert allowed[-1] < 0.1
    assert allowed_error("float16", 4096) == allowed_error("tf32", 4096)


def test_float32_is_as_it_was_afterwards() -> None:
    before = torch.get_float32_matmul_precision()
    trials = try_device(CPU, SIZE, 0.01)
    next(trials)
    trials.close()
    assert torch.get_float32_matmul_precision() == before


def test_matrices_beyond_the_memory_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Multiplying matrices of 3000000 × 3000000 needs"):
        list(try_device(CPU, 3_000_000))


def test_the_command_tries_the_processor(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["gpu", "test", "--card", "cpu", "--size", "64", "--seconds", "0.01"]
    assert main(line) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "the processor, matrices of 64 × 64"
    assert len(lines) == 3
    assert all(" TFLOP/s  error " in one and one.endswith("ok") for one in lines)


def test_one_wrong_precision_fails_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = Trial("float32", 1.5, 1e-6, 2e-5), Trial("float16", 3.0, math.nan, 8e-3)
    assert gpu.show_trials([right, right]) is True
    assert gpu.show_trials([wrong, right]) is False
    assert "error nan (allowed 8.0e-03)  suspicious" in capsys.readouterr().out


@without_card
def test_without_a_card_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_cards() == []
    assert main(["gpu", "info"]) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith("No graphics card")
    assert said.endswith("the draft preset needs none.")
    for kind in ("test", "hold"):
        assert main(["gpu", kind]) == 2
        assert capsys.readouterr().err.strip() == said
    assert main(["gpu", "info", "--json"]) == 0
    assert '"cards": []' in capsys.readouterr().out


def test_the_reason_for_no_card_is_told_apart() -> None:
    plain = Software("2.9", None, None, None, None, is_built=False)
    built = Software("2.9", "12.8", None, "91002", "550.54.15", is_built=True)
    assert "built without" in gpu.describe_software(plain, 0)
    assert "nvidia-smi" in gpu.describe_software(built, 0)
    assert gpu.describe_software(built, 1) == (
        "PyTorch 2.9, CUDA 12.8, cuDNN 91002, driver 550.54.15"
    )
    assert read_software().torch == torch.__version__


def test_the_driver_states_its_version(tmp_path: Path) -> None:
    """The proprietary driver and the open one word it differently."""
    stated = tmp_path / "version"
    assert read_driver(stated) is None
    compiler = "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)"
    for line in (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build",
    ):
        stated.write_text(f"{line}\n{compiler}\n")
        assert read_driver(stated) == "550.54.15"


def test_a_card_is_one_line() -> None:
    card = Card(0, "Big", "9.0", 80 * 10**9, 20 * 10**9, None, True, ("float32", "float16"))
    said = gpu.describe_card(card)
    assert said == "0  Big  capability 9.0  20 GB of 80 GB free  float32, float16"
    full = Card(1, "Old", "5.0", 10**9, None, "out of memory", True, ("float32",))
    assert gpu.describe_card(full).endswith("1 GB  cannot be opened: out of memory")
    new = Card(2, "New", "20.0", 10**9, 10**9, None, False, ("float32",))
    assert gpu.describe_card(new).endswith("not supported by this PyTorch")


@pytest.mark.parametrize(
    "words",
    [
        ["test", "--card", "x"],
        ["test", "--size", "8"],
        ["test", "--size", "40000"],
        ["test", "--seconds", "0"],
        ["hold", "--card", "cpu"],
        ["hold", "--share", "0"],
        ["hold", "--share", "1.01"],
        ["hold", "--share", "nan"],
        ["hold", "--minutes", "inf"],
        [],
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["gpu", *words])
    assert stopped.value.code == 2


@pytest.mark.gpu
def test_a_real_card_computes_rightly() -> None:
    card = choose_device("cuda")
    trials = list(try_device(card, 1024, 0.2))
    assert tuple(trial.precision for trial in trials) == list_precisions(card)
    assert all(trial.is_right for trial in trials), trials
    assert [one.number for one in list_cards()] == list(range(count_cards()))
