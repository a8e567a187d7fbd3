"""Directions for C's search: what a controller meets, in the order of how much of it there is.

An importable module, no command; for train.py --components.
"""

import numpy as np

from estool.rollout import run_rollouts
from estool.seeds import training_seeds
from estool.subspace import principal_directions

from model import INPUTS

EPISODES, STEPS = 256, 300  # random play rarely lasts longer
EVERY = 4  # steps from one observation that counts to the next: neighbours are alike
HELD = 10  # longest time of an action, as in the recordings


def held_policy(seeds: np.ndarray):
    """Uniform actions, each held for 1 to HELD steps, as in recordings: an `act` for rollouts."""
    generators = [np.random.default_rng(int(seed)) for seed in seeds]
    action, left = np.zeros(len(seeds), np.float32), np.zeros(len(seeds), int)

    def act(_, rows):
        for row in rows[left[rows] == 0]:
            action[row] = generators[row].uniform(-1, 1)
            left[row] = generators[row].integers(1, HELD + 1)
        left[rows] -= 1
        return action[rows]

    return act


def find(world, inputs: str, count: int, seed: int, batch: int) -> np.ndarray:
    """Directions float64 (P, count) in the weights of `inputs`, from random episodes in `world`.

    `seed` fixes the episodes; at most `batch` of them are played at once.
    """
    seeds = training_seeds(np.random.default_rng(seed), EPISODES)
    columns, met, act = INPUTS[inputs], [], held_policy(seeds)
    steps = 0

    def watched(observation, rows):
        nonlocal steps
        steps += 1
        if steps % EVERY == 0:
            met.append(np.concatenate([observation[:, part] for part in columns], axis=1))
        return act(observation, rows)

    run_rollouts(world, watched, seeds, STEPS, batch)
    return principal_directions(np.concatenate(met), count)
