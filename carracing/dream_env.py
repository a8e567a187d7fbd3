"""The dream of CarRacing: M drives, V draws. C is not trained here; dream_model.py looks at it.

Reads vae/vae.json, rnn/rnn.json and initial_z/initial_z.json; writes nothing. `python dream_env.py`
lets a person drive in the dream with the arrow keys of env.py: LEFT and RIGHT steer, UP is gas,
DOWN brakes; + and - change the temperature, Enter starts again, Escape quits. It starts in about
ten seconds.

For programs: `Dream` is a batch for rollout.py; `CarDream` the same as a gymnasium vector
environment, `CarDreamEnv` as a single one. An observation is [z, c, h], an action (3,) steer, gas
and brake. Unlike the reference's, the LSTM is advanced once a step, not twice.
"""

from collections.abc import Iterator

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from kit.batches.rows import RowNoise, take_rows
from kit.command import cli
from kit.files.weights import load_initial_z
from kit.show import panels, pictures
from kit.show.viewer import ENTER, open_viewer

from rnn import MDNRNN, FastStep, Rows, expected_z, sample_z

TEMPERATURE = 0.7  # reference carracing/dream_env.py
MAX_LENGTH = 1000  # steps, as in the real game
WINDOW = 640  # pixels a side: ten for each of V's
BRAKE = 0.8  # of the key, as in env.py
PLUS, MINUS = frozenset(("+", "=", "[+]")), frozenset(("-", "[-]"))  # keys, with and without Shift
STEP, LOWEST = 0.05, 0.05  # of the temperature


class Dream:
    """Many dreamed episodes in lockstep: the `world` of rollout.py.

    A row ends after `max_length` steps; no step rewards anything, for M does not predict rewards.
    A finished row may be stepped further: it dreams on.

    temperature: may be changed at any time
    observation: float32 (B, Z + 2H), [z, c, h], overwritten by the next step
    """

    def __init__(self, step: FastStep, initial_z, temperature=TEMPERATURE, max_length=MAX_LENGTH):
        """`initial_z`: (mu, logvar), float32 (N, Z) each, the first frames of real episodes."""
        self.temperature, self.max_length = temperature, max_length
        self._mu, self._std = initial_z[0], np.exp(initial_z[1] / 2)
        self.z_size = step.z_size
        self._rows, self._noise = Rows(step), RowNoise(step.z_size, step.z_size)
        self.observation = np.empty((0, step.z_size + 2 * step.hidden), np.float32)
        self.age = np.empty(0, np.int64)  # steps made by each row

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

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by actions (B, 3): reward float32 (B,), done bool (B,)."""
        rows, z = self._rows, self.observation[:, : self._mu.shape[1]]
        rows.advance(z, actions)
        z[:] = sample_z(rows.predict(), *self._noise.next(), self.temperature)
        hidden = rows.c.shape[1]
        self.observation[:, -2 * hidden : -hidden] = rows.c
        self.observation[:, -hidden:] = rows.h
        self.age += 1
        return np.zeros(len(z), np.float32), self.age >= self.max_length

    def expected(self) -> np.ndarray:
        """What M expected of the last step: the mean of its latents, float32 (B, Z)."""
        return expected_z(self._rows.predict())

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._rows.keep(rows)
        self._noise.keep(rows)
        self.observation = take_rows(self.observation, rows)
        self.age = self.age[rows]

    def close(self) -> None:
        """Nothing to end; the real game has processes."""


def load_dream(rnn_path, initial_z_path, precision="float32", z_size=32, **options) -> Dream:
    """A Dream from files; UserError where one of them is missing or of another size."""
    step = FastStep(MDNRNN(z_size).load(rnn_path), precision)
    return Dream(step, load_initial_z(initial_z_path, z_size), **options)


def _spaces(dream: Dream) -> tuple[gymnasium.Space, gymnasium.Space]:
    size = dream.observation.shape[1]
    observation = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
    low, high = np.float32([-1, 0, 0]), np.float32([1, 1, 1])
    return observation, gymnasium.spaces.Box(low, high, dtype=np.float32)


class CarDream(VectorEnv):
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
        """Advance by actions (B, 3): observation, reward, terminated, truncated (B, ...), info."""
        dream, over = self._dream, self._ended
        reward, done = dream.step(actions)
        truncated = done & ~over
        if over.any():
            count = np.count_nonzero(over)
            dream.start(self._draw_seeds(count))
            rows = np.arange(self.num_envs)
            rows[over] = self.num_envs + np.arange(count)
            dream.keep(rows)
        self._ended = truncated
        never = np.zeros(self.num_envs, bool)
        return dream.observation.copy(), reward.astype(np.float64), never, truncated, {}

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`, int64 (n <= B,); the environment has n rows."""
        self._dream.keep(np.asarray(rows))
        self._ended = self._ended[rows]
        self.num_envs = len(rows)
        self._set_spaces()


