"""A dream as gymnasium environments: rows, seeds, ends, what is told of a step."""

import numpy as np
import pytest
from gymnasium.spaces import Box

from kit.batches.dream_env import DreamEnv, DreamVectorEnv

ACTIONS = Box(-1, 1, (1,), np.float32)


class Counting:
    """A dream that counts: a row sees its seed and its age, and ends by itself at 3 + seed % 3."""

    def __init__(self, limit=100):
        self.limit = limit
        self.observation = np.empty((0, 2), np.float32)
        self.terminated = np.empty(0, bool)

    def start(self, seeds):
        fresh = np.stack([np.asarray(seeds) % 1000, np.zeros(len(seeds))], 1)
        self.observation = np.concatenate((self.observation, fresh.astype(np.float32)))
        self.terminated = np.append(self.terminated, np.zeros(len(seeds), bool))

    def step(self, actions):
        self.observation[:, 1] += 1
        age = self.observation[:, 1]
        self.terminated = age >= 3 + self.observation[:, 0] % 3
        return np.full(len(actions), 0.5, np.float32), self.terminated | (age >= self.limit)

    def keep(self, rows):
        self.observation, self.terminated = self.observation[rows], self.terminated[rows]

    def info(self):
        return {"age": self.observation[:, 1].copy()}


def episodes(env, steps, count):
    """The first latents of each row's episodes."""
    begun = [[] for _ in range(count)]
    for _ in range(steps):
        observation = env.step(np.zeros((count, 1), np.float32))[0]
        for row in np.flatnonzero(observation[:, 1] == 0):
            begun[row].append(int(observation[row, 0]))
    return begun


def test_a_list_of_seeds_fixes_every_later_episode_too():
    one, other = (DreamVectorEnv(Counting(), 3, ACTIONS) for _ in range(2))
    first = one.reset(seed=[5, 6, 7])[0]
    assert first[:, 0].tolist() == [5, 6, 7]
    np.testing.assert_array_equal(other.reset(seed=5)[0], first)  # 5, 6 and 7 as well
    begun = episodes(one, 40, 3)
    assert begun == episodes(other, 40, 3) and min(map(len, begun)) > 4
    assert len({row[0] for row in begun}) == 3


def test_a_row_is_the_single_environment_of_its_seed():
    many, single = DreamVectorEnv(Counting(), 4, ACTIONS), DreamEnv(Counting(), ACTIONS)
    many.reset(seed=[9, 2, 30, 4])
    begun = episodes(many, 30, 4)[2]
    single.reset(seed=30)
    assert [int(single.reset()[0][0]) for _ in begun] == begun


def test_none_in_a_list_of_seeds_goes_on_with_the_rows_own_chance():
    one, other = (DreamVectorEnv(Counting(), 3, ACTIONS) for _ in range(2))
    one.reset(seed=[1, 2, 3])
    other.reset(seed=[1, 2, 3])
    first = one.reset(seed=[7, None, 8])[0]
    assert first[[0, 2], 0].tolist() == [7, 8] and first[1, 0] != 2
    np.testing.assert_array_equal(first, other.reset(seed=[7, None, 8])[0])


@pytest.mark.parametrize("seeds", [[1, 2], [1, 2, 3, 4], []])
def test_a_list_of_seeds_of_another_length_is_refused(seeds):
    with pytest.raises(ValueError, match=f"expected 3 seeds, found {len(seeds)}"):
        DreamVectorEnv(Counting(), 3, ACTIONS).reset(seed=seeds)


def test_ends_are_the_dreams_own_or_the_clocks_and_the_step_after_rewards_nothing():
    env = DreamVectorEnv(Counting(limit=4), 3, ACTIONS)
    env.reset(seed=[0, 1, 2])  # they end by themselves at 3, 4 and 5
    seen = [env.step(np.zeros((3, 1), np.float32)) for _ in range(5)]
    assert [step[2].tolist() for step in seen[2:4]] == [[True, False, False], [False, True, False]]
    assert [step[3].tolist() for step in seen[2:4]] == [[False] * 3, [False, False, True]]
    assert [step[1].tolist() for step in seen[3:]] == [[0, 0.5, 0.5], [0.5, 0, 0]]
    assert seen[0][4]["age"].tolist() == [1, 1, 1]
    env.keep(np.array([2, 0]))
    assert env.num_envs == 2 and env.action_space.shape == (2, 1)


def test_a_single_environment_tells_numbers():
    env = DreamEnv(Counting(limit=2), ACTIONS)
    env.reset(seed=4)
    assert env.step([0.0])[1:] == (0.5, False, False, {"age": 1.0})
    assert env.step([0.0])[2:4] == (False, True)
