"""Who flies while episodes are recorded, and whom an agent is compared with."""

import argparse
from collections.abc import Iterator

import numpy as np

from world import ACTION_HIGH, ACTION_LOW, ACTION_SHAPE, SCORED

PRESETS = {
    "smoke": {"episodes": 6, "max_frames": 60},
    "laptop": {"episodes": 1_500},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose here."""


def renderer_of(seed: int, args: argparse.Namespace) -> str:
    """The kind of environment that draws the episode `seed`."""
    return SCORED


class BrownianPolicy:
    """Actions that wander: a random walk a component. One instance is one episode's policy."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)
        self._action = np.zeros(ACTION_SHAPE)

    def __call__(self) -> np.ndarray:
        """The next action (2,) float32."""
        step = self._rng.normal(0, 50**-0.5, ACTION_SHAPE)
        self._action = np.clip(self._action + step, ACTION_LOW, ACTION_HIGH)
        return self._action.astype(np.float32)


def recorded_moves(seed: int, args: argparse.Namespace) -> Iterator[np.ndarray]:
    """The actions float16 (2,) of the recorded episode `seed`, without end."""
    policy = BrownianPolicy(seed)
    while True:
        yield policy().astype(np.float16)


def random_policy(seeds: np.ndarray):
    """The recorded pilot, another for each episode: an `act` for rollouts."""
    policies = [BrownianPolicy(int(seed)) for seed in seeds]
    return lambda _, rows: np.stack([policies[row]() for row in rows])


POLICIES = {"random": random_policy}
