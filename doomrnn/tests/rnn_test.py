"""M: sizes, file layout, loss, the fast step, sampling, gradients."""

import json

import keras
import numpy as np
import pytest

from kit.batches.mixtures import sample_z
from kit.command.errors import UserError
from kit.tensors.tf import tf

from fast.lstm_gradient import Batch, file_variables, loss_and_gradients, losses, training_variables
from rnn import MDNRNN, FastStep, Rows, mdn_losses
from world import discretise


def small(seed=0):
    rnn = MDNRNN(z_size=6, action_size=1, hidden=16, mixtures=5, seed=seed)
    rng = np.random.default_rng(seed)
    rnn.variables = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in rnn.shapes]
    return rnn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_float64(rnn, x, c, h):
    """One step in the file's layout, written independently of FastStep."""
    kernel, bias = (v.astype(np.float64) for v in rnn.variables[:2])
    i, j, f, o = np.split(np.concatenate((x, h), axis=1) @ kernel + bias, 4, axis=1)
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    return c, np.tanh(c) * sigmoid(o)


def test_parameter_count_and_shapes_of_the_reference():
    rnn = MDNRNN()
    assert rnn.parameter_count == 1_678_785
    assert rnn.shapes == [(578, 2048), (2048,), (512, 961), (961,)]
    assert [v.shape for v in rnn.variables] == rnn.shapes
    limit = np.sqrt(6 / (578 + 2048))
    assert 0.99 * limit < np.abs(rnn.variables[0]).max() <= limit


def test_json_keeps_order_layout_and_four_decimals(tmp_path):
    rnn = small()
    rnn.save(tmp_path / "rnn.json")
    rows = json.loads((tmp_path / "rnn.json").read_text())
    assert [np.shape(row) for row in rows] == [(24, 64), (64,), (16, 91), (91,)]
    # the forget gate of cell 2, from latent 3, stands in row 3, column 2 * 16 + 2
    assert rows[0][3][34] == round(1e4 * float(rnn.variables[0][3, 34]))
    again = MDNRNN(6, 1, 16, 5).load(tmp_path / "rnn.json")
    for new, old in zip(again.variables, rnn.variables, strict=True):
        np.testing.assert_allclose(new, np.round(old, 4), atol=1e-6)
    # from the integers alone: one step, then the mean of latent 4, mixture 1, and the restart logit
    integers = [np.array(row) / 1e4 for row in rows]
    again.variables = [v.astype(np.float32) for v in integers]
    z, a = np.full((1, 6), 0.5), np.array([[-1.0]])
    c, h = lstm_float64(again, np.hstack((z, a, [[1.0]])), np.zeros((1, 16)), np.zeros((1, 16)))
    output = h @ integers[2] + integers[3]
    states = Rows(FastStep(again))
    states.start(1)
    states.advance(z, a)
    mixture, restart = states.predict()
    np.testing.assert_allclose(states.c, c, atol=1e-6)
    np.testing.assert_allclose(restart, output[:, 0], atol=1e-6)
    assert mixture[0, 1, 1, 4] == pytest.approx(output[0, 1 + 4 * 15 + 5 + 1], abs=1e-6)


def test_a_wrong_file_is_named(tmp_path):
    small().save(tmp_path / "rnn.json")
    with pytest.raises(UserError, match=r"rnn\.json.*\(578, 2048\)"):
        MDNRNN().load(tmp_path / "rnn.json")


def test_loss_against_numbers_worked_out_by_hand():
    # One latent, two mixtures of weights 3/4 and 1/4, means 0 and 2, deviations 1 and e, z = 1:
    # densities 0.24197072 and 0.13716020 (the second: .39894228 / e * exp(-.5 / e**2)), so
    # -log(.75 * .24197072 + .25 * .13716020) = 1.53355... The restart logit is 0.5.
    output = tf.constant([[0.5, np.log(3.0), 0.0, 0.0, 2.0, 0.0, 1.0]], tf.float32)
    z, one = tf.constant([[1.0]]), tf.ones(1)
    z_loss, restart_loss = mdn_losses(output, z, tf.zeros(1), one, mixtures=2)
    assert float(z_loss) == pytest.approx(1.533552, abs=1e-6)
    assert float(restart_loss) == pytest.approx(0.9740770, abs=1e-6)  # log(1 + e**.5)
    restart_loss = mdn_losses(output, z, one, one, mixtures=2)[1]
    assert float(restart_loss) == pytest.approx(4.740770, abs=1e-5)  # 10 * log(1 + e**-.5)