class CarDreamEnv(gymnasium.Env):
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
        """Advance by an action (3,): observation, reward, terminated, truncated, info."""
        _, done = self._dream.step(np.reshape(action, (1, 3)))
        return self._dream.observation[0].copy(), 0.0, False, bool(done[0]), {}


def play(dream: Dream, decode, args) -> list[int]:
    """Let a person drive in a window; returns the lengths of the finished episodes.

    `decode(z (1, Z)) -> (1, 64, 64, 3)` in 0..1. Ends after `args.episodes`, `args.steps` or
    Escape. Raises UserError where no window can be opened.
    """
    lengths, left, open_ = [], args.steps or np.inf, True
    title = "CarRacing, dreamed: arrow keys, temperature + and -, Enter, Escape"
    with open_viewer(title, args.fps) as window:
        while open_ and left > 0 and len(lengths) < args.episodes:
            open_, done = _play_episode(dream, decode, window, args.seed + len(lengths), left)
            left -= dream.age[0]
            if done:
                lengths.append(int(dream.age[0]))
                print(f"episode {len(lengths)} length {lengths[-1]}", flush=True)
    return lengths


def _play_episode(dream, decode, window, seed, limit):
    """One dream. Returns whether the window is still open, and whether the dream came to an end."""
    dream.keep(np.empty(0, np.int64))
    dream.start([seed])
    done, open_ = False, window.show(_draw(dream, decode, (0, 0, 0)))
    while open_ and not done and dream.age[0] < limit and not window.pressed & ENTER:
        warmer = bool(window.pressed & PLUS) - bool(window.pressed & MINUS)
        dream.temperature = max(LOWEST, round(dream.temperature + STEP * warmer, 2))
        steer = window.held("right") - window.held("left")
        action = (steer, window.held("up"), BRAKE * window.held("down"))
        done = bool(dream.step(np.array([action], np.float32))[1][0])
        open_ = window.show(_draw(dream, decode, action))
    return open_, done


def _draw(dream, decode, action) -> np.ndarray:
    """The latents as V draws them, without blur, and the numbers below, one picture."""
    frame = pictures.to_uint8(decode(dream.observation[:, : dream.z_size])[0])
    numbers = (f"step {dream.age[0]}", f"temperature {dream.temperature:.2f}")
    return panels.below(
        panels.enlarge(frame, WINDOW),
        panels.beside(*action_meters(action, WINDOW // 3)),
        panels.text_bar(numbers, WINDOW),
    )


def action_meters(action, width: int) -> Iterator[np.ndarray]:
    """The three parts of an action as bars."""
    yield panels.meter("steer", action[0], width, low=-1)
    yield panels.meter("gas", action[1], width, colour=panels.GREEN)
    yield panels.meter("brake", action[2], width, colour=panels.RED)


def main(argv=None):
    parser = cli.parser(__doc__)
    parser.add_argument("--vae", default="vae/vae.json", help="weights of V")
    parser.add_argument("--rnn", default="rnn/rnn.json", help="weights of M")
    parser.add_argument("--initial_z", default="initial_z/initial_z.json", help="first latents")
    parser.add_argument(
        "--temperature", type=cli.positive_float, default=TEMPERATURE, help="above 1: stranger"
    )
    parser.add_argument("--episodes", type=cli.positive_int, default=40, help="then print the mean")
    parser.add_argument("--steps", type=cli.positive_int, help="quit after so many steps")
    parser.add_argument("--seed", type=cli.non_negative_int, default=0, help="of the first episode")
    parser.add_argument("--fps", type=cli.positive_int, default=50, help="steps per second")
    args = cli.parse(parser, argv=argv)
    from vae import VAE  # here, because programs that only dream need no V

    dream = load_dream(args.rnn, args.initial_z, temperature=args.temperature)
    vae = VAE(32).load(args.vae)
    lengths = play(dream, vae.decode, args)
    if not lengths:
        print("no episode was finished")
    else:
        print(f"{len(lengths)} episodes, mean length {np.mean(lengths):.1f}")


if __name__ == "__main__":
    cli.run(main)
