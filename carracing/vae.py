"""V: the convolutional variational autoencoder that turns a 64x64 frame into a latent z.

Identical twin in the other room; test.bash compares. Reads and writes vae.json. An importable
module, no command; vae_train.py trains it. Paper, appendix A.1; reference vae/vae.py.

The variables are those of the reference, in its order. Three layers are computed in another form of
the same function, because the common one is slow on a CPU: the last convolution makes 2x2 positions
of 6x6, so it is one matrix product of four patches; the first deconvolution sees a 1x1 map, so it
is a dense layer; the last one is a 3x3 convolution that makes four pixels of each, and training
compares them as they lie. Shapes: B frames, Z latents.
"""

import numpy as np

from estool.tf import graph_function, tf
from estool.weights import load_weights, save_weights

KL_TOLERANCE = 0.5  # of each latent, in nats: below it the KL term does not pull (reference)
FRAME_SHAPE = (64, 64, 3)


def shapes(z_size: int) -> list[tuple[int, ...]]:
    """The 22 arrays: kernel, bias of enc_conv1-4, fc_mu, fc_log_var, dec_fc, deconv1-4."""
    kernels = [
        *(
            (4, 4, 3, 32),
            (4, 4, 32, 64),
            (4, 4, 64, 128),
            (4, 4, 128, 256),
        ),  # height, width, in, out
        *((1024, z_size), (1024, z_size), (z_size, 1024)),
        *((5, 5, 128, 1024), (5, 5, 64, 128), (6, 6, 32, 64), (6, 6, 3, 32)),  # ..., out, in
    ]
    biases = [kernel[3] for kernel in kernels[:4]] + [z_size, z_size, 1024, 128, 64, 32, 3]
    return [shape for k, b in zip(kernels, biases, strict=True) for shape in (k, (b,))]


class VAE:
    """V with `z_size` latents.

    `precision` is what it computes in, float32 or bfloat16; the variables are float32 always.
    """

    def __init__(self, z_size: int, precision: str = "float32", seed: int = 0):
        self.z_size = z_size
        self.dtype = tf.as_dtype(precision)
        rng = np.random.default_rng(seed)
        self.variables = [tf.Variable(_initial(shape, rng)) for shape in shapes(z_size)]
        self._encode = graph_function(
            self.encode_graph, input_signature=[tf.TensorSpec((None, *FRAME_SHAPE), tf.uint8)]
        )
        self._decode = graph_function(
            lambda z: tf.nn.depth_to_space(tf.sigmoid(self.decode_graph(z)), 2),
            input_signature=[tf.TensorSpec((None, z_size), tf.float32)],
        )

    @property
    def parameter_count(self) -> int:
        return sum(int(np.prod(shape)) for shape in shapes(self.z_size))

    def load(self, path) -> "VAE":
        """Take the weights of a vae.json; UserError where it is no such file of this z size."""
        for variable, array in zip(
            self.variables, load_weights(path, shapes(self.z_size)), strict=True
        ):
            variable.assign(array)
        return self

    def save(self, path) -> None:
        """Write vae.json: whole numbers of ten-thousandths."""
        save_weights(path, [variable.numpy() for variable in self.variables])

    def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance of z, float32 (B, Z) each, of frames uint8 (B, 64, 64, 3)."""
        mu, logvar = self._encode(frames)
        return mu.numpy(), logvar.numpy()

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Frames float32 (B, 64, 64, 3) in [0, 1] of latents (B, Z)."""
        return self._decode(np.asarray(z, np.float32)).numpy()

    def encode_graph(self, frames, weights=None):
        """`encode` in TensorFlow; `weights`: the variables, cast, where a caller has them."""
        w = weights or self.cast_variables()
        x = tf.cast(frames, self.dtype) / 255  # (B, 64, 64, 3), then sides of 31, 14, 6
        for kernel, bias in zip(w[0:6:2], w[1:6:2], strict=True):
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, "VALID"), bias))
        x = tf.nn.relu(tf.nn.bias_add(_convolve_to_2x2(x, w[6]), w[7]))
        x = tf.reshape(x, (-1, 1024))  # (B, 2 * 2 * 256)
        mu, logvar = tf.matmul(x, w[8]) + w[9], tf.matmul(x, w[10]) + w[11]
        return tf.cast(mu, tf.float32), tf.cast(logvar, tf.float32)

    def decode_graph(self, z, weights=None):
        """The logits of `decode` in TensorFlow, (B, 32, 32, 12): 2x2 pixels of 3 colours."""
        w = weights or self.cast_variables()
        x = tf.matmul(tf.cast(z, self.dtype), w[12]) + w[13]  # (B, 1024), linear
        x = _deconvolve_1x1(x, w[14], w[15])  # (B, 5, 5, 128)
        x = _deconvolve(tf.nn.relu(x), w[16], w[17])  # (B, 13, 13, 64)
        x = _deconvolve(tf.nn.relu(x), w[18], w[19])  # (B, 30, 30, 32)
        return _deconvolve_by_pixels(tf.nn.relu(x), w[20], w[21])

    def cast_variables(self) -> list[tf.Tensor]:
        return [tf.cast(variable, self.dtype) for variable in self.variables]

    def losses(self, frames, noise, weights=None):
        """Per frame, (B,) each: the squared error summed over pixels, and max(KL, tolerance).

        frames uint8 (B, 64, 64, 3); noise (B, Z) from a standard normal distribution.
        """
        w = weights or self.cast_variables()
        mu, logvar = self.encode_graph(frames, w)
        logits = self.decode_graph(mu + tf.exp(logvar / 2) * noise, w)
        kl = -0.5 * tf.reduce_sum(1 + logvar - mu**2 - tf.exp(logvar), 1)
        pixels = _by_pixels(frames)
        return _squared_error(logits, pixels), tf.maximum(kl, KL_TOLERANCE * self.z_size)


