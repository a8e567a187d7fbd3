"""Plays many environments at once and makes rows of what happens, as the replay stores them."""

from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from dreamerv2.replay import Episode, Replay

Policy = Callable[[dict[str, np.ndarray], object], tuple[np.ndarray, object]]


class Driver:
    """One policy in all environments of `envs`, whose episodes it stores in `replay`.

    `seeds` gives each new episode its seed. Rows: every observation key (N, ...), action float32
    (N, A), reward float32 (N,), is_first, is_last, is_terminal bool (N,).
    """

    def __init__(self, envs: VectorEnv, replay: Replay, seeds: Iterator[int]):
        self._envs, self._replay, self._seeds = envs, replay, seeds
        self._discrete = isinstance(envs.single_action_space, gymnasium.spaces.Discrete)
        self._rows: dict[str, np.ndarray] | None = None
        self._state = None

    def reset(self) -> None:
        """Begin new episodes at the next step, with a policy that remembers nothing."""
        self._rows = self._state = None

    def step(self, policy: Policy) -> list[Episode]:
        """One step of every environment; returns the episodes that it ended, whole.

        Where an episode has ended before, a new one begins first.
        """
        self._begin()
        actions, self._state = policy(self._rows, self._state)
        given = actions.argmax(-1) if self._discrete else actions
        observation, reward, terminated, truncated, _ = self._envs.step(given)
        self._rows = {
            **observation,
            "reward": reward.astype(np.float32),
            "is_first": np.zeros(len(reward), bool),
            "is_last": terminated | truncated,
            "is_terminal": terminated.copy(),
        }
        return self._store(range(len(reward)), actions)

    def _begin(self) -> None:
        """Reset the environments whose episodes are over; at first all of them."""
        count = self._envs.num_envs
        over = np.ones(count, bool) if self._rows is None else self._rows["is_last"]
        if not over.any():
            return
        seeds = [next(self._seeds) if row else None for row in over]
        observation, _ = self._envs.reset(seed=seeds, options={"reset_mask": over.copy()})
        before = self._rows or {"reward": np.zeros(count, np.float32)}
        self._rows = {
            **observation,
            "reward": np.where(over, np.float32(0), before["reward"]),
            "is_first": over,
            "is_last": np.zeros(count, bool),
            "is_terminal": np.zeros(count, bool),
        }
        self._store(np.flatnonzero(over), np.zeros((count, action_size(self._envs)), np.float32))

    def _store(self, indices, actions: np.ndarray) -> list[Episode]:
        rows = self._rows | {"action": actions}
        stored = (
            self._replay.add_row({key: value[index] for key, value in rows.items()}, int(index))
            for index in indices
        )
        return [episode for episode in stored if episode is not None]


def action_size(envs: VectorEnv) -> int:
    """Numbers in an action: of a one-hot, or of a vector."""
    space = envs.single_action_space
    return int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else space.shape[0]


def random_policy(envs: VectorEnv, seed: int | tuple[int, ...]) -> Policy:
    """Uniform actions: one-hots, or vectors in [-1, 1]."""
    rng = np.random.default_rng(seed)
    count, size = envs.num_envs, action_size(envs)
    discrete = isinstance(envs.single_action_space, gymnasium.spaces.Discrete)

    def policy(observation, state):
        if discrete:
            return np.eye(size, dtype=np.float32)[rng.integers(size, size=count)], state
        return rng.uniform(-1, 1, (count, size)).astype(np.float32), state

    return policy
