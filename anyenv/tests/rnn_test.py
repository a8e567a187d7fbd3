"""M: its gradient against automatic differentiation, its stepping, its data."""

import numpy as np
import pytest
from gymnasium import spaces

from kit.batches.mixtures import sample_z
from kit.command.errors import UserError
from kit.tensors.tf import tf

from fast.lstm_gradient import Batch, loss_and_gradients, losses
from rnn import MDNRNN, FastStep, Rows, Size, mdn_losses
from rnn_data import Rewards, Series, sequences, whole
from world import actions_of

SIZES = [
    Size(3, 2, 5, 4, reward, end)
    for reward, end in (("gaussian", True), ("bernoulli", True), ("none", True))
] + [Size(3, 2, 5, 4, "gaussian", False), Size(3, 2, 5, 4, "none", False)]


def make_batch(size, steps=6, rows=4, seed=0) -> Batch:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((steps, rows, size.z_size + size.action_size))
    fresh = rng.random((steps, rows, 1)) < 0.2
    z = rng.standard_normal((steps, rows, size.z_size))
    reward = rng.random((steps, rows))
    reward = reward if size.reward == "gaussian" else reward < 0.5
    end = rng.random((steps, rows)) < 0.3
    weight = rng.random((2, steps, rows)) < 0.8
    values = (x, fresh, z, reward, end, *weight)
    return Batch(*(tf.constant(np.asarray(v), tf.float32) for v in values))


def plain_output(variables, batch, hidden):
    """The LSTM by its textbook formulas."""
    kernel, bias, output_w, output_b = variables
    rows = batch.x.shape[1]
    c = h = tf.zeros((rows, hidden))
    outputs = []
    for t in range(batch.x.shape[0]):
        keep = 1 - batch.fresh[t]
        c, h = c * keep, h * keep
        i, j, f, o = tf.split(tf.concat((batch.x[t], h), 1) @ kernel + bias, 4, axis=1)
        c = c * tf.sigmoid(f + 1) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        outputs.append(h @ output_w + output_b)
    return tf.concat(outputs, 0)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradient_is_that_of_automatic_differentiation(size):
    rnn, batch = MDNRNN(size, seed=1), make_batch(size)
    variables = [tf.Variable(v) for v in rnn.variables]
    variables[1].assign_add(tf.random.stateless_normal(variables[1].shape, (1, 2)) * 0.3)
    variables[3].assign_add(tf.random.stateless_normal(variables[3].shape, (1, 3)) * 0.3)
    flat = [tf.reshape(v, (-1, *v.shape[2:])) for v in batch[2:]]
    with tf.GradientTape() as tape:
        expected = mdn_losses(plain_output(variables, batch, size.hidden), *flat, size)
        total = tf.add_n(expected)
    wanted = tape.gradient(total, variables)
    latents, steps = (
        float(tf.reduce_sum(batch.z_weight)) * size.z_size,
        float(tf.reduce_sum(batch.weight)),
    )
    state = [tf.zeros((4, size.hidden))] * 2
    values = [tf.identity(v) for v in variables]
    sums, gradients, _ = loss_and_gradients(
        values, batch, state, (latents, steps), size, tf.float32
    )
    found = sums.numpy() / (latents, steps, steps)
    np.testing.assert_allclose(found, [float(v) for v in expected], rtol=1e-5)
    for one, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=1e-4)
    again, _, _ = losses(values, batch, state, size, tf.float32)
    np.testing.assert_allclose(again, sums, rtol=1e-6)


def test_the_density_of_one_gaussian_is_the_known_number():
    size = Size(1, 1, 1, 1, "none", False)
    output, z = tf.constant([[0.3, 1.0, np.log(2.0)]], tf.float32), tf.constant([[3.0]])
    one = tf.ones(1)
    nll = float(mdn_losses(output, z, one, one, one, one, size)[0])
    assert nll == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(2) + 0.5)


@pytest.mark.parametrize("size", SIZES[:2], ids=str)
def test_stepping_rows_gives_what_training_computes(size):
    rnn, batch = MDNRNN(size, seed=1), make_batch(size)
    batch = batch._replace(fresh=tf.zeros_like(batch.fresh))
    wanted = plain_output(rnn.variables, batch, size.hidden).numpy().reshape(6, 4, -1)
    rows = Rows(FastStep(rnn))
    rows.start(4)
    for t in range(6):
        x = batch.x[t].numpy()
        rows.advance(x[:, :3], x[:, 3:])
        expected = rows.predict()
        np.testing.assert_allclose(expected.mixture.reshape(4, -1), wanted[t, :, :36], atol=1e-5)
        np.testing.assert_allclose(expected.reward, wanted[t, :, 36], atol=1e-5)
        np.testing.assert_allclose(expected.end, wanted[t, :, 37], atol=1e-5)


