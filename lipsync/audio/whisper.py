"""What Whisper's encoder makes of a voice, and what each video frame hears of it.

Only the encoder is built, from a checkpoint of openai-whisper; all its hidden states are read by
hooks, 50 rows a second. Importing this module loads neither openai-whisper nor a network.
https://github.com/openai/whisper
"""

from __future__ import annotations

import hashlib
import math
import pickle
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from lipsync.audio.feature_cache import FeatureCache
from lipsync.audio.mel import NUM_MELS, whisper_mel
from lipsync.audio.signals import RATE
from lipsync.errors import InputError
from lipsync.types import Audio, Checkpoint

if TYPE_CHECKING:
    from whisper.model import AudioEncoder

ROW_RATE = 50  # rows of features a second; each spans two columns of the mel
CONTEXT_ROWS = (4, 5)  # rows a frame hears before and after its own
Reading = Literal["overlap", "compat"]

_MEL_COLUMNS = 3000  # columns the encoder takes at once: 30 s
_ROWS = _MEL_COLUMNS // 2
_OVERLAP = 600  # columns (6 s) that neighbouring readings share at least
_FADE = 100  # rows (2 s) over which one reading passes into the next
_ENCODER = "encoder."
_AGAIN = "fetch it again or choose another file"


@dataclass(frozen=True)
class EncoderSize:
    """What a checkpoint of openai-whisper says of its encoder, in the order its class takes it."""

    n_mels: int  # mel bands it takes
    n_audio_ctx: int  # rows it gives for 30 s
    n_audio_state: int  # D, width of a row
    n_audio_head: int  # attention heads
    n_audio_layer: int  # L, blocks


_SIZE_NAMES = tuple(field.name for field in fields(EncoderSize))


