"""Fits on arrays: ridge regression, each clip's own lag, the small network, the judge's confidence.

Knows features and mouths at 25 Hz, no files. A lag of k frames means that the sound comes k frames
before the lips: row t of the features belongs to row t + k of the mouth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from lipsync.audio.signals import standardise
from lipsync.engines.draft.network import ArticulationNet, ArticulationParams
from lipsync.score.correlate import MAX_SHIFT, shift_curve


@dataclass(frozen=True)
class NetworkConfig:
    """How one small network is trained."""

    steps: int = 1200
    batch: int = 16  # crops
    crop: int = 50  # frames of 40 ms
    input_noise: float = 0.3  # standard deviations
    correlation_share: float = 0.5  # weight of 1 - r beside the squared error
    learning_rate: float = 3e-3  # the peak of the one-cycle schedule
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Pair:
    """What was heard and how the mouth moved, row by row, on one clip."""

    heard: np.ndarray  # (T, F) features, z-scored
    mouth: np.ndarray  # (T, 3) opening, width, jaw

    def aligned(self, lag: int) -> Pair:
        """Return the rows that belong together at this lag, the mouth z-scored over them."""
        total = len(self.mouth)
        heard = self.heard[max(0, -lag) : total - max(0, lag)]
        mouth = self.mouth[max(0, lag) : total - max(0, -lag)]
        return Pair(heard, standardise(mouth))


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and how its training went."""

    network: ArticulationNet
    losses: tuple[float, ...]  # one per step


def correlations(heard: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Return (C,) the correlation of each column of heard (T, C) with that of mouth (T, C)."""
    return np.asarray((standardise(heard) * standardise(mouth)).mean(axis=0))


def solve_ridge(pairs: Sequence[Pair], penalty: float) -> np.ndarray:
    """Return (F, 3) coefficients that turn z-scored features into z-scored mouths."""
    moments = sum(pair.heard.T @ pair.heard for pair in pairs)
    products = sum(pair.heard.T @ pair.mouth for pair in pairs)
    return np.linalg.solve(moments + penalty * np.eye(len(moments)), products)


def hold_out(
    pairs: Mapping[str, Pair], lags: Mapping[str, int], people: Mapping[str, str], penalty: float
) -> dict[str, np.ndarray]:
    """Return each clip's mouth (T, 3) as a ridge hears it that was fitted on other people only."""
    heard: dict[str, np.ndarray] = {}
    for person in sorted(set(people.values())):
        others = [pairs[n].aligned(lags[n]) for n in pairs if people[n] != person]
        ridge = solve_ridge(others, penalty)
        heard |= {n: pairs[n].heard @ ridge for n in pairs if people[n] == person}
    return heard


def find_lag(heard: np.ndarray, mouth: np.ndarray, max_lag: int) -> int:
    """Return the shift in frames, at most `max_lag`, at which heard (T, 3) fits mouth (T, 3)."""
    curve = shift_curve(heard, mouth, np.ones(len(mouth), bool), max_lag)
    return int(np.nanargmax(curve)) - max_lag


def find_lags(
    pairs: Mapping[str, Pair],
    people: Mapping[str, str],
    known: Mapping[str, int],
    penalty: float,
    max_lag: int,
) -> dict[str, int]:
    """Return every clip's own lag, by a preliminary ridge of the other people; `known` ones stay.

    The ridge and the lags depend on each other, so both are found twice.
    """
    lags = {name: known.get(name, 0) for name in pairs}
    for _ in range(2):
        heard = hold_out(pairs, lags, people, penalty)
        lags = {
            name: known[name]
            if name in known
            else find_lag(heard[name], pairs[name].mouth, max_lag)
            for name in pairs
        }
    return lags


def train_network(pairs: Sequence[Pair], seed: int, config: NetworkConfig) -> TrainedNetwork:
    """Train one network on aligned pairs; the same seed gives the same network on one machine."""
    inputs = [torch.from_numpy(pair.heard).float() for pair in pairs]
    targets = [torch.from_numpy(pair.mouth).float() for pair in pairs]
    losses = []
    with torch.random.fork_rng(devices=[]):  # dropout and first weights draw from the global one
        torch.manual_seed(seed)
        network = ArticulationNet(ArticulationParams(num_inputs=inputs[0].shape[1])).train()
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config.learning_rate, total_steps=config.steps
        )
        for heard, mouth in _crops(inputs, targets, config):
            noisy = heard + config.input_noise * torch.randn(heard.shape)
            loss = _loss(network(noisy), mouth, config.correlation_share)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
    return TrainedNetwork(network.eval(), tuple(losses))


def _crops(
    inputs: list[Tensor], targets: list[Tensor], config: NetworkConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one batch per step: crops (B, crop, F) and (B, crop, 3) at random places."""
    crop = min(config.crop, *(len(heard) for heard in inputs))
    # long clips come more often, but not in proportion: variety counts, not minutes
    weights = torch.tensor([len(heard) ** 0.5 for heard in inputs])
    for _ in range(config.steps):
        chosen = torch.multinomial(weights, config.batch, replacement=True).tolist()
        starts = [int(torch.randint(len(inputs[i]) - crop + 1, ())) for i in chosen]
        places = list(zip(chosen, starts, strict=True))
        yield (
            torch.stack([inputs[i][start : start + crop] for i, start in places]),
            torch.stack([targets[i][start : start + crop] for i, start in places]),
        )


def _loss(heard: Tensor, mouth: Tensor, correlation_share: float) -> Tensor:
    one, other = heard - heard.mean(1, keepdim=True), mouth - mouth.mean(1, keepdim=True)
    correlation = (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1) + 1e-4)
    return ((heard - mouth) ** 2).mean() + correlation_share * (1 - correlation).mean()


@dataclass(frozen=True)
class Confidence:
    """The logistic that maps a curve's peak to [0, 1]."""

    slope: float
    middle: float  # peak at which it is one half


def fit_confidence(matched: np.ndarray, mismatched: np.ndarray) -> Confidence:
    """Fit the logistic on the peaks of matching (N,) and of wrong voices (M,), each half of all."""
    centre = (matched.mean() + mismatched.mean()) / 2
    spread = np.concatenate([matched, mismatched]).std()
    right, wrong = (matched - centre) / spread, (mismatched - centre) / spread

    def surprise(guess: np.ndarray) -> float:
        slope, middle = guess
        missed = np.logaddexp(0, -slope * (right - middle)).mean()
        fooled = np.logaddexp(0, slope * (wrong - middle)).mean()
        return float(missed + fooled) + 1e-3 * slope**2  # finite where the two do not overlap

    slope, middle = minimize(surprise, np.array([2.0, 0.0])).x
    return Confidence(float(slope / spread), float(centre + spread * middle))


def area_under_curve(matched: np.ndarray, mismatched: np.ndarray) -> float:
    """Return the share of pairs in which the matching voice (N,) peaks above the wrong one (M,)."""
    higher = matched[:, None] > mismatched[None]
    return float((higher + 0.5 * (matched[:, None] == mismatched[None])).mean())


def peak(curve: np.ndarray) -> tuple[float, int]:
    """Return the highest value of a `shift_curve` and the shift where it lies, frames."""
    best = int(np.nanargmax(curve))
    return float(curve[best]), best - MAX_SHIFT
