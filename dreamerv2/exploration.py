"""Exploration: what an agent is after where the task's reward is not enough (expl.py).

Plan2Explore (arXiv 2005.05960) seeks states about whose successors an ensemble disagrees, ModelLoss
those that the world model does badly on, Random nothing. Each but Random has another actor and
critic, trained in imagination as the task's are.

Shapes: N = T * B rows, time-major; A the action's size.
"""

import numpy as np

from dreamerv2.behavior import ActorCritic, Dream, StreamNorm
from dreamerv2.distributions import OneHot, Uniform
from dreamerv2.heads import Head
from dreamerv2.networks import Parameters, Tensors
from dreamerv2.optimizer import Optimizer
from dreamerv2.rssm import State
from dreamerv2.world_model import Posterior, WorldModel
from kit.command.errors import UserError
from kit.tensors.tf import tf

TARGETS = ("embed", "stoch", "deter", "feat")


class Random:
    """Uniform actions; nothing to learn (the original's crashes)."""

    def __init__(self, behavior: ActorCritic):
        self._behavior = behavior

    def policy(self, state: State):
        rows = tf.shape(state.deter)[0]
        size = self._behavior.actions
        return OneHot(tf.zeros((rows, size))) if self._behavior.discrete else Uniform((rows, size))

    def state(self) -> dict[str, tf.Variable]:
        return {}

    def train(self, posterior: Posterior, steps: int, noise, members=None) -> Tensors:
        return {}