class WhisperEncoder:
    """The encoder with its weights on a device; jobs may share it, it holds nothing of a voice."""

    def __init__(self, encoder: AudioEncoder) -> None:
        """Take a `whisper.model.AudioEncoder` with its weights, on its device, in its dtype."""
        self._encoder = encoder.eval().requires_grad_(False)
        self._fingerprint: str | None = None
        self._one_at_a_time = threading.Lock()  # hooks hear everybody who uses the network

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield the weights."""
        return self._encoder.parameters()

    def buffers(self) -> Iterator[torch.Tensor]:
        """Yield what else it holds: the positions."""
        return self._encoder.buffers()

    @property
    def num_states(self) -> int:
        """Hidden states per row: the blocks' common input and the output of each of L blocks."""
        return len(self._encoder.blocks) + 1

    @property
    def width(self) -> int:
        """Numbers per hidden state, D."""
        return self._encoder.positional_embedding.shape[1]

    @property
    def feature_dtype(self) -> torch.dtype:
        """float16 if it computes in that, else float32."""
        own = self._encoder.conv1.weight.dtype
        return own if own == torch.float16 else torch.float32

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all weights with their names and dtype; two equal networks have the same."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for name, value in sorted(self._encoder.state_dict().items()):
                digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
                flat = value.detach().cpu().contiguous().view(torch.uint8)
                digest.update(flat.numpy().data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def read(self, mel: np.ndarray) -> torch.Tensor:
        """Return (1500, L + 1, D) on the CPU: all hidden states of (80, up to 3000) log-mel.

        A shorter mel is filled up with 0, which is how it was trained to hear the end. The last
        layer norm is not applied.
        """
        weight = self._encoder.conv1.weight
        padded = torch.zeros(1, mel.shape[0], _MEL_COLUMNS)
        padded[0, :, : mel.shape[1]] = torch.from_numpy(np.ascontiguousarray(mel))
        with (
            self._one_at_a_time,
            torch.inference_mode(),
            _kept_states(self._encoder) as states,
        ):
            self._encoder(padded.to(weight.device, weight.dtype))
            return torch.stack([state[0] for state in states], dim=1).to("cpu", self.feature_dtype)


@contextmanager
def _kept_states(encoder: Any) -> Iterator[list[torch.Tensor]]:
    """Collect the input of the first block and the output of every one, in order."""
    states: list[torch.Tensor] = []
    hooks = [
        encoder.blocks[0].register_forward_pre_hook(lambda _, given: states.append(given[0])),
        *(
            block.register_forward_hook(lambda _, given, answer: states.append(answer))
            for block in encoder.blocks
        ),
    ]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()


def load_encoder(
    path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> WhisperEncoder:
    """Build the encoder of an openai-whisper checkpoint; its decoder is never read from the disk.

    Raises `InputError` for a file that is absent, damaged, no such checkpoint, or one of those that
    hear 128 mel bands.
    """
    size, state = _read_checkpoint(path)
    from whisper.model import AudioEncoder  # brings numba and tiktoken: a second or two

    with torch.device("meta"):
        encoder = AudioEncoder(*astuple(size))
    own = {key.removeprefix(_ENCODER): state[key] for key in state if key.startswith(_ENCODER)}
    try:
        encoder.load_state_dict(own, strict=True, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"{path.name} does not hold the Whisper encoder that it states; {_AGAIN}."
        ) from error
    encoder.to(device, dtype)
    for part in encoder.modules():
        if isinstance(part, torch.nn.LayerNorm):
            part.float()  # Whisper's norms compute in float32 whatever goes through them
    return WhisperEncoder(encoder)


def _read_checkpoint(path: Path) -> tuple[EncoderSize, dict[str, torch.Tensor]]:
    """Return what a checkpoint states of its encoder, and all its weights, mapped into memory."""
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path}; choose a file that exists.")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path.name} is damaged, or not written by PyTorch 1.6 or later; {_AGAIN}."
        )
    try:
        found = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, OSError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{path.name} is not a checkpoint that can be read ({reason}); {_AGAIN}."
        ) from error
    try:
        stated = {name: int(found["dims"][name]) for name in _SIZE_NAMES}
        state = dict(found["model_state_dict"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path.name} holds no Whisper in the format of OpenAI; {_AGAIN}."
        ) from error
    size = EncoderSize(**stated)
    if size.n_mels != NUM_MELS:
        raise InputError(
            f"{path.name} is a Whisper that hears {size.n_mels} mel bands where {NUM_MELS} are "
            f"needed; {_AGAIN}."
        )
    return size, state


def encode_voice(
    encoder: WhisperEncoder,
    audio: Audio,
    reading: Reading = "overlap",
    checkpoint: Checkpoint = lambda: None,
    cache: FeatureCache | None = None,
) -> torch.Tensor:
    """Return (T, L + 1, D) features of a 16 kHz voice on the CPU, 50 rows a second.

    Row t is centred on t / 50 s. `overlap` reads a long voice in pieces that share 6 s or more and
    pass into each other, so no row stands at a border without knowing what comes next; `compat`
    reads 30 s after 30 s, each by itself, as the published program does. `checkpoint` is called
    before each piece. With a `cache`, features of the same samples by the same weights come from
    there.
    """
    if audio.rate != RATE:
        raise ValueError(f"Whisper hears {RATE} Hz, not {audio.rate}")
    key = ""
    if cache is not None:
        key = _cache_key(encoder, audio, reading)
        known = cache.read(key)
        if known is not None:
            return torch.from_numpy(known)
    checkpoint()
    mel = whisper_mel(audio.samples)
    read = _read_apart if reading == "compat" else _read_overlapping
    features = read(encoder, mel, checkpoint)
    if cache is not None:
        cache.write(key, features.numpy())
    return features


def _cache_key(encoder: WhisperEncoder, audio: Audio, reading: Reading) -> str:
    """Name features by what they are made from: samples, weights, way of reading."""
    samples = np.ascontiguousarray(audio.samples, np.float32)
    sound = hashlib.sha256(samples.data).hexdigest()
    made = f"whisper-1-{reading}-{sound}-{encoder.fingerprint}"
    return hashlib.sha256(made.encode()).hexdigest()


