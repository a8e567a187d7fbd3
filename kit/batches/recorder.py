"""Record what an agent sees and does: a world (see rollout.py) around another world.

An importable module, no command. The rooms' extract.py records agents with it.
"""

from collections.abc import Callable

import numpy as np


class Recorder:
    """Plays as `world` does and hands every episode to `save` as its row leaves.

    world: as in rollout.py, with `frames` uint8 (B, 64, 64, 3), what its rows see now.
    save(seed, frames uint8 (T, 64, 64, 3), actions float16 (T, ...)): each frame before its action.
    endless: record on after the world's own end, until the caller's limit.
    """

    def __init__(self, world, save: Callable, endless: bool = False):
        self._world, self._save, self._endless = world, save, endless
        self._seeds: list[int] = []
        self._frames: list[list] = []  # of each row
        self._actions: list[list] = []

    @property
    def observation(self) -> np.ndarray:
        return self._world.observation

    def start(self, seeds) -> None:
        self._world.start(seeds)
        self._seeds += [int(seed) for seed in seeds]
        self._frames += [[] for _ in seeds]
        self._actions += [[] for _ in seeds]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Play the actions in the half precision that they are recorded in."""
        actions = actions.astype(np.float16)
        # A copy of each, since a view would hold the whole batch's frames in memory.
        for row, (frame, action) in enumerate(zip(self._world.frames, actions, strict=True)):
            self._frames[row].append(frame.copy())
            self._actions[row].append(action)
        rewards, done = self._world.step(actions.astype(np.float32))
        return rewards, done & (not self._endless)

    def keep(self, rows: np.ndarray) -> None:
        for row in sorted(set(range(len(self._seeds))) - set(rows.tolist())):
            frames, actions = np.stack(self._frames[row]), np.stack(self._actions[row])
            self._save(self._seeds[row], frames, actions)
        self._world.keep(rows)
        self._seeds = [self._seeds[row] for row in rows]
        self._frames = [self._frames[row] for row in rows]
        self._actions = [self._actions[row] for row in rows]


def neighbours(parameters: np.ndarray, seeds: np.ndarray, sigma: float) -> np.ndarray:
    """Controllers float64 (K, P) around `parameters` (P,), a normal step of `sigma` for each seed.

    What CMA-ES at that step size tries, so that V and M meet what C's evolution will show them.
    """
    generators = [np.random.default_rng([int(seed), 1]) for seed in seeds]
    noise = [generator.standard_normal(parameters.size) for generator in generators]
    return parameters + sigma * np.reshape(noise, (len(seeds), parameters.size))
