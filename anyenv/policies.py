"""Who plays while record_data records: policies that need no training.

An importable module, no command. An instance is one episode's policy: called, it returns the next
recorded action (D,). The trained agent, the fourth of `generating_agent`, is in agent.py.
"""

import numpy as np

from kit.command.errors import UserError

from world import Actions, Levels

HOLD = 10  # steps that `held` repeats an action, at most (reference doomrnn/extract.py)
PUSH = 60  # steps of full gas at the start (the Keras tutorial's, as the original has them)
CHANGE = 5  # steps after which `car_racing` may draw another action


class Random:
    """An action drawn anew at each step, all equally likely."""

    def __init__(self, actions: Actions, seed: int):
        self._actions, self._rng = actions, np.random.default_rng(seed)

    def __call__(self) -> np.ndarray:
        return self._actions.sample(self._rng)


class Held:
    """A random action repeated 1 to HOLD times: gets further than one that trembles."""

    def __init__(self, actions: Actions, seed: int):
        self._actions, self._rng = actions, np.random.default_rng(seed)
        self._left, self._action = 0, None

    def __call__(self) -> np.ndarray:
        if not self._left:
            self._action = self._actions.sample(self._rng)
            self._left = int(self._rng.integers(1, HOLD + 1))
        self._left -= 1
        return self._action


class CarRacing:
    """Full gas to begin with, then by turns nothing, gas, left, right or the brake.

    Chances .1, .4, .3, .1 and .1, drawn every CHANGE steps, as the seed's agent has them; unlike
    there, the first PUSH steps are gas without exception.
    """

    def __init__(self, actions: Actions, seed: int):
        if not isinstance(actions, Levels) or actions.columns != 3:
            raise UserError(
                "general.generating_agent car_racing drives with steer, gas and brake, and this "
                "environment has other actions: give random or held"
            )
        self._rng, self._step, self._action = np.random.default_rng(seed), 0, np.zeros(3)

    def __call__(self) -> np.ndarray:
        if self._step < PUSH:
            self._action = np.array([0, 1, 0])
        elif self._step % CHANGE == 0:
            size = self._rng.uniform()
            kinds = [(0, 0, 0), (0, size, 0), (-size, 0, 0), (size, 0, 0), (0, 0, size)]
            self._action = np.array(kinds[self._rng.choice(5, p=(0.1, 0.4, 0.3, 0.1, 0.1))])
        self._step += 1
        return self._action.astype(np.float32)


POLICIES = {"random": Random, "held": Held, "car_racing": CarRacing}


def player(name: str, actions: Actions, seeds: np.ndarray):
    """An `act` for rollout.py, another policy of that name for each of `seeds` (K,)."""
    policies = [POLICIES[name](actions, int(seed)) for seed in seeds]
    return lambda _, rows: np.stack([policies[row]() for row in rows])
