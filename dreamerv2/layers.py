"""The layers that DreamerV2's time goes into, each in the form that a CPU computes fastest.

Every function is a usual layer with its usual gradients, float32 or bfloat16; the tests compare
them with plain TensorFlow. study/bench.py says what each of them brings.

- The gradient of a convolution's kernel at few places is made of matrix products.
- The first deconvolution sees a 1x1 map, so it is a dense layer; the last ones are convolutions
  that make 2x2 pixels of each.
- One-hots times a matrix are sums of its rows.
- A matrix that every step of a loop multiplies by gets its gradient in one product after the loop.
"""

from collections.abc import Sequence

import numpy as np

from kit.tensors.tf import tf

NORM_EPSILON = 1e-3  # Keras' default, which the original's layer norms have
UPDATE_BIAS = -1.0  # of the GRU: at first it keeps most of its state
FEW_PLACES = 6  # along an edge: up to here matrix products are faster than oneDNN's gradient


def product_of_parts(parts: Sequence[tf.Tensor], kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """The parts (N, .) side by side @ kernel + bias: (N, Out).

    A first part of whole numbers (N, S) stands for S one-hots side by side, which fill the rows of
    the kernel that the other parts leave.
    """
    if parts[0].dtype.is_integer:
        return tf.nn.bias_add(_sum_of_rows(parts[0], tf.concat(parts[1:], -1), kernel), bias)
    x = parts[0] if len(parts) == 1 else tf.concat(parts, -1)
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


@tf.custom_gradient
def _sum_of_rows(classes: tf.Tensor, rest: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[one-hots of classes (N, S), rest (N, R)] @ kernel (S * C + R, Out): (N, Out)."""
    count, variables = classes.shape
    rows = kernel.shape[0] - rest.shape[1]
    size = rows // variables
    indices = tf.reshape(classes + tf.range(0, rows, size), [-1])
    segments = tf.repeat(tf.range(count), variables)
    chosen = tf.raw_ops.SparseSegmentSum(data=kernel[:rows], indices=indices, segment_ids=segments)
    total = tf.ensure_shape(chosen, (count, kernel.shape[1])) + tf.matmul(rest, kernel[rows:])

    def gradient(upstream):
        one_hots = tf.reshape(tf.one_hot(classes, size, dtype=kernel.dtype), (-1, rows))
        x = tf.concat([one_hots, rest], -1)  # adding row by row would take three times as long
        for_rest = tf.matmul(upstream, kernel[rows:], transpose_b=True)
        return None, for_rest, tf.matmul(x, upstream, transpose_a=True)

    return total, gradient


class LoopProduct:
    """x @ kernel + addend at each step of a loop, in order; x (B, In), kernel (In, Out).

    addend (T, B, Out) or (Out,) is what is added at each of the T steps. The kernel's gradient is
    one product over all steps in place of T products and their sum.
    """

    def __init__(self, kernel: tf.Tensor, addend: tf.Tensor, steps: int, rows: int):
        inputs: list[tf.Tensor] = []

        @tf.custom_gradient
        def zeros(kernel):
            def gradient(upstream):  # asked for after the loop: `inputs` are complete
                x = tf.concat(inputs, 0)  # (T * B, In)
                return tf.matmul(x, tf.reshape(upstream, (-1, kernel.shape[1])), transpose_a=True)

            return tf.zeros((steps, rows, kernel.shape[1]), kernel.dtype), gradient

        self._inputs = inputs
        self._kernel = tf.stop_gradient(kernel)
        self._addends = tf.unstack(zeros(kernel) + addend)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        step = len(self._inputs)
        self._inputs.append(tf.stop_gradient(x))
        return tf.matmul(x, self._kernel) + self._addends[step]


def layer_norm(x, scale, offset):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset over the last axis; as x."""
    wide = tf.cast(x, tf.float32)
    centred = wide - tf.reduce_mean(wide, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    return tf.cast(centred * tf.math.rsqrt(variance + NORM_EPSILON) * scale + offset, x.dtype)


def gru_gates(parts, state, scale, offset):
    """A GRU's next state (N, D), from the product parts (N, 3 D) and the state (N, D)."""
    reset, candidate, update = tf.split(layer_norm(parts, scale, offset), 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update + UPDATE_BIAS)
    return update * candidate + (1 - update) * state


def squared_error(mean, target):
    """The squares of mean - target, summed for each row: (N,) float32 of (N, ...)."""
    difference = tf.cast(mean, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(tf.square(difference), list(range(1, len(mean.shape))))


def classes(logits, uniform):
    """Classes int32 (...) sampled by logits (..., C) and uniform numbers (...) in [0, 1).

    By the inverse of the cumulative distribution: one number a class, where Gumbel noise takes C;
    and a triangular product is several times faster than TensorFlow's cumsum.
    """
    wide = tf.cast(logits, tf.float32)
    size = wide.shape[-1]
    chances = tf.exp(wide - tf.reduce_max(wide, -1, keepdims=True))
    below = np.triu(np.ones((size, size), np.float32))
    cumulated = tf.reshape(tf.matmul(tf.reshape(chances, (-1, size)), below), tf.shape(chances))
    passed = cumulated <= uniform[..., None] * cumulated[..., -1:]
    count = tf.reduce_sum(tf.cast(passed, tf.int32), -1)
    return tf.minimum(count, size - 1)  # where uniform * sum rounds up to the sum


@tf.custom_gradient
def convolve(x, kernel):
    """Convolution by stride 2, x (N, H, W, In), kernel (side, side, In, Out)."""

    def gradient(upstream):
        for_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "VALID")
        return for_x, _kernel_gradient(x, upstream, kernel.shape[0])

    return tf.nn.conv2d(x, kernel, 2, "VALID"), gradient


def deconvolve_1x1(x, kernel, bias):
    """Deconvolution of a 1x1 map x (N, In), kernel (side, side, Out, In): (N, side, side, Out)."""
    side, _, out_size, in_size = kernel.shape
    flat = tf.matmul(x, tf.reshape(kernel, (-1, in_size)), transpose_b=True)
    return tf.nn.bias_add(tf.reshape(flat, (-1, side, side, out_size)), bias)


def deconvolve(x, kernel, bias, elu: bool = False):
    """Deconvolution by stride 2, kernel (side, side, Out, In), a bias, and an ELU where asked for.

    The ELU is done here because oneDNN makes it part of the convolution.
    """
    return (_deconvolve_elu if elu else _deconvolve_plain)(x, kernel, bias)


@tf.custom_gradient
def _deconvolve_elu(x, kernel, bias):
    return _deconvolve(x, kernel, bias, elu=True)


@tf.custom_gradient
def _deconvolve_plain(x, kernel, bias):
    return _deconvolve(x, kernel, bias, elu=False)


def _deconvolve(x, kernel, bias, elu: bool):
    side, _, channels, _ = kernel.shape
    edge = side + 2 * (x.shape[1] - 1)
    activation = tf.nn.elu if elu else tf.identity
    if side % 2 == 0:
        y = _deconvolve_by_pixels(x, kernel, bias, activation)
    else:
        size = (tf.shape(x)[0], edge, edge, channels)
        y = tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID")
        y = activation(tf.nn.bias_add(y, bias))

    def gradient(upstream):
        if elu:
            upstream = tf.raw_ops.EluGrad(gradients=upstream, outputs=y)
        for_x = tf.nn.conv2d(upstream, kernel, 2, "VALID")
        for_bias = tf.reduce_sum(tf.reshape(upstream, (-1, channels)), 0)
        return for_x, _kernel_gradient(upstream, x, side), for_bias

    return y, gradient


def _deconvolve_by_pixels(x, kernel, bias, activation):
    """`deconvolve` for a kernel of even side: a convolution that makes 2x2 pixels of each.

    TensorFlow's own is four times slower where few channels come out.
    """
    half, _, out_size, in_size = kernel.shape[0] // 2, *kernel.shape[1:]
    kernel = tf.reshape(kernel, (half, 2, half, 2, out_size, in_size))[::-1, :, ::-1]
    kernel = tf.transpose(kernel, (0, 2, 5, 1, 3, 4))
    kernel = tf.reshape(kernel, (half, half, in_size, 4 * out_size))
    border = [half - 1, half - 1]
    y = tf.nn.conv2d(tf.pad(x, [[0, 0], border, border, [0, 0]]), kernel, 1, "VALID")
    y = activation(tf.nn.bias_add(y, tf.tile(bias, [4])))
    _, height, width, _ = y.shape
    y = tf.transpose(tf.reshape(y, (-1, height, width, 2, 2, out_size)), (0, 1, 3, 2, 4, 5))
    return tf.reshape(y, (-1, 2 * height, 2 * width, out_size))


def _kernel_gradient(large, small, side: int):
    """The gradient (side, side, C, D) of a kernel of stride 2.

    large (N, H, W, C) is what the kernel slides over, small (N, h, w, D) what lies at its places.
    """
    if small.shape[1] <= FEW_PLACES:
        return _kernel_gradient_by_products(large, small, side)
    shape = (side, side, large.shape[3], small.shape[3])
    return tf.raw_ops.Conv2DBackpropFilter(
        input=large,
        filter_sizes=np.array(shape, np.int32),
        out_backprop=small,
        strides=[1, 2, 2, 1],
        padding="VALID",
    )


def _kernel_gradient_by_products(large, small, side: int):
    """The same in matrix products, one for every two columns of a row of the kernel."""
    places, channels = small.shape[1], large.shape[3]
    half = places - 1 + (side + 1) // 2  # pairs of pixels along an edge
    missing = [0, max(0, 2 * half - large.shape[1])]
    large = tf.pad(large, [[0, 0], missing, missing, [0, 0]])[:, : 2 * half, : 2 * half]
    pairs = tf.reshape(large, (-1, half, 2, half, 2 * channels))  # two pixels lie side by side
    small = tf.reshape(small, (-1, small.shape[3]))
    products = []
    for i in range(side):
        for j in range(0, side, 2):
            rows, columns = slice(i // 2, i // 2 + places), slice(j // 2, j // 2 + places)
            width = min(2, side - j) * channels
            # one after the other, so that a patch is still in the cache when it is multiplied
            with tf.control_dependencies(products[-1:]):
                patch = pairs[:, rows, i % 2, columns, :width]
            products.append(tf.matmul(tf.reshape(patch, (-1, width)), small, transpose_a=True))
    return tf.reshape(tf.concat(products, 0), (side, side, channels, -1))