class Explorer:
    """An actor and a critic for a reward that is computed from a separate network."""

    def __init__(self, config, world_model: WorldModel, behavior: ActorCritic, rng):
        self.config, self.world_model, self.behavior = config, world_model, behavior
        self.parameters = Parameters(rng)
        self._build()
        self.optimizer = Optimizer("expl", self.parameters, config.expl_opt)

    def policy(self, state: State):
        p = self.behavior.actor_parameters.read(self.world_model.dtype)
        return self.behavior.policy(p, state)

    def state(self) -> dict[str, tf.Variable]:
        groups = {"network": self.parameters.variables, "optimizer": self.optimizer.state()}
        named = {f"{group}/{k}": v for group, part in groups.items() for k, v in part.items()}
        return named | self.behavior.state()

    def train(self, posterior: Posterior, steps: int, noise, members=None) -> Tensors:
        """A step on what the world model made of a batch of `steps` rows; returns metrics."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.optimizer.trained)
            loss = self._loss(self._read(), posterior, steps)
        metrics = self.optimizer.step(tape, loss)
        metrics |= self.behavior.train(
            posterior.state, posterior.is_terminal, self._reward, noise, members
        )
        return {f"expl_{name}": value for name, value in metrics.items()}

    def _read(self) -> Tensors:
        return self.parameters.read(self.world_model.dtype)

    def _task_reward(self, dream: Dream, p: Tensors) -> tf.Tensor:
        return task_reward(self.world_model, dream, p)


class Plan2Explore(Explorer):
    """Reward: how far the predictions of `disag_models` networks spread (expl.py Plan2Explore)."""

    def _build(self) -> None:
        config, rssm = self.config, self.world_model.rssm
        if config.disag_target not in TARGETS:
            expected, found = ", ".join(TARGETS), config.disag_target
            raise UserError(f"--disag_target: expected one of {expected}, found {found!r}")
        size = {
            "embed": self.world_model.encoder.size,
            "stoch": rssm.stoch_size,
            "deter": rssm.deter_size,
            "feat": rssm.feature_size,
        }[config.disag_target]
        inputs = rssm.feature_size + (self.behavior.actions if config.disag_action_cond else 0)
        self._heads = [
            Head(self.parameters, f"model{k}", inputs, size, config.expl_head, "expl_head")
            for k in range(config.disag_models)
        ]
        self._norms = {name: StreamNorm(config.expl_reward_norm) for name in ("intr", "extr")}

    def state(self) -> dict[str, tf.Variable]:
        norms = {f"{name}_reward_norm": norm.magnitude for name, norm in self._norms.items()}
        return super().state() | norms

    def _loss(self, p: Tensors, posterior: Posterior, steps: int) -> tf.Tensor:
        """-log p of the target `disag_offset` steps later, summed over the ensemble."""
        state = posterior.state
        target = {
            "embed": posterior.embed,
            "stoch": state.stoch,
            "deter": state.deter,
            "feat": tf.concat([state.stoch, state.deter], -1),
        }[self.config.disag_target]
        rows, offset = target.shape[0] // steps, self.config.disag_offset
        target = target[offset * rows :]
        parts = self._inputs(state.parts, posterior.action)
        parts = [part[: (steps - offset) * rows] for part in parts]
        errors = [tf.reduce_mean(-head(p, *parts).log_prob(target)) for head in self._heads]
        return tf.add_n(errors)

    def _inputs(self, parts, action) -> list[tf.Tensor]:
        if not self.config.disag_action_cond:
            return list(parts)
        return [*parts, tf.cast(action, self.world_model.dtype)]

    def _reward(self, dream: Dream, p: Tensors) -> tf.Tensor:
        config, horizon = self.config, len(dream.actions)
        # the action that led to a state, as in training; none led to the first
        actions = tf.concat([tf.zeros_like(dream.actions[0]), *dream.actions], 0)
        parts = self._inputs(dream.stacked(0, horizon + 1), actions)
        own = self._read()
        said = tf.stack([head(own, *parts).mode() for head in self._heads])
        spread = tf.reduce_mean(tf.math.reduce_std(said, 0), -1)
        if config.disag_log:
            spread = tf.math.log(spread)
        spread = tf.reshape(spread, (horizon + 1, -1))
        reward = config.expl_intr_scale * self._norms["intr"](spread)[0]
        if config.expl_extr_scale:
            task = self._task_reward(dream, p)
            reward += config.expl_extr_scale * self._norms["extr"](task)[0]
        return reward


class ModelLoss(Explorer):
    """Reward: the world model's loss that a network expects (expl.py ModelLoss)."""

    def _build(self) -> None:
        size = self.world_model.rssm.feature_size
        self._head = Head(self.parameters, "head", size, 0, self.config.expl_head, "expl_head")

    def _loss(self, p: Tensors, posterior: Posterior, steps: int) -> tf.Tensor:
        losses = {"kl": posterior.kl} | posterior.losses
        name = self.config.expl_model_loss
        if name not in losses:
            expected = ", ".join(losses)
            raise UserError(f"--expl_model_loss: expected one of {expected}, found {name!r}")
        return -tf.reduce_mean(self._head(p, *posterior.state.parts).log_prob(losses[name]))

    def _reward(self, dream: Dream, p: Tensors) -> tf.Tensor:
        horizon = len(dream.actions)
        said = self._head(self._read(), *dream.stacked(0, horizon + 1)).mode()
        reward = self.config.expl_intr_scale * tf.reshape(said, (horizon + 1, -1))
        if self.config.expl_extr_scale:
            reward += self.config.expl_extr_scale * self._task_reward(dream, p)
        return reward


def task_reward(world_model: WorldModel, dream: Dream, p: Tensors) -> tf.Tensor:
    """The reward (H + 1, N) that the world model expects in a dream."""
    horizon = len(dream.actions)
    said = world_model.reward(p, *dream.stacked(0, horizon + 1)).mode()
    return tf.reshape(said, (horizon + 1, -1))


def make(config, world_model: WorldModel, behavior: ActorCritic, action_space, step, rng):
    """The explorer that config.expl_behavior names; None for "greedy"."""
    name = config.expl_behavior
    if name == "greedy":
        return None
    if name == "Random":
        return Random(behavior)
    kinds: dict[str, type[Explorer]] = {"Plan2Explore": Plan2Explore, "ModelLoss": ModelLoss}
    if name not in kinds:
        expected = ", ".join(("greedy", "Random", *kinds))
        raise UserError(f"--expl_behavior: expected one of {expected}, found {name!r}")
    own = ActorCritic(config, world_model, action_space, step, np.random.default_rng(rng))
    return kinds[name](config, world_model, own, rng)
