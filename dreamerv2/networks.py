"""Layers and networks of DreamerV2: dense, convolutional, recurrent (paper appendix, nets.py).

Variables are float32 and live in `Parameters`. A network is called with `p`, the tensors that
`Parameters.read` made of them once a step, in the type that is computed in.

Shapes: N rows (any number of sequences and steps), In and Out units; images (N, H, W, C).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dreamerv2 import layers
from kit.command.errors import UserError
from kit.tensors.tf import tf

Tensors = dict[str, tf.Tensor]

ACTIVATIONS: dict[str, Callable] = {
    "none": tf.identity,
    "elu": tf.nn.elu,
    "relu": tf.nn.relu,
    "selu": tf.nn.selu,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "gelu": tf.nn.gelu,
    "leaky_relu": tf.nn.leaky_relu,
    "softplus": tf.nn.softplus,
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
}


class Parameters:
    """The named variables that one optimiser trains.

    `variables`: name -> tf.Variable float32, in the order in which they were added.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._exact: set[str] = set()  # names that are read as float32
        self.variables: dict[str, tf.Variable] = {}

    def kernel(self, name: str, shape: Sequence[int], scale: float = 1.0) -> None:
        """A matrix or a convolution's kernel: uniform after Glorot & Bengio (2010), times scale."""
        area = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (area * (shape[-2] + shape[-1])))
        self._add(name, scale * self._rng.uniform(-limit, limit, shape))

    def constant(self, name: str, size: int, value: float = 0.0, exact: bool = False) -> None:
        """A vector; an `exact` one is read as float32."""
        if exact:
            self._exact.add(name)
        self._add(name, np.full(size, value))

    def _add(self, name: str, value: np.ndarray) -> None:
        if name in self.variables:
            raise ValueError(f"{name} exists")
        self.variables[name] = tf.Variable(value.astype(np.float32), name=name.replace("/", "_"))

    def read(self, dtype: tf.DType) -> Tensors:
        """Their values now: name -> tensor."""
        return {
            name: tf.convert_to_tensor(v) if name in self._exact else tf.cast(v, dtype)
            for name, v in self.variables.items()
        }

    @property
    def count(self) -> int:
        """Numbers in all variables."""
        return sum(int(np.prod(v.shape)) for v in self.variables.values())


class Dense:
    """x (N, In) @ kernel + bias: (N, Out)."""

    def __init__(
        self, parameters: Parameters, name: str, inputs: int, outputs: int, scale: float = 1.0
    ):
        self.kernel, self.bias = f"{name}/kernel", f"{name}/bias"
        parameters.kernel(self.kernel, (inputs, outputs), scale)
        parameters.constant(self.bias, outputs)

    def __call__(self, p: Tensors, *parts: tf.Tensor) -> tf.Tensor:
        """Of the parts side by side; one of whole numbers (N, S) stands for S one-hots."""
        return layers.product_of_parts(parts, p[self.kernel], p[self.bias])


class Activation:
    """Layer norm, where `norm` is "layer", and an activation by its name."""

    def __init__(self, parameters: Parameters, name: str, size: int, act: str, norm: str):
        if act not in ACTIVATIONS:
            raise UserError(f"act: expected one of {', '.join(ACTIVATIONS)}, found {act!r}")
        if norm not in ("none", "layer"):
            raise UserError(f"norm: expected none or layer, found {norm!r}")
        self._act = ACTIVATIONS[act]
        self._norm = LayerNorm(parameters, f"{name}_norm", size) if norm == "layer" else None
        self.is_elu = act == "elu" and norm == "none"

    def __call__(self, p: Tensors, x: tf.Tensor) -> tf.Tensor:
        return self._act(x if self._norm is None else self._norm(p, x))


class LayerNorm:
    """Over the last axis, in float32 whatever x is."""

    def __init__(self, parameters: Parameters, name: str, size: int):
        self.scale, self.offset = f"{name}/scale", f"{name}/offset"
        parameters.constant(self.scale, size, 1.0, exact=True)
        parameters.constant(self.offset, size, exact=True)

    def __call__(self, p: Tensors, x: tf.Tensor) -> tf.Tensor:
        return layers.layer_norm(x, p[self.scale], p[self.offset])


