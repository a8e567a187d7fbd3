"""Networks that end in a distribution: reward, discount, actor, critic, ensembles (nets.py MLP)."""

from collections.abc import Mapping

from dreamerv2.distributions import (
    Bernoulli,
    Normal,
    OneHot,
    TanhNormal,
    TruncatedNormal,
    UnitNormal,
)
from dreamerv2.networks import Dense, Parameters, Stack, Tensors
from kit.command.errors import UserError
from kit.tensors.tf import tf

SPREAD = ("normal", "tanh_normal", "trunc_normal")  # distributions with a learned std
DISTRIBUTIONS = ("mse", "binary", "onehot", *SPREAD)


class Head:
    """`config.layers` dense layers of `config.units`, and a distribution over `size` numbers.

    A size of 0 is a single number: the distribution's values are (N,) in place of (N, size).
    With `zero` the last layer begins at zero, so that an untrained head says 0 (of DreamerV3).
    """

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        inputs: int,
        size: int,
        config: Mapping,
        flag: str,
        zero: bool = False,
    ):
        self._size, self._dist = size, config["dist"]
        self._min_std = config.get("min_std", 0.1)
        if self._dist not in DISTRIBUTIONS:
            raise UserError(
                f"--{flag}.dist: expected one of {', '.join(DISTRIBUTIONS)}, found {self._dist!r}"
            )
        if self._dist in SPREAD and not size:
            raise UserError(f"--{flag}.dist: expected mse or binary, found {self._dist!r}")
        units = [config["units"]] * config["layers"]
        self._stack = Stack(parameters, name, inputs, units, config["act"], config["norm"])
        width = self._stack.size
        self._out = Dense(parameters, f"{name}/out", width, max(size, 1), 0.0 if zero else 1.0)
        if self._dist in SPREAD:
            self._std = Dense(parameters, f"{name}/std", width, size)

    def __call__(self, p: Tensors, *parts: tf.Tensor):
        """The distribution for rows of `parts` (N, .) side by side."""
        hidden = self._stack(p, *parts)
        out = tf.cast(self._out(p, hidden), tf.float32)
        if not self._size:
            out = out[:, 0]
        if self._dist == "mse":
            return UnitNormal(out)
        if self._dist == "binary":
            return Bernoulli(out)
        if self._dist == "onehot":
            return OneHot(out)
        return self._spread(out, tf.cast(self._std(p, hidden), tf.float32))

    def _spread(self, out: tf.Tensor, std: tf.Tensor):
        if self._dist == "trunc_normal":
            return TruncatedNormal(tf.tanh(out), 2 * tf.sigmoid(std / 2) + self._min_std)
        std = tf.nn.softplus(std) + self._min_std
        if self._dist == "tanh_normal":
            return TanhNormal(5 * tf.tanh(out / 5), std)
        return Normal(out, std)
