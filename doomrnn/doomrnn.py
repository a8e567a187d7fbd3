"""The dream of DoomTakeCover: M predicts the game, V draws it. C trains in this environment.

Reads tf_models/{vae,rnn,initial_z}.json; writes nothing. `python doomrnn.py` lets a person play
in the dream: LEFT and RIGHT move, UP and DOWN change the temperature, Enter starts again, Escape
quits (play_dream.py). After 40 episodes it prints their mean length.

For programs: `Dream` is the batch that train.py uses (kit/batches/rollout.py), `DoomDream` the
same as a gymnasium vector environment, `DoomDreamEnv` as a single one. An observation is [z, c, h],
an action a number in [-1, 1] that `world.discretise` turns into left, stay or right.
"""

from kit.command import cli

cli.begin(__name__)

import os
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from kit.batches.dream_env import DreamEnv, DreamVectorEnv
from kit.batches.mixtures import expected_z, sample_z
from kit.batches.rows import RowNoise, take_rows
from kit.files.weights import load_initial_z
from kit.show import dream_play, viewer

from rnn import MDNRNN, FastStep, Rows
from world import MAX_STEPS, TEMPERATURE, Z_SIZE, discretise


class Dream:
    """Many dreamed episodes in lockstep: the `world` of kit/batches/rollout.py.

    A row ends when M's restart logit is above 0 (it is not sampled), or after `max_length` steps;
    each step rewards 1. A finished row may be stepped further: it dreams on.

    temperature: may be changed at any time
    observation: float32 (B, Z + 2H), [z, c, h], overwritten by the next step
    death_logit: float32 (B,), M's restart logit of the last step
    """

    def __init__(self, step: FastStep, initial_z, temperature=TEMPERATURE, max_length=MAX_STEPS):
        """`initial_z`: (mu, logvar), float32 (N, Z) each, the first frames of real episodes."""
        self.temperature, self.max_length = temperature, max_length
        self._mu, self._std = initial_z[0], np.exp(initial_z[1] / 2)
        self.z_size = step.z_size
        self._rows, self._noise = Rows(step), RowNoise(step.z_size, step.z_size)
        self.observation = np.empty((0, step.z_size + 2 * step.hidden), np.float32)
        self.age = np.empty(0, np.int64)  # steps made by each row
        self.death_logit = np.empty(0, np.float32)

    def start(self, seeds) -> None:
        """Append a row for each of `seeds` (n,), at the first frame of an episode drawn by it."""
        z_size = self._mu.shape[1]
        fresh = np.zeros((len(seeds), self.observation.shape[1]), np.float32)
        for row, rng in enumerate(self._noise.start(seeds)):
            first = rng.integers(len(self._mu))
            noise = rng.standard_normal(z_size, np.float32)
            fresh[row, :z_size] = self._mu[first] + self._std[first] * noise
        self._rows.start(len(seeds))
        self.observation = np.concatenate((self.observation, fresh))
        self.age = np.append(self.age, np.zeros(len(seeds), np.int64))
        self.death_logit = np.append(self.death_logit, np.full(len(seeds), -np.inf, np.float32))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by actions (B,) or (B, 1): reward float32 (B,), done bool (B,)."""
        rows, z = self._rows, self.observation[:, : self._mu.shape[1]]
        rows.advance(z, discretise(actions))
        mixture, self.death_logit = rows.predict()
        z[:] = sample_z(mixture, *self._noise.next(), self.temperature)
        hidden = rows.c.shape[1]
        self.observation[:, -2 * hidden : -hidden] = rows.c
        self.observation[:, -hidden:] = rows.h
        self.age += 1
        return np.ones(len(z), np.float32), self.terminated | (self.age >= self.max_length)

    @property
    def terminated(self) -> np.ndarray:
        """Whether M ended each row at its last step, bool (B,)."""
        return self.death_logit > 0

    def info(self) -> dict[str, np.ndarray]:
        """M's restart logit of the last step, as `death_logit` (B,)."""
        return {"death_logit": self.death_logit.copy()}

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """What M expected of the last step: mean latents (B, Z), the end's probability (B,)."""
        mixture, _ = self._rows.predict()
        return expected_z(mixture), 1 / (1 + np.exp(-self.death_logit))

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._rows.keep(rows)
        self._noise.keep(rows)
        self.observation = take_rows(self.observation, rows)
        self.age, self.death_logit = self.age[rows], self.death_logit[rows]

    def close(self) -> None:
        """Nothing to end; the real game has processes."""


def load_dream(rnn_path, initial_z_path, precision="float32", **options) -> Dream:
    """A Dream from files; UserError where one of them is missing or of another size."""
    step = FastStep(MDNRNN().load(rnn_path), precision)
    return Dream(step, load_initial_z(initial_z_path, Z_SIZE), **options)


ACTIONS = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
FOLDER = Path(__file__).parent / "tf_models"


def dream_in(folder: str | os.PathLike, **options) -> Dream:
    """The dream of the M and the first latents in `folder`; options as of Dream."""
    return load_dream(Path(folder) / "rnn.json", Path(folder) / "initial_z.json", **options)


class DoomDream(DreamVectorEnv):
    """A Dream as a gymnasium vector environment; its info has `death_logit` (B,)."""

    def __init__(self, dream: Dream, num_envs: int, autoreset_mode=AutoresetMode.NEXT_STEP):
        super().__init__(dream, num_envs, ACTIONS, autoreset_mode)


class DoomDreamEnv(DreamEnv):
    """A Dream of one row as a gymnasium environment; its info has `death_logit`."""

    def __init__(self, dream: Dream):
        super().__init__(dream, ACTIONS)


def make_env(models: str | os.PathLike = FOLDER, **options) -> DoomDreamEnv:
    """gymnasium.make("doomrnn:DoomDream-v0"): the dream of the weights in `models`."""
    return DoomDreamEnv(dream_in(models, **options))


def make_vector_env(
    num_envs: int,
    models: str | os.PathLike = FOLDER,
    autoreset_mode=AutoresetMode.NEXT_STEP,
    **options,
) -> DoomDream:
    """gymnasium.make_vec("doomrnn:DoomDream-v0", num_envs): many of them in one batch."""
    return DoomDream(dream_in(models, **options), num_envs, autoreset_mode)


gymnasium.register(
    "DoomDream-v0",
    entry_point="doomrnn:make_env",
    vector_entry_point="doomrnn:make_vector_env",
)


def main(argv=None):
    import play_dream  # here, because programs that only dream need no window

    parser = cli.parser(__doc__)
    parser.add_argument("--vae", default="tf_models/vae.json", help="weights of V")
    parser.add_argument("--rnn", default="tf_models/rnn.json", help="weights of M")
    parser.add_argument("--initial_z", default="tf_models/initial_z.json", help="first latents")
    play_dream.add_arguments(parser)
    args = cli.parse(parser, argv=argv)
    viewer.require_screen(viewer.PLAY)
    from vae import VAE  # here, because programs that only dream need no V

    dream = load_dream(args.rnn, args.initial_z, temperature=args.temperature)
    dream_play.print_mean(play_dream.play(dream, VAE(Z_SIZE).load(args.vae).decode, args))


if __name__ == "__main__":
    cli.run(main)
