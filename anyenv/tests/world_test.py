"""Actions of every space: as recorded, as M sees them, as C's outputs become them."""

import numpy as np
import pytest
from gymnasium import spaces

from kit.command.errors import UserError

from world import actions_of

BOX = spaces.Box(np.float32([-1, 0, 0]), np.float32([1, 1, 1]))
SPACES = [
    spaces.Discrete(18),
    spaces.Discrete(3, start=5),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(4),
    BOX,
    spaces.Box(-2.0, 2.0, (2, 2)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_what_is_chosen_or_sampled_is_an_action_of_the_space(space):
    actions, rng = actions_of(space), np.random.default_rng(0)
    chosen = actions.choose(rng.normal(0, 3, (50, actions.outputs)))
    sampled = np.stack([actions.sample(rng) for _ in range(50)])
    for rows in (chosen, sampled):
        assert rows.shape == (50, actions.columns)
        assert actions.check(rows)
        assert all(space.contains(actions.given(row)) for row in rows)
        assert actions.encode(rows).shape == (50, actions.size)
        assert actions.encode(rows).dtype == np.float32
        assert np.abs(actions.encode(rows)).max() <= 1


def test_discrete_is_argmax_and_one_hot():
    actions = actions_of(spaces.Discrete(3, start=5))
    chosen = actions.choose(np.array([[0.1, 2, 1], [3, 2, 1]]))
    assert chosen.tolist() == [[6], [5]]
    assert actions.encode(chosen).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert actions.given(chosen[0]) == 6
    assert not actions.check(np.array([[8]]))


def test_multi_discrete_is_a_one_hot_for_each_choice():
    actions = actions_of(spaces.MultiDiscrete([2, 3]))
    chosen = actions.choose(np.array([[0, 1, 5, 7, 6]]))
    assert chosen.tolist() == [[1, 1]]
    assert actions.encode(chosen).tolist() == [[0, 1, 0, 1, 0]]


def test_box_fills_its_own_limits():
    actions = actions_of(spaces.Box(np.float32([-2, 0]), np.float32([2, 10])))
    assert actions.choose(np.array([[0, 0]])).tolist() == [[0, 5]]
    assert actions.choose(np.array([[99, -99]])).tolist() == [[2, 0]]
    assert actions.encode(np.array([[2, 0], [0, 5]])).tolist() == [[1, -1], [0, 0]]


def test_box_without_limits_is_played_between_minus_one_and_one():
    actions = actions_of(spaces.Box(-np.inf, np.inf, (2,)))
    assert actions.choose(np.array([[99, -99]])).tolist() == [[1, -1]]


def test_car_racing_is_mapped_as_its_room_does():
    actions = actions_of(BOX, ["scale", "scale", "positive"])
    steer, gas, brake = actions.choose(np.array([[0.5, 0.5, -0.5]]))[0]
    assert steer == pytest.approx(np.tanh(0.5))
    assert gas == pytest.approx((np.tanh(0.5) + 1) / 2)
    assert brake == 0


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Box(0, 255, (2,), np.uint8)], ids=str)
def test_other_spaces_are_one_sentence(space):
    with pytest.raises(UserError, match="expected Discrete, Box of floats"):
        actions_of(space)


def test_squash_of_another_length_is_one_sentence():
    with pytest.raises(UserError, match="expected 3 entries"):
        actions_of(BOX, ["scale", "positive"])
