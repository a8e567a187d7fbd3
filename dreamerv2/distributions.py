"""Distributions of latents, actions and predictions (dists.py, nets.py DistLayer).

Chance comes in from outside: `sample` takes uniform numbers in [0, 1), one a variable, and the same
numbers give the same sample. Everything is float32 but what `sample` is asked for otherwise.

Shapes: (...) are the rows, A the variables of an action, C classes.
"""

import numpy as np

from dreamerv2 import layers
from kit.tensors.tf import tf

LOG_2PI = float(np.log(2 * np.pi))
TINY = 2.0**-24  # half the step of uniform float32 numbers: keeps their quantiles finite
QUANTILES = 100  # of a distribution without a closed entropy


def quantile(uniform: tf.Tensor) -> tf.Tensor:
    """Of the unit normal, for uniform numbers in [0, 1)."""
    return tf.math.ndtri(uniform + TINY)


class OneHot:
    """One-hots by logits (..., C), with straight-through gradients (paper 2.2, algorithm 1)."""

    def __init__(self, logits: tf.Tensor):
        self.logits = tf.nn.log_softmax(tf.cast(logits, tf.float32))

    def classes(self, uniform: tf.Tensor) -> tf.Tensor:
        """Sampled classes int32 (...)."""
        return layers.classes(tf.stop_gradient(self.logits), uniform)

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        """(..., C); uniform (...)."""
        return self._straight_through(self.classes(uniform))

    def mode(self) -> tf.Tensor:
        return tf.one_hot(tf.argmax(self.logits, -1), self.logits.shape[-1])

    def _straight_through(self, classes: tf.Tensor) -> tf.Tensor:
        probabilities = tf.exp(self.logits)
        one_hot = tf.one_hot(classes, self.logits.shape[-1])
        return one_hot + (probabilities - tf.stop_gradient(probabilities))

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        """(...), of a value (..., C) that gets no gradient."""
        return tf.reduce_sum(self.logits * tf.stop_gradient(value), -1)

    def entropy(self) -> tf.Tensor:
        """(...) in nats."""
        return -tf.reduce_sum(tf.exp(self.logits) * self.logits, -1)

    def kl(self, other: "OneHot") -> tf.Tensor:
        """KL divergence (...) of this one from `other`, in nats."""
        return tf.reduce_sum(tf.exp(self.logits) * (self.logits - other.logits), -1)

    def stopped(self) -> "OneHot":
        """The same without gradients."""
        return _copy(self, logits=tf.stop_gradient(self.logits))


class OneHots(OneHot):
    """Independent one-hots by logits (..., S, C); entropy and kl are sums over S."""

    def entropy(self) -> tf.Tensor:
        return tf.reduce_sum(super().entropy(), -1)

    def kl(self, other: "OneHots") -> tf.Tensor:
        return tf.reduce_sum(super().kl(other), -1)


class Normal:
    """Independent normals by mean and std (..., A); log_prob and entropy are sums over A."""

    def __init__(self, mean: tf.Tensor, std: tf.Tensor):
        self.mean, self.std = tf.cast(mean, tf.float32), tf.cast(std, tf.float32)

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        """(..., A); uniform (..., A)."""
        return self.mean + self.std * quantile(uniform)

    def mode(self) -> tf.Tensor:
        return self.mean

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        distance = (value - self.mean) / self.std
        return tf.reduce_sum(-0.5 * (tf.square(distance) + LOG_2PI) - tf.math.log(self.std), -1)

    def entropy(self) -> tf.Tensor:
        return tf.reduce_sum(0.5 * (1 + LOG_2PI) + tf.math.log(self.std), -1)

    def kl(self, other: "Normal") -> tf.Tensor:
        ratio = tf.square(self.std / other.std)
        distance = tf.square((self.mean - other.mean) / other.std)
        return 0.5 * tf.reduce_sum(ratio + distance - 1 - tf.math.log(ratio), -1)

    def stopped(self) -> "Normal":
        return _copy(self, mean=tf.stop_gradient(self.mean), std=tf.stop_gradient(self.std))


class UnitNormal:
    """Normals of std 1 around mean (N, ...); log_prob (N,) is a sum over the other axes."""

    def __init__(self, mean: tf.Tensor):
        self._mean = mean

    def mode(self) -> tf.Tensor:
        return tf.cast(self._mean, tf.float32)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        errors = layers.squared_error(self._mean, value)
        return -0.5 * (errors + float(np.prod(self._mean.shape[1:])) * LOG_2PI)


