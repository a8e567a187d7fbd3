"""M: the mixture density network on an LSTM that predicts the next latent, the reward and the end.

An importable module, no command; train_mem.py trains it, agent.py and dream.py step it. It differs
from doomrnn/rnn.py in what any environment needs: actions of any width, a head for the reward, and
both heads by the config; the state is zeroed where an episode starts, without an input that says
so. Shapes: B rows, Z latents, A actions, H cells, K mixtures.
"""

from typing import NamedTuple

import numpy as np

from kit.batches.mixtures import sample_z
from kit.batches.rows import take_rows, whole_blocks
from kit.tensors.precision import resolve
from kit.tensors.tf import tf


class Size(NamedTuple):
    """What an M is made of."""

    z_size: int
    action_size: int
    hidden: int
    mixtures: int
    reward: str = "gaussian"  # "gaussian", "bernoulli" or "none"
    end: bool = True

    @property
    def mixture_columns(self) -> int:
        return 3 * self.mixtures * self.z_size

    @property
    def outputs(self) -> int:
        """Columns: mixtures (3, K, Z) of log weights, means, log stdevs; the reward; the end."""
        return self.mixture_columns + (self.reward != "none") + self.end

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """kernel rows [z, action, h], gates i, j, f, o; bias; output_w; output_b.

        The forget gate's 1 is added in the cell and not stored.
        """
        inputs, gates = self.z_size + self.action_size + self.hidden, 4 * self.hidden
        return [(inputs, gates), (gates,), (self.hidden, self.outputs), (self.outputs,)]


class MDNRNN:
    """The four variables of M, float32, of the shapes that `size.shapes` says."""

    def __init__(self, size: Size, seed: int = 0):
        self.size = size
        rng = np.random.default_rng(seed)
        self.variables = [  # Glorot: the square root of 6 / (rows + columns) bounds the weights
            (rng.uniform(-1, 1, shape) * np.sqrt(6 / sum(shape))).astype(np.float32)
            if len(shape) == 2
            else np.zeros(shape, np.float32)
            for shape in size.shapes
        ]

    @property
    def parameter_count(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.size.shapes)


class Expected(NamedTuple):
    """What M expects next, float32."""

    mixture: np.ndarray  # (B, 3, K, Z)
    reward: np.ndarray | None  # (B,): a mean in deviations, or a logit
    end: np.ndarray | None  # (B,): a logit


def mdn_losses(output, z, reward, end, z_weight, weight, size: Size):
    """The losses of M in plain TensorFlow: NLL of a latent, loss of a reward, of an end; (3,).

    output (N, outputs), z (N, Z) the next latents, reward (N,), end (N,) 1 where the episode ends
    here, z_weight (N,) 0 where the next z is not to be predicted, weight (N,) 0 where nothing is.
    The NLL is that of a density, a mean over latents: it may be negative. Paper, appendix A.2.
    """
    columns = size.mixture_columns
    parts = tf.reshape(output[:, :columns], (-1, 3, size.mixtures, size.z_size))
    logmix, mean, logstd = tf.unstack(parts, axis=1)  # (N, K, Z)
    distance = (z[:, None] - mean) * tf.exp(-logstd)
    density = tf.nn.log_softmax(logmix, axis=1) - 0.5 * distance**2 - logstd
    nll = 0.5 * np.log(2 * np.pi) - tf.reduce_logsumexp(density, axis=1)  # (N, Z)
    losses = [tf.reduce_sum(nll * z_weight[:, None]) / (tf.reduce_sum(z_weight) * size.z_size)]
    heads = iter(tf.unstack(output[:, columns:], axis=1))
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    reward_loss = {
        "gaussian": lambda: 0.5 * (next(heads) - reward) ** 2,
        "bernoulli": lambda: entropy(reward, next(heads)),
        "none": lambda: tf.zeros_like(reward),
    }[size.reward]()
    end_loss = entropy(end, next(heads)) if size.end else tf.zeros_like(end)
    steps = tf.reduce_sum(weight)
    return losses + [tf.reduce_sum(loss * weight) / steps for loss in (reward_loss, end_loss)]


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logit)) that no logit overflows."""
    return 0.5 * (1 + np.tanh(0.5 * logit))


def dream_on(rnn: MDNRNN, z, actions, warm_up: int, temperature: float, seed: int) -> np.ndarray:
    """Latents (T, Z): an episode's own up to `warm_up`, then M's dream under the same actions.

    z float32 (T, Z), actions (T, A): what M is given.
    """
    rows, rng, dreamed = Rows(FastStep(rnn)), np.random.default_rng(seed), z.copy()
    rows.start(1)
    for t in range(len(z) - 1):
        rows.advance(dreamed[t : t + 1], actions[t : t + 1])
        if t + 1 >= warm_up:
            uniform = rng.random((1, z.shape[1]), np.float32)
            normal = rng.standard_normal((1, z.shape[1]), np.float32)
            dreamed[t + 1] = sample_z(rows.predict().mixture, uniform, normal, temperature)[0]
    return dreamed


class FastStep:
    """The weights of an MDNRNN rearranged for stepping many rows at once.

    Two matrix products a step and everything else in place in numpy, whose float32 tanh is
    faster than TensorFlow's. The sigmoids are tanh(x/2)/2 + 1/2 with the halving and the forget
    gate's 1 put into the weights; biases are two more rows, so that bfloat16 keeps their low bits.
    """

    def __init__(self, rnn: MDNRNN, precision: str = "float32"):
        """`precision` is float32, bfloat16 or auto (see kit/tensors/precision.py)."""
        kernel, bias, output_w, output_b = (np.array(v) for v in rnn.variables)
        self.size, hidden = rnn.size, rnn.size.hidden
        inputs = len(kernel) - hidden
        self.width = hidden + 2 + inputs  # columns of a row's input: [h, 1, 1, x]
        half = np.full(4 * hidden, 0.5, np.float32)
        half[hidden : 2 * hidden] = 1  # gate j is a tanh already
        bias[2 * hidden : 3 * hidden] += 1
        self.dtype = tf.as_dtype(resolve(precision))
        x_rows, h_rows = kernel[:inputs] * half, kernel[inputs:] * half
        gates = [h_rows, *self._bias_rows(bias * half), x_rows]
        outputs = [output_w, *self._bias_rows(output_b)]
        self._gates = tf.constant(np.vstack(gates), self.dtype)
        self._outputs = tf.constant(np.vstack(outputs), self.dtype)

    def _bias_rows(self, bias):
        high = bias.astype(self.dtype.as_numpy_dtype).astype(np.float32)
        return high[None], (bias - high)[None]

    def gates(self, inputs: np.ndarray) -> np.ndarray:
        """Half of every gate's sum (j's whole), float32 (B, 4H), from inputs [h, 1, 1, x]."""
        return self._product(inputs, self._gates)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Output columns, float32 (B, outputs), from the same inputs."""
        return self._product(inputs[:, : self.size.hidden + 2], self._outputs)

    def _product(self, inputs, weights):
        product = tf.matmul(tf.convert_to_tensor(whole_blocks(inputs)), weights)
        return np.asarray(tf.cast(product, tf.float32))[: len(inputs)]


