"""Keys: what a person's fingers do in a dream."""

import functools
from types import SimpleNamespace

import pytest

from dreamerv2 import config as settings
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make
from dreamerv2.envs.rooms import MOVES
from dreamerv2.keys import chooser


class Fingers:
    """A window with these keys down."""

    def __init__(self, *keys):
        self.pressed = frozenset(keys)

    def held(self, key):
        return key in self.pressed


def chooser_of(task, *blocks):
    config = settings.from_blocks(blocks).update({"task": task})
    envs = make_batch([functools.partial(make, task, "eval", config)])
    return chooser(SimpleNamespace(envs=envs, config=config))[0]


def test_a_grid_waits_for_a_key():
    choose = chooser_of("minigrid_DoorKey-5x5")
    assert choose(Fingers()) is None and choose(Fingers("x")) is None
    chosen = {key: choose(Fingers(key)).argmax() for key in ("left", "right", "up", "p", "space")}
    assert chosen == {"left": 0, "right": 1, "up": 2, "p": 3, "space": 5}
    assert choose(Fingers("left")).shape == (7,)


@pytest.mark.parametrize(
    ("keys", "action"),
    [((), "NOOP"), (("right",), "RIGHT"), (("left", "space"), "LEFTFIRE"), (("up",), "NOOP")],
)
def test_pong_has_a_joystick(keys, action):
    names = ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    assert names[chooser_of("atari_pong", "atari")(Fingers(*keys)).argmax()] == action


def test_carracing_is_steered_and_rolls_without_keys():
    choose = chooser_of("carracing")

    def move(*keys):
        return MOVES[choose(Fingers(*keys)).argmax()]

    assert move() == (0, 0, 0)
    assert move("left", "up") == (-0.6, 0.5, 0)
    assert move("right") == (0.6, 0, 0)
    assert move("down") == (0, 0, 0.5)


def test_other_games_have_digits_or_arrows():
    assert chooser_of("gym_CartPole-v1")(Fingers("1")).tolist() == [0, 1]
    assert chooser_of("gym_Pendulum-v1")(Fingers("right")).tolist() == [1]