def _read_apart(encoder: WhisperEncoder, mel: np.ndarray, checkpoint: Checkpoint) -> torch.Tensor:
    """Read 30 s after 30 s; each piece keeps half as many rows as it has columns, rounded down."""
    pieces = []
    for start in range(0, mel.shape[1], _MEL_COLUMNS):
        checkpoint()
        part = mel[:, start : start + _MEL_COLUMNS]
        pieces.append(encoder.read(part)[: part.shape[1] // 2])
    return torch.cat(pieces)


def _read_overlapping(
    encoder: WhisperEncoder, mel: np.ndarray, checkpoint: Checkpoint
) -> torch.Tensor:
    """Read full 30 s at evenly spaced places; in the middle of what two share, one fades out."""
    total = mel.shape[1] // 2
    features = torch.empty(total, encoder.num_states, encoder.width, dtype=encoder.feature_dtype)
    known = 0  # rows finished, or begun by the reading before
    for start in reading_places(mel.shape[1]):
        checkpoint()
        rows = encoder.read(mel[:, start : start + _MEL_COLUMNS])[: total - start // 2]
        first = start // 2
        if known:
            middle = (first + known) // 2
            fade = slice(middle - _FADE // 2, middle + _FADE // 2)
            share = ((torch.arange(_FADE) + 1) / (_FADE + 1)).to(features.dtype)[:, None, None]
            new = rows[fade.start - first : fade.stop - first]
            features[fade] = torch.lerp(features[fade], new, share)
            features[fade.stop : first + len(rows)] = rows[fade.stop - first :]
        else:
            features[: len(rows)] = rows
        known = first + len(rows)
    return features


def reading_places(num_columns: int) -> list[int]:
    """Return the first mel column of each 30 s reading: even, 24 s apart or less, none too short.

    The last one ends where the mel ends, so that only a voice under 30 s is ever filled up.
    """
    last = max(num_columns - _MEL_COLUMNS, 0)
    count = 1 + -(-last // (_MEL_COLUMNS - _OVERLAP))
    return [2 * math.ceil(place / 2) for place in np.linspace(0, last, count)]


def frame_rows(num_frames: int, fps: Fraction | float, num_rows: int) -> np.ndarray:
    """Return (num_frames, 10) int64: the rows each frame hears, clamped to the voice's ends.

    Frame i stands on row floor(50 i / fps) and hears 4 rows before it and 5 behind.
    """
    before, behind = CONTEXT_ROWS
    centres = np.array([int(i * ROW_RATE / fps) for i in range(num_frames)], np.int64)
    return np.clip(centres[:, None] + np.arange(-before, behind + 1), 0, num_rows - 1)


def count_compat_frames(num_rows: int, fps: Fraction | float) -> int:
    """Return how many frames the published program makes of a voice: up to two too many."""
    count = int(num_rows * fps / ROW_RATE)
    while int(count * ROW_RATE / fps) <= num_rows:
        count += 1
    return count + 1


class FrameFeatures:
    """What each frame hears, kept once: a tenth of the memory that a tensor of it all would take.

    Indexing with a slice of step 1 gives those frames, sharing memory; `stack` makes the tensor.
    """

    def __init__(self, features: torch.Tensor, rows: np.ndarray) -> None:
        """Take (T, L + 1, D) features and the (F, K) rows of them that each frame hears."""
        self._features = features
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, frames: slice) -> FrameFeatures:
        return FrameFeatures(self._features, self._rows[frames])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of what `stack` gives."""
        _, states, width = self._features.shape
        return len(self._rows), self._rows.shape[1] * states, width

    def stack(self) -> torch.Tensor:
        """Return (F, K * (L + 1), D): per frame all hidden states of its first row, then on."""
        return self._features[torch.from_numpy(self._rows)].reshape(self.shape)


def hear_frames(features: torch.Tensor, num_frames: int, fps: Fraction | float) -> FrameFeatures:
    """Return what exactly `num_frames` frames at `fps` hear of (T, L + 1, D) features."""
    return FrameFeatures(features, frame_rows(num_frames, fps, len(features)))
