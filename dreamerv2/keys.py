"""Which keys are which actions, for those who play in a dream."""

from collections.abc import Callable

import gymnasium
import numpy as np

from dreamerv2.agents import Trained
from dreamerv2.envs.rooms import MOVES

MINIGRID = {"left": 0, "right": 1, "up": 2, "p": 3, "o": 4, "space": 5, "d": 6}
TAKECOVER = {"left": 0, "right": 2}
DIGITS = {str(digit): digit for digit in range(10)}
Chooser = Callable[[object], np.ndarray | None]


def chooser(trained: Trained) -> tuple[Chooser, str]:
    """From a window to the action float32 (A,) that its keys mean; and a line of help.

    None means that the game waits: a grid's time goes on with each key, the others' by itself.
    """
    space, task = trained.envs.single_action_space, trained.config.task
    if not isinstance(space, gymnasium.spaces.Discrete):
        return lambda window: _vector(window, space.shape[0]), "arrows"
    if task == "carracing":
        return _drive, "arrows"
    if task == "takecover":
        return _held(TAKECOVER, 1, space.n), "arrows"
    if task.startswith("atari_"):
        return _joystick(trained), "arrows, space fires"
    if task.startswith("minigrid_"):
        text = "arrows turn and walk, space opens, P picks up, O drops"
        return _pressed(MINIGRID, space.n), text
    return _pressed(DIGITS, space.n), "digits are actions"


def _one_hot(index: int, count: int) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[index]


def _pressed(meanings: dict[str, int], count: int) -> Chooser:
    """One action for each key that goes down."""

    def choose(window):
        for key, action in meanings.items():
            if key in window.pressed and action < count:
                return _one_hot(action, count)
        return None

    return choose


def _held(meanings: dict[str, int], idle: int, count: int) -> Chooser:
    """The action of the key that is down, or `idle`."""

    def choose(window):
        down = [action for key, action in meanings.items() if window.held(key)]
        return _one_hot(down[0] if down else idle, count)

    return choose


def _joystick(trained: Trained) -> Chooser:
    """Atari's actions by their names, such as UPRIGHTFIRE."""
    names = trained.envs.envs[0].unwrapped.get_action_meanings()

    def choose(window):
        arrows = [key.upper() for key in ("up", "right", "left", "down") if window.held(key)]
        wanted = "".join(arrows) + "FIRE" * window.held("space")
        index = names.index(wanted) if wanted in names else names.index("NOOP")
        return _one_hot(index, len(names))

    return choose


def _drive(window) -> np.ndarray:
    """CarRacing's move that steers and pushes the pedals as the arrows say, or the nearest."""
    steer = float(window.held("right")) - float(window.held("left"))
    wanted = (steer, float(window.held("up")), float(window.held("down")))
    distances = [np.abs(np.sign(move) - wanted).sum() for move in MOVES]
    return _one_hot(int(np.argmin(distances)), len(MOVES))


def _vector(window, size: int) -> np.ndarray:
    """Arrows as numbers in [-1, 1]: sideways the first, upwards the second."""
    action = np.zeros(size, np.float32)
    action[0] = float(window.held("right")) - float(window.held("left"))
    if size > 1:
        action[1] = float(window.held("up")) - float(window.held("down"))
    return action
