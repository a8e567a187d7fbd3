"""Searching in a subspace: its directions, what it makes of another strategy, and that it helps."""

import pickle

import numpy as np
import pytest

from estool import es
from estool.subspace import Subspace, principal_directions
from kit.command.errors import UserError


def correlated_inputs(count=4000, size=40, seed=0):
    """Inputs (count, size) whose principal components spread from 10 to 0.01, about a mean."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return (rng.standard_normal((count, size)) * np.geomspace(10, 0.01, size)) @ rotation + 0.5


def make(directions, name="cma", seed=3):
    return Subspace(es.make(name, directions.shape[1], 8, 0.1, 0.01, seed=seed), directions)


def test_answers_along_the_directions_are_uncorrelated_and_of_size_one():
    inputs = correlated_inputs()
    directions = principal_directions(inputs, 12)
    assert directions.shape == (40, 12)
    answers = inputs @ directions  # (N, 12)
    np.testing.assert_allclose(answers.T @ answers / len(inputs), np.eye(12), atol=1e-9)


def test_the_directions_hold_what_the_inputs_do_most():
    inputs = correlated_inputs()
    directions = principal_directions(inputs, 12)
    basis = np.linalg.qr(directions)[0]
    left = inputs - inputs @ basis @ basis.T
    values = np.linalg.svd(inputs, compute_uv=False) ** 2
    assert (left**2).sum() == pytest.approx(values[12:].sum(), rel=1e-6)


def test_more_directions_than_the_inputs_span_are_refused():
    inputs = np.random.default_rng(0).standard_normal((100, 5)) @ np.ones((5, 20))
    with pytest.raises(UserError, match="components 2: expected at most"):
        principal_directions(inputs, 2)
    with pytest.raises(UserError, match="components 21: expected at most"):
        principal_directions(np.eye(20), 21)


def test_candidates_are_the_inner_strategys_times_the_directions():
    directions = np.random.default_rng(1).standard_normal((30, 4))
    strategy, alone = make(directions), es.make("cma", 4, 8, 0.1, 0.01, seed=3)
    assert (strategy.num_params, strategy.popsize) == (30, 8)
    for _ in range(5):
        candidates, coordinates = strategy.ask(), alone.ask()
        np.testing.assert_allclose(candidates, coordinates @ directions.T, atol=1e-12)
        strategy.tell(candidates[:, 0])
        alone.tell(candidates[:, 0])
    np.testing.assert_allclose(strategy.current_param(), directions @ alone.current_param())
    np.testing.assert_allclose(strategy.best_param(), directions @ alone.best_param())
    assert strategy.rms_stdev() == alone.rms_stdev()


def test_a_mean_is_taken_over_as_far_as_the_directions_reach():
    directions = np.random.default_rng(1).standard_normal((30, 4))
    strategy = make(directions)
    inside = directions @ np.array([1.0, -2.0, 0.5, 3.0])
    basis = np.linalg.qr(directions)[0]
    outside = np.ones(30) - basis @ (basis.T @ np.ones(30))
    strategy.set_mu(inside + outside)
    np.testing.assert_allclose(strategy.current_param(), inside, atol=1e-9)


def test_a_pickle_goes_on_bit_for_bit():
    directions = np.random.default_rng(1).standard_normal((30, 4))
    strategy = make(directions)
    strategy.tell(strategy.ask().sum(1))
    again = pickle.loads(pickle.dumps(strategy))
    np.testing.assert_array_equal(strategy.ask(), again.ask())


def test_a_linear_policy_of_badly_scaled_inputs_is_found_sooner_along_them():
    inputs = correlated_inputs()
    wanted = np.tanh(inputs @ principal_directions(inputs, 40)[:, 7])  # an eighth component

    def error(strategy, generations=40):
        for _ in range(generations):
            candidates = strategy.ask()
            answers = np.tanh(inputs[:500] @ candidates.T)  # (500, N)
            strategy.tell(-((answers - wanted[:500, None]) ** 2).mean(0))
        return ((np.tanh(inputs @ strategy.current_param()) - wanted) ** 2).mean()

    plain = error(es.make("cma", 40, 8, 0.1, 0.0, seed=3))
    along = error(make(principal_directions(inputs, 16)))
    assert along < 0.5 * plain
    assert along < 0.1 * (wanted**2).mean()
