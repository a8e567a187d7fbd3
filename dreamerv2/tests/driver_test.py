"""The driver: rows of many environments become whole episodes."""

import functools
import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dreamerv2.driver import Driver, play_episodes, random_policy
from dreamerv2.envs.batch import make_batch


class Walk(gymnasium.Env):
    """Ends after as many steps as its seed says; "x" is the seed, then the actions so far."""

    observation_space = spaces.Dict({"x": spaces.Box(-99, 99, (2,), np.float32)})
    action_space = spaces.Discrete(3)

    def __init__(self, truncates=False):
        self._truncates = truncates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.steps, self.total = seed, 0, 0
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        self.total += int(action)
        over = self.steps >= self.seed
        end = (False, over) if self._truncates else (over, False)
        return self._observe(), float(action), *end, {}

    def _observe(self):
        return {"x": np.array([self.seed, self.total], np.float32)}


def batch(count, **options):
    return make_batch([functools.partial(Walk, **options)] * count)


def always(action):
    def policy(observation, state):
        return np.tile(np.eye(3, dtype=np.float32)[action], (len(observation["x"]), 1)), state

    return policy


def test_a_row_holds_the_action_that_led_to_it():
    driver = Driver(batch(1), iter([3, 4]))
    finished = [driver.step(always(2)) for _ in range(3)]
    assert finished[:2] == [[], []]
    ((number, episode),) = finished[2]
    assert number == 0
    assert episode["x"].tolist() == [[3, 0], [3, 2], [3, 4], [3, 6]]
    assert episode["action"].tolist() == [[0, 0, 0]] + [[0, 0, 1]] * 3
    assert episode["reward"].tolist() == [0, 2, 2, 2]
    assert episode["is_first"].tolist() == [True, False, False, False]
    assert episode["is_last"].tolist() == [False, False, False, True]
    assert episode["is_terminal"].tolist() == [False, False, False, True]
    assert {key: value.dtype.name for key, value in episode.items()} == {
        "x": "float32",
        "reward": "float32",
        "is_first": "bool",
        "is_last": "bool",
        "is_terminal": "bool",
        "action": "float32",
    }


def test_an_end_by_the_clock_is_last_and_not_terminal():
    ((_, episode),) = Driver(batch(1, truncates=True), iter([1])).step(always(0))
    assert episode["is_last"].tolist() == [False, True]
    assert not episode["is_terminal"].any()


def test_the_policy_sees_where_episodes_begin_and_keeps_its_state():
    seen = []

    def policy(observation, state):
        seen.append((observation["is_first"].tolist(), observation["reward"].tolist(), state))
        return np.eye(3, dtype=np.float32)[[1, 1]], (state or 0) + 1

    driver = Driver(batch(2), iter([1, 3, 3]))
    for _ in range(3):
        driver.step(policy)
    assert seen == [
        ([True, True], [0, 0], None),
        ([True, False], [0, 1], 1),
        ([False, False], [1, 1], 2),
    ]


def test_reset_cuts_what_is_under_way_and_keeps_its_steps():
    driver = Driver(batch(2), iter([9, 9, 9, 9]))
    for _ in range(4):
        driver.step(always(1))
    cut = driver.reset()
    assert [len(episode["action"]) for episode in cut] == [5, 5]
    assert all(episode["is_last"][-1] and not episode["is_terminal"].any() for episode in cut)
    assert driver.between_episodes and driver.reset() == []
    driver.step(always(1))
    assert not driver.between_episodes


def test_evaluations_play_every_seed_once_in_order_long_ones_too():
    episodes = play_episodes(batch(3), always(1), [5, 1, 2, 9, 1, 3, 2])
    assert [len(episode["action"]) - 1 for episode in episodes] == [5, 1, 2, 9, 1, 3, 2]


def test_evaluations_end_early_when_asked_to():
    calls = itertools.count()
    episodes = play_episodes(batch(1), always(1), [3, 3, 3], lambda: next(calls) >= 4)
    assert len(episodes) == 1


@pytest.mark.parametrize("continuous", [False, True])
def test_random_actions_are_in_the_space_and_fixed_by_the_seed(continuous):
    class Space(Walk):
        action_space = spaces.Box(-1, 1, (2,), np.float32) if continuous else spaces.Discrete(3)

    envs = make_batch([Space] * 500)
    actions, _ = random_policy(envs, 1)({}, None)
    again, _ = random_policy(envs, 1)({}, None)
    assert np.array_equal(actions, again) and actions.dtype == np.float32
    if continuous:
        assert actions.shape == (500, 2) and -1 <= actions.min() < -0.9 < 0.9 < actions.max() <= 1
    else:
        assert actions.shape == (500, 3) and (actions.sum(1) == 1).all()
        assert (abs(actions.mean(0) - 1 / 3) < 0.1).all()
