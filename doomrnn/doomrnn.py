"""The dream of DoomTakeCover: M plays the game, V draws it. The environment that C trains in.

Reads tf_models/{vae,rnn,initial_z}.json; writes nothing. `python doomrnn.py` lets a person play
in the dream: LEFT and RIGHT move, UP and DOWN change the temperature, Enter starts again, Escape
quits (play.py); after 40 episodes it prints their mean length. It starts in about ten seconds.

For programs: `Dream` is the batch that train.py uses (kit/batches/rollout.py), `DoomDream` the
same as a gymnasium vector environment, `DoomDreamEnv` as a single one. An observation is [z, c, h],
an action a number in [-1, 1] that `actions.discretise` turns into left, stay or right.
"""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from kit.batches.rows import RowNoise, take_rows
from kit.command import cli
from kit.files.weights import load_initial_z

from actions import discretise
from rnn import MDNRNN, FastStep, Rows, expected_z, sample_z

TEMPERATURE = 1.25  # paper, section 4; reference doomrnn/doomrnn.py
MAX_LENGTH = 2100  # steps, as in the real game


class Dream:
    """Many dreamed episodes in lockstep: the `world` of kit/batches/rollout.py.

    A row ends when M's restart logit is above 0 (it is not sampled), or after `max_length` steps;
    each step rewards 1. A finished row may be stepped further: it dreams on.

    temperature: may be changed at any time
    observation: float32 (B, Z + 2H), [z, c, h], overwritten by the next step
    death_logit: float32 (B,), M's restart logit of the last step
    """

    def __init__(self, step: FastStep, initial_z, temperature=TEMPERATURE, max_length=MAX_LENGTH):
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
        return np.ones(len(z), np.float32), (self.death_logit > 0) | (self.age >= self.max_length)

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


def load_dream(rnn_path, initial_z_path, precision="float32", z_size=64, **options) -> Dream:
    """A Dream from files; UserError where one of them is missing or of another size."""
    step = FastStep(MDNRNN(z_size).load(rnn_path), precision)
    return Dream(step, load_initial_z(initial_z_path, z_size), **options)


def _spaces(dream: Dream) -> tuple[gymnasium.Space, gymnasium.Space]:
    size = dream.observation.shape[1]
    observation = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
    return observation, gymnasium.spaces.Box(-1, 1, (1,), np.float32)


class DoomDream(VectorEnv):
    """A Dream as a gymnasium vector environment of `num_envs` rows.

    Autoreset is NEXT_STEP: the step after a row's end ignores its action, rewards 0, and returns
    the first observation of a new episode. `keep` shrinks the environment to the rows named.
    """

    def __init__(self, dream: Dream, num_envs: int):
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self._dream, self.num_envs = dream, num_envs
        self.single_observation_space, self.single_action_space = _spaces(dream)
        self._ended = np.zeros(num_envs, bool)
        self._set_spaces()

    def _set_spaces(self):
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None):
        """First observations (B, Z + 2H); row i is seeded with seed + i, or with seed[i]."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        if seed is None:
            seeds = self._draw_seeds(self.num_envs)
        else:
            seeds = np.arange(seed, seed + self.num_envs) if isinstance(seed, int) else seed
        self._dream.keep(np.empty(0, np.int64))
        self._dream.start(seeds)
        self._ended[:] = False
        return self._dream.observation.copy(), {}

    def _draw_seeds(self, count: int) -> np.ndarray:
        return self.np_random.integers(2**31 - 1, size=count)

    def step(self, actions: np.ndarray):
        """Advance by actions (B, 1): observation, reward, terminated, truncated (B, ...), info."""
        dream, over = self._dream, self._ended
        reward, done = dream.step(actions)
        terminated = (dream.death_logit > 0) & ~over
        truncated = done & ~terminated & ~over
        if over.any():
            count = np.count_nonzero(over)
            dream.start(self._draw_seeds(count))
            rows = np.arange(self.num_envs)
            rows[over] = self.num_envs + np.arange(count)
            dream.keep(rows)
        self._ended = terminated | truncated
        reward = reward.astype(np.float64) * ~over
        info = {"death_logit": dream.death_logit.copy()}
        return dream.observation.copy(), reward, terminated, truncated, info

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`, int64 (n <= B,); the environment has n rows."""
        self._dream.keep(np.asarray(rows))
        self._ended = self._ended[rows]
        self.num_envs = len(rows)
        self._set_spaces()


class DoomDreamEnv(gymnasium.Env):
    """A Dream of one row as a gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own form)

    def __init__(self, dream: Dream):
        self._dream = dream
        self.observation_space, self.action_space = _spaces(dream)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """The first observation, float32 (Z + 2H,)."""
        super().reset(seed=seed)
        row_seed = self.np_random.integers(2**31 - 1) if seed is None else seed
        self._dream.keep(np.empty(0, np.int64))
        self._dream.start([row_seed])
        return self._dream.observation[0].copy(), {}

    def step(self, action: np.ndarray):
        """Advance by an action (1,): observation, reward, terminated, truncated, info."""
        _, done = self._dream.step(np.reshape(action, (1, 1)))
        logit = float(self._dream.death_logit[0])
        info = {"death_logit": logit}
        return self._dream.observation[0].copy(), 1.0, logit > 0, bool(done[0]) and logit <= 0, info


def main(argv=None):
    import play  # it imports this module

    parser = cli.parser(__doc__)
    parser.add_argument("--vae", default="tf_models/vae.json", help="weights of V")
    parser.add_argument("--rnn", default="tf_models/rnn.json", help="weights of M")
    parser.add_argument("--initial_z", default="tf_models/initial_z.json", help="first latents")
    play.add_arguments(parser)
    args = cli.parse(parser, argv=argv)
    from vae import VAE  # here, because programs that only dream need no V

    dream = load_dream(args.rnn, args.initial_z, temperature=args.temperature)
    lengths = play.play(dream, VAE(64).load(args.vae).decode, args)
    if not lengths:
        print("no episode was finished")
    else:
        print(f"{len(lengths)} episodes, mean length {np.mean(lengths):.1f}")


if __name__ == "__main__":
    cli.run(main)
