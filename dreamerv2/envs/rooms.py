"""The two games of this repository, out of their rooms: CarRacing and DoomTakeCover."""

import contextlib
import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np

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


def carracing(stock: bool) -> gymnasium.Env:
    """CarRacing-v3, (64, 64, 3): gymnasium's, or drawn fast and with `Patience` to train."""
    make = room_module("carracing", "env").make
    return CarRacingMoves(make("stock") if stock else Patience(make("fast"), CARRACING_PATIENCE))


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
