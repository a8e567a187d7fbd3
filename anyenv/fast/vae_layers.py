"""The layers of V and its squared error, each in the form that is fastest on a CPU.

Identical twin in the other room; test.bash compares. Reads and writes nothing. Every function is
one of the usual layers, with its gradients. The room's test compares them with Keras' layers. These
changes make the difference (study/bench.py, V training):

- The gradient of a kernel is made of matrix products: oneDNN's own kernel takes longer.
- The last convolution makes 2x2 places of 6x6, so it is one matrix product of four patches.
- The first deconvolution sees a 1x1 map, so it is a dense layer.
- The last deconvolution is a 3x3 convolution that makes 2x2 pixels of each; its output stays as it
  lies, and is compared so.
- XLA compiles what goes pixel by pixel: one pass in place of one an operation.

Shapes: B frames, In and Out channels; arrays are float32 or bfloat16, all of a call the same.
"""

import numpy as np

from kit.tensors.tf import graph_function, tf


def convolve_colours(x, kernel):
    """`convolve` of few channels, of which a pair of pixels makes too narrow a product."""
    return tf.nn.conv2d(x, kernel, 2, "VALID")


@tf.custom_gradient
def convolve(x, kernel):
    """Convolution by stride 2, kernel (side, side, In, Out)."""

    def gradient(upstream):
        for_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "VALID")
        return for_x, _kernel_gradient(x, upstream, kernel.shape[0])

    return tf.nn.conv2d(x, kernel, 2, "VALID"), gradient


@tf.custom_gradient
def convolve_to_2x2(x, kernel):
    """Convolution by stride 2 of a 6x6 map, kernel (4, 4, In, Out): (B, 2, 2, Out)."""
    area = kernel.shape[:3]
    kernel = tf.reshape(kernel, (np.prod(area), -1))
    corners = [(i, j) for i in (0, 2) for j in (0, 2)]
    patches = tf.stack([x[:, i : i + 4, j : j + 4] for i, j in corners], 1)
    patches = tf.reshape(patches, (-1, np.prod(area)))  # (4 B, 16 In)

    def gradient(upstream):
        upstream = tf.reshape(upstream, (-1, kernel.shape[1]))
        parts = tf.reshape(tf.matmul(upstream, kernel, transpose_b=True), (-1, 4, *area))
        borders = [[[0, 0], [i, 2 - i], [j, 2 - j], [0, 0]] for i, j in corners]
        for_x = tf.add_n([tf.pad(parts[:, i], border) for i, border in enumerate(borders)])
        return for_x, tf.reshape(tf.matmul(patches, upstream, transpose_a=True), (*area, -1))

    return tf.reshape(tf.matmul(patches, kernel), (-1, 2, 2, kernel.shape[1])), gradient


def deconvolve_1x1(x, kernel):
    """Deconvolution of a 1x1 map x (B, In), kernel (side, side, Out, In): (B, side, side, Out)."""
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
        return for_x, _kernel_gradient(upstream, x, side)

    size = (tf.shape(x)[0], edge, edge, kernel.shape[2])
    return tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID"), gradient


def deconvolve_by_pixels(x, kernel):
    """`deconvolve` for a kernel of even side: a convolution that makes 2x2 pixels of each.

    The pixels stay side by side in the last axis: (B, height, width, 2 * 2 * Out).
    """
    half, _, out_size, in_size = kernel.shape[0] // 2, *kernel.shape[1:]
    kernel = tf.reshape(kernel, (half, 2, half, 2, out_size, in_size))[::-1, :, ::-1]
    kernel = tf.transpose(kernel, (0, 2, 5, 1, 3, 4))
    kernel = tf.reshape(kernel, (half, half, in_size, 4 * out_size))
    border = [half - 1, half - 1]
    return tf.nn.conv2d(tf.pad(x, [[0, 0], border, border, [0, 0]]), kernel, 1, "VALID")


def by_pixels(frames):
    """frames (B, height, width, Out) as `deconvolve_by_pixels` makes them."""
    _, height, width, channels = frames.shape
    x = tf.reshape(frames, (-1, height // 2, 2, width // 2, 2, channels))
    x = tf.transpose(x, (0, 1, 3, 2, 4, 5))
    return tf.reshape(x, (-1, height // 2, width // 2, 4 * channels))


@tf.custom_gradient
def rectify(x, bias):
    """relu(x + bias), x (B, height, width, Out)."""
    y = _rectified(x, bias)
    return y, lambda upstream: _rectified_gradient(upstream, y)


@tf.custom_gradient
def squared_error(logits, pixels):
    """Per frame, (B,): the squares of sigmoid(logits) - pixels / 255, summed; pixels uint8."""

    def gradient(upstream):
        return _error_gradient(logits, pixels, upstream), None

    return _error(logits, pixels), gradient


@graph_function(jit_compile=True)
def _rectified(x, bias):
    return tf.nn.relu(x + bias)


@graph_function(jit_compile=True)
def _rectified_gradient(upstream, y):
    for_x = tf.where(y > 0, upstream, tf.zeros_like(upstream))
    return for_x, tf.cast(tf.reduce_sum(tf.cast(for_x, tf.float32), (0, 1, 2)), y.dtype)


@graph_function(jit_compile=True)
def _error(logits, pixels):
    return tf.reduce_sum(tf.square(_difference(logits, pixels)[1]), (1, 2, 3))


@graph_function(jit_compile=True)
def _error_gradient(logits, pixels, upstream):
    output, difference = _difference(logits, pixels)
    slope = 2 * difference * output * (1 - output)
    return tf.cast(slope * tf.reshape(upstream, (-1, 1, 1, 1)), logits.dtype)


def _difference(logits, pixels):
    output = tf.sigmoid(tf.cast(logits, tf.float32))
    return output, output - tf.cast(pixels, tf.float32) / 255


def _kernel_gradient(large, small, side):
    """The gradient (side, side, C, D) of a kernel of stride 2, in matrix products.

    large (B, edge, edge, C) is what the kernel slides over, small (B, m, m, D) what lies at its
    m x m places. A product for every two columns of a row of it: their pixels lie side by side.
    """
    m, channels = small.shape[1], large.shape[3]
    half = m - 1 + (side + 1) // 2  # pairs of pixels along an edge
    missing = [0, max(0, 2 * half - large.shape[1])]
    large = tf.pad(large, [[0, 0], missing, missing, [0, 0]])[:, : 2 * half, : 2 * half]
    pairs = tf.reshape(large, (-1, half, 2, half, 2 * channels))
    small = tf.reshape(small, (-1, small.shape[3]))
    products = []
    for i in range(side):
        for j in range(0, side, 2):
            width = min(2, side - j) * channels
            # one after the other, so that a patch is still in the cache when it is multiplied
            with tf.control_dependencies(products[-1:]):
                patch = pairs[:, i // 2 : i // 2 + m, i % 2, j // 2 : j // 2 + m, :width]
            products.append(tf.matmul(tf.reshape(patch, (-1, width)), small, transpose_a=True))
    return tf.reshape(tf.concat(products, 0), (side, side, channels, -1))
