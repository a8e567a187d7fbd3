"""Who drives while episodes are recorded, and whom an agent is compared with."""

import argparse
from collections.abc import Iterator

import numpy as np

from kit.command import cli

from world import ACTION_HIGH, ACTION_LOW, KINDS, Z_SIZE, squash_action

PRESETS = {
    "smoke": {"episodes": 6, "max_frames": 60, "stock_every": 2},
    "laptop": {"episodes": 1_500, "policy": "both"},
    # reference extract.bash: 64 processes, 200 episodes each
    "paper": {"episodes": 12_800, "renderer": "stock"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of extract.py that say who drives and what draws the frames."""
    add = parser.add_argument
    text = "who drives; both: each of them drives half of the episodes"
    add("--policy", choices=(*RECORDED, "both"), default="reference", help=text)
    text = "what draws the frames; both: stock the episodes that --stock_every says, fast the rest"
    add("--renderer", choices=(*KINDS, "both"), default="both", help=text)
    text = "with --renderer both, one in so many episodes is stock's"
    add("--stock_every", type=cli.positive_int, default=10, help=text)


def renderer_of(seed: int, args: argparse.Namespace) -> str:
    """The kind of environment that draws the episode `seed`, stock or fast."""
    if args.renderer != "both":
        return args.renderer
    return "fast" if seed % args.stock_every else "stock"


class RandomPolicy:
    """What the reference records with (reference carracing/extract.py), without its networks.

    There, V, M and C get random weights afresh for each episode. V's and M's are so small that z
    is a standard normal at every step and h is 0; what stays is a random linear map of z, its
    weights Cauchy times a scale drawn from U(0, .01). One instance is one episode's policy.
    """

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)
        scale = self._rng.uniform(0, 0.01)
        self._weights = scale * self._rng.standard_cauchy((Z_SIZE, 3))
        self._bias = scale * self._rng.standard_cauchy(3)

    def __call__(self) -> np.ndarray:
        """The next action (3,) float32."""
        z = self._rng.standard_normal(Z_SIZE)
        return squash_action(z @ self._weights + self._bias)


class BrownianPolicy:
    """Actions that wander: a random walk a component, a standard deviation of 1 in 50 steps.

    Each is held inside the action's range, gas starting at a random point of it. One instance
    is one episode's policy.
    """

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)
        self._action = np.array([0, self._rng.uniform(), 0])

    def __call__(self) -> np.ndarray:
        """The next action (3,) float32."""
        self._action = self._action + self._rng.normal(0, 50**-0.5, 3)
        self._action = np.clip(self._action, ACTION_LOW, ACTION_HIGH)
        return self._action.astype(np.float32)


RECORDED = {"reference": RandomPolicy, "brownian": BrownianPolicy}


def recorded_moves(seed: int, args: argparse.Namespace) -> Iterator[np.ndarray]:
    """The actions float16 (3,) of the recorded episode `seed`, without end."""
    names = list(RECORDED) if args.policy == "both" else [args.policy]
    policy = RECORDED[names[np.random.default_rng(seed).integers(len(names))]](seed)
    while True:
        yield policy().astype(np.float16)


def random_policy(seeds: np.ndarray):
    """The reference's random driver, another for each episode: an `act` for rollouts."""
    policies = [RandomPolicy(int(seed)) for seed in seeds]
    return lambda _, rows: np.stack([policies[row]() for row in rows])


POLICIES = {"random": random_policy}
