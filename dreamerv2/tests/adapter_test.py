"""What the agent sees of any environment, and what it can do in it."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dreamerv2 import config as settings
from dreamerv2.envs.adapter import ActionRepeat, Actions, Observations, adapt
from kit.command.errors import UserError

CONFIG = settings.defaults()


class Counter(gymnasium.Env):
    """Counts its steps: pictures, numbers, a direction and a text; ends after `length`."""

    observation_space = spaces.Dict(
        {
            "frame": spaces.Box(0, 255, (32, 48, 3), np.uint8),
            "grey": spaces.Box(0, 255, (32, 48), np.uint8),
            "position": spaces.Box(-9, 9, (2, 2), np.float64),
            "direction": spaces.Discrete(4, start=1),
            "inner": spaces.Dict({"switches": spaces.MultiBinary(3)}),
            "mission": spaces.Text(10),
            "log_count": spaces.Box(0, 99, (), np.float32),
        }
    )
    action_space = spaces.Discrete(3, start=-1)

    def __init__(self, length=5, truncates=False):
        self.length, self.truncates, self.actions = length, truncates, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.observe(), {}

    def step(self, action):
        self.actions.append(action)
        self.count += 1
        over = self.count == self.length
        end = (False, over) if self.truncates else (over, False)
        return self.observe(), 1.0, *end, {}

    def observe(self):
        return {
            "frame": np.full((32, 48, 3), self.count, np.uint8),
            "grey": np.full((32, 48), 10 * self.count, np.uint8),
            "position": np.full((2, 2), self.count / 2),
            "direction": 1 + self.count % 4,
            "inner": {"switches": np.array([1, 0, 1], np.int8)},
            "mission": "go",
            "log_count": np.float32(self.count),
        }


def test_a_dict_becomes_pictures_of_one_size_and_vectors():
    env = adapt(Counter(), CONFIG.update({"log_keys_max": "log_.*"}))
    observation, _ = env.reset(seed=0)
    observation, *_ = env.step(0)
    assert {key: value.shape for key, value in observation.items()} == {
        "frame": (64, 64, 3),
        "grey": (64, 64, 1),
        "position": (4,),
        "direction": (4,),
        "inner_switches": (3,),
        "log_count": (),
    }
    assert observation in env.observation_space
    assert np.unique(observation["frame"]).tolist() == [1]
    assert np.unique(observation["grey"]).tolist() == [10]
    assert observation["direction"].tolist() == [0, 1, 0, 0]
    assert observation["inner_switches"].tolist() == [1, 0, 1]
    assert observation["log_count"] == 1


def test_keys_that_nobody_wants_are_left_out():
    config = CONFIG.update({".*coder.mlp_keys": "$^", ".*coder.cnn_keys": "frame"})
    assert list(adapt(Counter(), config).observation_space) == ["frame"]
    with pytest.raises(UserError, match=r"frame, grey, .*--encoder\.cnn_keys"):
        adapt(Counter(), CONFIG.update({".*coder.(mlp|cnn)_keys": "$^"}))


def test_pictures_in_the_unit_interval_and_with_channels_first():
    class Space(gymnasium.ObservationWrapper):
        observation_space = spaces.Box(0, 1, (3, 16, 16), np.float32)

        def observation(self, observation):
            return np.stack([np.full((16, 16), value, np.float32) for value in (0, 0.5, 1)])

    env = Observations(Space(Counter()), (8, 8), lambda key, picture: True)
    observation, _ = env.reset()
    assert observation["image"].shape == (8, 8, 3)
    assert observation["image"][0, 0].tolist() == [0, 128, 255]


def test_action_repeat_adds_rewards_and_stops_at_the_end():
    env = ActionRepeat(Counter(length=5), 3)
    env.reset()
    assert env.step(0)[1:4] == (3.0, False, False)
    assert env.step(0)[1:4] == (2.0, True, False)


def test_the_time_limit_counts_actions_and_does_not_terminate():
    env = adapt(Counter(length=100), CONFIG.update({"action_repeat": 4, "time_limit": 3}))
    env.reset(seed=0)
    ends = [env.step(0)[1:4] for _ in range(3)]
    assert ends == [(4.0, False, False), (4.0, False, False), (4.0, False, True)]


def test_discrete_actions_begin_at_0():
    game = Counter()
    env = Actions(game)
    env.reset()
    for action in np.arange(3):
        env.step(action)
    assert env.action_space == spaces.Discrete(3) and game.actions == [-1, 0, 1]


def test_continuous_actions_are_flat_and_scaled():
    class Space(Counter):
        action_space = spaces.Box(
            np.array([[0.0, -2.0], [10.0, -np.inf]], np.float32),
            np.array([[1.0, 2.0], [30.0, np.inf]], np.float32),
        )

    game = Space()
    env = Actions(game)
    env.reset()
    env.step(np.array([-1, 0, 1, 5], np.float32))
    env.step(np.array([9, -9, 0, -5], np.float32))  # beyond the ends
    assert env.action_space.shape == (4,)
    assert np.array(game.actions).tolist() == [[[0, 0], [30, 5]], [[1, -2], [20, -5]]]


def test_actions_that_the_agent_cannot_make():
    class Space(Counter):
        action_space = spaces.MultiDiscrete([2, 2])

    with pytest.raises(UserError, match="expected discrete actions or a vector"):
        Actions(Space())
