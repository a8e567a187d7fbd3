"""The actions that are given, and the players that are recorded."""

import math

import numpy as np
import pytest

import env as room
import policies as policies_of_room
import world


def test_squashed_actions_are_in_range():
    raw = np.array([[0, 0, 0], [1, 1, 1], [-9, -99, -9], [9, 9, 9]])
    one = math.tanh(1)
    expected = [[0, 0.5, 0], [one, (one + 1) / 2, one], [-1, 0, 0], [1, 1, 1]]
    assert np.allclose(world.squash_action(raw), expected, atol=1e-6)
    assert world.squash_action(raw).dtype == np.float32


def test_policies_are_reproducible_and_of_their_distribution():
    space = room.make("fast").action_space
    for policy in policies_of_room.RECORDED.values():
        first, same, other = policy(1), policy(1), policy(2)
        actions = np.stack([first() for _ in range(50)])
        assert np.array_equal(actions, np.stack([same() for _ in range(50)]))
        assert not np.array_equal(actions, np.stack([other() for _ in range(50)]))
        assert all(space.contains(action) for action in actions)
    # 33 Cauchy weights: the largest is about 33 * 2 / pi times their scale, U(0, .01)
    first_steps = np.stack([policies_of_room.RandomPolicy(seed)() for seed in range(2000)])
    assert np.median(np.abs(first_steps[:, 0])) == pytest.approx(0.10, abs=0.03)
    assert np.median(first_steps[:, 1]) == pytest.approx(0.5, abs=0.01)
    assert (np.abs(first_steps[:, 0]) > 0.5).mean() == pytest.approx(0.15, abs=0.06)
