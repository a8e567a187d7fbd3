"""Networks that act: sizes, layers computed by hand, what outputs mean, chance, company."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from estool.policy import Controllers, Policy
from kit.command.errors import UserError


def box(size, bound=1.0):
    return Box(-bound, bound, (size,), np.float32)


@pytest.mark.parametrize(
    ("inputs", "layers", "outputs", "expected"),
    # the reference's games: cartpole_swingup, biped, slimevolley, an ant with its time input
    [(5, (10,), 1, 71), (24, (40, 40), 4, 2804), (12, (20, 20), 3, 743), (29, (32, 16), 8, 1624)],
)
def test_sizes_of_the_references_networks(inputs, layers, outputs, expected):
    assert Policy(inputs, box(outputs), layers).num_params == expected
    assert Policy(inputs, box(outputs), layers, output_noise=True).num_params == expected + outputs


def test_a_linear_policy_has_one_layer():
    assert Policy(3, Discrete(2)).num_params == 8


def test_each_row_acts_with_its_own_parameters():
    # 2 inputs, 2 hidden, 1 output: W row by row, b; W, b
    first = [1, 2, 3, 4, 0.5, -1, 1, -1, 0.25]
    second = [0, 0, 0, 0, 1, 2, 2, 1, 0]
    controllers = Controllers(Policy(2, box(1, 8), (2,), "relu", "passthru"), [first, second])
    observation = np.array([[1.0, -0.5], [7, 7], [0, 1]])
    # row 0: relu(1 - 1.5 + .5, 2 - 2 - 1) = 0, 0 -> .25; row 1: 2 * 1 + 1 * 2;
    # row 2: relu(3.5, 3) -> 3.5 - 3 + .25
    actions = controllers.act(observation, np.array([0, 1, 0]))
    np.testing.assert_allclose(actions, [[0.25], [4], [0.75]])
    assert actions.dtype == np.float32


def test_a_row_does_not_depend_on_its_company():
    rng = np.random.default_rng(0)
    policy = Policy(24, box(4), (40, 40))
    parameters = rng.standard_normal((50, policy.num_params))
    observation = rng.standard_normal((50, 24))
    controllers = Controllers(policy, parameters)
    together = controllers.act(observation, np.arange(50))
    for rows in ([7], [49, 3], list(range(10, 30))):
        np.testing.assert_array_equal(
            controllers.act(observation[rows], np.array(rows)), together[rows]
        )


@pytest.mark.parametrize(
    ("output", "low", "high", "expected"),
    [
        ("tanh", -1, 1, np.tanh(0.5)),
        ("tanh", -0.4, 0.4, 0.4 * np.tanh(0.5)),
        ("tanh", 2, 6, 4 + 2 * np.tanh(0.5)),
        ("tanh", -np.inf, np.inf, np.tanh(0.5)),
        ("sigmoid", 2, 6, 2 + 4 / (1 + np.exp(-0.5))),
        ("sigmoid", 0, np.inf, 1 / (1 + np.exp(-0.5))),
        ("relu", 0, 0.3, 0.3),
        ("passthru", -9, 9, 0.5),
        ("passthru", -0.1, 0.1, 0.1),
    ],
)
def test_outputs_are_stretched_over_or_clipped_to_the_bounds(output, low, high, expected):
    policy = Policy(1, Box(low, high, (1,), np.float64), output=output)
    action = Controllers(policy, [[1.0, 0.0]]).act(np.array([[0.5]]), np.zeros(1, int))
    np.testing.assert_allclose(action, [[expected]], rtol=1e-6)


def test_discrete_actions_are_the_largest_or_drawn_by_softmax():
    parameters = np.array([[0.0, 0, 0, 0, np.log(3), 0]]).repeat(4000, 0)  # shares 1/5, 3/5, 1/5
    rows, seen = np.arange(4000), np.ones((4000, 1))
    largest = Policy(1, Discrete(3, start=-1))
    assert set(Controllers(largest, parameters, rows).act(seen, rows)) == {0}
    drawing = Policy(1, Discrete(3, start=-1), output="sample")
    drawn = Controllers(drawing, parameters, rows).act(seen, rows)
    shares = np.unique(drawn, return_counts=True)[1] / 4000
    np.testing.assert_allclose(shares, [0.2, 0.6, 0.2], atol=0.03)
    again = Controllers(drawing, parameters, rows).act(seen[5:9], rows[5:9])
    np.testing.assert_array_equal(again, drawn[5:9])  # a row's chance is its seed's
    assert set(Controllers(drawing, parameters).act(seen, rows)) == {0}  # none in tests


def test_noise_has_the_learned_deviation_and_is_off_in_tests():
    policy = Policy(1, box(2, 99), output="passthru", output_noise=True, noise_bias=0.5)
    parameters = np.array([[0.0, 0, 3, -3, 0, 2]]).repeat(5000, 0)  # log-variances 0 and 2
    rows, seen = np.arange(5000), np.ones((5000, 1))
    actions = Controllers(policy, parameters, rows).act(seen, rows)
    np.testing.assert_allclose(actions.mean(0), [3, -3], atol=0.2)
    np.testing.assert_allclose(actions.std(0), np.exp([0.5, 1.5]), rtol=0.05)
    np.testing.assert_array_equal(
        Controllers(policy, parameters).act(seen[:1], rows[:1]), [[3, -3]]
    )


def test_what_no_policy_can_play():
    with pytest.raises(UserError, match="a vector of them, found Dict"):
        Policy(3, Dict({"a": Discrete(2)}))
    with pytest.raises(UserError, match="--output sample: expected discrete actions"):
        Policy(3, box(2), output="sample")
