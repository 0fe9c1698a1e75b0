"""What stays loaded between jobs: each part of a model once, on one device, shared by all jobs.

A part is loaded by whoever needs it first and stays until it is released by hand, by `close`, or,
where that is asked for, after some minutes without use. PyTorch is imported with the first part.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lipsync.weights import ModelStore

if TYPE_CHECKING:
    import torch

_LONGEST_NAP = 30.0  # seconds between two looks for idle parts, at most


class Holder(Protocol):
    """A model, or something around one, that can say which tensors it holds."""

    def parameters(self) -> Iterator[torch.Tensor]: ...

    def buffers(self) -> Iterator[torch.Tensor]: ...


_Model = TypeVar("_Model", bound=Holder)


@dataclass(frozen=True)
class Part:
    """A loaded part, for people."""

    name: str
    dtype: str  # such as "float16"
    device: str  # such as "cuda:0"
    size: int  # bytes
    users: int  # jobs that hold it now
    idle_seconds: float  # since it was last used; 0 while it is


class _Slot:
    """One part: its lock is held while it is loaded, so that it is loaded once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.model: Any = None
        self.users = 0
        self.last_used = time.monotonic()


class Residence:
    """Keeps parts on a device; safe to use from several threads.

    `turn` is held for one piece of work on the device (a step, a batch of pictures), never for a
    whole job: jobs side by side take turns, and each can be stopped between two of its own.
    """

    def __init__(
        self,
        store: ModelStore | None = None,
        *,
        device: str | None = None,
        idle_release: float | None = None,
    ) -> None:
        """Keep parts whose files are found by `store` on `device` (None: as `choose_device` does).

        Parts that nobody has used for `idle_release` seconds are released; None = never.
        """
        self.store = store or ModelStore()
        self.turn = threading.Lock()
        self.loads: Counter[str] = Counter()  # how often each part has been loaded
        self._wish = device
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._closed = threading.Event()  # tells the watch of now; the next one has its own
        self._idle_release = idle_release
        self._watch: threading.Thread | None = None

    @property
    def device(self) -> torch.device:
        """The device that parts live on; raises InputError where the wished-for one is not here."""
        from lipsync.device import choose_device

        return choose_device(self._wish)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that big networks compute in on the device."""
        from lipsync.device import choose_dtype

        return choose_dtype(self.device)

    @contextmanager
    def use(self, name: str, load: Callable[[], _Model]) -> Iterator[_Model]:
        """Lend the part called `name`, which `load` loads where it is not here.

        It is not released within the block. Others that want it while it loads wait for it.
        """
        with self._lock:
            slot = self._slots.setdefault(name, _Slot())
            slot.users += 1
        try:
            with slot.lock:
                if slot.model is None:
                    slot.model = load()
                    self.loads[name] += 1
            self._start_watch()
            yield slot.model
        finally:
            with self._lock:
                slot.users -= 1
                slot.last_used = time.monotonic()

    def parts(self) -> tuple[Part, ...]:
        """Return what is loaded, in the order it was first asked for."""
        with self._lock:
            slots = [(name, slot) for name, slot in self._slots.items() if slot.model is not None]
        return tuple(_describe(name, slot) for name, slot in slots)

    def release(self, idle_seconds: float = 0.0) -> int:
        """Let go of every part unused now and for `idle_seconds`; return how many they are."""
        now = time.monotonic()
        with self._lock:
            gone = [
                name
                for name, slot in self._slots.items()
                if slot.users == 0 and now - slot.last_used >= idle_seconds
            ]
            models = [self._slots.pop(name).model for name in gone]
        count = sum(model is not None for model in models)
        del models
        if count:
            _give_back_memory()
        return count

    def close(self) -> None:
        """Release what nobody uses and stop looking for idle parts; it can be used again."""
        with self._lock:
            watch, self._watch = self._watch, None
            closed, self._closed = self._closed, threading.Event()
        closed.set()
        if watch is not None:
            watch.join()
        self.release()

    def _start_watch(self) -> None:
        if self._idle_release is None:
            return
        with self._lock:
            if self._watch is None:
                self._watch = threading.Thread(
                    target=self._release_idle, args=(self._idle_release, self._closed), daemon=True
                )
                self._watch.start()

    def _release_idle(self, seconds: float, closed: threading.Event) -> None:
        while not closed.wait(min(seconds / 4, _LONGEST_NAP)):
            self.release(seconds)


def _describe(name: str, slot: _Slot) -> Part:
    tensors = [*slot.model.parameters(), *slot.model.buffers()]
    kinds = {str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()}
    places = {str(tensor.device) for tensor in tensors}
    return Part(
        name=name,
        dtype=" and ".join(sorted(kinds)),
        device=" and ".join(sorted(places)),
        size=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        users=slot.users,
        idle_seconds=0.0 if slot.users else time.monotonic() - slot.last_used,
    )


def _give_back_memory() -> None:
    import torch

    gc.collect()  # networks with hooks refer to themselves
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
