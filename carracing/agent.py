"""The agent: V, M and C together, and many episodes of it at once on the real track."""

from pathlib import Path

import numpy as np

from kit.batches.mixtures import expected_z
from kit.batches.rollout import run_rollouts
from kit.batches.rows import RowNoise, take_rows, whole_blocks
from kit.files import pairing
from kit.files.weights import load_controller, load_initial_z

from env import Environments
from rnn import MDNRNN, FastStep, Rows
from vae import VAE
from world import (
    ACTION_SHAPE,
    BATCH,
    HIDDEN,
    HIDDEN_UNITS,
    INPUTS,
    MAX_STEPS,
    SCORED,
    SEES,
    STEP_REWARD,
    Z_SIZE,
    C,
    H,
    Z,
    squash_action,
)

OUTPUTS = ACTION_SHAPE[0]  # of the controller


class Controllers:
    """K controllers C, each a row of parameters. Each row of a batch may have another one.

    Steer, gas and brake of a weighted sum: 3 biases, then 288x3 weights for [z, h] (reference
    carracing/model.py). `z_hidden` has a layer of 40 tanh units between: biases, then weights.
    """

    def __init__(self, parameters: np.ndarray, inputs: str = SEES):
        """`parameters` (K, P), P as `size` says."""
        parameters = np.asarray(parameters, np.float32)
        assert parameters.ndim == 2 and parameters.shape[1] == self.size(inputs)
        self.parameters, self.inputs = parameters, inputs
        self._pairs, self._weights = None, None

    @staticmethod
    def size(inputs: str) -> int:
        features = Z_SIZE + HIDDEN * (len(INPUTS[inputs]) - 1)
        if inputs == "z_hidden":
            return (features + 1) * HIDDEN_UNITS + (HIDDEN_UNITS + 1) * OUTPUTS
        return (features + 1) * OUTPUTS

    def act(self, observation: np.ndarray, controllers: np.ndarray) -> np.ndarray:
        """Actions float32 (B, 3) on observations [z, c, h] (B, O) by `controllers`, int64 (B,)."""
        if controllers is not self._pairs:  # the same rows act until one of them ends
            self._pairs, self._weights = controllers, self.parameters[controllers]
        weights = self._weights
        if self.inputs == "z_hidden":
            bias, weights = weights[:, :HIDDEN_UNITS], weights[:, HIDDEN_UNITS:]
            last = weights[:, -(HIDDEN_UNITS + 1) * OUTPUTS :]
            matrix = weights[:, : -(HIDDEN_UNITS + 1) * OUTPUTS].reshape(-1, Z_SIZE, HIDDEN_UNITS)
            units = np.tanh(np.einsum("bz,bzu->bu", observation[:, Z], matrix) + bias)
            matrix = last[:, OUTPUTS:].reshape(-1, HIDDEN_UNITS, OUTPUTS)
            return squash_action(last[:, :OUTPUTS] + np.einsum("bu,bua->ba", units, matrix))
        matrix = weights[:, OUTPUTS:].reshape(len(weights), -1, OUTPUTS)
        start, total = 0, weights[:, :OUTPUTS]
        for columns in INPUTS[self.inputs]:
            part = observation[:, columns]
            total = total + np.einsum("bo,boa->ba", part, matrix[:, start : start + part.shape[1]])
            start += part.shape[1]
        return squash_action(total)


class WorldModel:
    """V, M and the first latents of real episodes, from a folder of json files or at random."""

    def __init__(self, vae: VAE, rnn: MDNRNN, initial_z):
        self.vae, self.rnn, self.initial_z = vae, rnn, initial_z

    @classmethod
    def load(cls, folder: Path, precision: str = "float32") -> "WorldModel":
        """Of vae/, rnn/ and initial_z/ in `folder`; `precision` is V's.

        Raises UserError naming the file that is missing or of another size.
        """
        vae = VAE(Z_SIZE, precision).load(weight_files(folder)["vae"])
        rnn = MDNRNN().load(weight_files(folder)["rnn"])
        return cls(vae, rnn, load_initial_z(folder / "initial_z" / "initial_z.json", Z_SIZE))

    @classmethod
    def random(cls, seed: int) -> "WorldModel":
        start = np.zeros((1, Z_SIZE), np.float32)
        return cls(VAE(Z_SIZE, seed=seed), MDNRNN(seed=seed), (start, start))


