"""Where somebody speaks, by Silero VAD, whose wheel carries its model.

https://github.com/snakers4/silero-vad
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from lipsync.audio.signals import RATE
from lipsync.threads import one_thread
from lipsync.types import Audio, Checkpoint

_STEPS_PER_CHECK = 500  # 16 s of voice
_STEP = 512  # samples, 32 ms, what the model takes at 16 kHz
_known: WeakKeyDictionary[Audio, SpeechProbability] = WeakKeyDictionary()
_one_at_a_time = threading.Lock()  # the model is resident and carries state from step to step


@dataclass(frozen=True)
class SpeechProbability:
    """Probability of speech every 32 ms."""

    times: np.ndarray  # (N,) s, the centre of each step
    values: np.ndarray  # (N,) float32 in [0, 1]

    @property
    def has_speech(self) -> bool:
        """Tell whether anybody speaks anywhere: three steps (about 0.1 s) over one half."""
        return int((self.values > 0.5).sum()) >= 3


@cache
def _model() -> Any:
    threads = torch.get_num_threads()
    import silero_vad

    torch.set_num_threads(threads)  # its import sets the process to one thread
    return silero_vad.load_silero_vad()


def speech_probability(audio: Audio, checkpoint: Checkpoint = lambda: None) -> SpeechProbability:
    """Return the probability of speech along a 16 kHz voice; worked out once per `Audio`."""
    if audio not in _known:
        _known[audio] = _listen(audio, checkpoint)
    return _known[audio]


def _listen(audio: Audio, checkpoint: Checkpoint) -> SpeechProbability:
    if audio.rate != RATE:
        raise ValueError(f"speech is sought at {RATE} Hz, not {audio.rate}")
    count = max(1, -(-len(audio.samples) // _STEP))
    with _one_at_a_time, one_thread(), torch.inference_mode():
        model = _model()
        model.reset_states()
        values = []
        for number in range(count):
            if number % _STEPS_PER_CHECK == 0:
                checkpoint()
            values.append(float(model(torch.from_numpy(_step(audio.samples, number)), RATE)))
    times = (np.arange(count) + 0.5) * _STEP / RATE
    return SpeechProbability(times, np.asarray(values, np.float32))


def _step(samples: np.ndarray, number: int) -> np.ndarray:
    """Return step `number` of the samples (512,), filled up with silence at the end."""
    part = samples[number * _STEP : (number + 1) * _STEP]
    return np.pad(part, (0, _STEP - len(part)))
