"""The dream: rewards, ends and limits by M's heads; rows on their own; C's weights."""

import numpy as np
import pytest
from gymnasium import spaces

from kit.batches.dream_env import DreamVectorEnv

from agent import Controllers
from dream import Dream
from models import Memory
from rnn import MDNRNN, Size
from rnn_data import Rewards
from smoke import config_of
from world import actions_of

ACTIONS = actions_of(spaces.Discrete(2))


def make_dream(reward="gaussian", end=True, end_bias=-20.0, rewards=(2.0, 3.0), **options) -> Dream:
    """A dream of a random M whose reward says 0.5 and whose end says `end_bias`, always."""
    size = Size(4, 2, 8, 3, reward, end)
    rnn = MDNRNN(size, seed=1)
    columns = size.mixture_columns
    rnn.variables[2][:, columns:] = 0
    rnn.variables[3][columns:] = ([0.5] if reward != "none" else []) + ([end_bias] if end else [])
    first = np.arange(8, dtype=np.float32).reshape(2, 4), np.full((2, 4), -9, np.float32)
    return Dream(Memory(rnn, Rewards(*rewards), first, 11), ACTIONS, **options)


def steps_of(dream, seeds, steps=5):
    dream.start(seeds)
    seen, rewards = [dream.observation.copy()], []
    for step in range(steps):
        rewards.append(dream.step(np.full((len(dream.age), 1), step % 2))[0])
        seen.append(dream.observation.copy())
    return np.stack(seen), np.stack(rewards)


def test_a_reward_is_what_m_expects_in_the_games_units():
    assert steps_of(make_dream(), [1])[1] == pytest.approx(2 + 3 * 0.5)
    chance = 1 / (1 + np.exp(-0.5))
    assert steps_of(make_dream("bernoulli"), [1])[1] == pytest.approx(2 + 3 * chance)
    assert steps_of(make_dream("none"), [1])[1] == pytest.approx(1)


def test_it_ends_with_the_probability_that_m_gives_it():
    dream = make_dream(end_bias=float(np.log(0.2 / 0.8)))
    dream.start(np.arange(4000))
    _, done = dream.step(np.zeros((4000, 1), np.int64))
    assert done.mean() == pytest.approx(0.2, abs=0.03)
    assert (dream.terminated == done).all()


@pytest.mark.parametrize(("limit", "steps"), [(0, 11), (3, 3)])
def test_it_ends_after_its_limit_or_that_of_the_longest_game(limit, steps):
    dream = make_dream(max_length=limit)
    dream.start([1])
    ends = [bool(dream.step(np.zeros((1, 1), np.int64))[1][0]) for _ in range(steps)]
    assert ends == [False] * (steps - 1) + [True]
    assert not dream.terminated.any()


def test_an_m_without_an_end_head_never_ends():
    dream = make_dream(end=False)
    dream.start([1, 2])
    assert not dream.step(np.zeros((2, 1), np.int64))[1].any()


def test_a_row_does_not_depend_on_its_company():
    alone, _ = steps_of(make_dream(), [7])
    many, _ = steps_of(make_dream(), [3, 7, 9])
    np.testing.assert_allclose(many[:, 1], alone[:, 0], atol=1e-5)


def test_a_dream_begins_at_a_first_frame_of_a_game():
    dream = make_dream()
    dream.start(np.arange(50))
    first = dream.observation[:, :4]
    near = np.abs(first[:, None] - np.arange(8).reshape(2, 4)).max(axis=2)
    assert near.min(axis=1).max() < 0.1
    assert {0, 1} == set(near.argmin(axis=1))
    assert (dream.observation[:, 4:] == 0).all()


def test_a_dream_is_a_gymnasium_environment():
    env = DreamVectorEnv(make_dream(max_length=4), 3, ACTIONS.space)
    seen, _ = env.reset(seed=5)
    assert seen.shape == (3, 20) and env.action_space.contains(env.action_space.sample())
    for step in range(4):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert (reward == 3.5).all() and not terminated.any()
        assert (truncated == (step == 3)).all()


@pytest.mark.parametrize(("inputs", "size"), [("z", 5), ("zh", 13), ("zch", 21)])
def test_controllers_see_what_inputs_says(tmp_path, inputs, size):
    config = config_of(tmp_path, es_training={"inputs": inputs})
    assert Controllers.size(config, ACTIONS) == 2 * size
    weights = np.zeros((2, 2 * size))
    weights[0, 1], weights[1, -1] = 1, 1  # a bias; the weight of the last input for output 1
    controllers = Controllers(weights, config, ACTIONS)
    seen = np.zeros((3, 20), np.float32)
    last = {"z": 3, "zh": 19, "zch": 19}[inputs]
    seen[1, last], seen[2, last] = 1, -1
    assert controllers.act(seen, np.array([0, 1, 1])).tolist() == [[1], [1], [0]]
