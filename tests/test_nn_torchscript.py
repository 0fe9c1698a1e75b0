"""The tensors of a TorchScript archive, and nothing else of it."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lipsync.errors import InputError
from lipsync.nn.checkpoint import map_weights
from lipsync.nn.torchscript import is_torchscript, read_torchscript

pytestmark = [
    # PyTorch would have people export instead, but archives are what is published
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
]


class Pair(nn.Module):
    """Layers in layers, a shared one, a buffer, and numbers that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.again = nn.ModuleList([nn.Linear(3, 1, bias=False)])
        self.register_buffer("table", torch.arange(6).reshape(2, 3).T)  # its rows are not in a row
        self.register_buffer("nothing", torch.empty(0, 4))
        self.sides = [1, 2, 3]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.table.sum() + self.sides[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "pair.pt"
    torch.jit.script(Pair()).save(path)
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes], **how: Any) -> None:
    """Change records of an archive in place."""
    copy = path.with_suffix(".old")
    shutil.copy(path, copy)
    with zipfile.ZipFile(copy) as old, zipfile.ZipFile(path, "w", **how) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_are_those_that_were_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    network = Pair().to(dtype)
    path = tmp_path / "pair.pt"
    torch.jit.script(network).save(path)
    found = read_torchscript(path)
    saved = network.state_dict()
    assert found.keys() == saved.keys()
    for name, value in saved.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_a_traced_network_is_read_as_well(tmp_path: Path) -> None:
    network = Pair().eval()
    path = tmp_path / "pair.pt"
    torch.jit.trace(network, torch.zeros(1, 2, 4, 4)).save(path)
    assert torch.equal(read_torchscript(path)["table"], network.table)


def test_archives_are_told_from_other_files(tmp_path: Path, archive: Path) -> None:
    assert is_torchscript(archive)
    plain = tmp_path / "plain.pt"
    torch.save({"a": torch.zeros(2)}, plain)
    assert not is_torchscript(plain)
    plain.write_bytes(b"no archive")
    assert not is_torchscript(plain)


def test_its_code_is_not_looked_at(archive: Path) -> None:
    """An archive whose source nobody could compile gives the same tensors."""
    before = map_weights(archive).weights
    rewrite(archive, lambda name, data: b"def f(:\n" if name.endswith(".py") else data)
    with pytest.raises(RuntimeError):
        torch.jit.load(archive)
    after = map_weights(archive).weights
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert before.keys() == after.keys()


class _Trap:
    """What an evil tree would run when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_nothing_in_its_tree_is_run(tmp_path: Path, archive: Path) -> None:
    mark = tmp_path / "ran"
    evil = pickle.dumps(_Trap(mark))
    rewrite(archive, lambda name, data: evil if name.endswith("data.pkl") else data)
    with pytest.raises(InputError, match=r"pair.pt is not a checkpoint .*which is no weight"):
        map_weights(archive)
    assert not mark.exists()


def test_a_tree_that_is_no_module_is_refused(archive: Path) -> None:
    data = pickle.dumps({"state_dict": 3})
    rewrite(archive, lambda name, was: data if name.endswith("data.pkl") else was)
    with pytest.raises(InputError, match="its root is no module"):
        map_weights(archive)


@pytest.mark.parametrize("ending", ["data.pkl", "data/0"])
def test_what_is_cut_short_is_refused(archive: Path, ending: str) -> None:
    rewrite(archive, lambda name, data: data[:-3] if name.endswith(ending) else data)
    with pytest.raises(InputError, match=r"pair.pt is not a checkpoint that can be read"):
        map_weights(archive)


def test_a_tensor_cannot_reach_beyond_its_record(archive: Path) -> None:
    rewrite(archive, lambda name, data: data[:-8] if name.endswith("data/0") else data)
    with pytest.raises(InputError, match="out of bounds"):
        map_weights(archive)


def test_a_missing_record_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive) as old:
        kept = {name: old.read(name) for name in old.namelist() if not name.endswith("data/1")}
    with zipfile.ZipFile(archive, "w") as new:
        for name, data in kept.items():
            new.writestr(name, data)
    with pytest.raises(InputError, match=r"There is no item named 'pair/data/1'"):
        map_weights(archive)


def test_a_compressed_archive_is_refused(archive: Path) -> None:
    """PyTorch writes none, and a few bytes of one could fill the memory."""
    rewrite(archive, lambda _, data: data, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"data.pkl is compressed"):
        map_weights(archive)


def test_modules_within_each_other_come_to_an_end(archive: Path) -> None:
    """A tree whose root is its own branch, as only a hand can make one."""
    tree = b"".join(
        [
            b"\x80\x02c__torch__\nPair\nq\x00)\x81q\x01",  # an empty module, remembered as 1
            b"}(X\x04\x00\x00\x00selfh\x01ub.",  # its attributes: self = 1
        ]
    )
    rewrite(archive, lambda name, data: tree if name.endswith("data.pkl") else data)
    assert read_torchscript(archive) == {}
