"""The two games of this repository, out of their rooms: CarRacing and DoomTakeCover."""

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np

from dreamerv2.envs.adapter import ActionRepeat
from kit.command.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CARRACING_PATIENCE = 100  # frames, of 50 a second
MOVES = (  # of CarRacing: steer, gas, brake
    (0.0, 0.0, 0.0),
    (-0.6, 0.0, 0.0),
    (0.6, 0.0, 0.0),
    (0.0, 0.5, 0.0),
    (-0.6, 0.5, 0.0),
    (0.6, 0.5, 0.0),
    (0.0, 0.0, 0.5),
)


class Patience(gymnasium.Wrapper):
    """Truncates an episode after `steps` steps without a reward above 0.

    As in the training of CarRacing's room: a car that has lost the road teaches little more.
    """

    def __init__(self, env: gymnasium.Env, steps: int):
        super().__init__(env)
        self._patience, self._waited = steps, 0

    def reset(self, **options):
        self._waited = 0
        return self.env.reset(**options)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._waited = 0 if reward > 0 else self._waited + 1
        return observation, reward, terminated, truncated or self._waited >= self._patience, info


class TakeCover(gymnasium.Wrapper):
    """DoomTakeCover with its three moves as discrete actions: left, stay, right.

    The game has no picture once the player is dead; its last one takes that place, because a black
    frame would cost the world model more than all fireballs.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, **options):
        self._picture, info = self.env.reset(**options)
        return self._picture, info

    def step(self, action):
        move = np.array([float(action) - 1.0], np.float32)
        picture, reward, terminated, truncated, info = self.env.step(move)
        self._picture = self._picture if terminated else picture
        return self._picture, reward, terminated, truncated, info


class CarRacingMoves(gymnasium.ActionWrapper):
    """CarRacing by seven discrete actions, those of MOVES.

    With continuous actions the actor is at their limits before the model knows what they do, and
    stays there (NOTES.md).
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))

    def action(self, action):
        return np.array(MOVES[int(action)], np.float32)


class DrawnWhenSeen(gymnasium.Wrapper):
    """CarRacing inside an action repeat, its picture drawn once an action: the others nobody sees.

    Drawing is most of a frame's time, and does not change the game.
    Args: see: makes the observation of gymnasium's picture.
    """

    def __init__(self, env: gymnasium.Env, see: Callable[[np.ndarray], np.ndarray]):
        super().__init__(env)
        game = env.unwrapped
        self._draw, self._see = game._render, see
        undrawn = np.zeros(game.observation_space.shape, np.uint8)
        game._render = lambda mode: undrawn if mode == "state_pixels" else self._draw(mode)

    def reset(self, **options):
        _, info = self.env.reset(**options)
        return self._picture(), info

    def step(self, action):
        _, *others = self.env.step(action)
        return self._picture(), *others

    def _picture(self) -> np.ndarray:
        return self._see(self._draw("state_pixels"))


def carracing(stock: bool, repeat: int) -> gymnasium.Env:
    """CarRacing-v3, (64, 64, 3), `repeat` frames an action.

    It is gymnasium's, or to train drawn fast and with `Patience`.
    """
    room = room_module("carracing", "env")
    env = room.make("stock") if stock else Patience(room.make("fast"), CARRACING_PATIENCE)
    env = ActionRepeat(CarRacingMoves(env), repeat)
    return DrawnWhenSeen(env, room.crop_and_resize if stock else np.asarray)


def takecover() -> gymnasium.Env:
    """VizDoom's take_cover as its room has it, (64, 64, 3)."""
    return TakeCover(room_module("doomrnn", "doomreal").DoomReal())


@functools.cache
def room_module(room: str, name: str) -> ModuleType:
    """The module `name` of a room; UserError where this is no checkout of the repository.

    A room's modules are scripts that import each other by bare names, and two rooms have some in
    common. So they are imported with the room in front, and their names forgotten afterwards.
    """
    folder = ROOT / room
    if not (folder / f"{name}.py").exists():
        raise UserError(f"task {room}: expected the repository's folder {room}/ beside dreamerv2/")
    with _bare_imports(folder):
        return importlib.import_module(name)


@contextlib.contextmanager
def _bare_imports(folder: Path) -> Iterator[None]:
    names = {path.stem for path in folder.glob("*.py")}
    names |= {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}

    def ours() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in names]

    before = {name: sys.modules.pop(name) for name in ours()}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)
