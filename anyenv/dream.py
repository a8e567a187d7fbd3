"""The dream of an environment: M plays it, V draws it. An environment that C can train in.

An importable module; `run.py dream` shows it. `Dream` is the batch that train_ctrl uses through
kit/batches/rollout.py; kit/batches/dream_env.py makes gymnasium environments of it, whose actions
are `world.Actions.space`. An observation is [z, c, h], an action a recorded one (world.py).
"""

import numpy as np

from kit.batches.mixtures import expected_z, sample_z
from kit.batches.rows import RowNoise, take_rows

from models import Memory
from rnn import FastStep, Rows, sigmoid
from world import Actions


class Dream:
    """Many dreamed episodes in lockstep: the `world` of kit/batches/rollout.py.

    A step rewards what M expects, and no sample of it: a return has less noise. A row
    ends with the probability that M gives it, drawn, or after `max_length` steps. A finished row
    may be stepped further: it dreams on.

    temperature: may be changed at any time
    observation: float32 (B, Z + 2H), [z, c, h], overwritten by the next step
    terminated: bool (B,), whether M ended the row with the last step
    age: int64 (B,), steps made
    """

    def __init__(
        self,
        memory: Memory,
        actions: Actions,
        temperature: float = 1.0,
        max_length: int = 0,
        precision: str = "float32",
    ):
        """`max_length` 0: that of the longest episode that M has seen."""
        self._memory, self._actions, self.temperature = memory, actions, temperature
        self.max_length = max_length or memory.longest
        size = memory.rnn.size
        self.z_size = size.z_size
        mu, logvar = memory.first
        self._mu, self._std = mu, np.exp(logvar / 2)
        self._rows = Rows(FastStep(memory.rnn, precision))
        self._noise = RowNoise(size.z_size + 1, size.z_size)
        self.observation = np.empty((0, size.z_size + 2 * size.hidden), np.float32)
        self.age = np.empty(0, np.int64)
        self.terminated = np.empty(0, bool)

    def start(self, seeds) -> None:
        """Append a row for each of `seeds` (n,), at the first frame of an episode drawn by it."""
        fresh = np.zeros((len(seeds), self.observation.shape[1]), np.float32)
        for row, rng in enumerate(self._noise.start(seeds)):
            first = rng.integers(len(self._mu))
            noise = rng.standard_normal(self.z_size, np.float32)
            fresh[row, : self.z_size] = self._mu[first] + self._std[first] * noise
        self._rows.start(len(seeds))
        self.observation = np.concatenate((self.observation, fresh))
        self.age = np.append(self.age, np.zeros(len(seeds), np.int64))
        self.terminated = np.append(self.terminated, np.zeros(len(seeds), bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by recorded actions (B, D): reward float32 (B,), done bool (B,)."""
        rows, z = self._rows, self.observation[:, : self.z_size]
        rows.advance(z, self._actions.encode(actions))
        expected, (uniform, normal) = rows.predict(), self._noise.next()
        z[:] = sample_z(expected.mixture, uniform[:, :-1], normal, self.temperature)
        hidden = rows.c.shape[1]
        self.observation[:, -2 * hidden : -hidden] = rows.c
        self.observation[:, -hidden:] = rows.h
        self.age += 1
        self.terminated = np.zeros(len(z), bool)
        if expected.end is not None:
            self.terminated = uniform[:, -1] < sigmoid(expected.end)
        return self._reward(expected.reward, len(z)), self.terminated | (
            self.age >= self.max_length
        )

    def _reward(self, told: np.ndarray | None, count: int) -> np.ndarray:
        if told is None:
            return np.ones(count, np.float32)  # what is left to learn from: to live on
        if self._memory.rnn.size.reward == "bernoulli":
            told = sigmoid(told)
        return self._memory.rewards.offset + self._memory.rewards.scale * told

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """What M expected of the last step: mean latents (B, Z), the end's probability (B,)."""
        expected = self._rows.predict()
        end = np.zeros(len(self.age)) if expected.end is None else sigmoid(expected.end)
        return expected_z(expected.mixture), end

    def info(self) -> dict[str, np.ndarray]:
        """Nothing more is told of a step: for kit/batches/dream_env.py."""
        return {}

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._rows.keep(rows)
        self._noise.keep(rows)
        self.observation = take_rows(self.observation, rows)
        self.age, self.terminated = self.age[rows], self.terminated[rows]

    def close(self) -> None:
        """Nothing to end; games have windows and memory of their own."""
