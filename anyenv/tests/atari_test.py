"""Atari games that start from a seed used before."""

import gymnasium
import numpy as np

from atari import REMEMBERED, Starts
from env import Games, make
from smoke import BOXING, general

SEED = 5


def played(env, seed, actions):
    """Frames, rewards and the emulator's frame numbers of an episode's beginning."""
    frames, rewards, numbers = [env.reset(seed=seed)[0]], [], []
    for action in actions:
        frame, reward, _, _, info = env.step(int(action))
        frames.append(frame)
        rewards.append(reward)
        numbers.append(info["episode_frame_number"])
    return np.stack(frames), rewards, numbers


def test_a_remembered_start_plays_the_game_of_a_new_one_in_another_environment():
    games = Games(general(**BOXING))
    games.start([1, 2])
    first, second = (env.env for env in games._envs)  # without the crop
    plain = gymnasium.make("ALE/Boxing-v5")  # with sticky actions, by the emulator's own numbers
    actions = np.random.default_rng(0).integers(0, 18, 60)
    expected = played(plain, SEED, actions)
    played(second, 9, actions[:7])
    for env in (first, second, second):
        found = played(env, SEED, actions)
        assert (found[0] == expected[0]).all()
        assert found[1:] == expected[1:]
    games.close(), plain.close()


def test_a_remembered_start_loads_no_game(monkeypatch):
    env = make(general(**BOXING))
    env.reset(seed=SEED)
    monkeypatch.setattr(env.unwrapped, "load_game", lambda: 1 / 0)
    env.reset(seed=SEED)
    assert env.unwrapped.ale.getEpisodeFrameNumber() == 0
    env.close()


def test_only_the_last_starts_are_kept():
    starts = Starts()
    for seed in range(REMEMBERED + 3):
        starts.keep(seed, seed, None)
    assert list(starts) == list(range(3, REMEMBERED + 3))
