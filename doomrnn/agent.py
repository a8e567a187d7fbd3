"""The agent: V, M and C together, and many episodes of it at once, in the game and in the dream."""

from pathlib import Path

import numpy as np

from kit.batches.mixtures import expected_z
from kit.batches.rollout import run_rollouts
from kit.batches.rows import RowNoise, take_rows
from kit.files import pairing
from kit.files.weights import load_controller, load_initial_z

from doomreal import DoomReal
from doomrnn import Dream
from rnn import MDNRNN, FastStep, Rows
from vae import VAE
from world import (
    BATCH,
    HIDDEN,
    HIDDEN_UNITS,
    INPUTS,
    SEES,
    Z_SIZE,
    C,
    H,
    Z,
    discretise,
)


class Controllers:
    """K controllers C, each a row of parameters. Each row of a batch may have another one.

    One output, tanh of a weighted sum without bias: 1088 weights for [z, c, h] (reference
    doomrnn/model.py). `z_hidden` has a layer of 40 tanh units between: biases, then weights.
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
        return (features + 2) * HIDDEN_UNITS + 1 if inputs == "z_hidden" else features

    def act(self, observation: np.ndarray, controllers: np.ndarray) -> np.ndarray:
        """Actions float32 (B,) on observations [z, c, h] (B, O) by `controllers`, int64 (B,)."""
        if controllers is not self._pairs:  # the same rows act until one of them ends
            self._pairs, self._weights = controllers, self.parameters[controllers]
        weights = self._weights
        if self.inputs == "z_hidden":
            bias, weights = weights[:, :HIDDEN_UNITS], weights[:, HIDDEN_UNITS:]
            last = weights[:, -HIDDEN_UNITS - 1 :]
            matrix = weights[:, : -HIDDEN_UNITS - 1].reshape(-1, Z_SIZE, HIDDEN_UNITS)
            units = np.tanh(np.einsum("bz,bzu->bu", observation[:, Z], matrix) + bias)
            return np.tanh(last[:, 0] + np.einsum("bu,bu->b", units, last[:, 1:]))
        start, total = 0, 0
        for columns in INPUTS[self.inputs]:
            part = observation[:, columns]
            total = total + np.einsum("bo,bo->b", part, weights[:, start : start + part.shape[1]])
            start += part.shape[1]
        return np.tanh(total)


class WorldModel:
    """V, M and the first latents of real episodes, from a folder of json files or at random."""

    def __init__(self, vae: VAE, rnn: MDNRNN, initial_z):
        self.vae, self.rnn, self.initial_z = vae, rnn, initial_z

    @classmethod
    def load(cls, folder: Path) -> "WorldModel":
        """Raises UserError naming the file that is missing or of another size."""
        vae = VAE(Z_SIZE).load(weight_files(folder)["vae"])
        rnn = MDNRNN().load(weight_files(folder)["rnn"])
        return cls(vae, rnn, load_initial_z(folder / "initial_z.json", Z_SIZE))

    @classmethod
    def random(cls, seed: int) -> "WorldModel":
        start = np.zeros((1, Z_SIZE), np.float32)
        return cls(VAE(Z_SIZE, seed=seed), MDNRNN(seed=seed), (start, start))


class RealWorld:
    """Many real games in lockstep, seen through V and M: the `world` of kit/batches/rollout.py.

    observation: float32 (B, Z + 2H), [z, c, h]; z is sampled, as in the paper, by noise that the
    row's seed fixes. M advances after each action. `screen_rows` as in DoomReal.
    """

    def __init__(self, model: WorldModel):
        self.vae = model.vae
        self._rows = Rows(FastStep(model.rnn))
        self._noise = RowNoise(0, Z_SIZE)
        self._games: list[DoomReal] = []
        self._idle: list[DoomReal] = []
        self.observation = np.empty((0, Z_SIZE + 2 * HIDDEN), np.float32)
        self.frames = np.empty((0, 64, 64, 3), np.uint8)

    def start(self, seeds) -> None:
        """Append a game for each of `seeds` (n,)."""
        fresh = [self._idle.pop() if self._idle else DoomReal() for _ in seeds]
        first = [game.reset(seed=int(seed))[0] for game, seed in zip(fresh, seeds, strict=True)]
        self._games += fresh
        self._rows.start(len(seeds))
        normal = [rng.standard_normal(Z_SIZE) for rng in self._noise.start(seeds)]
        old = len(self.frames)
        self.frames = np.concatenate((self.frames, first))
        zeros = np.zeros((len(seeds), self.observation.shape[1]), np.float32)
        self.observation = np.concatenate((self.observation, zeros))
        self.observation[old:, Z] = self._sample(self.frames[old:], np.stack(normal))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by actions (B,): reward float64 (B,), done bool (B,)."""
        played = [game.step(move) for game, move in zip(self._games, actions, strict=True)]
        self.frames, rewards, died, capped, _ = map(np.array, zip(*played, strict=True))
        self._rows.advance(self.observation[:, Z], discretise(actions))
        self.observation[:, Z] = self._sample(self.frames, self._noise.next()[1])
        self.observation[:, C], self.observation[:, H] = self._rows.c, self._rows.h
        return rewards, died | capped

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """What M expected of the last step: mean latents (B, Z), the end's probability (B,)."""
        mixture, logit = self._rows.predict()
        return expected_z(mixture), 1 / (1 + np.exp(-logit))

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        staying = set(rows.tolist())
        self._idle += [game for i, game in enumerate(self._games) if i not in staying]
        self._games = [self._games[i] for i in rows]
        self._rows.keep(rows)
        self._noise.keep(rows)
        self.observation, self.frames = take_rows(self.observation, rows), self.frames[rows]

    def close(self) -> None:
        for game in self._games + self._idle:
            game.close()

    def _sample(self, frames, normal):
        mu, logvar = self.vae.encode(frames)
        return mu + np.exp(logvar / 2) * normal


def simulate(world, controllers: Controllers, seeds: np.ndarray, max_length=None, batch=BATCH):
    """Episode k is controller k's, with seeds[k]: returns float64 (K,), lengths int64 (K,)."""
    return run_rollouts(world, controllers.act, seeds, max_length, batch)


def make_world(kind: str, model: WorldModel, temperature: float, precision: str = "float32"):
    """The world of that name on the command line: doomreal or doomrnn."""
    if kind == "doomreal":
        return RealWorld(model)
    return Dream(FastStep(model.rnn, precision), model.initial_z, temperature)


def weight_files(folder: Path) -> dict[str, Path]:
    """The files of V and M in a folder of MODELS."""
    return {"vae": folder / "vae.json", "rnn": folder / "rnn.json"}


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
    # reference doomrnn/model.py: random weights of a random spread
    return WorldModel.random(args.seed), rng.standard_cauchy(size) * rng.uniform(0, 0.01)
