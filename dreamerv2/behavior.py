"""Actor and critic, which learn in imagined sequences (paper 2.3, agent.py ActorCritic).

A sequence begins at each posterior state of a batch and goes H steps into the future. Step 0 is
the start; action t is the one that leads to step t, as everywhere.

Shapes: N starts, H the horizon, A the action's size.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import gymnasium
import numpy as np

from dreamerv2.annealing import anneal
from dreamerv2.heads import Head
from dreamerv2.networks import Parameters, Tensors
from dreamerv2.optimizer import Optimizer
from dreamerv2.rssm import State
from dreamerv2.world_model import WorldModel
from kit.command.errors import UserError
from kit.tensors.tf import tf

GRADIENTS = ("dynamics", "reinforce", "both")


class Dream(NamedTuple):
    """Imagined sequences."""

    states: list[State]  # H + 1 of (N, .)
    actions: list[tf.Tensor]  # H of (N, A): the one that leads from step t to t + 1
    policies: list  # H distributions of them
    discounts: tf.Tensor  # (H, N): the chance to go on after each step, times the discount
    weights: tf.Tensor  # (H, N): how much of the episode is left at each step

    def stacked(self, first: int, last: int) -> tuple[tf.Tensor, ...]:
        """The features of steps first to last - 1: parts ((last - first) * N, .)."""
        parts = [state.parts for state in self.states[first:last]]
        return tuple(tf.concat(part, 0) for part in zip(*parts, strict=True))


Reward = Callable[[Dream, Tensors], tf.Tensor]  # (H + 1, N), float32


class ActorCritic:
    """`name` is put before its metrics' and optimisers' names."""

    def __init__(
        self,
        config,
        world_model: WorldModel,
        action_space: gymnasium.Space,
        step: tf.Variable,
        rng: np.random.Generator,
    ):
        self.config, self._world_model, self._step = config, world_model, step
        self.discrete = isinstance(action_space, gymnasium.spaces.Discrete)
        self.actions = int(action_space.n) if self.discrete else action_space.shape[0]
        self.gradient = resolved_gradient(config.actor_grad, self.discrete)
        dist = config.actor.dist
        if dist == "auto":
            dist = "onehot" if self.discrete else "trunc_normal"
        if (dist == "onehot") != self.discrete:
            kind = "onehot" if self.discrete else "trunc_normal, tanh_normal or normal"
            raise UserError(f"--actor.dist: expected auto or {kind} for these actions")
        features = world_model.rssm.feature_size
        self.actor_parameters, self.critic_parameters = Parameters(rng), Parameters(rng)
        self.slow_parameters = Parameters(rng)
        self.actor = Head(
            self.actor_parameters,
            "actor",
            features,
            self.actions,
            dict(config.actor) | {"dist": dist},
            "actor",
        )
        critic = ("critic", features, 0, config.critic, "critic", config.zero_heads)
        self.critic = Head(self.critic_parameters, *critic)
        Head(self.slow_parameters, *critic)
        for name, variable in self.slow_parameters.variables.items():
            variable.assign(self.critic_parameters.variables[name])
        self.actor_optimizer = Optimizer("actor", self.actor_parameters, config.actor_opt)
        self.critic_optimizer = Optimizer("critic", self.critic_parameters, config.critic_opt)
        self.reward_norm = StreamNorm(config.reward_norm)
        self._updates = tf.Variable(0, dtype=tf.int64)
        self._dtype = world_model.dtype

    def state(self) -> dict[str, tf.Variable]:
        """What a checkpoint needs: name -> variable."""
        groups = {
            "actor": self.actor_parameters.variables,
            "critic": self.critic_parameters.variables,
            "slow_critic": self.slow_parameters.variables,
            "actor_optimizer": self.actor_optimizer.state(),
            "critic_optimizer": self.critic_optimizer.state(),
            "behavior": {"updates": self._updates, "reward_norm": self.reward_norm.magnitude},
        }
        return {f"{group}/{k}": v for group, part in groups.items() for k, v in part.items()}

    def noise_shape(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Of the uniform numbers that `rows` actions are sampled with."""
        return rows if self.discrete else (*rows, self.actions)

    def policy(self, p: Tensors, state: State):
        """The distribution of actions in a state (N, .); p of the actor."""
        return self.actor(p, *state.parts)

    def train(
        self,
        start: State,
        is_terminal: tf.Tensor,
        reward: Reward,
        noise: tuple[tf.Tensor, tf.Tensor],
        members: tf.Tensor | None = None,
    ) -> Tensors:
        """A step of actor and critic, from start (N, .), is_terminal float32 (N,).

        noise: uniform (H, N[, A]) of actions and (H, N, S) of states; members int32 (H,) of the
        ensemble. Returns metrics.
        """
        p = self._world_model.read()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.actor_optimizer.trained)
            dream = self.imagine(p, start, is_terminal, noise, members)
            rewards, metrics = self.reward_norm(reward(dream, p))
            targets, values = self._targets(dream, rewards)
            loss, more = self._actor_loss(dream, targets, values)
        metrics |= more
        metrics |= {"critic_slow": tf.reduce_mean(values)}
        metrics |= {"critic_target": tf.reduce_mean(targets)}
        metrics |= self.actor_optimizer.step(tape, loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.critic_optimizer.trained)
            loss, more = self._critic_loss(dream, tf.stop_gradient(targets))
        metrics |= more | self.critic_optimizer.step(tape, loss)
        self._update_slow_critic()
        return metrics

    def imagine(
        self,
        p: Tensors,
        start: State,
        is_terminal: tf.Tensor,
        noise: tuple[tf.Tensor, tf.Tensor],
        members: tf.Tensor | None = None,
    ) -> Dream:
        """Let the actor act in the world model for H steps; p of the world model."""
        actor = self.actor_parameters.read(self._dtype)
        through = self.gradient != "reinforce"
        if through:
            start = State(start.stoch, start.deter)
        states, actions, policies = [start], [], []
        for t in range(self.config.imag_horizon):
            stopped = State(*(x if x is None else tf.stop_gradient(x) for x in states[-1]))
            policies.append(self.policy(actor, stopped))
            action = policies[-1].sample(noise[0][t])
            actions.append(action if through else tf.stop_gradient(action))
            member = None if members is None else members[t]
            states.append(
                self._world_model.rssm.imagine(
                    p, states[-1], actions[-1], noise[1][t], member, through
                )
            )
        dream = Dream(states, actions, policies, None, None)
        return dream._replace(**self._discounts(p, dream, is_terminal))

    def _discounts(self, p: Tensors, dream: Dream, is_terminal: tf.Tensor) -> Tensors:
        """What is known of the start is taken from the replay (agent.py imagine)."""
        horizon, rows = len(dream.actions), is_terminal.shape[0]
        if self._world_model.discount is None:
            discounts = tf.fill((horizon, rows), float(self.config.discount))
        else:
            said = self._world_model.predict_discount(p, *dream.stacked(1, horizon))
            known = self.config.discount * (1 - is_terminal)
            discounts = tf.concat([known[None], tf.reshape(said, (horizon - 1, rows))], 0)
        before = tf.concat([tf.ones((1, rows)), discounts[:-1]], 0)
        weights = tf.stop_gradient(tf.math.cumprod(before, 0))
        return {"discounts": discounts, "weights": weights}

    def _targets(self, dream: Dream, rewards: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Lambda returns (H, N), and the slow critic's values (H + 1, N)."""
        slow = self.slow_parameters if self.config.slow_target else self.critic_parameters
        horizon = len(dream.actions)
        said = self.critic(slow.read(self._dtype), *dream.stacked(0, horizon + 1)).mode()
        values = tf.reshape(said, (horizon + 1, -1))
        returns = lambda_returns(rewards[:-1], values, dream.discounts, self.config.discount_lambda)
        return returns, values

    def _actor_loss(self, dream: Dream, targets, values) -> tuple[tf.Tensor, Tensors]:
        """Of the actions that follow steps 0 to H - 2 (agent.py actor_loss).

        The last action leads nowhere that a return is known of, and the first target belongs to a
        state that no imagined action led to.
        """
        metrics: Tensors = {}
        policies, actions = dream.policies[:-1], dream.actions[:-1]
        objective = targets[1:]
        if self.gradient != "dynamics":
            advantage = tf.stop_gradient(targets[1:] - values[:-2])
            pairs = zip(policies, actions, strict=True)
            chances = [policy.log_prob(tf.stop_gradient(action)) for policy, action in pairs]
            objective = tf.stack(chances) * advantage
        if self.gradient == "both":
            mix = anneal(self.config.actor_grad_mix, self._step)
            objective = mix * targets[1:] + (1 - mix) * objective
            metrics["actor_grad_mix"] = mix
        entropy = tf.stack([policy.entropy() for policy in policies])
        scale = anneal(self.config.actor_ent, self._step)
        loss = -tf.reduce_mean(dream.weights[:-1] * (objective + scale * entropy))
        return loss, metrics | {"actor_ent": tf.reduce_mean(entropy), "actor_ent_scale": scale}

    def _critic_loss(self, dream: Dream, targets: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """-log p of the lambda returns of steps 0 to H - 1."""
        p = self.critic_parameters.read(self._dtype)
        parts = [tf.stop_gradient(part) for part in dream.stacked(0, len(dream.actions))]
        said = self.critic(p, *parts)
        likelihood = tf.reshape(said.log_prob(tf.reshape(targets, [-1])), targets.shape)
        loss = -tf.reduce_mean(likelihood * dream.weights)
        return loss, {"critic": tf.reduce_mean(said.mode())}

    def _update_slow_critic(self) -> None:
        """Every slow_target_update steps, a share of the critic; the first time all of it."""
        if not self.config.slow_target:
            return
        due = self._updates % self.config.slow_target_update == 0
        share = tf.where(self._updates == 0, 1.0, self.config.slow_target_fraction)
        share = tf.where(due, share, 0.0)
        for name, slow in self.slow_parameters.variables.items():
            slow.assign_add(share * (self.critic_parameters.variables[name] - slow))
        self._updates.assign_add(1)


class StreamNorm:
    """Divides rewards by a running mean of their magnitude (other.py StreamNorm).

    config: momentum (1 is off), scale, eps.
    """

    def __init__(self, config: Mapping):
        self._config = config
        self.magnitude = tf.Variable(1.0, dtype=tf.float64)

    def __call__(self, rewards: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """rewards of any shape: the same, normalised, and metrics of both."""
        momentum, now = self._config["momentum"], tf.reduce_mean(tf.abs(rewards))
        self.magnitude.assign(momentum * self.magnitude + (1 - momentum) * tf.cast(now, tf.float64))
        magnitude = tf.cast(self.magnitude, tf.float32) + self._config["eps"]
        normed = rewards / magnitude * self._config["scale"]
        metrics = {}
        for name, value in (("reward", rewards), ("reward_normed", normed)):
            metrics[f"{name}_mean"] = tf.reduce_mean(value)
            metrics[f"{name}_std"] = tf.math.reduce_std(value)
        return normed, metrics


def lambda_returns(rewards, values, discounts, lambda_: float) -> tf.Tensor:
    """Returns (H, N) that mix bootstraps after 1, 2, ... steps (paper equation 4).

    rewards, discounts (H, N): of each step and after it; values (H + 1, N).
    """
    one_step = rewards + discounts * values[1:] * (1 - lambda_)
    later, found = values[-1], []
    for t in reversed(range(rewards.shape[0])):
        later = one_step[t] + discounts[t] * lambda_ * later
        found.append(later)
    return tf.stack(found[::-1])


def resolved_gradient(name: str, discrete: bool) -> str:
    """What "auto" is for these actions; UserError for an unknown name."""
    if name == "auto":
        return "reinforce" if discrete else "dynamics"
    if name not in GRADIENTS:
        expected = ", ".join(("auto", *GRADIENTS))
        raise UserError(f"--actor_grad: expected one of {expected}, found {name!r}")
    return name
