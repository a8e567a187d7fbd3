"""Directions for C's search: principal components of what a controller meets in the game.

An importable module, no command; for train.py --components.
"""

import numpy as np

from estool.subspace import principal_directions
from kit.batches.rollout import run_rollouts
from kit.command.errors import UserError
from kit.command.seeds import training_seeds

from agent import Controllers
from policies import RecordedPlayer
from world import INPUTS

EPISODES, AGENT_EPISODES = 128, 48  # the agent's last four times as long
EVERY = 4  # steps from one observation that counts to the next: neighbours are alike


def find(world, inputs: str, count: int, seed: int, batch: int, agent=None, along=()) -> np.ndarray:
    """Directions float64 (P, count + A) in the weights of `inputs`, from episodes in `world`.

    The player of the recordings plays them and, where it is given, the controller `agent` (P,).
    `seed` fixes the episodes; at most `batch` of them are played at once. After the `count`
    principal ones come the A controllers `along`, each (P,), scaled to spread 1 as well.
    UserError where one of those is 0.
    """
    seeds = training_seeds(np.random.default_rng(seed), EPISODES + AGENT_EPISODES)
    met, random, played = [], seeds[:EPISODES], seeds[EPISODES:]

    def play(act, seeds):
        steps = 0

        def watched(observation, rows):
            nonlocal steps
            steps += 1
            if steps % EVERY == 0:
                met.append(np.concatenate([observation[:, part] for part in INPUTS[inputs]], 1))
            return act(observation, rows)

        run_rollouts(world, watched, seeds, batch=batch)

    play(RecordedPlayer(random), random)
    if agent is not None:
        play(Controllers(agent[None].repeat(len(played), 0), inputs).act, played)
    met = np.concatenate(met)
    spread = [np.sqrt(np.mean((met @ weights) ** 2)) for weights in along]
    if not all(spread):
        raise UserError("--along: a controller that never answers anything but 0 is no direction")
    added = [weights / size for weights, size in zip(along, spread, strict=True)]
    return np.column_stack([principal_directions(met, count), *added])
