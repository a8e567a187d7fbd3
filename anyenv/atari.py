"""Atari games that start quickly from a seed that has been used a moment ago.

An importable module, no command. ale_py loads a game's ROM anew for each seed, which takes 100 ms,
as long as a hundred steps. The candidates of a generation play the same seeds, so the first of
them leaves the state of the emulator, its random numbers included, for the others: 0.2 ms. The
picture is kept beside it, for a restored emulator shows the old one until its next step.
"""

import collections
import copy

from ale_py.env import AtariEnv
from gymnasium.envs.registration import EnvSpec

ENTRY_POINT = "ale_py.env:AtariEnv"
REMEMBERED = 64  # starts of some kB each


class Starts(collections.OrderedDict):
    """Seed -> the emulator's state and picture after a reset with it, of the seeds used last."""

    def keep(self, seed: int, state, picture) -> None:
        self[seed] = state, picture
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class QuickAtari(AtariEnv):
    """ale_py's environment, to the bit; `starts` are shared by those of one game."""

    def __init__(self, starts: Starts, **options):
        self._starts = starts
        super().__init__(**options)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        if seed not in self._starts:
            picture, info = super().reset(seed=seed, options=options)
            if seed is not None:
                self._starts.keep(seed, self.ale.cloneSystemState(), picture)
            return picture, info
        state, picture = self._starts[seed]
        seeds = self.seed_game(seed)  # numpy's numbers; the emulator's are part of its state
        self.ale.restoreSystemState(state)
        return picture.copy(), self._get_info() | {"seeds": seeds}


def quick(spec: EnvSpec, starts: Starts) -> EnvSpec:
    """The same environment as a QuickAtari."""

    def entry_point(**options) -> QuickAtari:  # gymnasium copies what stands in a spec's kwargs
        return QuickAtari(starts, **options)

    spec = copy.copy(spec)
    spec.entry_point = entry_point
    return spec
