"""Any gymnasium environment with the observations and actions that the agent knows.

Observations become a dict: pictures uint8 (H, W, C) of one size, everything else float32 vectors.
Actions become Discrete from 0 on, or Box (A,) float32 in [-1, 1].
"""

import re
from collections.abc import Callable, Iterator

import cv2
import gymnasium
import numpy as np
from gymnasium import spaces

from kit.command.errors import UserError

LOG = "log_"  # keys that are logged and kept in episodes, and that the agent never sees
FLAT = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)


class ActionRepeat(gymnasium.Wrapper):
    """Gives each action `times` times; the rewards add up, and an episode's end ends it."""

    def __init__(self, env: gymnasium.Env, times: int):
        super().__init__(env)
        self._times = times

    def step(self, action):
        total = 0.0
        for _ in range(self._times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class Observations(gymnasium.ObservationWrapper):
    """The dict of pictures and vectors that an observation holds.

    A picture (uint8, two or three dimensions; floats in [0, 1] with three) is resized to `size`;
    alone it is called "image". A vector alone is called "observation". Whole numbers become
    one-hots, texts are left out, nested names are joined by "_". `wanted(key, is_picture)` says
    which keys stay. Raises UserError where none does.
    """

    def __init__(
        self, env: gymnasium.Env, size: tuple[int, int], wanted: Callable[[str, bool], bool]
    ):
        super().__init__(env)
        self._size = tuple(size)
        found = dict(_parts(env.observation_space))
        self._pictures = {key for key, space in found.items() if _is_picture(space)}
        self._spaces = {
            key: space for key, space in found.items() if wanted(key, key in self._pictures)
        }
        if not any(not key.startswith(LOG) for key in self._spaces):
            names = ", ".join(found) or "none that a picture or a vector can be made of"
            raise UserError(
                f"no observation is left to learn from: the environment has {names}; see "
                "--encoder.cnn_keys and --encoder.mlp_keys"
            )
        adapted = {key: self._adapted_space(key) for key in self._spaces}
        self.observation_space = spaces.Dict(adapted)
        cv2.setNumThreads(1)  # frames are too small to share

    def _adapted_space(self, key: str) -> spaces.Box:
        space = self._spaces[key]
        if key in self._pictures:
            channels = _as_picture(np.zeros(space.shape, space.dtype)).shape[2]
            return spaces.Box(0, 255, (*self._size, channels), np.uint8)
        shape = () if key.startswith(LOG) else (spaces.flatdim(space),)
        return spaces.Box(-np.inf, np.inf, shape, np.float32)

    def observation(self, observation) -> dict[str, np.ndarray]:
        values = dict(_values(self.env.observation_space, observation))
        return {key: self._adapt(key, values[key]) for key in self._spaces}

    def _adapt(self, key: str, value) -> np.ndarray:
        if key in self._pictures:
            picture = _as_picture(np.asarray(value))
            if picture.shape[:2] != self._size:
                resized = cv2.resize(picture, self._size[::-1], interpolation=cv2.INTER_AREA)
                picture = resized.reshape(*self._size, -1)  # cv2 drops a single channel
            return picture
        if key.startswith(LOG):
            return np.asarray(value, np.float32)
        space = self._spaces[key]
        flat = value if isinstance(space, spaces.Box) else spaces.flatten(space, value)
        return np.asarray(flat, np.float32).reshape(-1)


class Actions(gymnasium.ActionWrapper):
    """Discrete actions counted from 0; Box actions flat and in [-1, 1], where they have bounds.

    Raises UserError for other kinds of actions.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        space = env.action_space
        if isinstance(space, spaces.Discrete):
            self.action_space = spaces.Discrete(int(space.n))
        elif isinstance(space, spaces.Box):
            self._bounded = np.isfinite(space.low) & np.isfinite(space.high)
            self._low = np.where(self._bounded, space.low, -1)
            self._range = np.where(self._bounded, space.high, 1) - self._low
            self.action_space = spaces.Box(-1, 1, (int(np.prod(space.shape)),), np.float32)
        else:
            raise UserError(f"expected discrete actions or a vector of numbers, found {space}")

    def action(self, action):
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return space.start + int(action)
        action = np.reshape(action, space.shape)
        scaled = (np.clip(action, -1, 1) + 1) / 2 * self._range + self._low
        return np.where(self._bounded, scaled, action).astype(space.dtype)


def adapt(env: gymnasium.Env, config, repeat: int | None = None) -> gymnasium.Env:
    """`env` as the agent plays it: dicts, actions, action repeat, time limit.

    Args: config: the settings (render_size, action_repeat, time_limit, encoder, decoder).
    repeat: 1 where `env` repeats actions itself. Raises UserError where it cannot be adapted.
    """

    def wanted(key: str, picture: bool) -> bool:
        if key.startswith(LOG):
            kept = (config.log_keys_sum, config.log_keys_mean, config.log_keys_max)
            return any(re.match(pattern, key) for pattern in kept)
        kind = "cnn_keys" if picture else "mlp_keys"
        return any(re.match(config[part][kind], key) for part in ("encoder", "decoder"))

    repeat = config.action_repeat if repeat is None else repeat
    if repeat > 1:
        env = ActionRepeat(env, repeat)
    env = Actions(Observations(env, config.render_size, wanted))
    if config.time_limit:
        env = gymnasium.wrappers.TimeLimit(env, config.time_limit)
    return env


def _parts(space: spaces.Space, name: str = "") -> Iterator[tuple[str, spaces.Space]]:
    """The spaces that become pictures or vectors, each with its key."""
    if isinstance(space, spaces.Dict):
        for key, part in space.items():
            yield from _parts(part, f"{name}_{key}" if name else key)
    elif isinstance(space, FLAT):
        yield name or ("image" if _is_picture(space) else "observation"), space


def _values(space: spaces.Space, value, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.items():
            yield from _values(part, value[key], f"{name}_{key}" if name else key)
    elif isinstance(space, FLAT):
        yield name or ("image" if _is_picture(space) else "observation"), value


def _is_picture(space: spaces.Space) -> bool:
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3):
        return False
    in_unit = np.all(space.low >= 0) and np.all(space.high <= 1) and len(space.shape) == 3
    return space.dtype == np.uint8 or bool(in_unit)


def _as_picture(value: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) of a picture that may be grey, in [0, 1], or have its channels first."""
    if value.dtype != np.uint8:
        value = np.rint(np.clip(value, 0, 1) * 255).astype(np.uint8)
    if value.ndim == 2:
        return value[:, :, None]
    if value.shape[0] <= 4 < value.shape[2]:
        return np.ascontiguousarray(value.transpose(1, 2, 0))
    return value
