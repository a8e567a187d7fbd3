"""Who plays while episodes are recorded, and whom an agent is compared with."""

import argparse
from collections.abc import Iterator

import numpy as np

from kit.command import cli

BEATS = (20, 200)  # frames between two turns of a walk to and fro
TO_THE_WALL, WALL_TO_WALL = 60, 125  # steps of `blind_policy`, a rest at the wall among them
RECORDED = {"max_repeat": 10, "wander": 0.5}  # the player of the laptop preset's recordings
PRESETS = {
    "smoke": {"episodes": 6, "max_frames": 300},
    "laptop": {"episodes": 9_000, **RECORDED},
    "paper": {"episodes": 12_800},  # reference extract.bash: 64 processes, 200 episodes each
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of extract.py that say how the random policy plays."""
    add = parser.add_argument
    add("--max_repeat", type=cli.positive_int, default=10, help="an action is held 1 to this long")
    text = "part of the episodes that are walks to and fro"
    add("--wander", type=cli.fraction, default=0.0, help=text)


def recorded_moves(seed: int, args: argparse.Namespace) -> Iterator[np.float16]:
    """The actions of the recorded episode `seed`, without end."""
    return random_moves(seed, args.max_repeat, args.wander)


def random_moves(seed: int, max_repeat: int, wander: float) -> Iterator[np.float16]:
    """The random policy's actions of the episode `seed`, without end.

    An action is uniform on (-1, 1) and held for 1 to `max_repeat` frames (reference extract.py). In
    the part `wander` of all episodes it walks to and fro and turns at random times, about a beat
    that the seed fixes. So it lives longer, and V and M see what comes later in a game.
    """
    rng = np.random.default_rng(seed)
    style = np.random.default_rng([seed, 1])
    if style.random() >= wander:
        while True:
            yield from [np.float16(rng.uniform(-1, 1))] * rng.integers(1, max_repeat + 1)
    beat, move, part = rng.uniform(*BEATS), rng.choice([-1, 1]), rng.uniform(0, 1)
    while True:
        yield from [np.float16(move)] * int(beat * part)
        move, part = -move, rng.uniform(0.5, 1.5)


class RecordedPlayer:
    """The player of the recordings as an `act` for rollouts."""

    def __init__(self, episode_seeds: np.ndarray):
        self._moves = [random_moves(int(seed), **RECORDED) for seed in episode_seeds]

    def __call__(self, _, rows: np.ndarray) -> np.ndarray:
        return np.array([next(self._moves[row]) for row in rows], np.float32)


def random_policy(seeds: np.ndarray):
    """Uniform actions, a new one each step, as the paper's random agent: an `act` for rollouts."""
    generators = [np.random.default_rng(int(seed)) for seed in seeds]
    return lambda _, rows: np.array([generators[row].uniform(-1, 1) for row in rows], np.float32)


def blind_policy(seeds: np.ndarray):
    """A player that sees nothing and walks from wall to wall by the clock: an `act` for rollouts.

    Left for the first steps, to the wall, then right and left by turns. A policy that reacts to the
    fireballs should live longer.
    """
    steps = np.zeros(len(seeds), int)

    def act(_, rows):
        steps[rows] += 1
        turns = (steps[rows] - 1 - TO_THE_WALL) // WALL_TO_WALL
        return np.where(turns % 2, -1, 1).astype(np.float32)

    return act


POLICIES = {"random": random_policy, "blind": blind_policy}
