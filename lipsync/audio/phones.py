"""Phones of a voice, and the viseme tracks they pull the mouth along.

pocketsphinx decodes phones with its bundled US English acoustic model and a *weak* phone language
model, which works about as well for other languages. Several resampled copies stand in for
vocal-tract length normalisation. Viseme tracks follow the dominance model of Cohen & Massaro,
"Modeling coarticulation in synthetic visual speech", 1993.
"""

from __future__ import annotations

import csv
import threading
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import resample_poly

from lipsync.assets import asset_path
from lipsync.audio.signals import RATE
from lipsync.types import Checkpoint

SPEEDS = (Fraction(92, 100), Fraction(1), Fraction(27, 25))  # five copies were no better
_PHONE_RATE = 100  # Hz, decoder frames
_MAX_PIECE = 10.0  # seconds decoded at once; bounds the decoder's memory
_DECAY = 0.03  # s, tau of the dominance
_REACH = 0.3  # s, beyond which a phone's pull is nothing
_LABIODENTAL = ("F", "V")
_one_at_a_time = threading.Lock()  # the decoder is resident and holds an utterance's state


class Phone(NamedTuple):
    """One decoded phone; times in seconds of the voice."""

    name: str
    start: float
    end: float


class Viseme(NamedTuple):
    """What a phone asks of the mouth."""

    opening: float  # 0 closed … 1 widest vowel
    width: float  # -1 rounded … 1 spread
    closure: float  # 1 lips sealed, about .7 lip on teeth
    dominance: float  # how strongly it insists


@cache
def viseme_table() -> dict[str, Viseme]:
    """Return phone name -> viseme, read from `assets/visemes.csv`."""
    with asset_path("visemes.csv").open(newline="") as file:
        return {
            row["phone"]: Viseme(*(float(row[key]) for key in Viseme._fields))
            for row in csv.DictReader(file)
        }


@cache
def _decoder() -> Any:
    import pocketsphinx

    model = Path(pocketsphinx.__file__).parent / "model" / "en-us"
    return pocketsphinx.Decoder(
        hmm=str(model / "en-us"),
        allphone=str(model / "en-us-phone.lm.bin"),
        lm=None,
        dict=None,
        lw=1.0,
        beam=1e-20,
        pbeam=1e-20,
        loglevel="FATAL",
    )


def _decode(samples: np.ndarray) -> list[Phone]:
    """Decode one piece (N,) float32 at 16 kHz; a fresh decoder state each time."""
    if len(samples) < RATE // 10:
        return []
    peak = float(np.percentile(np.abs(samples), 99.9))
    if peak < 1e-5:
        return []
    pcm = (np.clip(samples * (0.6 / peak), -1, 1) * 32767).astype(np.int16)
    with _one_at_a_time:
        decoder = _decoder()
        # its noise and cepstral estimates outlive an utterance; another job's voice must not count
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        return [
            Phone(s.word, s.start_frame / _PHONE_RATE, (s.end_frame + 1) / _PHONE_RATE)
            for s in decoder.seg() or ()
        ]


def _pieces(samples: np.ndarray) -> list[slice]:
    """Cut a long voice into pieces of at most 10 s, each cut at the quietest place near its end."""
    cuts, start = [0], 0
    longest = int(_MAX_PIECE * RATE)
    while len(samples) - start > longest:
        tail = samples[start + longest // 2 : start + longest]
        blocks = tail[: len(tail) // 400 * 400].reshape(-1, 400)
        quiet = np.convolve((blocks**2).mean(axis=1), np.ones(5), "same").argmin()
        start += longest // 2 + int(quiet) * 400
        cuts.append(start)
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], len(samples)], strict=True)]


def recognise_phones(
    samples: np.ndarray,
    speed: Fraction = Fraction(1),
    checkpoint: Checkpoint = lambda: None,
) -> list[Phone]:
    """Return the phones of a 16 kHz voice (N,) float32, decoded from a copy resampled by `speed`.

    A speed above 1 lengthens the copy (lower pitch and formants); times are given back unscaled.
    `checkpoint` is called before each piece of at most 10 s.
    """
    found: list[Phone] = []
    for piece in _pieces(samples):
        checkpoint()
        part = samples[piece]
        if speed != 1:
            part = resample_poly(part, speed.numerator, speed.denominator).astype(np.float32)
        offset, factor = piece.start / RATE, float(speed)
        found += [
            Phone(p.name, offset + p.start / factor, offset + p.end / factor) for p in _decode(part)
        ]
    return found


def viseme_tracks(phones: list[Phone], times: np.ndarray) -> np.ndarray:
    """Return (T, 4) opening, width, closure and lip-on-teeth contact at increasing times (s)."""
    table = viseme_table()
    weighted = np.zeros((len(times), 4))
    total = np.full(len(times), 1e-3)
    for phone in phones:
        viseme = table[phone.name]
        near = slice(*np.searchsorted(times, (phone.start - _REACH, phone.end + _REACH)).tolist())
        here = times[near]
        distance = np.maximum(np.maximum(phone.start - here, here - phone.end), 0)
        pull = np.exp(-distance / _DECAY) * viseme.dominance
        wanted = (*viseme[:3], float(phone.name in _LABIODENTAL))
        weighted[near] += pull[:, None] * np.array(wanted)
        total[near] += pull
    return weighted / total[:, None]


def hear_visemes(
    samples: np.ndarray, times: np.ndarray, checkpoint: Checkpoint = lambda: None
) -> np.ndarray:
    """Return (T, 4) viseme tracks averaged over decodes at several speeds."""
    tracks = [
        viseme_tracks(recognise_phones(samples, speed, checkpoint), times) for speed in SPEEDS
    ]
    return np.mean(tracks, axis=0)
