"""Environments: what the agent sees of them, and what it can do in them."""

import ctypes.util
import functools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dreamerv2 import config as settings
from dreamerv2.envs import control, rooms
from dreamerv2.envs.adapter import ActionRepeat, Actions, Observations, adapt
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make, strategy
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


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("foo", "--task: expected atari_<game>"),
        ("atari_foo", "--task: expected atari_pong or another game, found 'atari_foo'"),
        ("gym_Foo-v0", "gymnasium cannot make 'Foo-v0'"),
        ("minigrid_Foo", "gymnasium cannot make 'MiniGrid-Foo-v0'"),
        ("crafter_foo", "expected crafter_reward or crafter_noreward"),
    ],
)
def test_unknown_tasks(task, message):
    with pytest.raises(UserError, match=message):
        make(task, "train", CONFIG)


@pytest.mark.parametrize(
    ("task", "package"), [("dmc_walker_walk", "dm_control"), ("crafter_reward", "crafter")]
)
def test_what_is_not_installed_is_named_with_what_to_install(monkeypatch, task, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UserError, match=r"pip install -r requirements-dreamerv2\.txt"):
        make(task, "train", CONFIG)


def test_pong_is_grey_sticky_and_four_frames_an_action():
    env = make("atari_pong", "train", settings.from_blocks(["atari"]))
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (64, 64, 1) and env.action_space == spaces.Discrete(6)
    console = env.unwrapped.ale
    before = console.getEpisodeFrameNumber()
    assert console.getFloat("repeat_action_probability") == 0.25
    env.step(3)
    assert console.getEpisodeFrameNumber() == before + 4
    points = 0
    while not points:
        _, reward, terminated, truncated, _ = env.step(0)
        points += abs(reward)
    assert (points, terminated, truncated) == (1, False, False)


def test_a_seed_repeats_an_episode_of_pong():
    env = make("atari_pong", "train", settings.from_blocks(["atari"]))

    def play(seed):
        env.reset(seed=seed)
        return np.stack([env.step(step % 6)[0]["image"] for step in range(60)])

    first, other, again = play(1), play(2), play(1)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_atari_in_colour_with_the_consoles_memory():
    changed = {"atari_grayscale": False, "encoder.mlp_keys": "ram"}
    env = make("atari_breakout", "train", settings.from_blocks(["atari"]).update(changed))
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (64, 64, 3) and observation["ram"].shape == (128,)


def test_minigrid_shows_what_lies_before_the_agent():
    env = make("minigrid_DoorKey-6x6", "train", CONFIG)
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (64, 64, 3) and env.action_space == spaces.Discrete(7)
    assert observation["image"].std() > 10


def test_carracing_is_drawn_fast_for_training_and_by_gymnasium_for_scores():
    config = CONFIG.update({"action_repeat": 2, "time_limit": 4})
    frames = {}
    for mode in ("train", "eval"):
        env = make("carracing", mode, config)
        env.reset(seed=3)
        steps = [env.step(np.array([0, 1, -1], np.float32)) for _ in range(4)]
        frames[mode] = [step[0]["image"].astype(int) for step in steps]
        assert [step[3] for step in steps] == [False, False, False, True]
        env.close()
    differences = np.abs(np.array(frames["train"]) - np.array(frames["eval"]))
    assert 0 < (differences > 8).mean() < 0.03


def test_takecover_moves_both_ways_and_keeps_its_last_picture():
    env = make("takecover", "train", CONFIG.update({"action_repeat": 4}))
    game = env.unwrapped
    try:
        env.reset(seed=1)
        places = [game.position()]
        for action in (0, 1, 2):  # left, stay, right
            for _ in range(4):
                observation, reward, terminated, *_ = env.step(action)
            places.append(game.position())
        assert reward == 4 and env.action_space == spaces.Discrete(3)
        moves = np.sign(np.round(np.diff(places)))
        assert moves[0] == -moves[2] != 0
        while not terminated:
            observation, _, terminated, truncated, _ = env.step(0)
        assert not truncated and observation["image"].std() > 10
    finally:
        env.close()