@graph_function(jit_compile=True)  # one pass over the pixels in place of seven
def _squared_error(logits, pixels):
    difference = tf.sigmoid(tf.cast(logits, tf.float32)) - tf.cast(pixels, tf.float32) / 255
    return tf.reduce_sum(tf.square(difference), (1, 2, 3))


def _by_pixels(frames):
    """frames (B, 64, 64, 3) as (B, 32, 32, 12): 2x2 pixels of 3 colours."""
    x = tf.reshape(frames, (-1, 32, 2, 32, 2, 3))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 32, 32, 12))


def _initial(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Glorot's uniform distribution for kernels, zeros for biases."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    area = int(np.prod(shape[:-2]))
    bound = np.sqrt(6 / (area * (shape[-2] + shape[-1])))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


@tf.custom_gradient
def _convolve_to_2x2(x, kernel):
    """Convolution of a 6x6 map by a 4x4 kernel with stride 2: (B, 2, 2, Out).

    The gradient for x is the usual one: through the patches it would take longer.
    """
    out_size = kernel.shape[3]
    corners = [x[:, i : i + 4, j : j + 4] for i in (0, 2) for j in (0, 2)]
    patches = tf.reshape(tf.stack(corners, 1), (-1, np.prod(kernel.shape[:3])))  # (4B, 16 * In)
    flat = tf.matmul(patches, tf.reshape(kernel, (-1, out_size)))

    def gradient(upstream):
        for_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, "VALID")
        flat_upstream = tf.reshape(upstream, (-1, out_size))
        return for_x, tf.reshape(tf.matmul(patches, flat_upstream, transpose_a=True), kernel.shape)

    return tf.reshape(flat, (-1, 2, 2, out_size)), gradient


def _deconvolve_1x1(x, kernel, bias):
    """Deconvolution of a 1x1 map x (B, In), kernel (side, side, Out, In): (B, side, side, Out)."""
    side, _, out_size, in_size = kernel.shape
    flat = tf.matmul(x, tf.reshape(kernel, (-1, in_size)), transpose_b=True)
    return tf.nn.bias_add(tf.reshape(flat, (-1, side, side, out_size)), bias)


def _deconvolve(x, kernel, bias):
    """Deconvolution by stride 2, kernel (side, side, Out, In)."""
    side = kernel.shape[0] + 2 * (x.shape[1] - 1)
    size = (tf.shape(x)[0], side, side, kernel.shape[2])
    return tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID"), bias)


def _deconvolve_by_pixels(x, kernel, bias):
    """`_deconvolve` for a kernel of even side: a convolution that makes 2x2 pixels of each.

    The pixels stay side by side in the last axis: (B, height, width, 2 * 2 * Out).
    """
    half, _, out_size, in_size = kernel.shape[0] // 2, *kernel.shape[1:]
    kernel = tf.reshape(kernel, (half, 2, half, 2, out_size, in_size))[::-1, :, ::-1]
    kernel = tf.transpose(kernel, (0, 2, 5, 1, 3, 4))
    kernel = tf.reshape(kernel, (half, half, in_size, 4 * out_size))
    border = [half - 1, half - 1]
    x = tf.pad(x, [[0, 0], border, border, [0, 0]])
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), tf.tile(bias, [4]))
