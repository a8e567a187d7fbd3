"""What a watcher is shown: the frames that came, what M expected of them, the agent's numbers."""

import argparse

import numpy as np
import pytest

from kit.batches.mixtures import expected_z
from kit.show import panels

import watch
from agent import Controllers, RealWorld, WorldModel, make_world
from doomreal import DoomReal
from rnn import FastStep, Rows
from world import discretise


@pytest.fixture(scope="module")
def model():
    result = WorldModel.random(3)
    result.rnn.variables[3][0] = -9  # restart logit: no early end
    return result


@pytest.fixture(scope="module")
def controllers():
    return Controllers(np.random.default_rng(0).standard_normal((1, 1088)) * 0.5)


def arguments(**given):
    values = {"seed": 5, "max_length": 6, "temperature": 1.0, "world": "doomrnn"}
    return argparse.Namespace(**{**values, **given})


def test_the_expectation_is_the_mean_of_the_mixtures():
    rng = np.random.default_rng(0)
    mixture = rng.standard_normal((4, 3, 5, 64)).astype(np.float32)
    weight = np.exp(mixture[:, 0].astype(np.float64))
    mean = (weight / weight.sum(1, keepdims=True) * mixture[:, 1]).sum(1)
    np.testing.assert_allclose(expected_z(mixture), mean, atol=1e-5)


@pytest.mark.parametrize("kind", ["doomreal", "doomrnn"])
def test_ms_expectation_of_a_frame_is_made_before_the_frame(model, controllers, kind):
    """The pictures shown at a step are V's of the latents that came and of M's mean for them."""
    world, rows = make_world(kind, model, 1.0), Rows(FastStep(model.rnn))
    rows.start(1)
    previous = action = None
    moments = watch._episode(world, model, controllers, arguments(max_length=4))
    for moment in moments:
        z = world.observation[:, :64].copy()
        drawn = np.rint(model.vae.decode(z)[0] * 255)
        np.testing.assert_allclose(moment.drawn, drawn, atol=1)
        if previous is None:
            assert moment.expected is None and moment.death == 0
        else:
            rows.advance(previous, discretise(np.float32([action])))
            mixture, logit = rows.predict()
            expected = np.rint(model.vae.decode(expected_z(mixture))[0] * 255)
            np.testing.assert_allclose(moment.expected, expected, atol=1)
            assert moment.death == pytest.approx(1 / (1 + np.exp(-logit[0])), abs=1e-5)
        previous, action = z, moment.action
    assert moment.step == 3
    world.close()


def test_the_large_game_shows_what_the_small_one_plays(model, controllers):
    world = RealWorld(model)
    played = watch._episode(world, model, controllers, arguments(max_length=40))
    for moment in watch.real_episode(played, world, 5, DoomReal(rows=480)):
        assert moment.screen.shape == (480, 640, 3)
        small = panels.cv2.resize(moment.screen[:400], (64, 64), interpolation=3)
        assert np.abs(small.astype(int) - moment.crop).mean() < 12
    assert moment.step == 39


def test_the_key_m_puts_the_expectation_beside_what_came():
    frames = [np.full((64, 64, 3), value, np.uint8) for value in (50, 100, 150)]
    screen = np.full((480, 640, 3), 200, np.uint8)
    moment = watch.Moment(3, screen, *frames, 0.25, -1.0, np.zeros(64))
    for expected, values in ((False, (200, 50, 100)), (True, (200, 100, 150))):
        picture = watch.draw(moment, expected)
        assert picture.shape == (428, 1280, 3)
        assert tuple(picture[300, [100, 600, 1100], 0]) == values
    moment.screen = moment.crop = None
    assert watch.draw(moment, False)[320, [100, 500], 0].tolist() == [100, 100]
    assert watch.draw(moment, True)[320, [100, 500], 0].tolist() == [100, 150]
