"""The recurrent state-space model: what the world model's state is, and how it moves (paper 2.1).

A state has a deterministic part, `deter` (N, D), and a stochastic one, `stoch` (N, S * C) of S
one-hots or (N, S) of Gaussian numbers. The prior predicts stoch from deter alone, the posterior
also sees the embedded observation.

Shapes: T steps, B sequences, N rows, A the action's size, E the embedding's, H hidden units.
Loops are unrolled: TensorFlow's own loops take longer than their steps.
"""

from collections.abc import Mapping
from typing import NamedTuple

from dreamerv2.distributions import Normal, OneHots
from dreamerv2.layers import LoopProduct
from dreamerv2.networks import GRU, Activation, Dense, Parameters, Tensors
from kit.command.errors import UserError
from kit.tensors.tf import tf

STD_ACTIVATIONS = {
    "std": tf.identity,
    "softplus": tf.nn.softplus,
    "sigmoid": tf.sigmoid,
    "sigmoid2": lambda x: 2 * tf.sigmoid(x / 2),
}


class State(NamedTuple):
    """stoch (N, S * C or S), deter (N, D), in the type that is computed in.

    classes: int32 (N, S), the stoch that was sampled as numbers of the ones in the one-hots; None
    where gradients are to go through stoch, or it is Gaussian.
    """

    stoch: tf.Tensor
    deter: tf.Tensor
    classes: tf.Tensor | None = None

    @property
    def parts(self) -> tuple[tf.Tensor, tf.Tensor]:
        """What a network sees of it, side by side: the features."""
        return (self.stoch if self.classes is None else self.classes, self.deter)


