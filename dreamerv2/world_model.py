"""The world model: encoder, RSSM, and the heads that predict images, rewards and ends (paper 2.2).

A batch is time-major here: every array (T, B, ...), flattened to N = T * B rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

import gymnasium
import numpy as np

from dreamerv2.coders import Decoder, Encoder
from dreamerv2.distributions import UnitNormal
from dreamerv2.heads import Head
from dreamerv2.networks import Parameters, Tensors
from dreamerv2.optimizer import Optimizer
from dreamerv2.rssm import RSSM, State, kl_loss
from kit.command.errors import UserError
from kit.tensors.tf import tf

CLIPS = {"identity": tf.identity, "sign": tf.sign, "tanh": tf.tanh}
CONTEXT = 5  # frames that an open-loop video may look at
VIDEOS = 6  # sequences side by side in it


class Posterior(NamedTuple):
    """What training made of a batch, without gradients: every step's state and the rest of it."""

    state: State  # (N, .)
    embed: tf.Tensor  # (N, E)
    kl: tf.Tensor  # (N,) nats
    losses: dict[str, tf.Tensor]  # head -> (N,) -log p
    is_terminal: tf.Tensor  # (N,) float32
    action: tf.Tensor  # (N, A)


class WorldModel:
    """Built from `config` for these observations (reward and is_* aside) and actions."""

    def __init__(
        self,
        config,
        observations: Mapping[str, gymnasium.spaces.Box],
        actions: int,
        dtype: tf.DType,
        rng: np.random.Generator,
    ):
        self.config, self.dtype = config, dtype
        self.parameters = parameters = Parameters(rng)
        self.encoder = Encoder(parameters, observations, config.encoder)
        size, rssm = self.encoder.size, config.rssm
        self.rssm = RSSM(parameters, size, actions, rssm, dtype, config.unimix)
        size = self.rssm.feature_size
        self.decoder = Decoder(parameters, size, observations, config.decoder)
        self.reward = Head(
            parameters, "reward", size, 0, config.reward_head, "reward_head", config.zero_heads
        )
        self.discount = None
        if config.pred_discount:
            head = config.discount_head
            self.discount = Head(parameters, "discount", size, 0, head, "discount_head")
        heads = ["decoder", "reward", *(["discount"] if self.discount else [])]
        for name in config.grad_heads:
            if name not in heads:
                raise UserError(f"--grad_heads: expected some of {', '.join(heads)}, found {name}")
        self.optimizer = Optimizer("model", parameters, config.model_opt)

    def read(self) -> Tensors:
        return self.parameters.read(self.dtype)

    def train(self, data: Tensors, uniform: tf.Tensor, member=None) -> tuple[Posterior, Tensors]:
        """A step on a batch (T, B, ...); uniform (T, B, S), member int32 (T,) of the ensemble."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.optimizer.trained)
            loss, posterior, metrics = self.loss(self.read(), data, uniform, member)
        return posterior, metrics | self.optimizer.step(tape, loss)

    def loss(
        self, p: Tensors, data: Tensors, uniform: tf.Tensor, member=None
    ) -> tuple[tf.Tensor, Posterior, Tensors]:
        """The model's loss (), what it saw, and metrics (agent.py WorldModel.loss)."""
        steps, rows = data["is_first"].shape
        flat = {key: tf.reshape(x, (steps * rows, *x.shape[2:])) for key, x in data.items()}
        seen = self.preprocess(flat)
        embed = self.encoder(p, seen, self.dtype)
        state, statistics = self.rssm.observe(
            p,
            tf.reshape(embed, (steps, rows, -1)),
            data["action"],
            data["is_first"],
            uniform,
        )
        posterior = self.rssm.distribution(statistics)
        prior = self.rssm.distribution(self.rssm.prior_statistics(p, state.deter, member))
        kl, kl_value = kl_loss(posterior, prior, **self.config.kl)
        state = State(*(tf.reshape(x, (steps * rows, -1)) for x in state[:2]))
        errors = self._errors(p, state, seen)
        losses = {"kl": kl} | {name: tf.reduce_mean(error) for name, error in errors.items()}
        total = tf.add_n(
            [self.config.loss_scales.get(name, 1.0) * value for name, value in losses.items()]
        )
        metrics = {f"{name}_loss": value for name, value in losses.items()}
        metrics["model_kl"] = tf.reduce_mean(kl_value)
        metrics["prior_ent"] = tf.reduce_mean(prior.entropy())
        metrics["post_ent"] = tf.reduce_mean(posterior.entropy())
        stop = tf.stop_gradient
        found = Posterior(
            self._without_gradient(state),
            stop(embed),
            stop(tf.reshape(kl_value, [-1])),
            {name: stop(error) for name, error in errors.items()},
            1 - seen["continues"],
            flat["action"],
        )
        return total, found, metrics

    def preprocess(self, data: Tensors) -> Tensors:
        """Rows (N, ...) as networks see them, with the targets "reward" and "discount".

        Images become the compute type from -.5 to .5, rewards are clipped as config says.
        """
        seen = dict(data)
        for key, value in data.items():
            if value.dtype == tf.uint8:
                seen[key] = tf.cast(value, self.dtype) / 255 - 0.5
        if "reward" in data:
            seen["reward"] = CLIPS[self.config.clip_rewards](data["reward"])
        if "is_terminal" in data:
            seen["continues"] = 1 - tf.cast(data["is_terminal"], tf.float32)
            seen["discount"] = self.config.discount * seen["continues"]
        return seen

    def _errors(self, p: Tensors, state: State, seen: Tensors) -> Tensors:
        """-log p (N,) of every head's target."""
        stopped = State(*(tf.stop_gradient(x) for x in state[:2]))

        def features(head):
            return (state if head in self.config.grad_heads else stopped).parts

        errors = {}
        for key, mean in self.decoder(p, *features("decoder")).items():
            errors[key] = -UnitNormal(mean).log_prob(seen[key])
        errors["reward"] = -self.reward(p, *features("reward")).log_prob(seen["reward"])
        if self.discount:
            errors["discount"] = -self.discount(p, *features("discount")).log_prob(seen["discount"])
        return errors

    def _without_gradient(self, state: State) -> State:
        stoch, deter = tf.stop_gradient(state.stoch), tf.stop_gradient(state.deter)
        if not self.rssm.discrete:
            return State(stoch, deter)
        one_hots = tf.reshape(stoch, (-1, self.rssm.variables, self.rssm.discrete))
        return State(stoch, deter, tf.argmax(one_hots, -1, tf.int32))

    def predict_discount(self, p: Tensors, *parts: tf.Tensor) -> tf.Tensor:
        """The chance (N,) that the episode goes on, times the discount."""
        if self.discount is None:
            return self.config.discount * tf.ones(tf.shape(parts[0])[:1])
        return self.discount(p, *parts).mean

    def open_loop(self, data: Tensors, uniform: tf.Tensor) -> Tensors:
        """What the model expects of sequences: image key -> uint8 (T * B, 3 H, W, C).

        data (T, B, ...). Truth above model above error. The model sees the first CONTEXT frames and
        the first of each episode, and dreams the rest with the true actions.
        """
        p = self.read()
        steps, rows = data["is_first"].shape
        flat = {key: tf.reshape(x, (steps * rows, *x.shape[2:])) for key, x in data.items()}
        seen = self.preprocess(flat)
        embed = tf.reshape(self.encoder(p, seen, self.dtype), (steps, rows, -1))
        looks = data["is_first"] | (tf.range(steps) < CONTEXT)[:, None]
        state, _ = self.rssm.observe(p, embed, data["action"], data["is_first"], uniform, looks)
        state = State(*(tf.reshape(x, (steps * rows, -1)) for x in state[:2]))
        images = self.decoder(p, *state.parts)
        frames = {}
        for key in self.decoder.image_keys:
            truth = tf.cast(seen[key], tf.float32) + 0.5
            model = tf.cast(images[key], tf.float32) + 0.5
            stacked = tf.concat([truth, model, (model - truth + 1) / 2], 1)  # (N, 3 H, W, C)
            frames[key] = tf.cast(tf.clip_by_value(stacked * 255, 0, 255), tf.uint8)
        return frames
