"""Plays many environments at once, and makes episodes of what happens."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from dreamerv2.replay import Episode
from kit.command import interrupts

Observation = dict[str, np.ndarray]
Policy = Callable[[Observation, object], tuple[np.ndarray, object]]


class Finished(NamedTuple):
    """An episode that ended, and how many began before it did."""

    number: int
    episode: Episode


class Driver:
    """One policy in all environments of `envs`.

    `seeds` gives each new episode its seed. `unfinished` holds the rows so far: index of the
    environment -> key -> list. A row has every observation key, action float32 (A,), the one that
    led to it, reward float32, is_first, is_last, is_terminal bool.
    """

    def __init__(self, envs: VectorEnv, seeds: Iterator[int]):
        self._envs, self._seeds = envs, seeds
        self._discrete = isinstance(envs.single_action_space, gymnasium.spaces.Discrete)
        self._rows: Observation | None = None  # what the policy sees next, (N, ...)
        self._state = None
        self._numbers = np.full(envs.num_envs, -1)
        self._begun = 0
        self.unfinished: dict[int, dict[str, list]] = {}

    @property
    def between_episodes(self) -> bool:
        """Whether no episode is under way."""
        return not self.unfinished

    def reset(self) -> list[Episode]:
        """Begin anew at the next step, with a policy that remembers nothing.

        Returns the episodes that were under way, cut as if the clock had ended them here.
        """
        self._rows = self._state = None
        cut = [_stack(rows) for rows in self.unfinished.values() if len(rows["action"]) > 1]
        self.unfinished.clear()
        for episode in cut:
            episode["is_last"][-1] = True
        return cut

    def step(self, policy: Policy) -> list[Finished]:
        """One step of every environment; returns the episodes that it ended.

        Where an episode has ended before, a new one begins first.
        """
        with interrupts.postponed():  # games written in C++ must not be broken off
            self._begin()
        actions, self._state = policy(self._rows, self._state)
        given = actions.argmax(-1) if self._discrete else actions
        with interrupts.postponed():
            observation, reward, terminated, truncated, _ = self._envs.step(given)
        self._rows = {
            **observation,
            "reward": reward.astype(np.float32),
            "is_first": np.zeros(len(reward), bool),
            "is_last": terminated | truncated,
            "is_terminal": terminated.copy(),
        }
        self._store(range(len(reward)), actions)
        over = np.flatnonzero(self._rows["is_last"])
        return [Finished(self._numbers[i], _stack(self.unfinished.pop(i))) for i in over]

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
        new = np.flatnonzero(over)
        self._numbers[new] = self._begun + np.arange(len(new))
        self._begun += len(new)
        self._store(new, np.zeros((count, action_size(self._envs)), np.float32))

    def _store(self, indices, actions: np.ndarray) -> None:
        rows = self._rows | {"action": actions}
        for index in indices:
            lists = self.unfinished.setdefault(int(index), {key: [] for key in rows})
            for key, value in rows.items():
                lists[key].append(np.array(value[index]))  # the environments write over theirs


def play_episodes(
    envs: VectorEnv, policy: Policy, seeds: list[int], stop: Callable[[], bool] = lambda: False
) -> list[Episode]:
    """The episodes of exactly these seeds, in their order; none is left out for being long.

    An environment that has nothing left to do plays on, and what it plays is dropped. Once `stop`
    is true, the episodes that ended until then.
    """
    driver = Driver(envs, itertools.chain(seeds, itertools.cycle(seeds)))
    found: dict[int, Episode] = {}
    while len(found) < len(seeds) and not stop():
        for number, episode in driver.step(policy):
            if number < len(seeds):
                found[number] = episode
    return [found[number] for number in sorted(found)]


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


def _stack(rows: dict[str, list]) -> Episode:
    return {key: np.stack(values) for key, values in rows.items()}
