"""The strategies: the step size at the size that matters, the sign of the weight decay, state."""

import pickle

import numpy as np
import pytest
import threadpoolctl

from estool import es
from estool.errors import UserError


def test_cma_sigma_falls_like_the_references_on_a_noisy_function():
    # Two-point adaptation, pycma 4.5's default at this size, has .161 and .166 here.
    rng = np.random.default_rng(1)
    target = rng.standard_normal(1088)
    strategy = es.CMAES(1088, 64, sigma_init=0.1, seed=1)
    sigma = []
    for _ in range(40):
        candidates = strategy.ask()  # (64, 1088)
        distance = ((candidates - target) ** 2).sum(1)
        strategy.tell(-distance + 20 * rng.standard_normal(64))
        sigma.append(strategy.rms_stdev())
    assert sigma[0] == pytest.approx(0.0986, abs=0.001)
    assert sigma[19] == pytest.approx(0.084, abs=0.01)
    assert sigma[39] == pytest.approx(0.078, abs=0.01)


@pytest.mark.parametrize("name", es.STRATEGIES)
def test_a_strategy_uses_one_thread(name, monkeypatch):
    strategy, contexts = es.make(name, 300, 8, 0.1, 0.0, seed=3), []
    limited = es.one_thread
    monkeypatch.setattr(es, "one_thread", lambda: contexts.append(1) or limited())
    strategy.tell(strategy.ask().sum(1))
    assert contexts
    with limited():
        blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
        assert blas and {pool["num_threads"] for pool in blas} == {1}


@pytest.mark.parametrize("name", es.STRATEGIES)
def test_every_strategy_climbs_a_sphere(name):
    strategy = es.make(name, 10, 16, 0.1, 0.0, seed=3)
    for _ in range(150):
        candidates = strategy.ask()
        assert candidates.shape == (16, 10) and candidates.dtype == np.float64
        strategy.tell(-((candidates - 1) ** 2).sum(1))
    np.testing.assert_allclose(strategy.current_param(), 1, atol=0.05)
    best, best_return, last, sigma = strategy.result()
    np.testing.assert_allclose(best, strategy.best_param())
    assert best_return == pytest.approx(-((best - 1) ** 2).sum())
    assert last <= 0 and sigma < 0.1


@pytest.mark.parametrize("name", es.STRATEGIES)
def test_weight_decay_shrinks(name):
    strategy = es.make(name, 10, 16, 0.1, 1.0, seed=3)
    strategy.set_mu(np.full(10, 2.0))
    for _ in range(100):
        strategy.ask()
        strategy.tell(np.zeros(16))
    assert np.abs(strategy.current_param()).max() < 0.5


def test_cma_is_asked_for_the_first_candidates_of_a_fixed_seed():
    first, again, other = (es.CMAES(5, 6, seed=seed).ask() for seed in (7, 7, 8))
    assert (first == again).all() and (first != other).all()


def test_cma_goes_on_from_a_pickle_bit_for_bit_whatever_others_draw():
    one = es.CMAES(30, 8, seed=1)
    for _ in range(5):
        one.tell(-(one.ask() ** 2).sum(1))
    two = pickle.loads(pickle.dumps(one))
    for _ in range(5):
        mine = one.ask()
        np.random.seed(0)  # noqa: NPY002 - what a library might do to the global generator
        assert (mine == two.ask()).all()
        one.tell(mine.sum(1))
        two.tell(mine.sum(1))
    assert one.rms_stdev() == two.rms_stdev()


def test_cma_set_mu_moves_the_mean():
    strategy = es.CMAES(30, 8, seed=1)
    strategy.tell(-(strategy.ask() ** 2).sum(1))
    strategy.set_mu(np.full(30, 5.0))
    np.testing.assert_allclose(strategy.current_param(), 5)
    np.testing.assert_allclose(strategy.ask(), 5, atol=0.6)


def test_bad_calls():
    with pytest.raises(UserError, match="found 'adam'"):
        es.make("adam", 3, 4, 0.1, 0.0, 1)
    with pytest.raises(UserError, match="3 candidates or more, found 2"):
        es.make("cma", 3, 2, 0.1, 0.0, 1)
    strategy = es.CMAES(3, 4)
    with pytest.raises(RuntimeError, match="ask"):
        strategy.tell(np.zeros(4))
    strategy.ask()
    with pytest.raises(ValueError, match="finite"):
        strategy.tell(np.array([0, 1, np.nan, 2]))
