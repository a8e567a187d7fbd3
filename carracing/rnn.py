"""M: the mixture density network on an LSTM that predicts the next latent.

Reads and writes rnn.json. An importable module, no command; rnn_train.py trains it, model.py and
dream_env.py step it. It differs from doomrnn/rnn.py only in what the paper varies: 256 cells, three
actions, no restart input and no restart logit, the state zeroed only where an episode starts.
Shapes: B rows, Z latents (32), A actions (3), H cells (256), K mixtures (5).
"""

import numpy as np

from kit.batches.mixtures import sample_z
from kit.batches.rows import take_rows, whole_blocks
from kit.files import worlds
from kit.files.weights import load_weights, save_weights
from kit.tensors.precision import resolve
from kit.tensors.tf import tf

from world import ACTION_SHAPE, HIDDEN, MIXTURES, NAME, Z_SIZE

ACTIONS = int(np.prod(ACTION_SHAPE))  # numbers that M is given of an action


class MDNRNN:
    """The four variables of M, float32, in the order and layout of the reference's rnn.json.

    output_w (H, Z*3*K): (Z, 3, K) of log weights, means, log stdevs
    output_b (Z*3*K,)
    kernel (Z+A+H, 4H): rows [z, action, h], gates i, j, f, o
    bias (4H,): the forget gate's 1 is added in the cell and not stored
    """

    def __init__(
        self, z_size=Z_SIZE, action_size=ACTIONS, hidden=HIDDEN, mixtures=MIXTURES, seed=0
    ):
        self.z_size, self.action_size = z_size, action_size
        self.hidden, self.mixtures = hidden, mixtures
        self.input_size = z_size + action_size
        self.output_size = z_size * 3 * mixtures
        rng = np.random.default_rng(seed)
        self.variables = [  # Glorot: the square root of 6 / (rows + columns) bounds the weights
            (rng.uniform(-1, 1, shape) * np.sqrt(6 / sum(shape))).astype(np.float32)
            if len(shape) == 2
            else np.zeros(shape, np.float32)
            for shape in self.shapes
        ]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        gates = 4 * self.hidden
        kernel = (self.input_size + self.hidden, gates)
        return [(self.hidden, self.output_size), (self.output_size,), kernel, (gates,)]

    @property
    def parameter_count(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def output_order(self) -> np.ndarray:
        """Columns of output_w in the order (3, K, Z): no short axis is innermost."""
        columns = np.arange(self.output_size).reshape(self.z_size, 3, self.mixtures)
        return columns.transpose(1, 2, 0).ravel()

    def load(self, path) -> "MDNRNN":
        """Take the weights of an rnn.json; UserError where the file does not fit."""
        worlds.check(path, NAME)
        self.variables = load_weights(path, self.shapes)
        return self

    def save(self, path) -> None:
        """Write rnn.json: whole numbers of ten-thousandths."""
        save_weights(path, self.variables)


def mdn_loss(output, z, mixtures=5):
    """The loss of M in plain TensorFlow: the NLL of a latent.

    output (N, Z*3*K) as the network leaves it, z (N, Z) the next latents. The NLL is that of a
    density, a mean over latents: it may be negative. Paper, appendix A.2.
    """
    n, z_size = z.shape
    logmix, mean, logstd = tf.unstack(tf.reshape(output, (n, z_size, 3, mixtures)), axis=2)
    logmix = tf.nn.log_softmax(logmix)  # (N, Z, K)
    distance = (z[:, :, None] - mean) * tf.exp(-logstd)
    density = logmix - 0.5 * distance**2 - logstd - 0.5 * np.log(2 * np.pi)
    return tf.reduce_mean(-tf.reduce_logsumexp(density, axis=2))


def dream_on(rnn: MDNRNN, z, actions, warm_up: int, temperature: float, seed: int) -> np.ndarray:
    """Latents (T, Z): an episode's own up to `warm_up`, then M's dream under the same actions.

    z float32 (T, Z), actions (T, A): what M is given.
    """
    rows, rng, dreamed = Rows(FastStep(rnn)), np.random.default_rng(seed), z.copy()
    rows.start(1)
    for t in range(len(z) - 1):
        rows.advance(dreamed[t : t + 1], actions[t : t + 1])
        if t + 1 >= warm_up:
            uniform = rng.random((1, rnn.z_size), np.float32)
            normal = rng.standard_normal((1, rnn.z_size), np.float32)
            dreamed[t + 1] = sample_z(rows.predict(), uniform, normal, temperature)[0]
    return dreamed


class FastStep:
    """The weights of an MDNRNN rearranged for stepping many rows at once.

    Two matrix products a step and everything else in place in numpy, whose float32 tanh is
    faster than TensorFlow's. The sigmoids are tanh(x/2)/2 + 1/2 with the halving and the forget
    gate's 1 put into the weights; biases are two more rows, so that bfloat16 keeps their low
    bits; outputs stand in `MDNRNN.output_order`.
    """

    def __init__(self, rnn: MDNRNN, precision: str = "float32"):
        """`precision` is float32, bfloat16 or auto (see kit/tensors/precision.py)."""
        output_w, output_b, kernel, bias = (np.array(v) for v in rnn.variables)
        hidden, z_size, mixtures = rnn.hidden, rnn.z_size, rnn.mixtures
        self.hidden, self.z_size, self.mixtures = hidden, z_size, mixtures
        self.width = hidden + 2 + rnn.input_size  # columns of a row's input: [h, 1, 1, x]
        half = np.full(4 * hidden, 0.5, np.float32)
        half[hidden : 2 * hidden] = 1  # gate j is a tanh already
        bias[2 * hidden : 3 * hidden] += 1
        order = rnn.output_order
        self.dtype = tf.as_dtype(resolve(precision))
        x_rows, h_rows = kernel[: rnn.input_size] * half, kernel[rnn.input_size :] * half
        gates = [h_rows, *self._bias_rows(bias * half), x_rows]
        outputs = [output_w[:, order], *self._bias_rows(output_b[order])]
        self._gates = tf.constant(np.vstack(gates), self.dtype)
        self._outputs = tf.constant(np.vstack(outputs), self.dtype)

    def _bias_rows(self, bias):
        high = bias.astype(self.dtype.as_numpy_dtype).astype(np.float32)
        return high[None], (bias - high)[None]

    def gates(self, inputs: np.ndarray) -> np.ndarray:
        """Half of every gate's sum (j's whole), float32 (B, 4H), from inputs [h, 1, 1, x]."""
        return self._product(inputs, self._gates)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Output columns, float32 (B, 3*K*Z), from the same inputs."""
        return self._product(inputs[:, : self.hidden + 2], self._outputs)

    def _product(self, inputs, weights):
        product = tf.matmul(tf.convert_to_tensor(whole_blocks(inputs)), weights)
        return np.asarray(tf.cast(product, tf.float32))[: len(inputs)]


class Rows:
    """The LSTM states of many rollouts, advanced in lockstep; rows come and go.

    `c`, `h`: float32 (B, H). A fresh row has a zero state.
    """

    def __init__(self, step: FastStep):
        self.step = step
        self.c = np.empty((0, step.hidden), np.float32)
        self.h = np.empty((0, step.hidden), np.float32)
        self._inputs = np.empty((0, step.width), step.dtype.as_numpy_dtype)  # [h, 1, 1, x]
        self._gates = np.empty((0, 4 * step.hidden), np.float32)  # scratch

    def __len__(self):
        return len(self.c)

    def start(self, count: int) -> None:
        """Append `count` fresh rows."""
        hidden = self.step.hidden
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
        """One LSTM step: z (B, Z) float32, action (B, A): steer, gas, brake."""
        step, hidden = self.step, self.step.hidden
        x = hidden + 2
        self._inputs[:, x : x + step.z_size] = z
        self._inputs[:, x + step.z_size :] = action
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

    def predict(self) -> np.ndarray:
        """What M expects next: mixtures float32 (B, 3, K, Z)."""
        step = self.step
        return step.outputs(self._inputs).reshape(-1, 3, step.mixtures, step.z_size)