def test_density_loss_may_be_negative_and_masked_rows_do_not_count():
    output = tf.constant([[0.0, 0.0, 0.0, -3.0], [0.0, 0.0, 9.0, 0.0]], tf.float32)
    z = tf.zeros((2, 1))
    z_loss, _ = mdn_losses(output, z, tf.zeros(2), tf.constant([1.0, 0.0]), mixtures=1)
    assert float(z_loss) == pytest.approx(0.9189385 - 3, abs=1e-6)  # log(sqrt(2 pi)) - 3


def test_batched_steps_equal_the_keras_layer():
    rnn = small()
    kernel, bias, _, _ = rnn.variables
    i, j, f, o = (slice(16 * g, 16 * g + 16) for g in range(4))
    columns = np.r_[i, f, j, o]  # Keras's order of gates
    keras_bias = bias.copy()
    keras_bias[f] += 1
    layer = keras.layers.LSTM(16, return_sequences=True)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(7, 12, 8)).astype(np.float32)
    x[:, :, 7] = 0
    x[:, 0, 7] = 1  # restart on the first step
    layer.build(x.shape)
    layer.set_weights([kernel[:8, columns], kernel[8:, columns], keras_bias[columns]])
    expected = np.asarray(layer(x))
    states = Rows(FastStep(rnn))
    states.start(7)
    for t in range(12):
        states.advance(x[:, t, :6], x[:, t, 6])
        np.testing.assert_allclose(states.h, expected[:, t], atol=2e-6)


def test_bfloat16_steps_stay_near_float32():
    rng = np.random.default_rng(2)
    rnn = MDNRNN(seed=3)
    states = [Rows(FastStep(rnn, precision)) for precision in ("float32", "bfloat16")]
    for rows in states:
        rows.start(16)
    for _ in range(20):
        z, action = rng.normal(size=(16, 64)), rng.integers(-1, 2, 16)
        for rows in states:
            rows.advance(z, action)
    difference = states[0].h - states[1].h
    assert 0 < np.sqrt(np.mean(difference**2)) < 0.004
    assert FastStep(small(), "auto").dtype.name in ("float32", "bfloat16")


