"""Human play in the dream: what the keys do, what is shown, and keys in a real window."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from kit.files.weights import save_initial_z
from kit.show import virtual_screen

import play_dream
from doomrnn import Dream
from rnn import MDNRNN, FastStep
from vae import VAE

Z, H = 6, 16
ROOM = Path(__file__).parents[1]


class Keys:
    """A window in which these keys are down, and these were pressed in each frame."""

    def __init__(self, held=(), pressed=()):
        self._held, self._coming, self.pressed = held, list(pressed), frozenset()
        self.pictures = []

    def held(self, key):
        return key in self._held

    def show(self, picture):
        self.pictures.append(picture)
        self.pressed = frozenset(self._coming.pop(0) if self._coming else ())
        return "escape" not in self.pressed

    def hold(self, picture, frames):
        return self.show(picture)


@pytest.fixture(scope="module")
def step():
    rnn = MDNRNN(Z, 1, H, 5)
    rng = np.random.default_rng(0)
    rnn.variables = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in rnn.shapes]
    rnn.variables[3][0] = -9  # restart logit: no early end
    return FastStep(rnn)


@pytest.fixture
def dream(step):
    initial_z = np.random.default_rng(1).normal(size=(2, 10, Z)).astype(np.float32)
    return lambda **options: Dream(step, initial_z, **options)


def decode(z):
    return np.full((1, 64, 64, 3), 0.5, np.float32)


@pytest.mark.parametrize(("held", "move"), [((), 0), (("left",), -1), (("right",), 1)])
def test_left_and_right_move(dream, held, move):
    played, expected = dream(), dream()
    play_dream.play_episode(played, decode, Keys(held), 7, 6, [])
    expected.start([7])
    for _ in range(6):
        expected.step(np.array([move]))
    np.testing.assert_array_equal(played.observation, expected.observation)


def test_up_and_down_change_the_temperature_at_once_and_keep_it_above_zero(dream):
    world = dream(temperature=1.25)
    play_dream.play_episode(world, decode, Keys((), [("up",), (), ("up",), ("down",)]), 7, 3, [])
    assert world.temperature == 1.35
    play_dream.play_episode(world, decode, Keys((), [("down",)] * 50), 7, 45, [])
    assert world.temperature == 0.05


def test_enter_starts_again_and_escape_ends(dream):
    keys = Keys((), [(), (), ("return",)])
    assert play_dream.play_episode(dream(), decode, keys, 7, np.inf, []) == (True, False)
    assert len(keys.pictures) == 3
    keys = Keys((), [("escape",)])
    assert play_dream.play_episode(dream(), decode, keys, 7, np.inf, []) == (False, False)


def test_an_end_is_shown_before_the_next_dream(dream):
    keys = Keys()
    assert play_dream.play_episode(dream(max_length=4), decode, keys, 7, np.inf, [9]) == (
        True,
        True,
    )
    assert len(keys.pictures) == 6 and (keys.pictures[4] == keys.pictures[5]).all()


def test_pixels_are_enlarged_without_blur(dream):
    world, frame = dream(), np.random.default_rng(0).random((1, 64, 64, 3))
    world.start([7])
    picture = play_dream.draw(world, lambda _: frame, [])
    assert picture.shape == (728, 640, 3)
    expected = np.rint(frame[0] * 255).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    np.testing.assert_array_equal(picture[:640], expected)


def test_the_bar_shows_ms_probability_of_the_end(dream):
    def red(logit):
        world = dream()
        world.start([7])
        world.death_logit[:] = logit
        below = play_dream.draw(world, decode, [])[640:684, :320].astype(int)
        return np.count_nonzero((below[..., 0] > 200) & (below[..., 1] < 120))

    full = red(20)
    assert full > 1000 and red(-20) < 0.05 * full
    assert red(0) == pytest.approx(0.5 * full, rel=0.03)


def test_playing_without_a_screen(dream, monkeypatch, capsys):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    args = argparse.Namespace(seed=0, fps=1000, steps=None, episodes=2)
    assert play_dream.play(dream(max_length=5), decode, args) == [5, 5]
    assert "episode 2 length 5" in capsys.readouterr().out
    args.steps = 3
    assert play_dream.play(dream(max_length=50), decode, args) == []


@pytest.mark.skipif(virtual_screen.MISSING != "", reason=f"no {virtual_screen.MISSING}")
def test_playing_with_real_keys_in_a_real_window(tmp_path):
    """With random models, so that TensorFlow is in the process and no shipped file is needed."""
    rng = np.random.default_rng(0)
    VAE(64).save(tmp_path / "vae.json")
    rnn = MDNRNN(64)
    rnn.variables[3][0] = -9  # no early end
    rnn.save(tmp_path / "rnn.json")
    save_initial_z(tmp_path / "z.json", *rng.normal(size=(2, 3, 64)))
    models = ("--vae", "vae.json", "--rnn", "rnn.json", "--initial_z", "z.json")
    arguments = [str(tmp_path / word) if word.endswith("json") else word for word in models]
    keys = "xdotool keydown Left; sleep .5; xdotool keyup Left; sleep .1; xdotool key Up"
    keys += "; sleep .3; xdotool key Return; sleep .3; xdotool key Escape"
    done = virtual_screen.drive("doomrnn.py", arguments, keys, ROOM)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "windows left: 0"), done.stderr
    assert "temperature 1.30" in lines
