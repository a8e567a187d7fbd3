"""M: sizes, file layout, loss, the fast step, sampling, gradients, data, resume."""

import json
from argparse import Namespace

import keras
import numpy as np
import pytest

from kit.batches.mixtures import sample_z
from kit.command.errors import UserError
from kit.tensors.tf import tf

from fast.lstm_gradient import Batch, file_variables, loss_and_gradients, losses, training_variables
from held_out import HeldOut
from rnn import MDNRNN, FastStep, Rows, mdn_loss
from rnn_data import Series, passes
from rnn_train import Training, parse


def small(seed=0):
    rnn = MDNRNN(z_size=6, action_size=3, hidden=16, mixtures=5, seed=seed)
    rng = np.random.default_rng(seed)
    rnn.variables = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in rnn.shapes]
    return rnn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_float64(kernel, bias, x, c, h):
    """One step in the file's layout, written independently of FastStep."""
    i, j, f, o = np.split(np.concatenate((x, h), axis=1) @ kernel + bias, 4, axis=1)
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    return c, np.tanh(c) * sigmoid(o)


def test_parameter_count_and_shapes_of_the_reference():
    rnn = MDNRNN()
    assert rnn.parameter_count == 422_368
    assert rnn.shapes == [(256, 480), (480,), (291, 1024), (1024,)]
    assert [v.shape for v in rnn.variables] == rnn.shapes
    limit = np.sqrt(6 / (291 + 1024))
    assert 0.99 * limit < np.abs(rnn.variables[2]).max() <= limit


def test_json_keeps_order_layout_and_four_decimals(tmp_path):
    rnn = small()
    rnn.save(tmp_path / "rnn.json")
    rows = json.loads((tmp_path / "rnn.json").read_text())
    assert [np.shape(row) for row in rows] == [(16, 90), (90,), (25, 64), (64,)]  # output first
    # the forget gate of cell 2, from latent 3, stands in row 3, column 2 * 16 + 2
    assert rows[2][3][34] == round(1e4 * float(rnn.variables[2][3, 34]))
    again = MDNRNN(6, 3, 16, 5).load(tmp_path / "rnn.json")
    for new, old in zip(again.variables, rnn.variables, strict=True):
        np.testing.assert_allclose(new, np.round(old, 4), atol=1e-6)
    # from the integers alone: two steps, then log weight, mean and log stdev of latent 4, mixture 1
    output_w, output_b, kernel, bias = (np.array(row) / 1e4 for row in rows)
    z, a = np.full((1, 6), 0.5), np.array([[-1.0, 0.25, 0.75]])
    c, h = np.zeros((1, 16)), np.zeros((1, 16))
    states = Rows(FastStep(again))
    states.start(1)
    for _ in range(2):
        c, h = lstm_float64(kernel, bias, np.hstack((z, a)), c, h)
        states.advance(z, a)
    output = (h @ output_w + output_b)[0]
    np.testing.assert_allclose(states.c, c, atol=1e-6)
    first = 4 * 15 + 1
    found = states.predict()[0, :, 1, 4]
    np.testing.assert_allclose(found, output[[first, first + 5, first + 10]], atol=1e-6)


def test_a_wrong_file_is_named(tmp_path):
    small().save(tmp_path / "rnn.json")
    with pytest.raises(UserError, match=r"rnn\.json.*\(256, 480\)"):
        MDNRNN().load(tmp_path / "rnn.json")


def test_loss_against_numbers_worked_out_by_hand():
    # One latent, two mixtures of weights 3/4 and 1/4, means 0 and 2, deviations 1 and e, z = 1:
    # densities 0.24197072 and 0.13716020 (the second: .39894228 / e * exp(-.5 / e**2)), so
    # -log(.75 * .24197072 + .25 * .13716020) = 1.53355...
    output = tf.constant([[np.log(3.0), 0.0, 0.0, 2.0, 0.0, 1.0]], tf.float32)
    assert float(mdn_loss(output, tf.constant([[1.0]]), 2)) == pytest.approx(1.533552, abs=1e-6)


