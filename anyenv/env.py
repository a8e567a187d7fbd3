"""Any gymnasium environment as frames: 64x64 pixels of what it shows, many episodes at once.

An importable module, no command. `make` builds one environment by the config's section `general`:
its observation where that is a picture, or else what it renders; cropped, shrunk by areas, in
colour, in grey, or the last three grey frames as the channels; an action lasts `action_repeat`
steps. `Games` holds many of them in lockstep: the `world` of kit/batches/rollout.py.
"""

import contextlib
import importlib
import warnings
from types import SimpleNamespace

import cv2
import gymnasium
import numpy as np

from kit.command import interrupts
from kit.command.errors import UserError

import atari
from atari import Starts
from config import parse_slices
from world import Actions, actions_of

PACKAGES = ("ale_py", "minigrid")  # register environments of theirs when they are imported
SMALLEST = 32  # pixels a side of an observation that is a picture to look at
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601)


class PixelEnv(gymnasium.Wrapper):
    """An environment whose observations are frames uint8 (64, 64, C).

    actions: how its actions are recorded, and what M and C see of them (world.py)
    limit: actions of an episode at most; None: it has no limit
    """

    def __init__(self, env: gymnasium.Env, general: SimpleNamespace, rendered: bool):
        super().__init__(env)
        self._rendered, self._repeat = rendered, general.action_repeat
        self._crop, self._shape = parse_slices(general.crop_range), tuple(general.state_shape)
        self._history = general.channels == "history"
        self._last: list[np.ndarray] = []
        self.observation_space = gymnasium.spaces.Box(0, 255, self._shape, np.uint8)
        self.actions = actions_of(env.action_space, general.action_squash)
        steps = getattr(env.spec, "max_episode_steps", None)
        self.limit = -(-steps // self._repeat) if steps else None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = []
        return self._look(observation), info

    def step(self, action):
        total, ended = 0.0, False
        for _ in range(self._repeat):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            ended = terminated or truncated
            if ended:
                break
        return self._look(observation), total, terminated, truncated, info

    def _look(self, observation) -> np.ndarray:
        picture = self.env.render() if self._rendered else observation
        picture = np.asarray(picture)
        if picture.ndim == 2:
            picture = picture[..., None]
        picture = picture[self._crop]
        if 0 in picture.shape:
            raise UserError(
                f"general.crop_range leaves nothing of a frame {np.asarray(observation).shape}"
            )
        grey = self._history or self._shape[2] == 1
        if grey and picture.shape[2] == 3:
            picture = np.rint(picture @ GREY).astype(np.uint8)
        frame = cv2.resize(
            np.ascontiguousarray(picture), self._shape[1::-1], interpolation=cv2.INTER_AREA
        )
        if frame.ndim == 2:
            frame = frame[..., None]
        if self._history:
            self._last = [*self._last, frame][-3:]
            first = [self._last[0]] * (3 - len(self._last))
            return np.concatenate(first + self._last, axis=2)
        return frame if frame.shape[2] == self._shape[2] else frame[..., :1].repeat(3, axis=2)


def make(general: SimpleNamespace, starts: Starts | None = None) -> PixelEnv:
    """The environment of the config; UserError where there is none, or nothing to see of it.

    Atari games of the same `starts` share what a reset to a seed takes time for.
    """
    starts = Starts() if starts is None else starts
    kind = general.observation
    env = None if kind == "render" else _make(general, None, starts)
    if env is not None and _is_picture(env.observation_space):
        return PixelEnv(env, general, rendered=False)
    if env is not None:
        space = env.observation_space
        env.close()
        if kind == "pixels":
            raise UserError(
                f"general.observation pixels: {general.game_name} observes {space}; give render"
            )
    env = _make(general, "rgb_array", starts)
    cv2.setNumThreads(1)  # frames are too small to share; other cores have other processes
    return PixelEnv(env, general, rendered=True)


def _is_picture(space: gymnasium.Space) -> bool:
    shape = space.shape or ()
    colours = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    return colours and space.dtype == np.uint8 and min(shape[:2]) >= SMALLEST


def _make(general: SimpleNamespace, render_mode: str | None, starts: Starts) -> gymnasium.Env:
    name = general.game_name
    arguments = dict(general.environment_arguments)
    if general.max_steps:
        arguments["max_episode_steps"] = general.max_steps
    if ":" not in name and name not in gymnasium.registry:
        _register()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that the config asks for by name
            spec = gymnasium.registry.get(name)
            if spec and spec.entry_point == atari.ENTRY_POINT:
                name = atari.quick(spec, starts)
            return gymnasium.make(
                name, render_mode=render_mode, disable_env_checker=True, **arguments
            )
    except UserError:
        raise
    except Exception as error:  # an environment of anybody's may raise anything
        raise UserError(f"general.game_name {name} cannot be made: {error}") from error


def _register() -> None:
    """Let the packages of environments that are installed tell gymnasium what they have."""
    for package in PACKAGES:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(package)
            if package == "ale_py":
                module.ALEInterface.setLoggerMode(module.LoggerMode.Error)
            gymnasium.register_envs(module)


class Games:
    """Many episodes in lockstep: the `world` of rollout.py, whose observation is the frames.

    frames: uint8 (B, 64, 64, C)
    terminated: bool (B,), of the last step: the environment's own end, not a time limit
    """

    def __init__(self, general: SimpleNamespace):
        self._general, self._starts = general, Starts()
        self._envs = [make(general, self._starts)]
        self.actions: Actions = self._envs[0].actions
        self.limit = self._envs[0].limit
        self._slots = np.empty(0, np.int64)  # the environment of each row
        self.frames = np.empty((0, *general.state_shape), np.uint8)
        self.terminated = np.empty(0, bool)

    @property
    def observation(self) -> np.ndarray:
        return self.frames

    def start(self, seeds) -> None:
        """Append an episode for each of `seeds` (n,)."""
        count, old = len(seeds), len(self.frames)
        fresh = np.setdiff1d(np.arange(old + count), self._slots)[:count]
        while len(self._envs) <= max(fresh, default=-1):
            self._envs.append(make(self._general, self._starts))
        first = np.empty((count, *self.frames.shape[1:]), np.uint8)
        with interrupts.postponed():
            for k, (slot, seed) in enumerate(zip(fresh, seeds, strict=True)):
                first[k] = self._envs[slot].reset(seed=int(seed))[0]
        self._slots = np.append(self._slots, fresh)
        self.frames = np.concatenate((self.frames, first))
        self.terminated = np.append(self.terminated, np.zeros(count, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by recorded actions (B, D): reward float64 (B,), done bool (B,)."""
        reward, truncated = np.empty(len(actions)), np.zeros(len(actions), bool)
        with interrupts.postponed():
            for row, (slot, action) in enumerate(zip(self._slots, actions, strict=True)):
                result = self._envs[slot].step(self.actions.given(action))
                self.frames[row], reward[row], self.terminated[row], truncated[row], _ = result
        return reward, self.terminated | truncated

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._slots, self.terminated = self._slots[rows], self.terminated[rows]
        self.frames = self.frames[rows]

    def close(self) -> None:
        for env in self._envs:
            env.close()
