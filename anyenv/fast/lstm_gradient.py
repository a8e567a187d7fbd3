"""The loss of M and its gradient, written out by hand: twice the speed of Keras' layers.

An importable module, no command; train_mem.py uses it, tests/rnn_test.py checks it against
automatic differentiation. As doomrnn's, but for the heads. The whole sequence is unrolled. What
makes it fast: all products of the inputs in one matrix product, all products for the weights'
gradients in one at the end, everything between compiled into single passes by XLA, the mixture's
gradient in closed form, and one part of the batch for each core. Shapes: T steps, B rows of a part,
Z latents, H cells, K mixtures, N = T * B.
"""

from typing import NamedTuple

import numpy as np

from kit.tensors.tf import graph_function, tf

from rnn import Size

LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


class Batch(NamedTuple):
    """T steps of B streams, time first, float32."""

    x: tf.Tensor  # (T, B, Z + A) latent, action
    fresh: tf.Tensor  # (T, B, 1) 1 where an episode starts: the state is zeroed before
    z: tf.Tensor  # (T, B, Z) the next latents
    reward: tf.Tensor  # (T, B) in deviations, or 0 and 1
    end: tf.Tensor  # (T, B) 1 where the episode ends with this step
    z_weight: tf.Tensor  # (T, B) 0 where there is no next latent, else 1
    weight: tf.Tensor  # (T, B) 0 where nothing is to be predicted, else 1


@graph_function(jit_compile=True)
def _cell(sums, more_sums, bias, c, keep):
    """One step: the gates, the new cells, and both outputs where the next step starts afresh."""
    total = tf.cast(sums, tf.float32) + tf.cast(more_sums, tf.float32) + bias
    i, j, f, o = tf.split(total, 4, axis=1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + 1), tf.sigmoid(o)
    c = c * f + i * j
    h = tf.cast(tf.tanh(c) * o, sums.dtype)
    gates = tf.cast(tf.concat((i, j, f, o), axis=1), sums.dtype)
    return gates, c, h, c * keep, h * tf.cast(keep, h.dtype)


@graph_function(jit_compile=True)
def _cell_gradient(dh_out, dh_next, dc, gates, c, c_before, keep):
    """Gradients of the gates' sums and of the cells before; `keep` belongs to the next step."""
    i, j, f, o = tf.split(tf.cast(gates, tf.float32), 4, axis=1)
    dh = tf.cast(dh_out, tf.float32) + tf.cast(dh_next, tf.float32) * keep
    tanh_c = tf.tanh(c)
    dc = dc * keep + dh * o * (1 - tanh_c * tanh_c)
    di, dj = dc * j * i * (1 - i), dc * i * (1 - j * j)
    df, do = dc * c_before * f * (1 - f), dh * tanh_c * o * (1 - o)
    return tf.cast(tf.concat((di, dj, df, do), axis=1), gates.dtype), dc * f


@graph_function(jit_compile=True)
def _loss_gradient(output, bias, z, reward, end, z_weight, weight, size, scale):
    """Sums of the losses (3,), of reward and end hits too, and the gradient of the output.

    The gradient (N, outputs) is that of sums[0] / scale[0] + (sums[1] + sums[2]) / scale[1].
    With p the mixture's weights and r the posterior ones, the gradient of a latent's NLL is p - r
    for the logits, -r d / s for the means, r (1 - d * d) for the log deviations, d = (z - m) / s.
    """
    mixtures, columns = size.mixtures, size.mixture_columns
    total = tf.cast(output, tf.float32) + bias
    parts = tf.split(total[:, :columns], 3 * mixtures, axis=1)  # (N, Z) each
    logits, means, logstds = parts[:mixtures], parts[mixtures:-mixtures], parts[-mixtures:]
    inverse = [tf.exp(-s) for s in logstds]
    distance = [(z - m) * v for m, v in zip(means, inverse, strict=True)]
    log_density = [
        w - 0.5 * d * d - s - LOG_SQRT_2PI
        for w, d, s in zip(logits, distance, logstds, strict=True)
    ]
    p, log_norm = _softmax(logits)
    r, log_joint = _softmax(log_density)
    share = z_weight[:, None]
    sums = [tf.reduce_sum((log_norm - log_joint) * share)]
    share = share / scale[0]
    gradient = [(a - b) * share for a, b in zip(p, r, strict=True)]
    gradient += [-b * d * v * share for b, d, v in zip(r, distance, inverse, strict=True)]
    gradient += [b * (1 - d * d) * share for b, d in zip(r, distance, strict=True)]
    zero = tf.zeros(())
    for kind, target, column in _heads(size, reward, end):
        if column is None:
            sums.append(zero)
            continue
        value = total[:, column]
        if kind == "gaussian":
            loss, slope = 0.5 * (value - target) ** 2, value - target
        else:
            loss = tf.nn.sigmoid_cross_entropy_with_logits(target, value)
            slope = tf.sigmoid(value) - target
        sums.append(tf.reduce_sum(loss * weight))
        gradient.append((slope * weight / scale[1])[:, None])
    return tf.stack(sums), tf.cast(tf.concat(gradient, axis=1), output.dtype), total[:, -1]