def test_a_fresh_row_has_no_state_and_says_restart_once():
    rnn = small()
    states = Rows(FastStep(rnn))
    states.start(2)
    z, action = np.ones((2, 6), np.float32), np.array([1.0, -1.0])
    states.advance(z, action)
    first = states.c.copy()
    states.advance(z, action)
    states.start(1)
    assert not states.c[2].any() and not states.h[2].any()
    states.advance(np.ones((3, 6), np.float32), np.array([1.0, -1.0, 1.0]))
    np.testing.assert_allclose(states.c[2], first[0], atol=1e-6)
    x = np.hstack((z, action[:, None], np.zeros((2, 1))))  # restart is 0 from the second step on
    c, h = lstm_float64(rnn, np.hstack((z, action[:, None], np.ones((2, 1)))), 0 * first, 0 * first)
    for _ in range(2):
        c, h = lstm_float64(rnn, x, c, h)
    np.testing.assert_allclose(states.h[:2], h, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_sampling_frequencies_follow_the_mixture(temperature):
    n, probabilities = 40_000, np.array([0.5, 0.05, 0.2, 0.15, 0.1])
    mixture = np.zeros((n, 3, 5, 2), np.float32)
    mixture[:, 0] = np.log(probabilities)[:, None] + 3  # log weights need no normalisation
    mixture[:, 1] = 100 * np.arange(5)[:, None]
    mixture[:, 2] = np.log([0.5, 2.0])
    rng = np.random.default_rng(5)
    uniform, normal = rng.random((n, 2), np.float32), rng.standard_normal((n, 2), np.float32)
    z = sample_z(mixture, uniform, normal, temperature)
    chosen = np.rint(z / 100)
    expected = probabilities ** (1 / temperature)
    expected /= expected.sum()
    for latent, deviation in enumerate((0.5, 2.0)):
        found = np.bincount(chosen[:, latent].astype(int), minlength=5) / n
        np.testing.assert_allclose(found, expected, atol=0.01)
        spread = (z - 100 * chosen)[:, latent].std()
        assert spread == pytest.approx(deviation * np.sqrt(temperature), rel=0.02)


def test_actions_outside_a_third_move():
    action = np.array([-1, -0.34, -1 / 3, 0, 1 / 3, 0.34, 1])
    assert discretise(action).tolist() == [-1, -1, 0, 0, 0, 1, 1]
    assert discretise(np.float16(0.3333)) == 0 and discretise(np.float16(0.3337)) == 1


def random_batch(rng, rnn, steps, rows):
    x = rng.normal(size=(steps, rows, rnn.input_size)).astype(np.float32)
    x[:, :, -1] = rng.random((steps, rows)) < 0.2
    weights = (rng.random((3, steps, rows)) < [[[0.3]], [[0.8]], [[0.9]]]).astype(np.float32)
    z = rng.normal(size=(steps, rows, rnn.z_size)).astype(np.float32)
    state = rng.normal(size=(2, rows, rnn.hidden)).astype(np.float32)
    return Batch(*map(tf.constant, (x, z, *weights))), tuple(map(tf.constant, state))


def autodiff(rnn, batch, state, scale):
    """The same loss by plain TensorFlow, from variables in the file's layout."""
    variables = [tf.constant(v) for v in rnn.variables]
    c, h = state
    with tf.GradientTape() as tape:
        tape.watch(variables)
        kernel, bias, output_w, output_b = variables
        total = tf.constant(0.0)
        for t in range(batch.x.shape[0]):
            keep = 1 - batch.x[t, :, -1:]
            c, h = c * keep, h * keep
            i, j, f, o = tf.split(tf.concat((batch.x[t], h), 1) @ kernel + bias, 4, axis=1)
            c = c * tf.sigmoid(f + 1) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
            for row in range(h.shape[0]):
                output = h[row : row + 1] @ output_w + output_b
                parts = batch.z[t, row : row + 1], batch.restart[t, row : row + 1]
                z_loss, end_loss = mdn_losses(output, *parts, tf.ones(1))
                total += z_loss * rnn.z_size * batch.z_weight[t, row] / scale[0]
                total += end_loss * batch.end_weight[t, row] / scale[1]
    return total, tape.gradient(total, variables), (c, h)


def test_gradients_written_by_hand_equal_automatic_ones():
    rnn, rng = small(), np.random.default_rng(8)
    batch, state = random_batch(rng, rnn, 5, 3)
    scale = (60.0, 13.0)
    total, expected, last = autodiff(rnn, batch, state, scale)
    variables = [tf.constant(v) for v in training_variables(rnn)]
    sums, gradients, (c, h) = loss_and_gradients(variables, batch, state, scale, tf.float32)
    assert float(sums[0] / 60 + sums[1] / 13) == pytest.approx(float(total), rel=1e-5)
    for mine, automatic in zip(file_variables(rnn, gradients), expected, strict=True):
        np.testing.assert_allclose(mine, automatic, atol=1e-5)
    np.testing.assert_allclose(c, last[0], atol=1e-5)
    np.testing.assert_allclose(h, last[1], atol=1e-5)
    again = losses(variables, batch, state, tf.float32)
    np.testing.assert_allclose(again[0], sums, rtol=1e-6)
    for mine, original in zip(file_variables(rnn, variables), rnn.variables, strict=True):
        np.testing.assert_array_equal(mine, original)


def test_bfloat16_gradients_point_the_same_way():
    rnn = MDNRNN(z_size=16, hidden=64)
    batch, state = random_batch(np.random.default_rng(9), rnn, 3, 40)
    variables = [tf.constant(v) for v in training_variables(rnn)]
    exact, rounded = (
        loss_and_gradients(variables, batch, state, (1920.0, 120.0), dtype)[1]
        for dtype in (tf.float32, tf.bfloat16)
    )
    for a, b in zip(exact, rounded, strict=True):
        cosine = np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        assert cosine > 0.999
