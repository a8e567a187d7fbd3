"""DreamerV2's agent: acts, learns, shows what it expects, and dreams (agent.py Agent).

    agent = Agent(config, observation_space, action_space)
    actions, state = agent.policy(observation, state, "train")
    metrics = agent.train(batch)

Computes in float32, or for `config.precision` 16 in bfloat16 where this machine is faster in it;
bfloat16 has float32's range, so that no loss needs scaling.
"""

from typing import NamedTuple

import gymnasium
import numpy as np

from dreamerv2 import exploration
from dreamerv2.behavior import ActorCritic
from dreamerv2.rssm import State
from dreamerv2.world_model import CONTEXT, VIDEOS, WorldModel
from kit.tensors.precision import resolve
from kit.tensors.tf import graph_function, tf

MODES = ("train", "explore", "eval")
Batch = dict[str, np.ndarray]


class Memory(NamedTuple):
    """What the agent remembers between two calls of `policy`: of N environments."""

    stoch: tf.Tensor
    deter: tf.Tensor
    action: tf.Tensor  # (N, A) float32, the last


class Agent:
    """`observation_space`: images uint8 (H, W, C), vectors float32 (D,).

    `action_space`: Discrete, whose actions are one-hots (A,) here, or Box (A,) in [-1, 1].
    Raises UserError for settings that do not fit.
    """

    def __init__(
        self,
        config,
        observation_space: gymnasium.spaces.Dict,
        action_space: gymnasium.Space,
    ):
        self.config = config
        self.step = 0  # environment steps, before action repeat; to be set by whoever trains
        self._keys = list(observation_space.spaces)
        precision = "auto" if config.precision == 16 else "float32"
        self.dtype = tf.as_dtype(resolve(precision))
        rng = np.random.default_rng((config.seed, 0))
        self._step = tf.Variable(0, dtype=tf.int64)
        self._noise = Noise(config.seed)
        self._discrete = isinstance(action_space, gymnasium.spaces.Discrete)
        self.actions = int(action_space.n) if self._discrete else action_space.shape[0]
        spaces = observation_space.spaces
        self.world_model = WorldModel(config, spaces, self.actions, self.dtype, rng)
        self.behavior = ActorCritic(config, self.world_model, action_space, self._step, rng)
        self.explorer = exploration.make(
            config, self.world_model, self.behavior, action_space, self._step, rng
        )
        self._act = graph_function(self._policy)
        self._learn = graph_function(self._train)
        self._film = graph_function(self._open_loop)
        self._dream_on = graph_function(self._imagine_step)
        self._remember = graph_function(self._posterior_of_batch)

    def variables(self) -> dict[str, tf.Variable]:
        """Everything that a checkpoint needs: unique name -> variable."""
        model = self.world_model
        groups = {
            "model": model.parameters.variables,
            "model_optimizer": model.optimizer.state(),
            "task": self.behavior.state(),
            "expl": self.explorer.state() if self.explorer else {},
            "noise": {"counter": self._noise.counter},
        }
        return {f"{group}/{k}": v for group, part in groups.items() for k, v in part.items()}

    def policy(self, observation: Batch, state: object, mode: str) -> tuple[np.ndarray, object]:
        """Actions float32 (N, A) for N environments, and what to pass as `state` next time.

        observation: every key (N, ...), is_first bool (N,): there what was before is forgotten.
        state: None at the start. mode: "train" and "explore" sample, "eval" takes the mode.
        """
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
        rows = len(observation["is_first"])
        if state is None:
            initial = self.world_model.rssm.initial(rows)
            state = Memory(initial.stoch, initial.deter, tf.zeros((rows, self.actions)))
        seen = {key: tf.convert_to_tensor(observation[key]) for key in self._keys}
        is_first = tf.convert_to_tensor(observation["is_first"], tf.bool)
        state = self._act(seen, is_first, state, mode)
        return state.action.numpy(), state

    def _policy(self, seen, is_first, memory: Memory, mode: str) -> Memory:
        model, config = self.world_model, self.config
        p, rows = model.read(), is_first.shape[0]
        samples = mode == "train" or not config.eval_state_mean
        uniform = self._noise((rows, model.rssm.variables)) if samples else None
        embed = model.encoder(p, model.preprocess(seen), self.dtype)
        before = State(memory.stoch, memory.deter)
        state = model.rssm.update(p, before, memory.action, embed, is_first, uniform)
        if mode == "explore" and self.explorer:
            distribution = self.explorer.policy(state)
        else:
            actor = self.behavior.actor_parameters.read(self.dtype)
            distribution = self.behavior.policy(actor, state)
        if mode == "eval":
            action, amount = distribution.mode(), config.eval_noise
        else:
            uniform = self._noise(self.behavior.noise_shape((rows,)))
            action, amount = distribution.sample(uniform), config.expl_noise
        if amount:
            action = self._disturbed(action, amount)
        return Memory(state.stoch, state.deter, action)

    def _disturbed(self, action: tf.Tensor, amount: float) -> tf.Tensor:
        """With some noise (other.py action_noise): a random action now and then, or a Gaussian."""
        uniform = self._noise(action.shape)
        if not self._discrete:
            return tf.clip_by_value(action + amount * tf.math.ndtri(uniform + 2.0**-24), -1, 1)
        other = tf.one_hot(tf.argmax(uniform, -1), self.actions)
        return tf.where(self._noise((action.shape[0], 1)) < amount, other, action)

    def train(self, batch: Batch) -> dict[str, float]:
        """One train step of everything on a batch (B, T, ...); the metrics.

        batch: observation keys, action float32 (B, T, A) that led to each row, reward float32,
        is_first, is_terminal bool (B, T).
        """
        self._step.assign(self.step)
        metrics = self._learn(self._time_major(batch))
        return {name: float(value) for name, value in metrics.items()}

    def _time_major(self, batch: Batch) -> dict[str, tf.Tensor]:
        """(T, B, ...) tensors of what training needs."""
        kinds = {"action": np.float32, "reward": np.float32, "is_first": bool, "is_terminal": bool}
        arrays = {key: np.asarray(batch[key], kinds.get(key)) for key in [*self._keys, *kinds]}
        return {key: tf.convert_to_tensor(x.swapaxes(0, 1)) for key, x in arrays.items()}

    def _train(self, data) -> dict[str, tf.Tensor]:
        rssm = self.world_model.rssm
        steps, rows = data["is_first"].shape
        many = rssm.ensemble > 1
        members = self._noise.integers((steps,), rssm.ensemble) if many else None
        uniform = self._noise((steps, rows, rssm.variables))
        posterior, metrics = self.world_model.train(data, uniform, members)
        metrics |= self.behavior.train(
            posterior.state,
            posterior.is_terminal,
            lambda dream, p: exploration.task_reward(self.world_model, dream, p),
            *self._dream_noise(steps * rows),
        )
        if self.explorer:
            noise = self._dream_noise(steps * rows)
            metrics |= self.explorer.train(posterior, steps, *noise)
        return metrics

    def _dream_noise(self, starts: int):
        """For a dream: uniform numbers of actions and states, and the ensemble's members."""
        horizon, rssm = self.config.imag_horizon, self.world_model.rssm
        noise = (
            self._noise(self.behavior.noise_shape((horizon, starts))),
            self._noise((horizon, starts, rssm.variables)),
        )
        many = rssm.ensemble > 1
        return noise, self._noise.integers((horizon,), rssm.ensemble) if many else None

    def report(self, batch: Batch) -> dict[str, np.ndarray]:
        """Open-loop videos: {"openl_<key>": uint8 (T, 3 H, up to 6 W, C)}.

        batch (B, T, ...). Truth above model above error; the model sees the first 5 frames and the
        first of each episode.
        """
        if len(batch["is_first"][0]) <= CONTEXT or not self.world_model.decoder.image_keys:
            return {}
        data = self._time_major({key: value[:VIDEOS] for key, value in batch.items()})
        shape = data["is_first"].shape
        films = {}
        for key, frames in self._film(data).items():
            film = frames.numpy().reshape(*shape, *frames.shape[1:]).transpose(0, 2, 1, 3, 4)
            films[f"openl_{key.replace('/', '_')}"] = film.reshape(
                *film.shape[:2], -1, film.shape[4]
            )
        return films

    def _open_loop(self, data):
        steps, rows = data["is_first"].shape
        uniform = self._noise((steps, rows, self.world_model.rssm.variables))
        return self.world_model.open_loop(data, uniform)

    def imagine_start(self, batch: Batch) -> Memory:
        """The state after the sequences of a batch (B, T, ...), to dream on from: B rows."""
        data = self._time_major(batch)
        state = self._remember(data)
        return Memory(state.stoch, state.deter, data["action"][-1])

    def _posterior_of_batch(self, data) -> State:
        model = self.world_model
        p, (steps, rows) = model.read(), data["is_first"].shape
        flat = {key: tf.reshape(x, (steps * rows, *x.shape[2:])) for key, x in data.items()}
        embed = model.encoder(p, model.preprocess(flat), self.dtype)
        embed = tf.reshape(embed, (steps, rows, -1))
        uniform = self._noise((steps, rows, model.rssm.variables))
        states, _ = model.rssm.observe(p, embed, data["action"], data["is_first"], uniform)
        return State(states.stoch[-1], states.deter[-1])

    def imagine_step(
        self, state: Memory, action: np.ndarray
    ) -> tuple[Memory, dict[str, np.ndarray]]:
        """One step of a dream after `action` float32 (N, A).

        Returns the next state and what is expected there: every image key uint8 (N, H, W, C),
        reward (N,) as clip_rewards has it, discount (N,), the chance to go on times the discount.
        """
        state, said = self._dream_on(state, tf.convert_to_tensor(action, tf.float32))
        return state, {key: value.numpy() for key, value in said.items()}

    def _imagine_step(self, memory: Memory, action: tf.Tensor):
        model = self.world_model
        p, rows = model.read(), action.shape[0]
        uniform = self._noise((rows, model.rssm.variables))
        state = model.rssm.imagine(p, State(memory.stoch, memory.deter), action, uniform)
        said = {
            "reward": model.reward(p, *state.parts).mode(),
            "discount": model.predict_discount(p, *state.parts),
        }
        means = model.decoder(p, state.stoch, state.deter)
        for key in model.decoder.image_keys:
            pixels = (tf.cast(means[key], tf.float32) + 0.5) * 255
            said[key] = tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)
        return Memory(state.stoch, state.deter, action), said

    def dream_policy(self, state: Memory) -> np.ndarray:
        """What the actor would do in a dream's state: float32 (N, A)."""
        actor = self.behavior.actor_parameters.read(self.dtype)
        return self.behavior.policy(actor, State(state.stoch, state.deter)).mode().numpy()


class Noise:
    """Uniform numbers from a seed and a counter: a run repeats itself, also after a checkpoint."""

    def __init__(self, seed: int):
        self._seed = seed
        self.counter = tf.Variable(0, dtype=tf.int64)

    def __call__(self, shape) -> tf.Tensor:
        """float32 in [0, 1)."""
        return tf.random.stateless_uniform(shape, self._next())

    def integers(self, shape, below: int) -> tf.Tensor:
        """int32 from 0 to below - 1."""
        return tf.random.stateless_uniform(shape, self._next(), 0, below, tf.int32)

    def _next(self) -> tf.Tensor:
        self.counter.assign_add(1)
        return tf.stack([tf.constant(self._seed, tf.int64), self.counter.read_value()])
