"""Crafter: the survival game with 22 achievements."""

import gymnasium
import numpy as np
from gymnasium import spaces

from dreamerv2.envs.control import INSTALL
from kit.command.errors import UserError

REWARDS = {"reward": True, "noreward": False}


class Crafter(gymnasium.Env):
    """Pictures, and what is logged: the reward and how often each achievement was unlocked.

    `rewarded` false hides the reward from the agent; "log_reward" still holds it.
    """

    def __init__(self, crafter, size: tuple[int, int], rewarded: bool):
        self._make = lambda seed: crafter.Env(size=size[::-1], reward=rewarded, seed=seed)
        self._env = self._make(0)
        self._names = list(crafter.constants.achievements)
        logged = ["log_reward", *(f"log_achievement_{name}" for name in self._names)]
        image = spaces.Box(0, 255, (*size, 3), np.uint8)
        numbers = {key: spaces.Box(-np.inf, np.inf, (), np.float32) for key in logged}
        self.observation_space = spaces.Dict({"image": image, **numbers})
        self.action_space = spaces.Discrete(len(crafter.constants.actions))

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        if seed is not None:  # a world's number is the game's seed and how often it was reset
            self._env = self._make(seed)
        return self._observe(self._env.reset(), 0.0, {}), {}

    def step(self, action):
        image, reward, done, info = self._env.step(int(action))
        dead = done and info["discount"] == 0
        observation = self._observe(image, info["reward"], info["achievements"])
        return observation, reward, dead, done and not dead, {}

    def _observe(self, image, reward: float, achievements: dict) -> dict[str, np.ndarray]:
        counts = {
            f"log_achievement_{name}": np.float32(achievements.get(name, 0)) for name in self._names
        }
        return {"image": image, "log_reward": np.float32(reward), **counts}


def make(name: str, config, evaluates: bool) -> gymnasium.Env:
    """`name` is "reward" or "noreward"; an evaluation always has the reward.

    Raises UserError where crafter is missing or has no such task.
    """
    if name not in REWARDS:
        raise UserError(
            f"--task: expected crafter_reward or crafter_noreward, found 'crafter_{name}'"
        )
    try:
        import crafter
    except ImportError as error:
        raise UserError(f"task crafter needs the package crafter: {INSTALL}") from error
    return Crafter(crafter, tuple(config.render_size), REWARDS[name] or evaluates)
