"""The dream: gymnasium's checkers, ends, chance by row, the window."""

import argparse
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kit.batches.rollout import run_parallel, run_rollouts

from dream_env import CarDream, CarDreamEnv, Dream
from play_dream import play
from rnn import MDNRNN, FastStep, Rows

Z, H = 6, 16


@pytest.fixture(scope="module")
def step():
    rnn = MDNRNN(Z, 3, H, 5)
    rng = np.random.default_rng(0)
    rnn.variables = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in rnn.shapes]
    return FastStep(rnn)


@pytest.fixture
def dream(step):
    rng = np.random.default_rng(1)
    initial_z = rng.normal(size=(2, 10, Z)).astype(np.float32)
    return lambda **options: Dream(step, initial_z, **options)


def act(observation, pairs):
    total = observation @ np.linspace(-1, 1, Z + 2 * H) * (1 + pairs % 3)
    return np.tanh(total)[:, None] * [1, 0.5, 0.2]


def test_observations_do_not_depend_on_batching(dream):
    seeds = np.arange(20) + 1000

    def last_latents(batch):
        world, seen = dream(max_length=30), np.zeros((20, Z))

        def watch(observation, pairs):
            seen[pairs] = observation[:, :Z]
            return act(observation, pairs)

        returns, lengths = run_rollouts(world, watch, seeds, batch=batch)
        assert not returns.any() and (lengths == 30).all()
        return seen

    together = last_latents(20)
    assert together.std(axis=0).min() > 0.1
    for batch in (1, 7):
        np.testing.assert_array_equal(last_latents(batch), together)
    returns, lengths = run_parallel([dream(), dream()], act, seeds, max_length=15)
    assert not returns.any() and (lengths == 15).all()


def test_a_row_ends_at_the_cap_only_and_rewards_nothing(dream):
    world = dream(max_length=15)
    world.start(np.arange(50))
    for age in range(1, 16):
        reward, done = world.step(np.zeros((50, 3)))
        assert not reward.any() and (done == (age == 15)).all()
    assert dream().max_length == 1000 and dream().temperature == 0.7


def test_m_is_advanced_once_a_step(dream, step):
    world, rows = dream(), Rows(step)
    world.start([5])
    rows.start(1)
    for t in range(6):
        action = np.array([[np.sin(t), 0.5, 0]])
        rows.advance(world.observation[:, :Z], action)
        world.step(action)
        np.testing.assert_array_equal(world.observation[:, Z:], np.hstack((rows.c, rows.h)))


def test_first_latents_are_drawn_from_the_recorded_pairs(dream):
    world = dream()
    world.start(np.arange(4000))
    z = world.observation[:, :Z]
    mu, std = world._mu, world._std
    np.testing.assert_allclose(z.mean(axis=0), mu.mean(axis=0), atol=0.1)
    expected = np.sqrt(mu.var(axis=0) + (std**2).mean(axis=0))
    np.testing.assert_allclose(z.std(axis=0), expected, rtol=0.05)
    assert not world.observation[:, Z:].any()


def test_temperature_widens_the_dream(dream):
    spread = []
    for temperature in (0.25, 1.0):
        world = dream(temperature=temperature)
        world.start(np.arange(3000))
        world._mu[:], world.observation[:] = 0, 0
        world.step(np.zeros((3000, 3)))
        spread.append(world.observation[:, :Z].std())
    assert spread[0] < 0.8 * spread[1]


def test_single_environment_passes_the_checker(dream):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*infinity.*")  # latents have no bounds
        warnings.filterwarnings("ignore", ".*symmetric.*")  # the game's own actions
        warnings.filterwarnings("ignore", ".*spec.*|.*render.*")  # neither is there to check
        check_env(CarDreamEnv(dream(max_length=50)))


def test_vector_environment_resets_ended_rows_on_the_next_step(dream):
    env = CarDream(dream(max_length=12), num_envs=30)
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert env.single_action_space.shape == (3,) and env.action_space.shape == (30, 3)
    again, _ = env.reset(seed=list(range(3, 33)))
    np.testing.assert_array_equal(observation, again)
    ended, total = np.zeros(30, bool), 0
    for _ in range(40):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert not terminated.any() and not reward.any()
        assert not observation[ended, Z:].any()  # a new episode: no state yet
        assert not truncated[ended].any()
        ended = truncated
        total += ended.sum()
    assert total == 90
    env.keep(np.arange(0, 30, 3))
    assert env.step(env.action_space.sample())[0].shape == (10, Z + 2 * H)


def test_vector_rows_equal_single_environments(dream):
    vector = CarDream(dream(), num_envs=3)
    action = np.tile(np.float32([0.9, 0.5, 0]), (3, 1))
    vector.reset(seed=11)
    single = CarDreamEnv(dream())
    single.reset(seed=13)
    for _ in range(5):
        seen = vector.step(action)[0][2]
        np.testing.assert_array_equal(seen, single.step(action[2])[0])


def test_playing_without_a_screen(dream, monkeypatch, capsys):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")

    def decode(z):
        return np.full((1, 64, 64, 3), 0.5, np.float32)

    args = argparse.Namespace(seed=0, fps=1000, steps=None, episodes=2)
    assert play(dream(max_length=5), decode, args) == [5, 5]
    assert "episode 2 length 5" in capsys.readouterr().out
    args.steps = 3
    assert play(dream(max_length=50), decode, args) == []


def test_gymnasium_makes_the_dream_of_the_shipped_weights_by_its_name():
    single = gymnasium.make("dream_env:CarDream-v0")
    many = gymnasium.make_vec("dream_env:CarDream-v0", num_envs=3)
    first, _ = single.reset(seed=8)
    every, _ = many.reset(seed=[7, 8, 9])
    assert first.shape == (32 + 2 * 256,) and every.shape == (3, 32 + 2 * 256)
    np.testing.assert_array_equal(every[1], first)
    step = many.step(np.tile(np.float32([0, 0.5, 0]), (3, 1)))
    assert step[1].tolist() == [0, 0, 0] and not step[2].any() and not step[3].any()