def test_density_loss_may_be_negative():
    output = tf.constant([[0.0, 0.0, -3.0]], tf.float32)
    loss = float(mdn_loss(output, tf.zeros((1, 1)), mixtures=1))
    assert loss == pytest.approx(0.9189385 - 3, abs=1e-6)  # log(sqrt(2 pi)) - 3


def test_batched_steps_equal_the_keras_layer():
    rnn = small()
    _, _, kernel, bias = rnn.variables
    i, j, f, o = (slice(16 * g, 16 * g + 16) for g in range(4))
    columns = np.r_[i, f, j, o]  # Keras's order of gates
    keras_bias = bias.copy()
    keras_bias[f] += 1
    layer = keras.layers.LSTM(16, return_sequences=True)
    x = np.random.default_rng(1).normal(size=(7, 12, 9)).astype(np.float32)
    layer.build(x.shape)
    layer.set_weights([kernel[:9, columns], kernel[9:, columns], keras_bias[columns]])
    expected = np.asarray(layer(x))
    states = Rows(FastStep(rnn))
    states.start(7)
    for t in range(12):
        states.advance(x[:, t, :6], x[:, t, 6:])
        np.testing.assert_allclose(states.h, expected[:, t], atol=2e-6)


def test_bfloat16_steps_stay_near_float32():
    rng = np.random.default_rng(2)
    rnn = MDNRNN(seed=3)
    states = [Rows(FastStep(rnn, precision)) for precision in ("float32", "bfloat16")]
    for rows in states:
        rows.start(16)
    for _ in range(20):
        z, action = rng.normal(size=(16, 32)), rng.uniform(-1, 1, (16, 3))
        for rows in states:
            rows.advance(z, action)
    difference = states[0].h - states[1].h
    assert 0 < np.sqrt(np.mean(difference**2)) < 0.004


def test_a_row_alone_equals_the_same_row_in_a_batch_to_the_last_bit():
    rng, step = np.random.default_rng(4), FastStep(MDNRNN(seed=3))
    batch, alone = Rows(step), Rows(step)
    batch.start(9)
    alone.start(1)
    for _ in range(30):
        z, action = rng.normal(size=(9, 32)).astype(np.float32), rng.uniform(-1, 1, (9, 3))
        batch.advance(z, action)
        alone.advance(z[4:5], action[4:5])
    np.testing.assert_array_equal(batch.c[4], alone.c[0])
    np.testing.assert_array_equal(batch.predict()[4], alone.predict()[0])


def test_a_fresh_row_has_no_state():
    states = Rows(FastStep(small()))
    states.start(2)
    z, action = np.ones((2, 6), np.float32), np.full((2, 3), 0.5)
    states.advance(z, action)
    first = states.c.copy()
    states.advance(z, action)
    states.start(1)
    assert not states.c[2].any() and not states.h[2].any()
    states.advance(np.ones((3, 6), np.float32), np.full((3, 3), 0.5))
    np.testing.assert_allclose(states.c[2], first[0], atol=1e-6)


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


def random_batch(rng, rnn, steps, rows):
    x = rng.normal(size=(steps, rows, rnn.input_size)).astype(np.float32)
    z = rng.normal(size=(steps, rows, rnn.z_size)).astype(np.float32)
    state = rng.normal(size=(2, rows, rnn.hidden)).astype(np.float32)
    return Batch(tf.constant(x), tf.constant(z)), tuple(map(tf.constant, state))


def autodiff(rnn, batch, state):
    """The mean loss by plain TensorFlow, from variables in the file's layout."""
    variables = [tf.constant(v) for v in rnn.variables]
    c, h = state
    outputs = []
    with tf.GradientTape() as tape:
        tape.watch(variables)
        output_w, output_b, kernel, bias = variables
        for t in range(batch.x.shape[0]):
            i, j, f, o = tf.split(tf.concat((batch.x[t], h), 1) @ kernel + bias, 4, axis=1)
            c = c * tf.sigmoid(f + 1) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
            outputs.append(h @ output_w + output_b)
        z = tf.reshape(batch.z, (-1, rnn.z_size))
        loss = mdn_loss(tf.concat(outputs, axis=0), z)
    return loss, tape.gradient(loss, variables), (c, h)


