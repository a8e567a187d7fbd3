"""Distributions beside sums and integrals that numpy computes."""

import numpy as np
import pytest

from dreamerv2.distributions import (
    Bernoulli,
    Normal,
    OneHot,
    OneHots,
    TanhNormal,
    TruncatedNormal,
    UnitNormal,
)
from kit.tensors.tf import tf

POINTS = 200_001
GRID = np.linspace(-1, 1, POINTS)[1:-1]  # open: densities of tanh have no value at the ends
SHAPES = [(0.0, 1.0), (0.9, 0.2), (-0.5, 0.4)]  # mean, std


def integral(values):
    return float(values.sum() * (GRID[1] - GRID[0]))


def density(distribution):
    """exp(log_prob) of a one-variable distribution on GRID."""
    return np.exp(distribution.log_prob(GRID[:, None].astype(np.float32)).numpy().astype(float))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_one_hot_log_prob_entropy_and_kl():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 4))
    p, q = softmax(a), softmax(b)
    one, other = OneHot(tf.constant(a, tf.float32)), OneHot(tf.constant(b, tf.float32))
    np.testing.assert_allclose(one.log_prob(tf.one_hot([2] * 5, 4)), np.log(p[:, 2]), rtol=1e-5)
    np.testing.assert_allclose(one.entropy(), -(p * np.log(p)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(one.kl(other), (p * np.log(p / q)).sum(-1), rtol=1e-4)
    np.testing.assert_array_equal(one.mode().numpy().argmax(-1), p.argmax(-1))


def test_one_hots_sum_over_their_variables():
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4)), tf.float32)
    single = OneHot(logits).entropy().numpy().sum(-1)
    np.testing.assert_allclose(OneHots(logits).entropy(), single, rtol=1e-6)
    assert OneHots(logits).kl(OneHots(logits[::-1])).shape == (2,)


def test_a_sample_has_the_gradient_of_its_probabilities():
    logits = tf.constant([[0.5, -1.0, 2.0]])
    weights = tf.constant([[1.0, 2.0, -3.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(OneHot(logits).sample(tf.constant([0.1])) * weights)
    p = softmax(logits.numpy())
    expected = p * (weights.numpy() - (p * weights.numpy()).sum())
    np.testing.assert_allclose(tape.gradient(total, logits), expected, atol=1e-6)


def test_normal_log_prob_entropy_kl_and_quantiles():
    one = Normal(tf.constant([[1.0, -2.0]]), tf.constant([[0.5, 2.0]]))
    other = Normal(tf.constant([[0.0, 0.0]]), tf.constant([[1.0, 1.0]]))
    value = np.array([[1.5, 0.0]])
    logs = -0.5 * np.log(2 * np.pi) - np.log([0.5, 2.0]) - 0.5 * np.array([1.0, 1.0])
    np.testing.assert_allclose(one.log_prob(value.astype(np.float32)), [logs.sum()], rtol=1e-6)
    entropy = (0.5 * np.log(2 * np.pi * np.e) + np.log([0.5, 2.0])).sum()
    np.testing.assert_allclose(one.entropy(), [entropy], rtol=1e-6)
    kl = sum(np.log(1 / s) + (s**2 + m**2) / 2 - 0.5 for m, s in ((1, 0.5), (-2, 2.0)))
    np.testing.assert_allclose(one.kl(other), [kl], rtol=1e-6)
    sample = one.sample(tf.constant([[0.5, 0.8413447]]))
    np.testing.assert_allclose(sample, [[1.0, 0.0]], atol=1e-4)


def test_unit_normal_is_half_the_squared_error_and_a_constant():
    mean, value = np.zeros((2, 3), np.float32), np.array([[1, 2, 3], [0, 0, 0]], np.float32)
    expected = [-7 - 1.5 * np.log(2 * np.pi), -1.5 * np.log(2 * np.pi)]
    np.testing.assert_allclose(UnitNormal(tf.constant(mean)).log_prob(value), expected, rtol=1e-6)


def test_bernoulli_takes_a_probability_for_a_target():
    p, target = 1 / (1 + np.exp(-0.7)), 0.99
    expected = target * np.log(p) + (1 - target) * np.log(1 - p)
    found = Bernoulli(tf.constant([0.7])).log_prob(tf.constant([target]))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


@pytest.mark.parametrize("kind", [TruncatedNormal, TanhNormal])
@pytest.mark.parametrize(("mean", "std"), SHAPES)
def test_bounded_densities_integrate_to_one_and_to_their_entropy(kind, mean, std):
    distribution = kind(tf.constant([mean]), tf.constant([std]))
    p = density(distribution)
    assert integral(p) == pytest.approx(1, abs=2e-3)
    entropy = -integral(p * np.log(np.maximum(p, 1e-300)))
    assert float(distribution.entropy()) == pytest.approx(entropy, abs=2e-2)


@pytest.mark.parametrize("kind", [TruncatedNormal, TanhNormal])
@pytest.mark.parametrize(("mean", "std"), SHAPES)
def test_samples_are_the_quantiles_of_the_density(kind, mean, std):
    distribution = kind(tf.constant([mean]), tf.constant([std]))
    levels = np.array([0.1, 0.35, 0.5, 0.9], np.float32)
    found = distribution.sample(levels[:, None])[:, 0].numpy()
    cumulated = np.cumsum(density(distribution)) * (GRID[1] - GRID[0])
    expected = np.interp(levels, cumulated / cumulated[-1], GRID)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_truncated_samples_move_with_mean_and_std_as_differences_say():
    mean, std, level = 0.3, 0.5, tf.constant([0.2])

    def sample(mean, std):
        return TruncatedNormal(tf.constant([mean]), tf.constant([std])).sample(level)

    with tf.GradientTape() as tape:
        m, s = tf.constant([mean]), tf.constant([std])
        tape.watch([m, s])
        value = TruncatedNormal(m, s).sample(level)
    found = [g.numpy()[0] for g in tape.gradient(value, [m, s])]
    step = 1e-2
    expected = [
        (sample(mean + step, std) - sample(mean - step, std)).numpy()[0] / (2 * step),
        (sample(mean, std + step) - sample(mean, std - step)).numpy()[0] / (2 * step),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-2)


def test_truncated_samples_stay_inside_at_the_ends():
    distribution = TruncatedNormal(tf.constant([0.99, -0.99]), tf.constant([0.1, 0.1]))
    for level in (0.0, 1 - 2.0**-24):
        value = distribution.sample(tf.fill((2,), level))
        assert np.abs(value.numpy()).max() < 1
        assert np.isfinite(distribution.log_prob(value).numpy()).all()


def test_the_mode_of_tanh_normal_is_where_its_density_is_highest():
    distribution = TanhNormal(tf.constant([0.4]), tf.constant([0.3]))
    best = GRID[density(distribution).argmax()]
    assert distribution.mode().numpy()[0] == pytest.approx(best, abs=0.02)
