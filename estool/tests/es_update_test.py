"""One update of each strategy against numbers computed by hand from the published rules."""

import numpy as np
import pytest

from estool import es
from estool.strategy import GradientAscent, centered_ranks


class Script:
    """A generator of chance that deals out what was written down for it."""

    def __init__(self, *normals, integers=None, bits=b""):
        self._normals, self._integers, self._bits = list(normals), integers, bits

    def standard_normal(self, shape):
        drawn = np.array(self._normals.pop(0), float)
        assert drawn.shape == shape
        return drawn

    def integers(self, high, size):
        drawn = np.array(self._integers)
        assert drawn.shape == size and drawn.max() < high
        return drawn

    def bytes(self, count):
        assert len(self._bits) == count
        return self._bits


class Recorder:
    """In the place of Adam: keeps what the strategy found the gradient to be, and takes it."""

    def step(self, gradient, rate):
        self.gradient, self.rate = gradient, rate
        return gradient


def test_ranks_are_centered_and_ties_share_theirs():
    np.testing.assert_allclose(centered_ranks(np.array([30, -2, 5])), [0.5, -0.5, 0])
    # ranks 0, 1, 1, 3 of four: the two in the middle share (1 + 2) / 2
    np.testing.assert_allclose(centered_ranks(np.array([4, 7, 7, 9])), [-0.5, 0, 0, 0.5])
    assert not centered_ranks(np.full(5, 3.0)).any()


def test_two_steps_of_adam():
    adam = GradientAscent(1)
    # m = .01, v = .001; corrected both are 1: a step of the rate
    assert adam.step(np.array([1.0]), 0.1)[0] == pytest.approx(0.1, rel=1e-6)
    # m = .99 * .01 - .02 = -.0101, over 1 - .99^2 = .0199: -.507538
    # v = .999 * .001 + .004 = .004999, over 1 - .999^2 = .001999: 2.500750, its root 1.581376
    assert adam.step(np.array([-2.0]), 0.1)[0] == pytest.approx(-0.0320946, rel=1e-5)


def openes(**options):
    strategy = es.OpenES(2, 4, sigma_init=0.5, antithetic=True, **options)
    strategy._rng = Script([[1, 0], [0, 1]])
    strategy._ascent = Recorder()
    np.testing.assert_array_equal(strategy.ask(), [[0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5]])
    strategy.tell(np.array([30.0, 1, -7, 2]))
    return strategy


def test_openes_climbs_standardised_ranks():
    strategy = openes(weight_decay=0.0)
    # ranks 1/2, -1/6, -1/2, 1/6: mean 0, deviation sqrt(5)/6; standardised 3, -1, -3, 1 / sqrt(5)
    # gradient: (3 + 3, -1 - 1) / sqrt(5) / (4 * .5)
    np.testing.assert_allclose(strategy._ascent.gradient, np.array([3, -1]) / 5**0.5)
    assert strategy._ascent.rate == 0.01
    assert (strategy.sigma, strategy.learning_rate) == (0.5 * 0.999, 0.01 * 0.9999)
    np.testing.assert_array_equal(strategy.current_param(), strategy._ascent.gradient)
    assert strategy.result()[:1] == pytest.approx(np.array([[0.5, 0]]))
    assert strategy.result()[1:] == (30.0, 30.0, 0.5 * 0.999)


def test_openes_without_ranks_and_with_weight_decay():
    # all have mean(theta^2) = .125: standardising takes an equal decay out again
    strategy = openes(weight_decay=8.0, rank_fitness=False)
    # returns 30, 1, -7, 2: mean 6.5; squares of the differences 552.25, 30.25, 182.25, 20.25
    deviation = (785 / 4) ** 0.5
    expected = np.array([37, -1]) / deviation / 2
    np.testing.assert_allclose(strategy._ascent.gradient, expected)


def test_openes_pays_for_large_weights():
    strategy = es.OpenES(2, 4, sigma_init=0.5, antithetic=True, weight_decay=1.0)
    strategy._rng, strategy._ascent = Script([[1, 0], [0, 2]]), Recorder()
    strategy.ask()
    strategy.tell(np.array([30.0, 1, -7, 2]))
    # ranks 1/2, -1/6, -1/2, 1/6 minus mean(theta^2): .125, .5, .125, .5 -> 9, -16, -15, -8 / 24
    rewards = np.array([9, -16, -15, -8]) / 24
    rewards = (rewards + 30 / 96) / np.std(rewards)
    expected = [(rewards[0] - rewards[2]) / 2, 2 * (rewards[1] - rewards[3]) / 2]
    np.testing.assert_allclose(strategy._ascent.gradient, expected)


def test_steps_and_rates_stop_at_their_limits():
    strategy = es.OpenES(2, 4, sigma_init=0.0101, sigma_decay=0.9, learning_rate=0.0011)
    strategy.learning_rate_decay = 0.5
    for _ in range(3):
        strategy.tell(strategy.ask().sum(1))
    assert strategy.sigma == pytest.approx(0.0101 * 0.9)
    assert strategy.learning_rate == pytest.approx(0.00055)


def pepg(returns, **options):
    strategy = es.PEPG(1, 4, sigma_init=0.5, weight_decay=0.0, **options)
    strategy._rng, strategy._ascent = Script([[1], [2]]), Recorder()
    np.testing.assert_array_equal(strategy.ask(), [[0.5], [1], [-0.5], [-1]])
    strategy.tell(np.array(returns, float))
    return strategy


