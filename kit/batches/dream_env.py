"""A dream as gymnasium environments, a batch or a single one, for any agent library.

A dream is a world of kit/batches/rollout.py (`start`, `step`, `keep`, `observation`) that also has

  terminated     bool (B,), of the last step: the episode's own end, not the clock's
  info()         arrays (B,) about the last step, by name; {} where there are none

Row i of the batch is the single environment with the same seed, bit for bit, over all its episodes.

Which class is for whom: evolution takes the dream itself (rollout.py), which drops finished rows;
libraries that know gymnasium's vector environments take DreamVectorEnv; stable-baselines3 takes
the same in sb3.py's VecEnv; libraries that know single environments alone take DreamEnv, a
hundredth as fast.
"""

from collections.abc import Sequence

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

LARGEST = 2**31 - 1  # of the seeds of later episodes


def observation_space(dream) -> gymnasium.spaces.Box:
    """Of one row, float32 (O,)."""
    return gymnasium.spaces.Box(-np.inf, np.inf, dream.observation.shape[1:], np.float32)


class DreamVectorEnv(VectorEnv):
    """A dream as a gymnasium vector environment of `num_envs` rows.

    Autoreset is gymnasium's default NEXT_STEP: the step after a row's end ignores its action,
    rewards 0, and returns the first observation of a new episode. With SAME_STEP, which
    stable-baselines3 expects (sb3.py), the step that ends a row returns that already, and what the
    row saw last is in the infos `final_obs`, an object array (B,) with None for rows that go on.
    `keep` shrinks the environment to the rows named.
    """

    def __init__(
        self,
        dream,
        num_envs: int,
        action_space: gymnasium.Space,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ):
        """`action_space`: of one row. Raises ValueError for another mode."""
        self._mode = AutoresetMode(autoreset_mode)
        if self._mode == AutoresetMode.DISABLED:
            raise ValueError("a dream resets its rows by itself: NextStep or SameStep")
        self.metadata = {"autoreset_mode": self._mode, "render_modes": []}
        self._dream, self.num_envs = dream, num_envs
        self.single_observation_space = observation_space(dream)
        self.single_action_space = action_space
        self._ended = np.zeros(num_envs, bool)
        # Each row has a separate generator for the seeds of its later episodes.
        self._generators = [np.random.default_rng() for _ in range(num_envs)]
        self._set_spaces()

    def _set_spaces(self) -> None:
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict | None = None):
        """First observations (B, O); row i is seeded with seed + i, or with seed[i].

        Raises ValueError where a list of seeds has another length than num_envs. A row whose seed
        is None goes on with its own generator.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        if seed is None or isinstance(seed, int | np.integer):
            given = [None if seed is None else int(seed) + row for row in range(self.num_envs)]
        else:
            given = list(seed)
        if len(given) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, found {len(given)}")
        for row, value in enumerate(given):
            if value is not None:
                self._generators[row] = np.random.default_rng(int(value))
        every = range(self.num_envs)
        first = [self._draw(row) if given[row] is None else int(given[row]) for row in every]
        self._dream.keep(np.empty(0, np.int64))
        self._dream.start(np.array(first, np.int64))
        self._ended[:] = False
        return self._dream.observation.copy(), {}

    def _draw(self, row: int) -> int:
        return int(self._generators[row].integers(LARGEST))

    def step(self, actions: np.ndarray):
        """Advance by actions (B, ...): observation, reward, terminated, truncated, info."""
        dream, over = self._dream, self._ended
        reward, done = dream.step(actions)
        terminated = dream.terminated & ~over
        truncated = done & ~dream.terminated & ~over
        reward = reward.astype(np.float64) * ~over
        self._ended = terminated | truncated
        if self._mode == AutoresetMode.NEXT_STEP:
            self._begin_anew(np.flatnonzero(over))
            return dream.observation.copy(), reward, terminated, truncated, dream.info()
        over, info = self._ended, dream.info()
        if over.any():
            info |= {"final_obs": np.full(self.num_envs, None, object), "_final_obs": over}
            for row in np.flatnonzero(over):
                info["final_obs"][row] = dream.observation[row].copy()
        self._begin_anew(np.flatnonzero(over))
        self._ended = np.zeros(self.num_envs, bool)
        return dream.observation.copy(), reward, terminated, truncated, info

    def _begin_anew(self, ended: np.ndarray) -> None:
        """A new episode in each of the rows `ended`."""
        if len(ended):
            self._dream.start(np.array([self._draw(row) for row in ended], np.int64))
            rows = np.arange(self.num_envs)
            rows[ended] = self.num_envs + np.arange(len(ended))
            self._dream.keep(rows)

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`, int64 (n <= B,); the environment has n rows."""
        self._dream.keep(np.asarray(rows))
        self._ended = self._ended[rows]
        self._generators = [self._generators[row] for row in rows]
        self.num_envs = len(rows)
        self._set_spaces()


class DreamEnv(gymnasium.Env):
    """A dream of one row as a gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own form)

    def __init__(self, dream, action_space: gymnasium.Space):
        self._dream = dream
        self.observation_space, self.action_space = observation_space(dream), action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """The first observation, float32 (O,)."""
        super().reset(seed=seed)
        first = int(self.np_random.integers(LARGEST)) if seed is None else seed
        self._dream.keep(np.empty(0, np.int64))
        self._dream.start(np.array([first], np.int64))
        return self._dream.observation[0].copy(), {}

    def step(self, action: np.ndarray):
        """Advance by an action: observation, reward, terminated, truncated, info."""
        reward, done = self._dream.step(np.asarray(action)[None])
        terminated = bool(self._dream.terminated[0])
        truncated = bool(done[0]) and not terminated
        info = {name: value[0].item() for name, value in self._dream.info().items()}
        return self._dream.observation[0].copy(), float(reward[0]), terminated, truncated, info
