import numpy as np
import pytest

from kit.batches.recorder import Recorder, neighbours
from kit.batches.rollout import run_rollouts


class Counting:
    """Episodes of length seed % 10, whose frames and observation are seed * 10 + step, mod 256."""

    def __init__(self):
        self._seeds, self._steps = np.empty(0, np.int64), np.empty(0, np.int64)

    def _show(self):
        self.observation = (self._seeds * 10 + self._steps)[:, None].astype(np.float32)
        shape = len(self._seeds), 64, 64, 3
        frames = np.broadcast_to(self.observation[:, :, None, None] % 256, shape)
        self.frames = frames.astype(np.uint8)

    def start(self, seeds):
        self._seeds = np.append(self._seeds, seeds)
        self._steps = np.append(self._steps, np.zeros(len(seeds), np.int64))
        self._show()

    def step(self, actions):
        assert actions.dtype == np.float32
        self.actions = actions
        self._steps += 1
        self._show()
        return np.ones(len(actions)), self._steps >= self._seeds % 10

    def keep(self, rows):
        self._seeds, self._steps = self._seeds[rows], self._steps[rows]
        self._show()


def act(observation, rows):
    return observation[:, 0] / 3


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_every_episode_is_saved_whole_with_the_actions_that_were_played(batch):
    saved = {}
    recorder = Recorder(Counting(), lambda seed, *arrays: saved.update({seed: arrays}))
    seeds = [13, 7, 4, 12, 5]
    _, lengths = run_rollouts(recorder, act, np.array(seeds), batch=batch)
    assert lengths.tolist() == [3, 7, 4, 2, 5]
    assert sorted(saved) == sorted(seeds)
    for seed, (frames, actions) in saved.items():
        steps = np.arange(seed % 10)
        assert frames.shape == (len(steps), 64, 64, 3) and frames.dtype == np.uint8
        np.testing.assert_array_equal(frames[:, 5, 5, 1], (seed * 10 + steps) % 256)
        expected = (np.float32(seed * 10 + steps) / 3).astype(np.float16)
        np.testing.assert_array_equal(actions, expected)


def test_the_world_plays_the_rounded_actions_that_are_recorded():
    world = Counting()
    recorder = Recorder(world, lambda *_: None)
    recorder.start(np.array([9]))
    recorder.step(np.array([1 / 3], np.float32))
    assert world.actions[0] == np.float32(np.float16(1 / 3)) != np.float32(1 / 3)


def test_endless_recordings_go_on_to_the_limit_after_the_end_of_the_world():
    saved = {}
    recorder = Recorder(Counting(), lambda seed, *arrays: saved.update({seed: arrays}), True)
    run_rollouts(recorder, act, np.array([13, 5]), max_length=8, batch=2)
    assert [len(saved[seed][0]) for seed in (13, 5)] == [8, 8]


def test_neighbours_lie_sigma_around_the_agent_and_depend_on_their_own_seed_only():
    agent = np.linspace(-1, 1, 1088)
    near = neighbours(agent, [5, 6, 7], 0.08)
    assert near.shape == (3, 1088)
    assert (near - agent).std() == pytest.approx(0.08, abs=0.003)
    np.testing.assert_array_equal(neighbours(agent, [7], 0.08)[0], near[2])
    assert neighbours(agent, [], 0.08).shape == (0, 1088)
    np.testing.assert_array_equal(neighbours(agent, [5], 0)[0], agent)