def test_samples_have_the_mean_and_spread_of_the_mixture():
    mixture = np.zeros((20_000, 3, 2, 1), np.float32)
    mixture[:, 1, 0], mixture[:, 1, 1], mixture[:, 2] = -1, 3, np.log(0.5)
    rng = np.random.default_rng(0)
    shape = (20_000, 1)
    noise = rng.random(shape, np.float32), rng.standard_normal(shape, np.float32)
    z = sample_z(mixture, *noise)
    assert z.mean() == pytest.approx(1, abs=0.05)
    assert z.var() == pytest.approx(4 + 0.25, abs=0.1)
    warm = sample_z(mixture, *noise, 4.0)
    assert warm.var() == pytest.approx(4 + 1, abs=0.15)


class Source:
    """What Series reads, without a file."""

    path, latent_dim = "x.hdf5", 2

    def __init__(self, lengths, terminated=None):
        count = sum(lengths)
        self.games, self.episodes = len(lengths), np.cumsum([0, *lengths])
        self.terminated = np.ones(len(lengths), bool) if terminated is None else terminated
        self.rows = {
            "states": np.arange(count * 4, dtype=np.float32).reshape(count, 2, 2) / 1000,
            "actions": (np.arange(count) % 2)[:, None],
            "rewards": np.arange(count, dtype=np.float32) % 2,
        }
        self.actions = self.rows["actions"]

    def read(self, name, start, stop):
        return self.rows[name][start:stop]


ACTIONS = actions_of(spaces.Discrete(2))


def test_sequences_have_no_padding_and_are_drawn_by_length():
    series = Series(Source([5, 40, 5]), ACTIONS, 1.0)
    rng = np.random.default_rng(0)
    rows, fresh = sequences(series, np.array([0, 1, 2]), 200, 12, 0.2, rng)
    assert rows.shape == (12, 200) and fresh[0].all()
    goes_on = rows[1:] == rows[:-1] + 1
    assert (goes_on | fresh[1:]).all()  # a part goes on until the next begins
    share = ((rows >= 5) & (rows < 45)).mean()
    assert share == pytest.approx(0.8, abs=0.08)


def test_terminal_prob_is_how_often_a_part_is_the_last_one():
    series = Series(Source([100, 100]), ACTIONS, 1.0)
    for prob in (0.0, 0.5, 1.0):
        rng = np.random.default_rng(0)
        rows, _ = sequences(series, np.array([0]), 2000, 10, prob, rng)
        found = (rows[-1] == 99).mean()
        assert found == pytest.approx(prob + (1 - prob) / 91, abs=0.04)


def test_the_last_step_of_an_episode_predicts_its_end_and_no_latent():
    series = Series(Source([3, 4], np.array([True, False])), ACTIONS, 1.0)
    rows = np.arange(7)[:, None]
    chunk = series.chunk(rows, rows == 0, Rewards(0.5, 0.5))
    assert chunk.z_weight[:, 0].tolist() == [1, 1, 0, 1, 1, 1, 0]
    assert chunk.end[:, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]  # the second ran into a limit
    assert chunk.reward[:, 0].tolist() == [-1, 1, -1, 1, -1, 1, -1]
    np.testing.assert_array_equal(chunk.next_mu[:-1, 0], chunk.mu[1:, 0])
    assert chunk.action[:, 0].tolist()[:2] == [[1, 0], [0, 1]]


def test_whole_episodes_are_what_is_tested():
    series = Series(Source([3, 4, 3]), ACTIONS, 1.0)
    rows, fresh = whole(series, np.array([2, 0]), 3)
    assert rows.T.tolist() == [[7, 8, 9], [0, 1, 2]]
    assert fresh[0].all() and not fresh[1:].any()


def test_dataset_fraction_takes_the_first_episodes():
    series = Series(Source([3, 4, 3, 5]), ACTIONS, 0.5)
    assert len(series.mu) == 7


def test_rewards_of_two_values_and_of_more():
    two = Rewards.of(np.array([0.0, 3.0, 3.0]), "bernoulli", "x")
    assert two == (0, 3)
    assert Rewards.of(np.ones(5), "gaussian", "x") == (1, 1)
    with pytest.raises(UserError, match="bernoulli is for two values, and x has 3"):
        Rewards.of(np.arange(3.0), "bernoulli", "x")


def test_actions_of_another_environment_are_one_sentence():
    with pytest.raises(UserError, match="actions that the environment does not have"):
        Series(Source([3, 4]), actions_of(spaces.Discrete(1)), 1.0)
