"""The layers that DreamerV2's time goes into, each in the form that a CPU computes fastest.

Every function is a usual layer with its usual gradients, float32 or bfloat16; the tests compare
them with plain TensorFlow. study/bench.py says what each of them brings.

- The gradient of a convolution's kernel is made of matrix products.
- The first deconvolution sees a 1x1 map, so it is a dense layer.
- One-hots times a matrix are sums of its rows.
- A matrix that every step of a loop multiplies by gets its gradient in one product after the loop.
"""

from collections.abc import Sequence

import numpy as np

from kit.tensors.tf import tf


def product_of_parts(parts: Sequence[tf.Tensor], kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """The parts (N, .) side by side @ kernel + bias: (N, Out).

    A part of whole numbers (N, S) stands for S one-hots side by side, which fill the rows of the
    kernel that the other parts leave.
    """
    dense = [part for part in parts if not part.dtype.is_integer]
    if len(dense) == len(parts):
        x = parts[0] if len(parts) == 1 else tf.concat(parts, -1)
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)
    classes, *rest = parts
    rows = kernel.shape[0] - sum(part.shape[-1] for part in rest)
    total = sum_of_rows(classes, kernel[:rows])
    if rest:
        total += tf.matmul(tf.concat(rest, -1), kernel[rows:])
    return tf.nn.bias_add(total, bias)


@tf.custom_gradient
def sum_of_rows(classes: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """One-hots of `classes` int32 (N, S), side by side, @ kernel (S * C, Out): (N, Out)."""
    count, variables = tf.shape(classes)[0], classes.shape[1]
    size = kernel.shape[0] // variables
    indices = tf.reshape(classes + tf.range(0, variables * size, size), [-1])
    segments = tf.repeat(tf.range(count), variables)

    def gradient(upstream):
        for_kernel = tf.raw_ops.SparseSegmentSumGrad(
            grad=upstream, indices=indices, segment_ids=segments, output_dim0=kernel.shape[0]
        )
        return None, for_kernel

    total = tf.raw_ops.SparseSegmentSum(data=kernel, indices=indices, segment_ids=segments)
    return tf.ensure_shape(total, (classes.shape[0], kernel.shape[1])), gradient


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


def layer_norm(x, scale, offset, epsilon: float):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset over the last axis; as x."""
    wide = tf.cast(x, tf.float32)
    centred = wide - tf.reduce_mean(wide, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    return tf.cast(centred * tf.math.rsqrt(variance + epsilon) * scale + offset, x.dtype)


def gru_gates(parts, state, scale, offset, epsilon: float, update_bias: float):
    """A GRU's next state (N, D), from the product parts (N, 3 D) and the state (N, D)."""
    reset, candidate, update = tf.split(layer_norm(parts, scale, offset, epsilon), 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update + update_bias)
    return update * candidate + (1 - update) * state


@tf.custom_gradient
def convolve(x, kernel):
    """Convolution by stride 2, x (N, H, W, In), kernel (side, side, In, Out)."""

    def gradient(upstream):
        for_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "VALID")
        return for_x, kernel_gradient(x, upstream, kernel.shape[0])

    return tf.nn.conv2d(x, kernel, 2, "VALID"), gradient


def deconvolve_1x1(x, kernel):
    """Deconvolution of a 1x1 map x (N, In), kernel (side, side, Out, In): (N, side, side, Out)."""
    side, _, out_size, in_size = kernel.shape
    flat = tf.matmul(x, tf.reshape(kernel, (-1, in_size)), transpose_b=True)
    return tf.reshape(flat, (-1, side, side, out_size))


@tf.custom_gradient
def deconvolve(x, kernel):
    """Deconvolution by stride 2, kernel (side, side, Out, In)."""
    side = kernel.shape[0]
    edge = side + 2 * (x.shape[1] - 1)

    def gradient(upstream):
        for_x = tf.nn.conv2d(upstream, kernel, 2, "VALID")
        return for_x, kernel_gradient(upstream, x, side)

    size = (tf.shape(x)[0], edge, edge, kernel.shape[2])
    return tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID"), gradient


def kernel_gradient(large, small, side: int):
    """The gradient (side, side, C, D) of a kernel of stride 2.

    large (N, H, W, C) is what the kernel slides over, small (N, h, w, D) what lies at its places.
    """
    shape = (side, side, large.shape[3], small.shape[3])
    return tf.raw_ops.Conv2DBackpropFilter(
        input=large,
        filter_sizes=np.array(shape, np.int32),
        out_backprop=small,
        strides=[1, 2, 2, 1],
        padding="VALID",
    )