class RSSM:
    """`config` has ensemble, hidden, deter, stoch, discrete, act, norm, std_act, min_std.

    unimix: this share of every categorical is uniform (of DreamerV3; 0 is DreamerV2).
    """

    def __init__(
        self,
        parameters: Parameters,
        embedding: int,
        actions: int,
        config: Mapping,
        dtype: tf.DType,
        unimix: float = 0.0,
    ):
        self.deter_size, self.variables = config["deter"], config["stoch"]
        self.discrete, self._unimix = int(config["discrete"]), unimix
        self.stoch_size = self.variables * max(self.discrete, 1)
        self.feature_size = self.stoch_size + self.deter_size
        self.ensemble, self._min_std = config["ensemble"], config["min_std"]
        self.dtype = dtype
        if config["std_act"] not in STD_ACTIVATIONS:
            names = ", ".join(STD_ACTIVATIONS)
            found = config["std_act"]
            raise UserError(f"--rssm.std_act: expected one of {names}, found {found!r}")
        self._std_act = STD_ACTIVATIONS[config["std_act"]]
        if not 0 <= unimix < 1:
            raise UserError(f"--unimix: expected at least 0 and less than 1, found {unimix}")
        hidden, deter = config["hidden"], self.deter_size
        statistics = self.stoch_size if self.discrete else 2 * self.stoch_size

        def dense(name, inputs, outputs):
            return Dense(parameters, f"rssm/{name}", inputs, outputs)

        def activation(name):
            return Activation(parameters, f"rssm/{name}", hidden, config["act"], config["norm"])

        self._img_in = dense("img_in", self.stoch_size + actions, hidden)
        self._img_act = activation("img_in")
        self._gru = GRU(parameters, "rssm/gru", hidden, deter)
        self._priors = [
            (
                dense(f"img_out_{k}", deter, hidden),
                activation(f"img_out_{k}"),
                dense(f"img_dist_{k}", hidden, statistics),
            )
            for k in range(self.ensemble)
        ]
        self._obs_out = dense("obs_out", deter + embedding, hidden)
        self._obs_act = activation("obs_out")
        self._obs_dist = dense("obs_dist", hidden, statistics)

    def initial(self, rows: int) -> State:
        """Zeros."""
        return State(
            tf.zeros((rows, self.stoch_size), self.dtype),
            tf.zeros((rows, self.deter_size), self.dtype),
        )

    def distribution(self, statistics: tf.Tensor) -> OneHots | Normal:
        """Of the S variables, from what a dense layer says (..., S * C or 2 S)."""
        if not self.discrete:
            mean, std = tf.split(tf.cast(statistics, tf.float32), 2, -1)
            return Normal(mean, self._std_act(std) + self._min_std)
        shape = (*statistics.shape[:-1], self.variables, self.discrete)
        logits = tf.cast(tf.reshape(statistics, shape), tf.float32)
        if self._unimix:
            mixed = (1 - self._unimix) * tf.nn.softmax(logits) + self._unimix / self.discrete
            logits = tf.math.log(mixed)
        return OneHots(logits)

    def _sampled(self, statistics, deter, uniform, through: bool) -> State:
        """The state of a sample; no `uniform` takes the mode. through: gradients go through it."""
        distribution = self.distribution(statistics)
        if not self.discrete:
            stoch = distribution.mode() if uniform is None else distribution.sample(uniform)
            stoch = stoch if through else tf.stop_gradient(stoch)
            return State(tf.cast(stoch, self.dtype), deter)
        if through:
            stoch = distribution.mode() if uniform is None else distribution.sample(uniform)
            stoch = tf.reshape(tf.cast(stoch, self.dtype), (-1, self.stoch_size))
            return State(stoch, deter)
        if uniform is None:
            classes = tf.argmax(distribution.logits, -1, tf.int32)
        else:
            classes = distribution.classes(uniform)
        return self.of_classes(classes, deter)

    def of_classes(self, classes: tf.Tensor, deter: tf.Tensor) -> State:
        """The state of one-hots at `classes` int32 (N, S)."""
        stoch = tf.one_hot(classes, self.discrete, dtype=self.dtype)
        return State(tf.reshape(stoch, (-1, self.stoch_size)), deter, classes)

    def observe(
        self,
        p: Tensors,
        embed: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        uniform: tf.Tensor,
        seen: tf.Tensor | None = None,
    ) -> tuple[State, tf.Tensor]:
        """The states of sequences, and the posterior's statistics.

        Args: embed (T, B, E); action (T, B, A), the one that led to each step; is_first (T, B)
        where a step begins an episode; uniform (T, B, S) noise of the posterior; seen bool (T, B),
        where the observation may be looked at (everywhere, without it): elsewhere the state is a
        sample of the prior.
        Returns: stoch (T, B, .) and deter (T, B, D), statistics (T, B, .) of the posterior.
        """
        steps, rows = action.shape[:2]
        keep = tf.cast(1 - tf.cast(is_first, self.dtype), self.dtype)[..., None]  # (T, B, 1)
        action = tf.cast(action, self.dtype) * keep

        def loop_product(dense, width, rest=None):
            """Of the first `width` inputs; the others are known before the loop."""
            kernel, bias = p[dense.kernel], p[dense.bias]
            addend = bias
            if rest is not None:
                flat = tf.reshape(rest, (steps * rows, -1))
                addend = tf.nn.bias_add(tf.matmul(flat, kernel[width:]), bias)
                addend = tf.reshape(addend, (steps, rows, -1))
            return LoopProduct(kernel[:width], addend, steps, rows)

        img_in = loop_product(self._img_in, self.stoch_size, action)
        gru = loop_product(self._gru.dense, None)
        obs_out = loop_product(self._obs_out, self.deter_size, embed)
        obs_dist = loop_product(self._obs_dist, None)
        keep, uniform = tf.unstack(keep), tf.unstack(uniform)
        seen = None if seen is None else tf.unstack(seen)
        state, states, statistics = self.initial(rows), [], []
        for t in range(steps):
            stoch, deter = state.stoch * keep[t], state.deter * keep[t]
            x = self._img_act(p, img_in(stoch))
            deter = self._gru.gates(p, gru(tf.concat([x, deter], -1)), deter)
            posterior = obs_dist(self._obs_act(p, obs_out(deter)))
            if seen is not None:
                prior = self.prior_statistics(p, deter)
                posterior = tf.where(seen[t][:, None], posterior, prior)
            state = self._sampled(posterior, deter, uniform[t], through=True)
            states.append(state)
            statistics.append(posterior)
        stoch, deter, _ = zip(*states, strict=True)
        return State(tf.stack(stoch), tf.stack(deter)), tf.stack(statistics)

    def prior_statistics(
        self, p: Tensors, deter: tf.Tensor, member: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The prior's statistics (..., .) for deter (..., D).

        member: int32, which of the ensemble speaks: () or, for deter (T, B, D), (T,). The first,
        where it is not given.
        """
        flat = tf.reshape(deter, (-1, self.deter_size))
        used = self._priors if member is not None and self.ensemble > 1 else self._priors[:1]
        said = [dist(p, act(p, out(p, flat))) for out, act, dist in used]
        said = [tf.reshape(x, (*deter.shape[:-1], x.shape[-1])) for x in said]
        if len(said) == 1:
            return said[0]
        chosen = tf.one_hot(member, self.ensemble, axis=0, dtype=self.dtype)  # (K,) or (K, T)
        chosen = tf.reshape(
            chosen, (*chosen.shape, *[1] * (len(deter.shape) + 1 - len(chosen.shape)))
        )
        return tf.reduce_sum(tf.stack(said) * chosen, 0)

    def imagine(
        self,
        p: Tensors,
        state: State,
        action: tf.Tensor,
        uniform: tf.Tensor | None,
        member: tf.Tensor | None = None,
        through: bool = False,
    ) -> State:
        """The next state (N, .) that the prior expects after `action` (N, A), sampled.

        uniform (N, S), or None for the mode; member () of the ensemble; through: whether gradients
        go through the sample (straight-through, or reparameterised).
        """
        deter = self._next_deter(p, state, action)
        return self._sampled(self.prior_statistics(p, deter, member), deter, uniform, through)

    def update(
        self,
        p: Tensors,
        state: State,
        action: tf.Tensor,
        embed: tf.Tensor,
        is_first: tf.Tensor,
        uniform: tf.Tensor | None,
    ) -> State:
        """The next state (N, .) after `action` (N, A) led to what is embedded in embed (N, E).

        Where is_first (N,), state and action before are forgotten. uniform (N, S), or None for the
        mode.
        """
        keep = tf.cast(~is_first, self.dtype)[:, None]
        before = State(state.stoch * keep, state.deter * keep)
        deter = self._next_deter(p, before, tf.cast(action, self.dtype) * keep)
        x = self._obs_act(p, self._obs_out(p, deter, embed))
        return self._sampled(self._obs_dist(p, x), deter, uniform, through=False)

    def _next_deter(self, p: Tensors, state: State, action: tf.Tensor) -> tf.Tensor:
        stoch, deter = state.parts
        x = self._img_act(p, self._img_in(p, stoch, tf.cast(action, self.dtype)))
        return self._gru(p, x, deter)


def kl_loss(
    posterior: OneHots | Normal,
    prior: OneHots | Normal,
    forward: bool,
    balance: float,
    free: float,
    free_avg: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The balanced KL loss (), and the divergence of each step (paper 2.2; nets.py kl_loss).

    balance: the share that trains the prior; free: nats that cost nothing, of the mean (free_avg)
    or of each step; forward: takes KL(prior || posterior), whose share of the prior is the same.
    """
    left, right = (prior, posterior) if forward else (posterior, prior)
    share = balance if forward else 1 - balance
    value = left.kl(right.stopped())
    if balance == 0.5:
        return tf.reduce_mean(tf.maximum(left.kl(right), free)), value

    def cost(divergence):
        if free_avg:
            return tf.maximum(tf.reduce_mean(divergence), free)
        return tf.reduce_mean(tf.maximum(divergence, free))

    return share * cost(value) + (1 - share) * cost(left.stopped().kl(right)), value
