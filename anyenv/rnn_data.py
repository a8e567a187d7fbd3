"""What M is trained on: parts of encoded episodes, laid end to end into sequences.

An importable module, no command; reads the file of convert_data. A sequence is `sequence_len` steps
long. An episode that is shorter is followed by others instead of by zeros, with the LSTM's state
zeroed between; of a longer one a part is taken. So there is no padding, and none counts in a loss.
Shapes: N transitions, Z latents, A actions, B sequences side by side, T steps.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kit.command import memory
from kit.command.errors import UserError

from data import Transitions
from world import Actions

HELD_OUT = 0.2  # part of the episodes that is kept for testing, as in the original
BLOCK = 100_000  # transitions read at once
FIRST = 1000  # episodes whose first latents a dream begins from (reference carracing/series.py)
HELD_OUT_STEPS = 50_000  # of a test, at most


class Chunk(NamedTuple):
    """T steps of B sequences, time first, float32."""

    mu: np.ndarray  # (T, B, Z)
    logvar: np.ndarray
    action: np.ndarray  # (T, B, A)
    fresh: np.ndarray  # (T, B, 1)
    next_mu: np.ndarray  # (T, B, Z)
    next_logvar: np.ndarray
    reward: np.ndarray  # (T, B)
    end: np.ndarray
    z_weight: np.ndarray


class Rewards(NamedTuple):
    """How rewards are told to M: `(reward - offset) / scale`."""

    offset: float
    scale: float

    @classmethod
    def of(cls, rewards: np.ndarray, kind: str, path: Path) -> "Rewards":
        """Mean and deviation, or for "bernoulli" the smaller of two values and their distance."""
        if kind != "bernoulli":
            return cls(float(rewards.mean()), float(rewards.std()) or 1.0)
        values = np.unique(rewards)
        if len(values) > 2:
            raise UserError(
                f"rnn_training.reward bernoulli is for two values, and {path} has {len(values)} "
                "different rewards: give gaussian"
            )
        return cls(float(values[0]), float(values[-1] - values[0]) or 1.0)


class Series:
    """The encoded episodes in memory: mu and logvar float16 (N, Z), actions and rewards (N,...)."""

    def __init__(self, source: Transitions, actions: Actions, fraction: float):
        """Of the first `fraction` of the episodes; UserError where they do not suit."""
        games = max(1, int(np.ceil(fraction * source.games)))
        self.path, self.starts = source.path, source.episodes[: games + 1]
        count, z_size = int(self.starts[-1]), source.latent_dim
        if games < 2:
            raise UserError(f"{source.path}: expected at least 2 episodes, found {games}")
        if source.actions.shape[1] != actions.columns:
            raise UserError(
                f"{source.path} holds actions of {source.actions.shape[1]} numbers, the "
                f"environment of the config takes {actions.columns}"
            )
        needed = count * (4 * z_size + 8 * actions.columns + 16)
        memory.require(needed, f"{source.path}: {count} transitions", "dataset_fraction")
        self.mu = np.empty((count, z_size), np.float16)
        self.logvar = np.empty((count, z_size), np.float16)
        for start in range(0, count, BLOCK):
            rows = slice(start, min(count, start + BLOCK))
            states = source.read("states", rows.start, rows.stop)
            self.mu[rows], self.logvar[rows] = states[:, 0], states[:, 1]
        self.recorded = source.read("actions", 0, count).astype(actions.dtype)
        self.rewards = source.read("rewards", 0, count).astype(np.float32)
        if not actions.check(self.recorded):
            raise UserError(f"{source.path} holds actions that the environment does not have")
        values = (self.mu, self.logvar, self.rewards)
        if not all(np.isfinite(v).all() for v in values):
            raise UserError(f"{source.path}: expected finite numbers, found NaN or infinity")
        self.actions, self.terminated = actions, source.terminated[:games]
        self.lengths = np.diff(self.starts)
        self.last = np.zeros(count, bool)
        self.last[self.starts[1:] - 1] = True
        self.end = np.zeros(count, np.float32)
        self.end[self.starts[1:] - 1] = self.terminated

    def split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Episodes for training and for testing."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.lengths))
        count = max(1, int(HELD_OUT * len(order)))
        return np.sort(order[count:]), order[:count]

    def first(self) -> tuple[np.ndarray, np.ndarray]:
        """mu and logvar float32 of the first frames of up to FIRST episodes, evenly chosen."""
        count = len(self.lengths)
        chosen = self.starts[np.linspace(0, count - 1, min(FIRST, count)).astype(int)]
        return self.mu[chosen].astype(np.float32), self.logvar[chosen].astype(np.float32)

    def chunk(self, rows: np.ndarray, fresh: np.ndarray, rewards: Rewards) -> Chunk:
        """The arrays of transitions `rows`, int64 (T, B), `fresh` (T, B) where a part starts."""
        after = np.minimum(rows + 1, len(self.mu) - 1)
        encoded = self.actions.encode(self.recorded[rows.ravel()])
        return Chunk(
            self.mu[rows].astype(np.float32),
            self.logvar[rows].astype(np.float32),
            encoded.reshape(*rows.shape, -1),
            fresh[..., None].astype(np.float32),
            self.mu[after].astype(np.float32),
            self.logvar[after].astype(np.float32),
            (self.rewards[rows] - rewards.offset) / rewards.scale,
            self.end[rows],
            (~self.last[rows]).astype(np.float32),
        )


def sequences(
    series: Series, episodes: np.ndarray, count: int, steps: int, terminal_prob: float, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Transitions int64 (steps, count) and where parts start, bool, of randomly drawn episodes.

    Episodes longer than a sequence are drawn as often as they have parts, so that transitions count
    alike. Of an episode that does not fit in what is left of a sequence, a part is taken: with
    `terminal_prob` its last one.
    """
    lengths = series.lengths[episodes]
    parts = np.maximum(1.0, lengths / steps)
    chances = np.cumsum(parts) / parts.sum()
    rows = np.empty((count, steps), np.int64)
    fresh = np.zeros((count, steps), bool)
    for row in range(count):
        filled = 0
        while filled < steps:
            drawn = np.searchsorted(chances, rng.random(), side="right")
            episode = episodes[min(drawn, len(episodes) - 1)]
            length, start = series.lengths[episode], series.starts[episode]
            size = min(length, steps - filled)
            if size < length:
                left = length - size
                start += left if rng.random() < terminal_prob else rng.integers(left + 1)
            rows[row, filled : filled + size] = np.arange(start, start + size)
            fresh[row, filled] = True
            filled += size
    return rows.T, fresh.T


def whole(series: Series, episodes: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Transitions of whole episodes as sequences (steps, B), for tests; as many as fit."""
    parts, total = [], 0
    for episode in episodes:
        parts.append(np.arange(series.starts[episode], series.starts[episode + 1]))
        total += len(parts[-1])
        if total >= HELD_OUT_STEPS:
            break
    rows = np.concatenate(parts)
    fresh = np.zeros(len(rows), bool)
    fresh[np.cumsum([0] + [len(part) for part in parts[:-1]])] = True
    steps = min(steps, len(rows))
    count = len(rows) // steps
    rows, fresh = (v[: count * steps].reshape(count, steps).T for v in (rows, fresh))
    fresh = fresh.copy()
    fresh[0] = True
    return rows, fresh