def _heads(size: Size, reward, end):
    """Kind, targets and column of both heads; no column where M has no such head."""
    columns = size.mixture_columns
    has_reward = size.reward != "none"
    yield size.reward, reward, columns if has_reward else None
    yield "bernoulli", end, columns + has_reward if size.end else None


def _softmax(values):
    """Softmax over a list of tensors, and the logarithm of its denominator."""
    top = values[0]
    for value in values[1:]:
        top = tf.maximum(top, value)
    exponentials = [tf.exp(value - top) for value in values]
    norm = tf.add_n(exponentials)
    return [e / norm for e in exponentials], tf.math.log(norm) + top


def _forward(variables, batch: Batch, state, dtype):
    """Run the LSTM over a part: outputs h (N, H), what the gradient needs, and the last state."""
    steps, rows, width = batch.x.shape
    kernel, bias = variables[:2]
    kernel = tf.cast(kernel, dtype)
    keep = tf.unstack(1 - batch.fresh)  # (B, 1) each: the state is zeroed at a start
    x = tf.cast(tf.reshape(batch.x, (-1, width)), dtype)
    sums = tf.unstack(tf.reshape(tf.matmul(x, kernel[:width]), (steps, rows, -1)))
    recurrent = tf.transpose(kernel[width:])  # (4H, H): a few rows times this is a tenth faster
    c, h = state[0] * keep[0], tf.cast(state[1] * keep[0], dtype)
    one = tf.ones((1, 1))
    before, gates, cells, outputs = [], [], [], []
    for t in range(steps):
        before.append((c, h))
        following = keep[t + 1] if t + 1 < steps else one
        gate, cell, output, c, h = _cell(
            sums[t], tf.matmul(h, recurrent, transpose_b=True), bias, c, following
        )
        gates.append(gate)
        cells.append(cell)
        outputs.append(output)
    saved = x, keep, before, gates, cells, recurrent
    return tf.concat(outputs, axis=0), saved, (cells[-1], tf.cast(outputs[-1], tf.float32))


def _flat(batch: Batch):
    return [tf.reshape(v, (-1, v.shape[2]) if v.shape.rank == 3 else (-1,)) for v in batch[2:]]


def losses(variables, batch: Batch, state, size: Size, dtype):
    """Sums of the three losses (3,), the last output column (T, B), the last state (c, h)."""
    steps, rows, _ = batch.x.shape
    h, _, state = _forward(variables, batch, state, dtype)
    output = tf.matmul(h, tf.cast(variables[2], dtype))
    sums, _, last = _loss_gradient(output, variables[3], *_flat(batch), size, (1.0, 1.0))
    return sums, tf.reshape(last, (steps, rows)), state


def loss_and_gradients(variables, batch: Batch, state, scale, size: Size, dtype):
    """Sums of the losses (3,), gradients of the variables in float32, and the last state.

    variables: float32 tensors, as MDNRNN has them; state: c and h (B, H).
    scale: (latents, steps), what the sums are divided by before the gradient is taken.
    dtype: of the matrix products.
    """
    h, (x, keep, before, gates, cells, recurrent), state = _forward(variables, batch, state, dtype)
    output_w = tf.cast(variables[2], dtype)
    output = tf.matmul(h, output_w)
    sums, d_output, _ = _loss_gradient(output, variables[3], *_flat(batch), size, scale)
    steps, rows = len(gates), gates[0].shape[0]
    dh_out = tf.matmul(d_output, output_w, transpose_b=True)
    dh_out = tf.unstack(tf.reshape(dh_out, (steps, rows, -1)))
    dc, dh = tf.zeros_like(cells[0]), tf.zeros_like(dh_out[0])
    d_gates = [None] * steps
    one = tf.ones((1, 1))
    for t in reversed(range(steps)):
        following = keep[t + 1] if t + 1 < steps else one
        d_gates[t], dc = _cell_gradient(
            dh_out[t], dh, dc, gates[t], cells[t], before[t][0], following
        )
        if t:
            dh = tf.matmul(d_gates[t], recurrent)
    d_gates = tf.concat(d_gates, axis=0)  # (N, 4H)
    # Two products instead of one with all rows, which suits the kernels badly.
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
    return sums, [tf.cast(g, tf.float32) for g in gradients], state


def _column_sums(values):
    return tf.reduce_sum(tf.cast(values, tf.float32), axis=0)
