"""dm_control: the suite, manipulation tasks and the rodent, from pictures, vectors or both."""

import contextlib
import os
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
from gymnasium import spaces

from kit.command.errors import UserError

CAMERAS = {  # of tasks whose camera 0 looks elsewhere
    "quadruped_walk": 2,
    "quadruped_run": 2,
    "quadruped_escape": 2,
    "quadruped_fetch": 2,
    "locom_rodent_maze_forage": 1,
    "locom_rodent_two_touch": 1,
}
INSTALL = "pip install -r requirements-dreamerv2.txt"


class Control(gymnasium.Env):
    """A dm_control task: observations by name, "image" besides where `pictures` is true.

    `load(seed)` makes it. An episode that dm_control ends by its clock is truncated; terminated is
    one whose discount is 0.
    """

    def __init__(
        self, load: Callable, size: tuple[int, int], camera: int, pictures: bool, seed: int = 0
    ):
        self._load, self._size, self._camera, self._pictures = load, size, camera, pictures
        self._env = load(seed)
        keys = {
            key: spaces.Box(-np.inf, np.inf, (int(np.prod(spec.shape)),), np.float32)
            for key, spec in self._env.observation_spec().items()
            if np.prod(spec.shape) > 0 and spec.dtype != np.uint8
        }
        self._keys = list(keys)
        if pictures:
            keys["image"] = spaces.Box(0, 255, (*size, 3), np.uint8)
        self.observation_space = spaces.Dict(keys)
        spec = self._env.action_spec()
        self.action_space = spaces.Box(
            spec.minimum.astype(np.float32), spec.maximum.astype(np.float32), dtype=np.float32
        )

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        if seed is not None:  # dm_control draws its starts from a generator made with the task
            self._env.close()
            self._env = self._load(seed)
        return self._observe(self._env.reset()), {}

    def step(self, action):
        step = self._env.step(action)
        terminated = step.last() and step.discount == 0
        return (
            self._observe(step),
            step.reward or 0.0,
            terminated,
            step.last() and not terminated,
            {},
        )

    def render(self) -> np.ndarray:
        return self._env.physics.render(*self._size, camera_id=self._camera)

    def close(self) -> None:
        self._env.close()

    def _observe(self, step) -> dict[str, np.ndarray]:
        values = {
            key: np.asarray(step.observation[key], np.float32).reshape(-1) for key in self._keys
        }
        return values | {"image": self.render()} if self._pictures else values


def make(name: str, config, pictures: bool) -> gymnasium.Env:
    """The task `name`, as "walker_walk", "cup_catch", "manip_...", "locom_rodent_...".

    `pictures` says whether "image" is drawn, which takes a hundred times a step's time, and a
    process without TensorFlow (batch.py). Raises UserError where dm_control is missing or has no
    such task.
    """
    domain, _, task = name.partition("_")
    try:
        with _drawing_with("egl" if pictures else "disabled"):
            load = _loader(domain, task)
    except ImportError as error:
        raise UserError(f"task dmc needs dm_control ({error}): {INSTALL}") from error
    except Exception as error:  # of PyOpenGL, which says nothing that helps
        raise UserError(
            "task dmc cannot draw its pictures: OpenGL for EGL is missing or broken (Debian: "
            f"libegl1, libgl1, libgl1-mesa-dri); tasks from vectors need none ({error})"
        ) from error
    camera = config.dmc_camera if config.dmc_camera >= 0 else CAMERAS.get(name, 0)
    try:
        return Control(load, tuple(config.render_size), camera, pictures)
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"--task: expected dmc_<domain>_<task> as dmc_walker_walk, found 'dmc_{name}' ({error})"
        ) from error


@contextlib.contextmanager
def _drawing_with(library: str) -> Iterator[None]:
    """What dm_control is to draw with, which it reads when it is imported.

    EGL needs no screen. Where nothing is drawn it must stay away: Mesa's brings a second LLVM into
    the process, which crashes beside TensorFlow's own.
    """
    before = os.environ.get("MUJOCO_GL")
    if library == "disabled" or before in (None, "disabled"):
        os.environ["MUJOCO_GL"] = library
    try:
        yield
    finally:
        os.environ.pop("MUJOCO_GL")
        if before is not None:
            os.environ["MUJOCO_GL"] = before


def _loader(domain: str, task: str) -> Callable:
    """seed -> dm_control environment."""
    if domain == "manip":
        from dm_control import manipulation

        return lambda seed: manipulation.load(f"{task}_vision", seed=seed)
    if domain == "locom":
        from dm_control.locomotion.examples import basic_rodent_2020

        return lambda seed: getattr(basic_rodent_2020, task)(np.random.RandomState(seed))
    from dm_control import suite

    domain = {"cup": "ball_in_cup"}.get(domain, domain)  # the only one with an underscore
    return lambda seed: suite.load(domain, task, task_kwargs={"random": seed})