def test_pepg_moves_mean_and_step_size():
    strategy = pepg([4, 8, 2, 2], rank_fitness=False)
    # mean: (4 - 2) * .5 + (8 - 2) * 1
    assert strategy._ascent.gradient == pytest.approx([7])
    # step size: baseline 4, deviation sqrt(6); pairs (3 - 4) * (.25 - .25) / .5 and
    # (5 - 4) * (1 - .25) / .5 = 1.5; .2 * 1.5 / (2 * 2 * sqrt(6)), then the decay
    assert strategy.sigma == pytest.approx([(0.5 + 0.2 * 1.5 / (4 * 6**0.5)) * 0.999])


def test_pepg_with_ranks():
    strategy = pepg([4, 8, 1, 2])
    # ranks 1/6, 1/2, -1/2, -1/6: (2/3) * .5 + (2/3) * 1
    assert strategy._ascent.gradient == pytest.approx([1])
    # baseline 0, no deviation: -1/6 * 0 + 1/6 * 1.5 = .25; .2 * .25 / 4
    assert strategy.sigma == pytest.approx([(0.5 + 0.0125) * 0.999])


def test_pepg_changes_a_step_size_by_a_fifth_at_most():
    assert pepg([0, 5, 0, 5], sigma_alpha=50).sigma == pytest.approx([0.5 * 1.2 * 0.999])
    assert pepg([5, 0, 5, 0], sigma_alpha=50).sigma == pytest.approx([0.5 * 0.8 * 0.999])


@pytest.mark.parametrize(("returns", "mean"), [([4, 8, 2, 2], 1), ([4, 2, 2, 8], -1)])
def test_pepg_with_an_elite_moves_by_its_mean(returns, mean):
    assert pepg(returns, elite_ratio=0.25).current_param() == pytest.approx([mean])
    # half of four: both winners, at +-1 and +.5
    both = pepg(returns, elite_ratio=0.5).current_param()
    assert both == pytest.approx([(mean + 0.5) / 2])


def test_pepg_with_the_mean_as_baseline():
    strategy = es.PEPG(
        1, 5, sigma_init=0.5, weight_decay=0.0, rank_fitness=False, average_baseline=False
    )
    strategy._rng, strategy._ascent = Script([[1], [2]]), Recorder()
    np.testing.assert_array_equal(strategy.ask(), [[0], [0.5], [1], [-0.5], [-1]])
    strategy.tell(np.array([1.0, 4, 8, 2, 2]))
    assert strategy._ascent.gradient == pytest.approx([7])
    # (3 - 1) * 0 + (5 - 1) * 1.5 = 6, deviation of 4, 8, 2, 2: sqrt(6); the limit is .1
    assert strategy.sigma == pytest.approx([0.5 * 1.2 * 0.999])
    with pytest.raises(ValueError, match="an odd number of candidates, found 4"):
        es.PEPG(1, 4, average_baseline=False)
    with pytest.raises(ValueError, match="an even number of candidates, found 5"):
        es.PEPG(1, 5)


def test_a_gene_of_the_ga_comes_from_the_one_parent_or_the_other():
    strategy = es.SimpleGA(4, 2, sigma_init=0.5, weight_decay=0.0)
    strategy._elites = np.array([[1.0, 2, 3, 4], [10, 20, 30, 40]])
    strategy._rng = Script(
        [[0, 0, 0, 2], [0, 0, 0, -2]], integers=[[0, 1], [1, 1]], bits=bytes([0b0110_1010])
    )
    np.testing.assert_array_equal(strategy.ask(), [[1, 20, 30, 5], [10, 20, 30, 39]])


@pytest.mark.parametrize("forget_best", [False, True])
def test_elites_of_the_ga_live_until_they_are_beaten(forget_best):
    strategy = es.SimpleGA(
        3, 10, elite_ratio=0.2, forget_best=forget_best, weight_decay=0.0, seed=1
    )
    first = strategy.ask()
    strategy.tell(np.arange(10.0))
    np.testing.assert_array_equal(strategy._elites, first[[9, 8]])
    second = strategy.ask()
    strategy.tell(np.arange(10.0) - 0.5)  # the best of them between the two
    kept = second[[9, 8]] if forget_best else np.array([first[9], second[9]])
    np.testing.assert_array_equal(strategy._elites, kept)
    np.testing.assert_array_equal(strategy.current_param(), kept[0])
    assert strategy.result()[1:3] == ((8.5, 8.5) if forget_best else (9.0, 8.5))
    assert strategy.sigma == pytest.approx(0.1 * 0.999**2)


def test_the_ga_pays_for_large_weights():
    strategy = es.SimpleGA(2, 4, elite_ratio=0.25, weight_decay=2.0, seed=1)
    candidates = strategy.ask()
    strategy.tell(np.zeros(4))
    smallest = np.argmin((candidates**2).sum(1))
    np.testing.assert_array_equal(strategy.best_param(), candidates[smallest])
    assert strategy._elite_scores == pytest.approx([-(candidates[smallest] ** 2).sum()])


def test_openes_and_pepg_remember_the_best_of_all_generations_only_if_told():
    for kind in (es.OpenES, es.PEPG):
        for forget in (True, False):
            strategy = kind(3, 4, weight_decay=0.0, forget_best=forget, seed=1)
            first = strategy.ask()
            strategy.tell(np.array([0.0, 9, 1, 2]))
            second = strategy.ask()
            strategy.tell(np.array([0.0, 1, 8, 2]))
            expected = second[2] if forget else first[1]
            np.testing.assert_array_equal(strategy.best_param(), expected)