class RealWorld:
    """Many real games in lockstep, seen through V and M: the `world` of kit/batches/rollout.py.

    observation: float32 (B, Z + 2H), [z, c, h]; z is V's mean, or with `sampled` a sample, as in
    the paper, by noise that the row's seed fixes. M advances after each action. A row does not
    depend on the other rows, bit for bit.
    goals: the seeds of all episodes that reached the game's goal, a whole lap

    With `patience` N, a row that has touched no new tile for N steps ends there, and its last
    reward is charged the steps that it leaves out, as if it stood still until `max_length`: 0.1
    each. It saves the time of hopeless rollouts; only a car that would have come back loses by it.
    """

    def __init__(
        self,
        model: WorldModel,
        renderer: str = SCORED,
        patience: int = 0,
        sampled: bool = False,
    ):
        self.vae, self.patience, self.max_length = model.vae, patience, MAX_STEPS
        self._sampled = sampled
        self._rows = Rows(FastStep(model.rnn))
        self._noise = RowNoise(0, Z_SIZE)
        self._games = Environments(renderer)
        self._slots = np.empty(0, np.int64)  # the game of each row
        self._seeds = np.empty(0, np.int64)
        self._age, self._waited = np.empty(0, np.int64), np.empty(0, np.int64)
        self.goals: set[int] = set()
        self.observation = np.empty((0, Z_SIZE + 2 * HIDDEN), np.float32)
        self.frames = np.empty((0, 64, 64, 3), np.uint8)

    def start(self, seeds) -> None:
        """Append a game for each of `seeds` (n,)."""
        count, old = len(seeds), len(self.frames)
        fresh = np.setdiff1d(np.arange(old + count), self._slots)[:count]
        first = self._games.reset(seeds, fresh)
        self._slots = np.append(self._slots, fresh)
        self._seeds = np.append(self._seeds, seeds).astype(np.int64)
        self._age = np.append(self._age, np.zeros(count, np.int64))
        self._waited = np.append(self._waited, np.zeros(count, np.int64))
        self._rows.start(count)
        normal = [rng.standard_normal(Z_SIZE) for rng in self._noise.start(seeds)]
        self.frames = np.concatenate((self.frames, first))
        zeros = np.zeros((count, self.observation.shape[1]), np.float32)
        self.observation = np.concatenate((self.observation, zeros))
        self.observation[old:, Z] = self._encode(first, np.stack(normal))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by actions (B, 3): reward float64 (B,), done bool (B,)."""
        self.frames, rewards, done, reached = self._games.step(actions, self._slots)
        self.goals.update(self._seeds[reached].tolist())
        self._rows.advance(self.observation[:, Z], actions)
        self.observation[:, Z] = self._encode(self.frames, self._noise.next()[1])
        self.observation[:, C], self.observation[:, H] = self._rows.c, self._rows.h
        self._age += 1
        self._waited = np.where(rewards > 0, 0, self._waited + 1)
        if self.patience:
            given_up = (self._waited >= self.patience) & ~done
            left = np.maximum(self.max_length - self._age, 0)
            rewards, done = rewards + STEP_REWARD * left * given_up, done | given_up
        return rewards, done

    def expected(self) -> np.ndarray:
        """What M expected of the last step: the mean of its latents, float32 (B, Z)."""
        return expected_z(self._rows.predict())

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._slots, self._seeds = self._slots[rows], self._seeds[rows]
        self._age, self._waited = self._age[rows], self._waited[rows]
        self._rows.keep(rows)
        self._noise.keep(rows)
        self.observation, self.frames = take_rows(self.observation, rows), self.frames[rows]

    def close(self) -> None:
        self._games.close()

    def _encode(self, frames, normal):
        mu, logvar = (latent[: len(frames)] for latent in self.vae.encode(whole_blocks(frames)))
        return mu + np.exp(logvar / 2) * normal if self._sampled else mu


def simulate(world, controllers: Controllers, seeds: np.ndarray, max_length=None, batch=BATCH):
    """Episode k is controller k's, with seeds[k]: returns float64 (K,), lengths int64 (K,)."""
    return run_rollouts(world, controllers.act, seeds, max_length, batch)


def weight_files(folder: Path) -> dict[str, Path]:
    """The files of V and M in a folder of MODELS."""
    return {"vae": folder / "vae" / "vae.json", "rnn": folder / "rnn" / "rnn.json"}


def load_agent(args) -> tuple[WorldModel, np.ndarray]:
    """V and M, and the controller's parameters (P,); all at random where no file is named.

    Says so where the controller was evolved with another V or M.
    """
    size = Controllers.size(args.inputs)
    if args.controller:
        model, parameters = WorldModel.load(args.models), load_controller(args.controller, size)
        pairing.warn(args.controller, weight_files(args.models))
        return model, parameters
    rng = np.random.default_rng(args.seed)
    # reference carracing/model.py: random weights of a random spread
    return WorldModel.random(args.seed), rng.standard_cauchy(size) * rng.uniform(0, 0.01)