def test_rooms_leave_no_names_behind():
    room = rooms.room_module("carracing", "env")
    assert room.make and not {"env", "renderer"} & set(__import__("sys").modules)


@pytest.mark.parametrize("parallel", ["none", "thread", "process"])
def test_environments_side_by_side_play_what_each_plays_alone(parallel):
    config = CONFIG.update({"time_limit": 6})
    maker = functools.partial(make, "minigrid_DoorKey-6x6", "train", config)
    batch = make_batch([maker] * 2, parallel)
    alone = [maker() for _ in range(2)]
    try:
        together, _ = batch.reset(seed=[5, 6], options={"reset_mask": np.array([True, True])})
        apart = [env.reset(seed=5 + i)[0] for i, env in enumerate(alone)]
        rng = np.random.default_rng(0)
        for _ in range(6):
            for i in range(2):
                assert np.array_equal(together["image"][i], apart[i]["image"])
            actions = rng.integers(7, size=2)
            together, _, terminated, truncated, _ = batch.step(actions)
            steps = [env.step(int(action)) for env, action in zip(alone, actions, strict=True)]
            apart = [step[0] for step in steps]
            assert terminated.tolist() == [step[2] for step in steps]
            assert truncated.tolist() == [step[3] for step in steps]
        assert truncated.tolist() == [True, True]
        before = together["image"][1].copy()
        together, _ = batch.reset(seed=[7, None], options={"reset_mask": np.array([True, False])})
        assert np.array_equal(together["image"][0], alone[0].reset(seed=7)[0]["image"])
        assert np.array_equal(together["image"][1], before)
    finally:
        batch.close()


def test_an_unknown_way_to_run_side_by_side():
    with pytest.raises(UserError, match="--envs_parallel: expected none, thread, process"):
        make_batch([Counter], "both")


def test_broken_opengl_is_one_sentence(monkeypatch):
    def broken(domain, task):
        raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    monkeypatch.setattr(control, "_loader", broken)
    with pytest.raises(UserError, match="OpenGL for EGL is missing or broken"):
        control.make("walker_walk", CONFIG, pictures=True)


def test_dm_control_ends_by_its_clock_and_repeats_by_its_seed():
    pytest.importorskip("dm_control")
    env = make("dmc_cartpole_swingup", "train", settings.from_blocks(["dmc_proprio"]))
    first, _ = env.reset(seed=1)
    assert {key: len(value) for key, value in first.items()} == {"position": 3, "velocity": 2}
    steps, over = 0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
        over, steps = terminated or truncated, steps + 1
        assert 0 <= reward <= 2
    assert (steps, terminated, truncated) == (500, False, True)
    assert np.array_equal(env.reset(seed=1)[0]["position"], first["position"])
    assert not np.array_equal(env.reset(seed=2)[0]["position"], first["position"])


def test_pictures_of_dm_control_come_from_a_process_of_their_own():
    pytest.importorskip("dm_control")
    if not ctypes.util.find_library("EGL"):
        pytest.skip("no EGL to draw with")
    config = settings.from_blocks(["dmc_vision"])
    assert strategy(config) == "process"
    maker = functools.partial(make, "dmc_cartpole_balance", "train", config)
    batch = make_batch([maker], strategy(config))
    try:
        observation, _ = batch.reset(seed=[1], options={"reset_mask": np.array([True])})
        assert list(observation) == ["image"] and observation["image"].shape == (1, 64, 64, 3)
        assert observation["image"].std() > 20
    finally:
        batch.close()


def test_crafter_logs_its_achievements():
    pytest.importorskip("crafter")
    env = make("crafter_reward", "train", settings.from_blocks(["crafter"]))
    observation, _ = env.reset(seed=1)
    logged = [key for key in observation if key.startswith("log_achievement_")]
    assert len(logged) == 22 and env.action_space == spaces.Discrete(17)
    again, _ = env.reset(seed=1)
    assert np.array_equal(observation["image"], again["image"])
    assert env.step(0)[2:4] == (False, False)
