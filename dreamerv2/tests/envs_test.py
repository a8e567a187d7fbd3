"""Tasks by their names, and environments side by side."""

import ctypes.util
import functools

import numpy as np
import pytest
from gymnasium import spaces

from dreamerv2 import config as settings
from dreamerv2.envs import control, rooms
from dreamerv2.envs.adapter import ActionRepeat
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make, strategy
from kit.command.errors import UserError

CONFIG = settings.defaults()


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
        steps = [env.step(3) for _ in range(4)]
        frames[mode] = [step[0]["image"].astype(int) for step in steps]
        assert [step[3] for step in steps] == [False, False, False, True]
        env.close()
    differences = np.abs(np.array(frames["train"]) - np.array(frames["eval"]))
    assert 0 < (differences > 8).mean() < 0.03


@pytest.mark.parametrize("kind", ["stock", "fast"])
def test_carracing_drawn_once_an_action_is_the_game_drawn_at_every_frame(kind):
    whole = rooms.room_module("carracing", "env").make(kind)
    every = ActionRepeat(rooms.CarRacingMoves(whole), 4)
    once = rooms.carracing(stock=kind == "stock", repeat=4)
    try:
        assert np.array_equal(every.reset(seed=3)[0], once.reset(seed=3)[0])
        for move in (3, 3, 4, 5, 1, 6, 0):
            (picture, *others), (drawn, *same) = every.step(move), once.step(move)
            assert np.array_equal(picture, drawn) and others[:3] == same[:3]
    finally:
        every.close()
        once.close()


def test_carracing_has_seven_moves_that_gas_and_brake():
    env = rooms.carracing(stock=False, repeat=1)
    try:
        assert env.action_space == spaces.Discrete(7)
        env.reset(seed=3)
        speeds = [0.0]
        for move in (3, 6):  # gas, brake
            for _ in range(40):
                env.step(move)
            speeds.append(env.unwrapped.car.hull.linearVelocity.length)
        assert speeds[1] > 10 and speeds[2] < 0.5 * speeds[1]
    finally:
        env.close()


def test_a_lost_car_is_given_up_in_training_only():
    lengths = {}
    for stock in (False, True):
        env = rooms.carracing(stock, repeat=1)
        env.reset(seed=3)
        for lengths[stock] in range(1, 160):
            _, _, terminated, truncated, _ = env.step(6)  # it brakes, and finds no tile
            if truncated:
                break
        assert not terminated and truncated is (not stock)
        env.close()
    assert 100 < lengths[False] < 159 == lengths[True]


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
        make_batch([make], "both")


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