class Stack:
    """Dense layers of these `units`, each with its activation."""

    def __init__(self, parameters, name: str, inputs: int, units: Sequence[int], act, norm):
        self._layers = []
        for i, size in enumerate(units):
            layer = f"{name}/dense{i}"
            dense = Dense(parameters, layer, inputs, size)
            self._layers.append((dense, Activation(parameters, layer, size, act, norm)))
            inputs = size
        self.size = inputs

    def __call__(self, p: Tensors, *parts: tf.Tensor) -> tf.Tensor:
        for dense, activation in self._layers:
            parts = (activation(p, dense(p, *parts)),)
        return parts[0] if len(parts) == 1 else tf.concat(parts, -1)


class Convolutions:
    """The image encoder: valid convolutions of stride 2, doubling channels: (N, Out)."""

    def __init__(self, parameters, name: str, shape: Sequence[int], config: Mapping):
        height, width, channels = shape
        self._layers = []
        for i, side in enumerate(config["cnn_kernels"]):
            if min(height, width) < side:
                raise UserError(f"images of {shape[0]}x{shape[1]} are too small for the encoder")
            depth = 2**i * config["cnn_depth"]
            kernel, bias = f"{name}/conv{i}/kernel", f"{name}/conv{i}/bias"
            parameters.kernel(kernel, (side, side, channels, depth))
            parameters.constant(bias, depth)
            activation = Activation(
                parameters, f"{name}/conv{i}", depth, config["act"], config["norm"]
            )
            self._layers.append((kernel, bias, activation))
            height, width = ((edge - side) // 2 + 1 for edge in (height, width))
            channels = depth
        self.size = height * width * channels

    def __call__(self, p: Tensors, x: tf.Tensor) -> tf.Tensor:
        for kernel, bias, activation in self._layers:
            x = activation(p, tf.nn.bias_add(layers.convolve(x, p[kernel]), p[bias]))
        return tf.reshape(x, (-1, self.size))


class Deconvolutions:
    """The image decoder: a dense layer to a 1x1 map, deconvolutions of stride 2 from there."""

    def __init__(self, parameters, name: str, inputs: int, shape: Sequence[int], config: Mapping):
        kernels, depth = config["cnn_kernels"], config["cnn_depth"]
        self._dense = Dense(parameters, f"{name}/convin", inputs, 32 * depth)
        self._layers, channels, edge = [], 32 * depth, 1
        for i, side in enumerate(kernels):
            last = i == len(kernels) - 1
            out = shape[2] if last else 2 ** (len(kernels) - i - 2) * depth
            kernel, bias = f"{name}/conv{i}/kernel", f"{name}/conv{i}/bias"
            parameters.kernel(kernel, (side, side, out, channels))
            parameters.constant(bias, out)
            act, norm = ("none", "none") if last else (config["act"], config["norm"])
            activation = Activation(parameters, f"{name}/conv{i}", out, act, norm)
            self._layers.append((kernel, bias, activation))
            channels, edge = out, 2 * (edge - 1) + side
        if (edge, edge) != tuple(shape[:2]):
            raise UserError(
                f"decoder.cnn_kernels make {edge}x{edge} pixels, images have "
                f"{shape[0]}x{shape[1]}: give --render_size {edge} {edge}"
            )

    def __call__(self, p: Tensors, *parts: tf.Tensor) -> tf.Tensor:
        """(N, H, W, C) of parts (N, .) side by side."""
        x = self._dense(p, *parts)
        for i, (kernel, bias, activation) in enumerate(self._layers):
            if i == 0:
                x = activation(p, layers.deconvolve_1x1(x, p[kernel], p[bias]))
            elif activation.is_elu:
                x = layers.deconvolve(x, p[kernel], p[bias], elu=True)
            else:
                x = activation(p, layers.deconvolve(x, p[kernel], p[bias]))
        return x


class GRU:
    """Layer norm goes over all gates, the reset applies to the candidate (nets.py GRUCell)."""

    def __init__(self, parameters: Parameters, name: str, inputs: int, size: int):
        self.dense = Dense(parameters, name, inputs + size, 3 * size)
        self._norm = LayerNorm(parameters, f"{name}_norm", 3 * size)

    def __call__(self, p: Tensors, x: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """x (N, In), state (N, Out): the next state (N, Out)."""
        return self.gates(p, self.dense(p, tf.concat([x, state], -1)), state)

    def gates(self, p: Tensors, parts: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The next state, from the product (N, 3 Out)."""
        return layers.gru_gates(parts, state, p[self._norm.scale], p[self._norm.offset])
