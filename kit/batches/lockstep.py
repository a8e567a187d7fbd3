"""Episodes of a gymnasium environment in lockstep, as the `world` of kit/batches/rollout.py."""

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from kit.batches import checked
from kit.command import interrupts

LONG = 10_000  # steps of an episode that may have no end


class LockstepEnv(SyncVectorEnv):
    """Sub-environments that are reset one by one, and rest from the end of their episode on.

    `running`, bool (num_envs,), says whose episode goes on; only those are stepped, so that an
    episode that lasts long does not pay for those that have ended. The others have reward 0.
    Infos are not collected: nothing here reads them.

    long: called once, with the environment's name, when an episode has lasted LONG steps
    """

    long: Callable[[str], object] | None = None

    def __init__(self, env_fns: Sequence[Callable[[], gymnasium.Env]]):
        super().__init__(env_fns, autoreset_mode=AutoresetMode.DISABLED)
        self.running = np.zeros(self.num_envs, bool)
        space = self.single_observation_space
        self._seen = np.zeros((self.num_envs, *space.shape), space.dtype)
        self._lasted = np.zeros(self.num_envs, np.int64)  # steps of each episode

    def reset(self, *, seed=None, options=None):
        """`options["reset_mask"]`, bool (num_envs,): reset only these, with their `seed`s."""
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        given = seed if isinstance(seed, list) else [seed] * self.num_envs
        with interrupts.postponed():
            for row in np.flatnonzero(mask):
                self._seen[row] = self.envs[row].reset(seed=given[row])[0]
        checked.finite(self.envs[0], self._seen)
        self.running |= mask
        self._lasted[mask] = 0
        return self._seen, {}

    def step(self, actions):
        reward = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), bool)
        with interrupts.postponed():
            for row in np.flatnonzero(self.running):
                result = self.envs[row].step(actions[row])
                self._seen[row], reward[row], terminated[row], truncated[row], _ = result
        checked.finite(self.envs[0], self._seen)
        self._lasted += self.running
        if self.long and self._lasted.max() >= LONG:
            self.long(checked.name(self.envs[0]))
            self.long = None
        self.running &= ~(terminated | truncated)
        return self._seen, reward, terminated, truncated, {}


class GymWorld:
    """Rows of a vector environment that has `running`: the `world` of kit/batches/rollout.py.

    With `time_factor` above 0 the observation ends in the number of steps made divided by it.
    """

    def __init__(self, env: VectorEnv, time_factor: float = 0.0):
        self.env, self.time_factor = env, time_factor
        self._rows = np.empty(0, np.int64)  # the sub-environment of each row
        self._steps = np.empty(0, np.int64)
        self._actions = np.zeros(env.action_space.shape, env.action_space.dtype)
        self._seen = None

    @property
    def observation(self) -> np.ndarray:
        """What the policies see, float64 (B, O)."""
        seen = np.asarray(self._seen[self._rows], np.float64)
        if self.time_factor > 0:
            seen = np.column_stack((seen, self._steps / self.time_factor))
        return seen

    def start(self, seeds: np.ndarray) -> None:
        """Append an episode for each of `seeds` (n,); there must be room for them."""
        fresh = np.setdiff1d(np.arange(self.env.num_envs), self._rows)[: len(seeds)]
        given: list[int | None] = [None] * self.env.num_envs
        for row, seed in zip(fresh, seeds, strict=True):
            given[row] = int(seed)
        mask = np.zeros(self.env.num_envs, bool)
        mask[fresh] = True
        self._seen = self.env.reset(seed=given, options={"reset_mask": mask})[0]
        self._rows = np.append(self._rows, fresh)
        self._steps = np.append(self._steps, np.zeros(len(fresh), np.int64))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by actions (B, ...): reward float64 (B,), done bool (B,)."""
        self._actions[self._rows] = actions
        self._seen, reward, terminated, truncated, _ = self.env.step(self._actions)
        self._steps += 1
        return reward[self._rows], (terminated | truncated)[self._rows]

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        kept = self._rows[rows]
        self.env.running[np.setdiff1d(self._rows, kept)] = False
        self._rows, self._steps = kept, self._steps[rows]

    def close(self) -> None:
        self.env.close()