class Bernoulli:
    """By logits (...); a target between 0 and 1 is a probability."""

    def __init__(self, logits: tf.Tensor):
        self._logits = tf.cast(logits, tf.float32)

    @property
    def mean(self) -> tf.Tensor:
        return tf.sigmoid(self._logits)

    def mode(self) -> tf.Tensor:
        return tf.cast(self._logits > 0, tf.float32)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        return -tf.nn.sigmoid_cross_entropy_with_logits(value, self._logits)


class TruncatedNormal:
    """Independent normals (..., A) cut to [-1, 1]; sums over A (dists.py TruncNormalDist)."""

    EDGE = 1 - 1e-6  # samples stay inside, where log_prob is finite

    def __init__(self, mean: tf.Tensor, std: tf.Tensor):
        self._mean, self._std = tf.cast(mean, tf.float32), tf.cast(std, tf.float32)
        self._low, self._high = (-1 - self._mean) / self._std, (1 - self._mean) / self._std
        self._mass = _normal_cdf(self._high) - _normal_cdf(self._low)

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        """(..., A), differentiable in mean and std; uniform (..., A)."""
        level = _normal_cdf(self._low) + self._mass * (uniform + TINY)
        value = self._mean + self._std * tf.math.ndtri(tf.clip_by_value(level, 1e-30, 1 - TINY))
        kept = tf.clip_by_value(value, -self.EDGE, self.EDGE)
        return value + tf.stop_gradient(kept - value)

    def mode(self) -> tf.Tensor:
        return tf.clip_by_value(self._mean, -1, 1)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        distance = (value - self._mean) / self._std
        scale = tf.math.log(self._std * self._mass)
        return tf.reduce_sum(-0.5 * (tf.square(distance) + LOG_2PI) - scale, -1)

    def entropy(self) -> tf.Tensor:
        cut = self._low * _normal_pdf(self._low) - self._high * _normal_pdf(self._high)
        scale = tf.math.log(self._std * self._mass)
        return tf.reduce_sum(0.5 * (1 + LOG_2PI) + scale + 0.5 * cut / self._mass, -1)


class TanhNormal:
    """tanh of independent normals (..., A); sums over A (nets.py, tanh_normal).

    Entropy and mode are taken over a hundred quantiles of each variable, where the original draws a
    hundred samples.
    """

    EDGE = 0.99999997  # the largest float32 below 1, or so: the original's

    def __init__(self, mean: tf.Tensor, std: tf.Tensor):
        self._normal = Normal(mean, std)

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        return tf.tanh(self._normal.sample(uniform))

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        inner = tf.atanh(tf.clip_by_value(value, -self.EDGE, self.EDGE))
        return self._normal.log_prob(inner) - tf.reduce_sum(_log_slope_of_tanh(inner), -1)

    def entropy(self) -> tf.Tensor:
        slopes = tf.reduce_mean(_log_slope_of_tanh(self._inner()), 0)
        return self._normal.entropy() + tf.reduce_sum(slopes, -1)

    def mode(self) -> tf.Tensor:
        """The likeliest quantile of each variable."""
        inner = self._inner()  # (QUANTILES, ..., A)
        distance = (inner - self._normal.mean) / self._normal.std
        best = tf.argmax(-0.5 * tf.square(distance) - _log_slope_of_tanh(inner), 0)
        chosen = tf.one_hot(best, QUANTILES, axis=0)
        return tf.tanh(tf.reduce_sum(inner * chosen, 0))

    def _inner(self) -> tf.Tensor:
        levels = (np.arange(QUANTILES, dtype=np.float32) + 0.5) / QUANTILES
        shape = (-1, *[1] * len(self._normal.mean.shape))
        return self._normal.mean + self._normal.std * tf.reshape(tf.math.ndtri(levels), shape)


class Uniform:
    """Uniform actions in [-1, 1], mean (..., A) gives the shape (expl.py Random)."""

    def __init__(self, shape):
        self._shape = shape

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        return 2 * uniform - 1

    def mode(self) -> tf.Tensor:
        return tf.zeros(self._shape)


def _log_slope_of_tanh(x: tf.Tensor) -> tf.Tensor:
    """log(1 - tanh(x)^2), without cancellation."""
    return 2 * (float(np.log(2)) - x - tf.nn.softplus(-2 * x))


def _normal_cdf(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.math.erfc(-x * float(np.sqrt(0.5)))


def _normal_pdf(x: tf.Tensor) -> tf.Tensor:
    return tf.exp(-0.5 * (tf.square(x) + LOG_2PI))


def _copy(distribution, **attributes):
    copy = object.__new__(type(distribution))
    copy.__dict__.update(distribution.__dict__ | attributes)
    return copy
