"""A gymnasium vector environment as stable-baselines3's VecEnv, at the batch's speed.

    from kit.batches.sb3 import VecEnv      # before what loads TensorFlow, as the dreams do
    env = gymnasium.make_vec("doomrnn:DoomDream-v0", 64, autoreset_mode="SameStep")
    PPO("MlpPolicy", VecEnv(env)).learn(1_000_000)

Only for who uses that library; `pip install -r requirements-sb3.txt` installs it. It wraps single
environments in its VecEnv, but refuses gymnasium's vector environments.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

if find_spec("torch") and "tensorflow" in sys.modules and "torch._dynamo" not in sys.modules:
    # it would end the process: both bring an LLVM, and torch's bears no other before it
    raise ImportError("import kit.batches.sb3 before TensorFlow and what loads it")
import torch._dynamo  # noqa: F401

# isort: split
# stable-baselines3 loads TensorFlow, where there is one, to write TensorBoard's files.
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common import vec_env


class VecEnv(vec_env.VecEnv):
    """The rows of a vector environment whose autoreset is SAME_STEP.

    As that library has it, a step that ends a row returns the first observation of its next
    episode, and its info has `terminal_observation` and `TimeLimit.truncated`; arrays (B,) of the
    environment's own infos are dealt out to the rows.
    """

    def __init__(self, env: VectorEnv):
        """Raises ValueError where autoreset is another."""
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f"expected autoreset_mode SameStep, found {mode}")
        self.env, self._actions = env, None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray:
        """First observations (B, ...); seeded after `seed(value)`, row i with value + i."""
        seeded = any(seed is not None for seed in self._seeds)
        observation, _ = self.env.reset(seed=list(self._seeds) if seeded else None)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self):
        """Observations (B, ...), rewards float32 (B,), dones bool (B,), a dict of infos a row."""
        observation, reward, terminated, truncated, told = self.env.step(self._actions)
        names = [name for name in told if name not in ("final_obs", "_final_obs")]
        columns = [told[name].tolist() for name in names]
        infos = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        infos = infos or [{} for _ in range(self.num_envs)]
        done = terminated | truncated
        for row in np.flatnonzero(done):
            infos[row]["terminal_observation"] = told["final_obs"][row]
            infos[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices=None) -> list:
        return [getattr(self.env, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value, indices=None) -> None:
        """For all rows at once: they are one environment."""
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *args, indices=None, **options) -> list:
        """Called once, its result given for each of the rows."""
        return [getattr(self.env, method_name)(*args, **options)] * len(self._rows(indices))

    def env_is_wrapped(self, wrapper_class, indices=None) -> list[bool]:
        return [False] * len(self._rows(indices))

    def _rows(self, indices) -> Sequence[int]:
        return list(self._get_indices(indices))
