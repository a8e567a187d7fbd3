"""The loss of M and its gradient, written out by hand: faster than Keras' layers (study/bench.py).

An importable module, no command; rnn_train.py uses it, and tests/rnn_test.py checks it against
automatic differentiation. The whole sequence is unrolled. Four things make it fast. All inputs go
through one matrix product, and all weights' gradients through one at the end. XLA compiles what
lies between into single passes. The mixture's gradient has a closed form. Each core gets a part of
the batch.

Shapes: T steps, B rows of a part, Z latents, H cells, K mixtures, N = T * B.
"""

from typing import NamedTuple

import numpy as np

from kit.tensors.tf import graph_function, tf

from rnn import MDNRNN

LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)
STEP_BYTES = 20_000  # memory of a frame in a step of training


class Batch(NamedTuple):
    """T steps of B streams, time first, float32."""

    x: tf.Tensor  # (T, B, Z + A) latent, action
    z: tf.Tensor  # (T, B, Z) the next latents


def make_batch(chunk: dict, noise) -> Batch:
    """T steps from a chunk of series and noise (T + 1, B, Z); z is drawn anew each time."""
    z = chunk["mu"] + tf.exp(chunk["logvar"] / 2) * noise
    return Batch(tf.concat((z[:-1], chunk["action"]), axis=2), z[1:])


def scales(batch: Batch) -> float:
    """Latents of the batch: what the sum of their losses is divided by."""
    return float(np.prod(batch.z.shape))


def training_variables(rnn: MDNRNN) -> list[np.ndarray]:
    """M's variables, the LSTM's first, with the output's columns in `output_order`."""
    output_w, output_b, kernel, bias = rnn.variables
    return [kernel, bias, output_w[:, rnn.output_order], output_b[rnn.output_order]]


def file_variables(rnn: MDNRNN, variables) -> list[np.ndarray]:
    """The inverse of `training_variables`."""
    kernel, bias, output_w, output_b = (np.asarray(v) for v in variables)
    back = np.argsort(rnn.output_order)
    return [output_w[:, back], output_b[back], kernel, bias]


@graph_function(jit_compile=True)
def _cell(sums, more_sums, bias, c):
    """One step: the gates, the new cells and their output."""
    total = tf.cast(sums, tf.float32) + tf.cast(more_sums, tf.float32) + bias
    i, j, f, o = tf.split(total, 4, axis=1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + 1), tf.sigmoid(o)
    c = c * f + i * j
    h = tf.cast(tf.tanh(c) * o, sums.dtype)
    gates = tf.cast(tf.concat((i, j, f, o), axis=1), sums.dtype)
    return gates, c, h


@graph_function(jit_compile=True)
def _cell_gradient(dh_out, dh_next, dc, gates, c, c_before):
    """Gradients of the gates' sums and of the cells before."""
    i, j, f, o = tf.split(tf.cast(gates, tf.float32), 4, axis=1)
    dh = tf.cast(dh_out, tf.float32) + tf.cast(dh_next, tf.float32)
    tanh_c = tf.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    di, dj = dc * j * i * (1 - i), dc * i * (1 - j * j)
    df, do = dc * c_before * f * (1 - f), dh * tanh_c * o * (1 - o)
    return tf.cast(tf.concat((di, dj, df, do), axis=1), gates.dtype), dc * f


@graph_function(jit_compile=True)
def _loss_gradient(output, bias, z, mixtures, scale):
    """Sum of the loss and the gradient of the output (N, 3*K*Z), divided by `scale`.

    With p the mixture's weights and r the posterior ones, the gradient of a latent's NLL is p - r
    for the logits, -r d / s for the means, r (1 - d * d) for the log deviations, d = (z - m) / s.
    """
    total = tf.cast(output, tf.float32) + bias
    parts = tf.split(total, 3 * mixtures, axis=1)  # (N, Z) each
    logits, means, logstds = parts[:mixtures], parts[mixtures:-mixtures], parts[-mixtures:]
    inverse = [tf.exp(-s) for s in logstds]
    distance = [(z - m) * v for m, v in zip(means, inverse, strict=True)]
    log_density = [
        w - 0.5 * d * d - s - LOG_SQRT_2PI
        for w, d, s in zip(logits, distance, logstds, strict=True)
    ]
    p, log_norm = _softmax(logits)
    r, log_joint = _softmax(log_density)
    z_sum = tf.reduce_sum(log_norm - log_joint)
    gradient = [(a - b) / scale for a, b in zip(p, r, strict=True)]
    gradient += [-b * d * v / scale for b, d, v in zip(r, distance, inverse, strict=True)]
    gradient += [b * (1 - d * d) / scale for b, d in zip(r, distance, strict=True)]
    return z_sum, tf.cast(tf.concat(gradient, axis=1), output.dtype)


