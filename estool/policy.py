"""Small networks that act, many at once, each row of a batch with separate parameters."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from kit.command import memory
from kit.command.errors import UserError


def _softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "passthru": lambda x: x,
}
OUTPUTS = (*ACTIVATIONS, "softmax", "sample")


class Policy:
    """A fully connected network: its shape, and what its outputs mean to an action space.

    Parameters stand as the reference has them: for each layer W row-major (inputs, outputs), then
    b, and for a last layer with `output_noise` the log-variances of its Gaussian noise, whose
    deviation is exp(log_variance / 2 + noise_bias) before the activation.

    Continuous actions: tanh and sigmoid outputs are stretched over the space's bounds, relu and
    passthru are clipped to them. Discrete actions: the largest sum, or with `sample` drawn by the
    softmax of the sums.
    """

    def __init__(
        self,
        observation_size: int,
        action_space: Space,
        layers: Sequence[int] = (),
        activation: str = "tanh",
        output: str = "tanh",
        output_noise: bool = False,
        noise_bias: float = 0.0,
    ):
        """`layers` are the sizes of the hidden ones, `observation_size` counts a time input.

        Raises UserError for an action space that is neither discrete nor a vector, and for an
        output that does not suit it or a network that does not fit into memory.
        """
        self.discrete = isinstance(action_space, Discrete)
        vector = isinstance(action_space, Box) and len(action_space.shape) == 1
        if not (self.discrete or vector):
            raise UserError(f"expected discrete actions or a vector of them, found {action_space}")
        if output in ("softmax", "sample") and not self.discrete:
            raise UserError(f"--output {output}: expected discrete actions, found {action_space}")
        self.action_space = action_space
        outputs = int(action_space.n) if self.discrete else action_space.shape[0]
        self.sizes = (observation_size, *layers, outputs)
        self.activation, self.output = activation, output
        self.output_noise, self.noise_bias = output_noise, noise_bias
        memory.require(8 * self.num_params, f"a network of layers {self.sizes}", "--layers")
        if vector:
            self.low = np.asarray(action_space.low, np.float64)
            self.high = np.asarray(action_space.high, np.float64)
            self._bounded = bounded = np.isfinite(self.low) & np.isfinite(self.high)
            low, high = np.where(bounded, (self.low, self.high), [[-1.0], [1.0]])
            self._middle, self._reach = (low + high) / 2, (high - low) / 2

    def continuous(self, outputs: np.ndarray) -> np.ndarray:
        """Actions (B, A) for the last layer's sums (B, A)."""
        x = ACTIVATIONS[self.output](outputs)
        if self.output == "sigmoid":
            x = np.where(self._bounded, 2 * x - 1, x)
        if self.output in ("tanh", "sigmoid"):
            x = self._middle + self._reach * x
        return np.clip(x, self.low, self.high).astype(self.action_space.dtype)

    @property
    def num_params(self) -> int:
        count = sum((before + 1) * after for before, after in pairwise(self.sizes))
        return count + self.output_noise * self.sizes[-1]

    @property
    def draws(self) -> bool:
        """Whether actions depend on chance."""
        return self.output_noise or self.output == "sample"


class Controllers:
    """K policies of one shape; `act` is what kit/batches/rollout.py calls."""

    def __init__(self, policy: Policy, parameters: np.ndarray, seeds: np.ndarray | None = None):
        """`parameters` (K, P). `seeds` (K,) fix each policy's random numbers; without them it has
        none: no noise, and the likeliest action instead of a drawn one."""
        parameters = np.asarray(parameters, np.float64)
        assert parameters.ndim == 2 and parameters.shape[1] == policy.num_params
        self._policy, self._parameters = policy, parameters
        self._pairs = self._layers = None
        drawn = seeds is not None and policy.draws
        self._chance = [np.random.default_rng(int(seed)) for seed in seeds] if drawn else None

    def act(self, observation: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Actions (B, ...) for observations (B, O), by the policies `pairs`, int64 (B,)."""
        policy = self._policy
        if pairs is not self._pairs:  # the same rows act until one of them ends
            self._pairs, self._layers = pairs, self._unpack(self._parameters[pairs])
        x = observation[:, None]  # (B, 1, O): a matrix product for each row, whatever its company
        for weights, bias in self._layers[:-1]:
            x = ACTIVATIONS[policy.activation](x @ weights + bias)
        weights, bias = self._layers[-1]
        x = (x @ weights + bias)[:, 0]
        if policy.output_noise and self._chance:
            normal = [self._chance[pair].standard_normal(x.shape[1]) for pair in pairs]
            x = x + np.stack(normal) * self._deviation
        return self._discrete(x, pairs) if policy.discrete else policy.continuous(x)

    def _unpack(self, parameters: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights (B, I, O) and biases (B, 1, O) of every layer, views of parameters (B, P)."""
        layers, start, count = [], 0, len(parameters)
        for inputs, outputs in pairwise(self._policy.sizes):
            end = start + inputs * outputs
            weights = parameters[:, start:end].reshape(count, inputs, outputs)
            layers.append((weights, parameters[:, None, end : end + outputs]))
            start = end + outputs
        if self._policy.output_noise:
            self._deviation = np.exp(parameters[:, start:] / 2 + self._policy.noise_bias)
        return layers

    def _discrete(self, x, pairs):
        policy = self._policy
        if policy.output == "sample" and self._chance:
            cumulative = np.cumsum(_softmax(x), 1)
            threshold = np.array([[self._chance[pair].random()] for pair in pairs])
            choice = (cumulative < threshold * cumulative[:, -1:]).sum(1)
        else:
            choice = x.argmax(1)
        return choice + int(policy.action_space.start)
