"""Directions for C's search: what a controller meets, in the order of how much of it there is.

An importable module, no command; for train.py --components.
"""

import numpy as np

from estool.rollout import run_rollouts
from estool.seeds import training_seeds
from estool.subspace import principal_directions

from measures import RecordedPlayer
from model import INPUTS

EPISODES, STEPS = 256, 300  # random play rarely lasts longer
EVERY = 4  # steps from one observation that counts to the next: neighbours are alike


def find(world, inputs: str, count: int, seed: int, batch: int) -> np.ndarray:
    """Directions float64 (P, count) in the weights of `inputs`, from random episodes in `world`.

    `seed` fixes the episodes; at most `batch` of them are played at once.
    """
    seeds = training_seeds(np.random.default_rng(seed), EPISODES)
    columns, met, act = INPUTS[inputs], [], RecordedPlayer(seeds)
    steps = 0

    def watched(observation, rows):
        nonlocal steps
        steps += 1
        if steps % EVERY == 0:
            met.append(np.concatenate([observation[:, part] for part in columns], axis=1))
        return act(observation, rows)

    run_rollouts(world, watched, seeds, STEPS, batch)
    return principal_directions(np.concatenate(met), count)
