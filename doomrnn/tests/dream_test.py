"""The dream: gymnasium's checkers, ends, chance by row, the window."""

import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kit.batches.rollout import run_parallel, run_rollouts

from doomrnn import DoomDream, DoomDreamEnv, Dream
from rnn import MDNRNN, FastStep

Z, H = 6, 16


@pytest.fixture(scope="module")
def step():
    rnn = MDNRNN(Z, 1, H, 5)
    rng = np.random.default_rng(0)
    rnn.variables = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in rnn.shapes]
    rnn.variables[2][:, 0] *= 6
    rnn.variables[3][0] = -2  # restart logit: an end in some twenty steps
    return FastStep(rnn)


@pytest.fixture
def dream(step):
    rng = np.random.default_rng(1)
    initial_z = rng.normal(size=(2, 10, Z)).astype(np.float32)
    return lambda **options: Dream(step, initial_z, **options)


def act(observation, pairs):
    return np.tanh(observation @ np.linspace(-1, 1, Z + 2 * H) * (1 + pairs % 3))


def test_rollouts_do_not_depend_on_batching(dream):
    seeds = np.arange(60) + 1000
    returns, lengths = run_rollouts(dream(), act, seeds, max_length=150)
    np.testing.assert_array_equal(returns, lengths)
    assert len(set(lengths)) > 10 and lengths.min() >= 1 and lengths.max() <= 150
    for batch in (1, 7):
        again = run_rollouts(dream(), act, seeds, max_length=150, batch=batch)[1]
        np.testing.assert_array_equal(again, lengths)
    again = run_parallel([dream(), dream(), dream()], act, seeds, max_length=150)[1]
    np.testing.assert_array_equal(again, lengths)
    steps = []
    run_rollouts(dream(), act, seeds, max_length=150, report=steps.append)
    assert sum(steps) == lengths.sum()


def test_observations_alone_equal_those_in_a_batch(dream):
    batch, alone = dream(), dream()
    batch.start(np.arange(8))
    alone.start([5])
    action = np.linspace(-1, 1, 8)
    for _ in range(40):
        np.testing.assert_allclose(batch.observation[5], alone.observation[0], atol=2e-5)
        batch.step(action)
        alone.step(action[5:6])


def test_a_row_ends_where_the_restart_logit_is_above_zero_or_at_the_cap(dream):
    world = dream(max_length=15)
    world.start(np.arange(200))
    for age in range(1, 16):
        _, done = world.step(np.zeros(200))
        np.testing.assert_array_equal(done, (world.death_logit > 0) | (age == 15))
    assert 0 < (world.death_logit > 0).sum() < 200


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
        world.step(np.zeros(3000))
        spread.append(world.observation[:, :Z].std())
    assert spread[0] < 0.8 * spread[1]


def test_single_environment_passes_the_checker(dream):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*infinity.*")  # latents have no bounds
        warnings.filterwarnings("ignore", ".*spec.*|.*render.*")  # neither is there to check
        check_env(DoomDreamEnv(dream(max_length=50)))


def test_vector_environment_resets_ended_rows_on_the_next_step(dream):
    env = DoomDream(dream(max_length=12), num_envs=30)
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert env.single_action_space.shape == (1,) and env.action_space.shape == (30, 1)
    again, _ = env.reset(seed=list(range(3, 33)))
    np.testing.assert_array_equal(observation, again)
    ended, total = np.zeros(30, bool), 0
    for _ in range(40):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation) and not (terminated & truncated).any()
        np.testing.assert_array_equal(reward, ~ended)
        assert not observation[ended, Z:].any()  # a new episode: no state yet
        assert not terminated[ended].any() and not truncated[ended].any()
        ended = terminated | truncated
        total += ended.sum()
        assert info["death_logit"].shape == (30,)
    assert total > 80
    env.keep(np.arange(0, 30, 3))
    assert env.step(env.action_space.sample())[0].shape == (10, Z + 2 * H)


def test_vector_rows_equal_single_environments(dream):
    vector, action = DoomDream(dream(), num_envs=3), np.full((3, 1), 0.9, np.float32)
    vector.reset(seed=11)
    single = DoomDreamEnv(dream())
    single.reset(seed=13)
    for _ in range(5):
        seen = vector.step(action)[0][2]
        np.testing.assert_allclose(seen, single.step(action[2])[0], atol=2e-5)


def test_a_missing_model_is_one_sentence(tmp_path):
    script = Path(__file__).parents[1] / "doomrnn.py"
    command = [sys.executable, str(script), "--rnn", str(tmp_path / "no.json"), "--steps", "3"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=script.parent)
    assert result.returncode == 2
    assert "no.json" in result.stderr and "Traceback" not in result.stderr


def test_gymnasium_makes_the_dream_of_the_shipped_weights_by_its_name():
    single = gymnasium.make("doomrnn:DoomDream-v0", temperature=1.0)
    many = gymnasium.make_vec("doomrnn:DoomDream-v0", num_envs=3)
    first, _ = single.reset(seed=8)
    every, _ = many.reset(seed=[7, 8, 9])
    assert first.shape == (64 + 2 * 512,) and every.shape == (3, 64 + 2 * 512)
    np.testing.assert_array_equal(every[1], first)
    step = many.step(np.zeros((3, 1), np.float32))
    assert step[1].tolist() == [1, 1, 1] and step[4]["death_logit"].shape == (3,)