class Rows:
    """The LSTM states of many rollouts, advanced in lockstep; rows come and go.

    `c`, `h`: float32 (B, H). A fresh row has a zero state.
    """

    def __init__(self, step: FastStep):
        self.step = step
        hidden = step.size.hidden
        self.c = np.empty((0, hidden), np.float32)
        self.h = np.empty((0, hidden), np.float32)
        self._inputs = np.empty((0, step.width), step.dtype.as_numpy_dtype)  # [h, 1, 1, x]
        self._gates = np.empty((0, 4 * hidden), np.float32)  # scratch

    def __len__(self):
        return len(self.c)

    def start(self, count: int) -> None:
        """Append `count` fresh rows."""
        hidden = self.step.size.hidden
        inputs = np.zeros((count, self.step.width), self._inputs.dtype)
        inputs[:, [hidden, hidden + 1]] = 1  # the two bias columns
        self._inputs = np.concatenate((self._inputs, inputs))
        zeros = np.zeros((count, hidden), np.float32)
        self.c, self.h = np.concatenate((self.c, zeros)), np.concatenate((self.h, zeros))
        if len(self) > len(self._gates):
            self._gates = np.empty((len(self), 4 * hidden), np.float32)

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]` (int64); the others leave."""
        self.c, self.h = take_rows(self.c, rows), take_rows(self.h, rows)
        self._inputs = take_rows(self._inputs, rows)

    def advance(self, z: np.ndarray, action: np.ndarray) -> None:
        """One LSTM step: z (B, Z) float32, action (B, A) as `world` encodes it."""
        step, hidden = self.step, self.step.size.hidden
        x = hidden + 2
        self._inputs[:, x : x + step.size.z_size] = z
        self._inputs[:, x + step.size.z_size :] = action
        gates = np.tanh(step.gates(self._inputs), out=self._gates[: len(z)])
        i, j, f, o = (gates[:, g * hidden : (g + 1) * hidden] for g in range(4))
        # c = c * (1 + f)/2 + j * (1 + i)/2, h = tanh(c) * (1 + o)/2, in place
        f += 1
        f *= self.c
        i += 1
        i *= j
        f += i
        np.multiply(f, np.float32(0.5), out=self.c)
        np.tanh(self.c, out=j)
        o += 1
        o *= np.float32(0.5)
        np.multiply(o, j, out=self.h)
        self._inputs[:, :hidden] = self.h

    def predict(self) -> Expected:
        """What M expects next."""
        size = self.step.size
        outputs, columns = self.step.outputs(self._inputs), size.mixture_columns
        mixture = outputs[:, :columns].reshape(-1, 3, size.mixtures, size.z_size)
        reward = outputs[:, columns] if size.reward != "none" else None
        return Expected(mixture, reward, outputs[:, -1] if size.end else None)
