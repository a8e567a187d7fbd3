"""Every fast layer beside plain TensorFlow or numpy: values and gradients, in float32."""

import numpy as np
import pytest

from dreamerv2 import layers
from kit.tensors.tf import tf


def random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def gradients(function, *inputs):
    """The value, and the gradients of its sum weighted with fixed random numbers."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
        total = tf.reduce_sum(value * random(*value.shape, seed=9))
    return value, tape.gradient(total, inputs)


def assert_same(found, expected, tolerance=2e-5):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        scale = max(1.0, float(tf.reduce_max(tf.abs(other))))
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)


@pytest.mark.parametrize(("edge", "side"), [(31, 4), (14, 4), (6, 4), (9, 3)])
def test_convolution_and_its_gradients(edge, side):
    x, kernel = random(3, edge, edge, 5), random(side, side, 5, 7, seed=1)
    plain = gradients(lambda x, k: tf.nn.conv2d(x, k, 2, "VALID"), x, kernel)
    assert_same(gradients(layers.convolve, x, kernel), plain)


@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize(("places", "side", "out"), [(5, 5, 4), (5, 6, 4), (13, 6, 1), (2, 4, 3)])
def test_deconvolution_and_its_gradients(places, side, out, elu):
    x, kernel = random(2, places, places, 6), random(side, side, out, 6, seed=1)
    bias, edge = random(out, seed=2), 2 * (places - 1) + side

    def plain(x, kernel, bias):
        y = tf.nn.conv2d_transpose(x, kernel, (2, edge, edge, out), 2, "VALID") + bias
        return tf.nn.elu(y) if elu else y

    found = gradients(lambda *inputs: layers.deconvolve(*inputs, elu=elu), x, kernel, bias)
    assert_same(found, gradients(plain, x, kernel, bias))


def test_deconvolution_of_one_place_is_a_dense_layer():
    x, kernel, bias = random(4, 6), random(5, 5, 3, 6, seed=1), random(3, seed=2)

    def plain(x, kernel, bias):
        return tf.nn.conv2d_transpose(x[:, None, None], kernel, (4, 5, 5, 3), 2, "VALID") + bias

    found = gradients(layers.deconvolve_1x1, x, kernel, bias)
    assert_same(found, gradients(plain, x, kernel, bias))


def test_sums_of_rows_are_products_with_one_hots():
    classes = tf.constant(np.random.default_rng(0).integers(0, 4, (6, 3)), tf.int32)
    rest, kernel, bias = random(6, 2), random(3 * 4 + 2, 5, seed=1), random(5, seed=2)
    one_hots = tf.reshape(tf.one_hot(classes, 4), (6, 12))

    def fast(rest, kernel, bias):
        return layers.product_of_parts((classes, rest), kernel, bias)

    def dense(rest, kernel, bias):
        return layers.product_of_parts((one_hots, rest), kernel, bias)

    assert_same(gradients(fast, rest, kernel, bias), gradients(dense, rest, kernel, bias))


def test_loop_product_has_the_gradients_of_plain_products():
    xs, kernel, addend = random(3, 2, 4), random(4, 4, seed=1), random(3, 2, 4, seed=2)

    def loop(product):
        state, states = tf.zeros((2, 4)), []
        for t in range(3):
            state = tf.tanh(product(t, xs[t] + state))
            states.append(state)
        return tf.stack(states)

    def fast(kernel, addend):
        product = layers.LoopProduct(kernel, addend, 3, 2)
        return loop(lambda t, x: product(x))

    def plain(kernel, addend):
        return loop(lambda t, x: tf.matmul(x, kernel) + addend[t])

    assert_same(gradients(fast, kernel, addend), gradients(plain, kernel, addend))


def test_gru_gates_against_numpy():
    parts, state = random(2, 9), random(2, 3, seed=1)
    scale, offset = random(9, seed=2), random(9, seed=3)
    x = parts.numpy()
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    reset, candidate, update = np.split(x * scale.numpy() + offset.numpy(), 3, -1)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    candidate, update = np.tanh(sigmoid(reset) * candidate), sigmoid(update - 1)
    expected = update * candidate + (1 - update) * state.numpy()
    np.testing.assert_allclose(layers.gru_gates(parts, state, scale, offset), expected, atol=1e-6)


def test_squared_error_sums_over_a_row():
    mean, target = random(2, 3, 4), random(2, 3, 4, seed=1)
    expected = ((mean.numpy() - target.numpy()) ** 2).sum((1, 2))
    np.testing.assert_allclose(layers.squared_error(mean, target), expected, rtol=1e-5)


def test_classes_come_as_often_as_their_probabilities_say():
    chances = np.array([0.1, 0.0, 0.6, 0.3])
    logits = tf.constant(np.log(chances + 1e-30), tf.float32)
    uniform = (np.arange(1000, dtype=np.float32) + 0.5) / 1000
    found = layers.classes(tf.tile(logits[None], (1000, 1)), uniform).numpy()
    np.testing.assert_array_equal(np.bincount(found, minlength=4), chances * 1000)


def test_the_largest_and_smallest_uniform_number_choose_existing_classes():
    logits = random(50, 7)
    for uniform, expected in ((0.0, 0), (1 - 2.0**-24, 6)):
        found = layers.classes(logits, tf.fill((50,), uniform))
        assert set(found.numpy()) == {expected}
