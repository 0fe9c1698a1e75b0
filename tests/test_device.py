"""Which device, which numbers, how much memory: choices and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lipsync.device import (
    choose_device,
    choose_dtype,
    count_cards,
    free_memory,
    has_kernels,
    precisions,
    read_available_memory,
    require_memory,
)
from lipsync.errors import InputError

CPU = torch.device("cpu")
without_card = pytest.mark.skipif(count_cards() > 0, reason="this machine has a card")


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPSYNC_DEVICE", raising=False)
    monkeypatch.delenv("LIPSYNC_DTYPE", raising=False)


def test_the_processor_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setenv("LIPSYNC_DEVICE", "cpu")
    assert choose_device() == CPU


@pytest.mark.parametrize("wish", ["mps", "gpu", "cuda:", "cuda:-1", "cuda:1000", "cuda:x", "cpu:0"])
def test_what_is_no_device_is_refused(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"no device called '{wish}'; choose auto, cpu"):
        choose_device(wish)
    monkeypatch.setenv("LIPSYNC_DEVICE", wish)
    with pytest.raises(InputError, match="no device called"):
        choose_device()
    assert choose_device("cpu") == CPU  # a wish goes before the environment


@without_card
@pytest.mark.parametrize("wish", ["cuda", "cuda:0", "cuda:3"])
def test_a_card_that_is_not_there_is_refused(wish: str) -> None:
    assert choose_device() == choose_device("auto") == CPU
    with pytest.raises(InputError, match=r"card.*or choose the device cpu\.$"):
        choose_device(wish)


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),  # binaries run on later ones of the same generation
        ((8, 0), ["sm_86"], False),
        ((7, 5), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),  # the driver compiles it for a later one
        ((8, 0), ["compute_90"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((10, 3), ["sm_100"], True),
        ((9, 4), ["gfx90a", "gfx942"], True),
        ((8, 0), [], False),
    ],
)
def test_a_card_needs_kernels(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    assert has_kernels(capability, architectures) is runs


def test_a_card_computes_in_what_its_generation_brought() -> None:
    assert precisions((5, 2)) == ("float32",)
    assert precisions((5, 3)) == precisions((7, 5)) == ("float32", "float16")
    assert precisions((8, 0)) == precisions((12, 1)) == ("float32", "float16", "bfloat16")


def test_the_processor_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_dtype(CPU) == choose_dtype(CPU, "auto") == torch.float32
    assert choose_dtype(CPU, "bfloat16") == torch.bfloat16
    monkeypatch.setenv("LIPSYNC_DTYPE", "bfloat16")
    assert choose_dtype(CPU) == torch.bfloat16
    assert choose_dtype(CPU, "float32") == torch.float32
    with pytest.raises(InputError, match="not compute in float16 on the processor"):
        choose_dtype(CPU, "float16")
    with pytest.raises(InputError, match="no precision called 'half'; choose auto, float32"):
        choose_dtype(CPU, "half")


GROUP_TWO = ("memory.max", "memory.current", "inactive_file")
GROUP_ONE = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def make_proc(folder: Path, line: str) -> Path:
    """Make a proc that tells of 8 MB available, and of the group in `line`."""
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text("MemTotal:  16384 kB\nMemAvailable:    8192 kB\n")
    (folder / "self" / "cgroup").write_text(f"5:cpu,cpuacct:/x\n{line}\n")
    return folder


def limit_group(
    folder: Path, names: tuple[str, ...], limit: object, usage: int, idle: int = 0
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {idle}\n")


def test_free_memory_is_what_the_system_says(tmp_path: Path) -> None:
    proc, groups = make_proc(tmp_path / "proc", "0::/a/b"), tmp_path / "groups"
    assert read_available_memory(proc, groups) == 8192 * 1024
    limit_group(groups / "a/b", GROUP_TWO, "max", 5)
    assert read_available_memory(proc, groups) == 8192 * 1024
    limit_group(groups / "a", GROUP_TWO, 5000, 3000, idle=400)
    assert read_available_memory(proc, groups) == 2400
    limit_group(groups / "a/b", GROUP_TWO, 1000, 3000)
    assert read_available_memory(proc, groups) == 0
    assert read_available_memory(tmp_path / "elsewhere", groups) is None


def test_an_older_container_is_seen_as_the_root(tmp_path: Path) -> None:
    proc, groups = make_proc(tmp_path / "proc", "9:memory:/docker/12ab"), tmp_path / "groups"
    limit_group(groups / "memory", GROUP_ONE, 7000, 3000, idle=100)
    assert read_available_memory(proc, groups) == 4100


def test_too_little_memory_is_refused_with_both_numbers() -> None:
    free = free_memory(CPU)
    if free is None:
        pytest.skip("this system does not say what is free")
    assert 1e6 < free < 1e14
    require_memory("This preset", 1000, CPU)
    with pytest.raises(InputError, match=r"^This preset needs about 9000000 GB of memory, .* is"):
        require_memory("This preset", 9 * 10**15, CPU)


@pytest.mark.gpu
def test_a_card_is_taken_where_there_is_one() -> None:
    card = choose_device()
    assert card == choose_device("cuda") == torch.device("cuda", 0)
    assert choose_dtype(card) in (torch.float16, torch.float32)
    with pytest.raises(InputError, match=r"no card 999: \d+ found"):
        choose_device("cuda:999")


@pytest.mark.gpu
def test_what_torch_keeps_in_reserve_is_free() -> None:
    card = choose_device("cuda")
    torch.zeros(1, device=card)
    before = free_memory(card)
    taken = torch.zeros(64_000_000, dtype=torch.uint8, device=card)
    held = free_memory(card)
    del taken
    after = free_memory(card)
    assert before is not None
    assert held is not None
    assert after is not None
    assert before - held >= 60_000_000
    assert after - held >= 64_000_000
    with pytest.raises(InputError, match="of graphics memory"):
        require_memory("This preset", 10**15, card)