def _softmax(values):
    """Softmax over a list of tensors, and the logarithm of its denominator."""
    top = values[0]
    for value in values[1:]:
        top = tf.maximum(top, value)
    exponentials = [tf.exp(value - top) for value in values]
    norm = tf.add_n(exponentials)
    return [e / norm for e in exponentials], tf.math.log(norm) + top


def forward(variables, batch: Batch, state, dtype):
    """Run the LSTM over a part: outputs h (N, H), what the gradient needs, and the last state."""
    steps, rows, size = batch.x.shape
    kernel, bias = variables[:2]
    kernel = tf.cast(kernel, dtype)
    x = tf.cast(tf.reshape(batch.x, (-1, size)), dtype)
    sums = tf.unstack(tf.reshape(tf.matmul(x, kernel[:size]), (steps, rows, -1)))
    recurrent = tf.transpose(kernel[size:])  # (4H, H): a few rows times this is a tenth faster
    c, h = state[0], tf.cast(state[1], dtype)
    before, gates, cells, outputs = [], [], [], []
    for t in range(steps):
        before.append((c, h))
        gate, c, h = _cell(sums[t], tf.matmul(h, recurrent, transpose_b=True), bias, c)
        gates.append(gate)
        cells.append(c)
        outputs.append(h)
    saved = x, before, gates, cells, recurrent
    return tf.concat(outputs, axis=0), saved, (cells[-1], tf.cast(outputs[-1], tf.float32))


def losses(variables, batch: Batch, state, dtype, mixtures=5):
    """Sum of the loss and the last state (c, h)."""
    h, _, state = forward(variables, batch, state, dtype)
    output = tf.matmul(h, tf.cast(variables[2], dtype))
    z = tf.reshape(batch.z, (-1, batch.z.shape[2]))
    return _loss_gradient(output, variables[3], z, mixtures, 1.0)[0], state


def loss_and_gradients(variables, batch: Batch, state, scale, dtype, mixtures=5):
    """Sum of the loss, gradients of the variables in float32, and the last state.

    variables: float32 tensors as `training_variables` orders them; state: c and h (B, H).
    scale: number of latents, what the sum is divided by before the gradient is taken.
    dtype: of the matrix products.
    """
    h, (x, before, gates, cells, recurrent), state = forward(variables, batch, state, dtype)
    output_w = tf.cast(variables[2], dtype)
    z = tf.reshape(batch.z, (-1, batch.z.shape[2]))
    output = tf.matmul(h, output_w)
    z_sum, d_output = _loss_gradient(output, variables[3], z, mixtures, scale)
    steps, rows = len(gates), gates[0].shape[0]
    dh_out = tf.matmul(d_output, output_w, transpose_b=True)
    dh_out = tf.unstack(tf.reshape(dh_out, (steps, rows, -1)))
    dc, dh = tf.zeros_like(cells[0]), tf.zeros_like(dh_out[0])
    d_gates = [None] * steps
    for t in reversed(range(steps)):
        d_gates[t], dc = _cell_gradient(dh_out[t], dh, dc, gates[t], cells[t], before[t][0])
        if t:
            dh = tf.matmul(d_gates[t], recurrent)
    d_gates = tf.concat(d_gates, axis=0)  # (N, 4H)
    # Two products instead of one with 291 rows, which suits the kernels badly.
    d_kernel = [
        tf.matmul(inputs, d_gates, transpose_a=True)
        for inputs in (x, tf.concat([h for _, h in before], axis=0))
    ]
    gradients = [
        tf.concat(d_kernel, axis=0),
        _column_sums(d_gates),
        tf.matmul(h, d_output, transpose_a=True),
        _column_sums(d_output),
    ]
    return z_sum, [tf.cast(g, tf.float32) for g in gradients], state


def _column_sums(values):
    return tf.reduce_sum(tf.cast(values, tf.float32), axis=0)