def test_gradients_written_by_hand_equal_automatic_ones():
    rnn, rng = small(), np.random.default_rng(8)
    batch, state = random_batch(rng, rnn, 5, 3)
    loss, expected, last = autodiff(rnn, batch, state)
    variables = [tf.constant(v) for v in training_variables(rnn)]
    z_sum, gradients, (c, h) = loss_and_gradients(variables, batch, state, 90.0, tf.float32)
    assert float(z_sum) / 90 == pytest.approx(float(loss), rel=1e-5)
    for mine, automatic in zip(file_variables(rnn, gradients), expected, strict=True):
        np.testing.assert_allclose(mine, automatic, atol=1e-5)
    np.testing.assert_allclose(c, last[0], atol=1e-5)
    np.testing.assert_allclose(h, last[1], atol=1e-5)
    assert float(losses(variables, batch, state, tf.float32)[0]) == pytest.approx(float(z_sum))
    for mine, original in zip(file_variables(rnn, variables), rnn.variables, strict=True):
        np.testing.assert_array_equal(mine, original)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Nine episodes of 25 frames; mu tells episode, frame and latent, z hardly differs from it."""
    path = tmp_path_factory.mktemp("series") / "series.npz"
    episode, frame, latent = np.meshgrid(np.arange(9), np.arange(25), np.arange(32), indexing="ij")
    mu = (0.1 * episode + 0.01 * frame + latent / 32).astype(np.float16)
    action = np.stack([episode, frame, -frame], axis=3)[:, :, 0].astype(np.float16)
    np.savez(path, mu=mu, logvar=np.full_like(mu, -12), action=action)
    return Series(path)


def test_chunks_are_whole_episodes_each_once_a_pass(series):
    data = passes(series, np.arange(1, 9), count=3, steps=8, seed=5, position=[0, 0, 0])
    seen = []
    for index in range(6):  # a pass: two batches of three episodes, three chunks each
        chunk, position = next(data)
        assert chunk["mu"].shape == (9, 3, 32) and chunk["action"].shape == (8, 3, 3)
        first = index % 3 * 8
        frames = np.arange(first, first + 8)[:, None].repeat(3, axis=1)
        np.testing.assert_array_equal(chunk["action"][:, :, 1], frames)
        episodes = chunk["action"][0, :, 0]
        expected = 0.1 * episodes + 0.01 * (first + 8)
        np.testing.assert_allclose(chunk["mu"][-1, :, 0], expected, atol=1e-3)
        seen += [*episodes] * (index % 3 == 0)
    assert position == [1, 0, 0]
    assert len(set(seen)) == 6 and 0 not in seen
    again = passes(series, np.arange(1, 9), 3, 8, 5, [0, 1, 1])
    assert next(again)[1] == [0, 1, 2]
    with pytest.raises(UserError, match="--batch"):
        next(passes(series, np.arange(2), 3, 8, 5, [0, 0, 0]))
    with pytest.raises(UserError, match="--length"):
        next(passes(series, np.arange(9), 3, 25, 5, [0, 0, 0]))


def test_continued_training_of_m_equals_an_uninterrupted_one(series, tmp_path):
    flags = ["--preset", "smoke", "--steps", "8", "--batch", "3"]

    def train(output, steps):
        args = parse([*flags, "--output", str(tmp_path / output)])
        training = Training(args, 1, tf.float32)
        data = passes(series, np.arange(8), 3, 8, 0, training.position)
        while training.step < steps:
            chunk, position = next(data)
            loss = training.advance(chunk)
            training.position = position
        training.save()
        return training, loss.numpy().tolist()

    whole, last = train("whole", 8)
    train("halved", 4)
    halved, again = train("halved", 8)
    assert last == again
    for one, two in zip(whole.variables, halved.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    test = HeldOut(series, np.array([8]), Namespace(length=8), tf.float32)
    begun = Training(Namespace(**vars(whole.args) | {"restart": True}), 1, tf.float32)
    assert test.run(whole.variables) < test.run(begun.variables)
