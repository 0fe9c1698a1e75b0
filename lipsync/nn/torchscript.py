"""Read the tensors of a TorchScript archive without its code.

Such an archive is a ZIP of a pickled tree of modules (``data.pkl``), one record per tensor
(``data/N``) and the modules' source. ``torch.jit.load`` compiles that source and may run parts of
it; a file from a stranger should do neither. Here the tree is unpickled into notes of ours, with
nothing else to call, and the source is never looked at.
https://pytorch.org/docs/stable/jit.html
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

_TREE, _TELLTALE = "data.pkl", "constants.pkl"
_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Tell whether `path` is a TorchScript archive that can be opened, as PyTorch tells it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _find(archive, _TELLTALE) is not None
    except zipfile.BadZipFile:
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return every tensor of the archive at `path` by its dotted name, on the CPU.

    Raises pickle.UnpicklingError where the archive is damaged or asks for anything but modules
    and tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = _Records(archive)
            tree = _Unpickler(io.BytesIO(records.read(_TREE))).load()
            return {name: records.tensor(view) for name, view in _name_views(tree)}
    except (
        *(ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError),
        *(TypeError, ValueError, zipfile.BadZipFile),
    ) as error:  # what an archive that does not fit together ends in
        raise pickle.UnpicklingError(f"its tree of modules is damaged: {error}") from error


class _Module:
    """What a tree says of one module: its attributes, and no behaviour."""

    attributes: Mapping[Any, Any] = MappingProxyType({})

    def __setstate__(self, attributes: Mapping[Any, Any]) -> None:
        self.attributes = attributes


@dataclass(frozen=True)
class _Storage:
    """Where the numbers of a tensor lie in the archive."""

    record: str
    dtype: torch.dtype


@dataclass(frozen=True)
class _View:
    """What a tree says of one tensor."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Unpickle a tree into notes; every class or function but those of a tree is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _note_view
        if module == "torch.jit._pickle" or (module, name) == ("collections", "OrderedDict"):
            return _ignore  # lists of settings, and hooks: no weights
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no weight")

    def persistent_load(self, pid: tuple[str, torch.dtype, str, str, int]) -> _Storage:
        _, dtype, record, _, _ = pid
        return _Storage(record, dtype)


class _Records:
    """The records of an opened archive, each read once."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        name = _find(archive, _TREE)
        if name is None:
            raise LookupError(f"there is no {_TREE}")
        self._archive, self._root = archive, name.removesuffix(_TREE)
        self._storages: dict[_Storage, Tensor] = {}

    def tensor(self, view: _View) -> Tensor:
        """Return the tensor; PyTorch sees to it that it stays within its record."""
        if view.storage not in self._storages:
            self._storages[view.storage] = self._flat(view.storage)
        return self._storages[view.storage].as_strided(view.size, view.stride, view.offset)

    def read(self, name: str) -> bytes:
        entry = self._archive.getinfo(self._root + name)
        if entry.compress_type != zipfile.ZIP_STORED:  # PyTorch's never are; a bomb would be
            raise ValueError(f"{name} is compressed")
        return self._archive.read(entry)

    def _flat(self, storage: _Storage) -> Tensor:
        numbers = self.read(f"data/{storage.record}")
        if not numbers:
            return torch.empty(0, dtype=storage.dtype)
        return torch.frombuffer(bytearray(numbers), dtype=storage.dtype)


def _find(archive: zipfile.ZipFile, record: str) -> str | None:
    """Return the full name of a record; all lie in one folder, called as the file once was."""
    names = archive.namelist()
    return next((name for name in names if name.partition("/")[2] == record), None)


def _note_view(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> _View:
    return _View(storage, offset, size, stride)


def _ignore(*_: Any) -> None:
    return None


def _name_views(tree: Any) -> Iterator[tuple[str, _View]]:
    """Yield the tensors of a tree of modules; a module that is found twice is named once."""
    if not isinstance(tree, _Module):
        raise ValueError("its root is no module")
    seen: set[int] = set()
    waiting = [("", tree)]
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        for name, value in module.attributes.items():
            if isinstance(value, _View):
                yield f"{prefix}{name}", value
            elif isinstance(value, _Module):
                waiting.append((f"{prefix}{name}.", value))
