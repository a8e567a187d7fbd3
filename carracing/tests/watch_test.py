"""What a watcher is shown: the frames that came, what M expected of them, the agent's numbers."""

import argparse

import numpy as np
import pytest

from kit.batches.mixtures import expected_z

import watch
from agent import Controllers, RealWorld, WorldModel, simulate
from dream_env import Dream
from env import make
from rnn import FastStep, Rows


@pytest.fixture(scope="module")
def model():
    return WorldModel.random(3)


@pytest.fixture(scope="module")
def controllers():
    return Controllers(np.random.default_rng(0).standard_normal((1, 867)) * 0.3)


def test_the_expectation_is_the_mean_of_the_mixtures():
    rng = np.random.default_rng(0)
    mixture = rng.standard_normal((4, 3, 5, 32)).astype(np.float32)
    weight = np.exp(mixture[:, 0].astype(np.float64))
    mean = (weight / weight.sum(1, keepdims=True) * mixture[:, 1]).sum(1)
    np.testing.assert_allclose(expected_z(mixture), mean, atol=1e-5)


@pytest.mark.parametrize("kind", ["real", "dream"])
def test_ms_expectation_of_a_frame_is_made_before_the_frame(model, controllers, kind):
    """The pictures shown at a step are V's of the latents that came and of M's mean for them."""
    step = FastStep(model.rnn)
    world = RealWorld(model, "fast") if kind == "real" else Dream(step, model.initial_z)
    rows, previous, action = Rows(step), None, None
    rows.start(1)
    for moment in watch._episode(world, model, controllers, 5, 4):
        z = world.observation[:, :32].copy()
        np.testing.assert_allclose(moment.drawn, np.rint(model.vae.decode(z)[0] * 255), atol=1)
        if previous is None:
            assert moment.expected is None
        else:
            rows.advance(previous, action)
            expected = np.rint(model.vae.decode(expected_z(rows.predict()))[0] * 255)
            np.testing.assert_allclose(moment.expected, expected, atol=1)
        previous, action = z, moment.action[None]
    assert moment.step == 3
    world.close()


def test_the_full_view_is_of_the_episode_that_is_played(model, controllers):
    args = argparse.Namespace(seed=5, max_length=40)
    world = RealWorld(model, "fast")
    large = make("fast", render_mode="rgb_array")
    for moment in watch.real_episode(world, model, controllers, args, large):
        assert moment.view.shape == (400, 600, 3)
        if moment.step == 0:  # the first frames are drawn from far away, and grow
            first = moment.view
    assert moment.step == 39 and (moment.view != first).any()
    world = RealWorld(model, "fast")
    returns, _ = simulate(world, controllers, np.array([5]), 40)
    world.close()
    assert moment.total == returns[0]


def test_the_agent_drives_on_in_the_dream(model, controllers):
    """First the real latents; then what the moves of C on the dreamed ones lead to."""
    rng = np.random.default_rng(2)
    z, actions = rng.standard_normal((12, 32)).astype(np.float32), np.zeros((12, 3), np.float32)
    dream = watch.drive_on(model, controllers, z, actions, 6, seed=1)
    np.testing.assert_array_equal(dream[:6], z[:6])
    assert (dream[6:] != z[6:]).all()
    late = actions.copy()
    late[6:] = 1  # what the real car did later is not asked
    np.testing.assert_array_equal(watch.drive_on(model, controllers, z, late, 6, seed=1), dream)
    late[:6] = 1
    assert (watch.drive_on(model, controllers, z, late, 6, seed=1)[6:] != dream[6:]).any()
    other = Controllers(-controllers.parameters)
    assert (watch.drive_on(model, other, z, actions, 6, seed=1)[8:] != dream[8:]).any()


def test_the_key_m_puts_the_expectation_beside_what_came():
    frames = [np.full((64, 64, 3), value, np.uint8) for value in (50, 100, 150)]
    view = np.full((400, 600, 3), 200, np.uint8)
    moment = watch.Moment(3, view, *frames, np.float32([-1, 1, 0.5]), 12.5, np.zeros(32))
    for expected, values in ((False, (200, 50, 100)), (True, (200, 100, 150))):
        picture = watch.draw(moment, expected)
        assert picture.shape == (428, 1344, 3)
        assert tuple(picture[300, [100, 700, 1200], 0]) == values
    bars = picture[384:].astype(int)
    blue, green, red = (
        np.count_nonzero(np.abs(bars - colour).max(-1) < 10)
        for colour in (watch.panels.BLUE, watch.panels.GREEN, watch.panels.RED)
    )
    assert green == pytest.approx(2 * blue, rel=0.1) and green == pytest.approx(2 * red, rel=0.1)
    moment.view = moment.crop = None
    assert watch.draw(moment, False)[320, [100, 500], 0].tolist() == [100, 100]
    assert watch.draw(moment, True)[320, [100, 500], 0].tolist() == [100, 150]
