"""LunarLander-v3 in pixels for the world model: drawn by gymnasium, shrunk to 64x64.

The three files of this folder turn a copy of carracing/ into a room for another game;
third_room_test.py does it.
"""

from collections.abc import Sequence

import cv2
import gymnasium
import numpy as np

from kit.command.errors import UserError

from world import ENV_ID, KINDS, MAX_STEPS

SIZE = 64


class Pixels(gymnasium.ObservationWrapper):
    """What the environment draws, in place of its vector, uint8 (64, 64, 3)."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def observation(self, observation):
        return cv2.resize(self.env.render(), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def make(kind="stock", render_mode="rgb_array"):
    """One environment, with the time limit of 1000 steps."""
    if kind not in KINDS:
        raise UserError(f"environment kind is {kind!r}, expected one of {', '.join(KINDS)}")
    given = {"continuous": True, "render_mode": "rgb_array", "max_episode_steps": MAX_STEPS}
    return Pixels(gymnasium.make(ENV_ID, **given))


class Environments:
    """Many environments side by side, stepped in turn; rows that finished can be left out.

    They are made when first needed and kept.
    """

    def __init__(self, kind: str = "stock"):
        self.kind = kind
        self._envs = []

    def reset(self, seeds: Sequence[int], rows: Sequence[int] | None = None) -> np.ndarray:
        """Start row `rows[k]` (default: row k) with `seeds[k]`.

        Returns the first observations (len(seeds), 64, 64, 3) uint8.
        """
        rows = range(len(seeds)) if rows is None else rows
        while len(self._envs) <= max(rows, default=-1):
            self._envs.append(make(self.kind))
        observations = np.empty((len(seeds), SIZE, SIZE, 3), np.uint8)
        for k, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
            observations[k], _ = self._envs[row].reset(seed=int(seed))
        return observations

    def step(
        self, actions: np.ndarray, rows: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One step of each of `rows` (default: rows 0..len(actions)-1) with its action.

        Args: actions (A, 2) float32. Returns observations (A, 64, 64, 3) uint8, rewards (A,)
        float64, finished (A,) bool (terminated or 1000 steps over), reached (A,) bool (landed).
        """
        actions = np.asarray(actions, np.float32)
        rows = range(len(actions)) if rows is None else rows
        observations = np.empty((len(actions), SIZE, SIZE, 3), np.uint8)
        rewards = np.empty(len(actions))
        finished = np.zeros(len(actions), bool)
        reached = np.zeros(len(actions), bool)
        for k, (row, action) in enumerate(zip(rows, actions, strict=True)):
            observations[k], reward, terminated, truncated, _ = self._envs[row].step(action)
            rewards[k] = reward
            finished[k] = terminated or truncated
            reached[k] = terminated and reward >= 100
        return observations, rewards, finished, reached

    def close(self) -> None:
        """Close every environment and give their memory back."""
        for env in self._envs:
            env.close()
        self._envs = []
