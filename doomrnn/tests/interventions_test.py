"""What is learned from interventions, against a world whose answer is known."""

import numpy as np

from interventions import Interventions


def interventions(count, seed, truth, spread):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((count, len(truth))) * spread
    inputs[:, 0] = spread[0]  # a constant, as the mean of what a policy meets
    pushes = rng.integers(-1, 2, count)
    noise = rng.standard_normal(count)
    return inputs, pushes, 5 * inputs[:, 1] / spread[1] - pushes * (inputs @ truth) + noise


def test_direction_is_that_along_which_a_push_spares_most():
    spread = np.array([1.0, 100.0, 0.01, 1.0, 3.0])
    truth = np.array([0.2, 0.0, 30.0, -0.5, 0.0])
    found = Interventions(5)
    for seed in range(4):
        found.add(*interventions(10_000, seed, truth, spread))
    expected = truth / np.sqrt(np.sum((truth * spread) ** 2))
    np.testing.assert_allclose(found.direction() * spread, expected * spread, atol=0.06)


def test_parts_of_several_ranks_add_up():
    spread, truth = np.ones(3), np.array([1.0, 0.0, -1.0])
    both, parts = Interventions(3), [Interventions(3), Interventions(3)]
    for seed, part in enumerate(parts):
        data = interventions(500, seed, truth, spread)
        part.add(*data)
        both.add(*data)
    found = Interventions.unpack(np.stack([part.pack() for part in parts]))
    assert found.count == 1000
    np.testing.assert_allclose(found.direction(), both.direction(), rtol=1e-9)
