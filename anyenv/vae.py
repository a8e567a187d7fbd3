"""V: the convolutional variational autoencoder that turns a 64x64 frame into a latent z.

Identical twin in the other room; test.bash compares. Reads and writes vae.json. An importable
module, no command; vae_train.py trains it. Paper, appendix A.1; reference vae/vae.py.

The variables are those of the reference, in its order; fast/vae_layers.py computes the layers in
forms that are fast on a CPU. Shapes: B frames, Z latents.
"""

import numpy as np

from kit.files import worlds
from kit.files.weights import load_weights, save_weights
from kit.tensors.tf import graph_function, tf

from fast import vae_layers as layers
from world import NAME

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
        """Take the weights of a vae.json; UserError where the file does not fit."""
        worlds.check(path, NAME)
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
        forms = (layers.convolve_colours, *[layers.convolve] * 2, layers.convolve_to_2x2)
        for convolve, kernel, bias in zip(forms, w[0:8:2], w[1:8:2], strict=True):
            x = tf.nn.relu(tf.nn.bias_add(convolve(x, kernel), bias))
        x = tf.reshape(x, (-1, 1024))  # (B, 2 * 2 * 256)
        mu, logvar = tf.matmul(x, w[8]) + w[9], tf.matmul(x, w[10]) + w[11]
        return tf.cast(mu, tf.float32), tf.cast(logvar, tf.float32)

    def decode_graph(self, z, weights=None):
        """The logits of `decode` in TensorFlow, (B, 32, 32, 12): 2x2 pixels of 3 colours."""
        w = weights or self.cast_variables()
        x = tf.matmul(tf.cast(z, self.dtype), w[12]) + w[13]  # (B, 1024), linear
        x = layers.rectify(layers.deconvolve_1x1(x, w[14]), w[15])  # (B, 5, 5, 128)
        x = layers.rectify(layers.deconvolve(x, w[16]), w[17])  # (B, 13, 13, 64)
        x = layers.rectify(layers.deconvolve(x, w[18]), w[19])  # (B, 30, 30, 32)
        return tf.nn.bias_add(layers.deconvolve_by_pixels(x, w[20]), tf.tile(w[21], [4]))

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
        error = layers.squared_error(logits, layers.by_pixels(frames))
        return error, tf.maximum(kl, KL_TOLERANCE * self.z_size)


def _initial(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Glorot's uniform distribution for kernels, zeros for biases."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    area = int(np.prod(shape[:-2]))
    bound = np.sqrt(6 / (area * (shape[-2] + shape[-1])))
    return rng.uniform(-bound, bound, shape).astype(np.float32)
