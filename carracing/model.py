"""V, M and C together: the agent, many episodes of it at once, and the command that runs it.

  python model.py norender log/carracing.cma.16.64.best.json [seed]    100 real episodes
  python model.py render   log/carracing.cma.16.64.best.json [seed]    watch one

Reads vae/vae.json, rnn/rnn.json and the controller; without a controller all three parts are
random. `norender` prints a line an episode and their statistics, on gymnasium's own drawing unless
--renderer fast is given; stock's makes 75 steps a second with a batch of one (bench.py). `render`
opens a window (the key M shows what M expected of each frame), or writes --video out.mp4 or --gif
out.gif.
"""

from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.batches.rows import RowNoise, take_rows
from kit.command import cli, mpi, seeds
from kit.command.mpi import usable_cores
from kit.files import scores
from kit.files.weights import load_controller, load_initial_z
from kit.show import viewer
from kit.tensors import precision

from env import KINDS, MAX_STEPS, CarRacingBatch, RandomPolicy, squash_action
from rnn import MDNRNN, FastStep, Rows, expected_z
from row_bytes import ROW_BYTES
from vae import VAE

Z_SIZE, HIDDEN, OUTPUTS = 32, 256, 3
HIDDEN_UNITS = 40  # of the controller with a hidden layer (paper, section 3.4)
Z, C, H = (slice(0, Z_SIZE), slice(Z_SIZE, Z_SIZE + HIDDEN), slice(-HIDDEN, None))
INPUTS = {"z": (Z,), "zc": (Z, C), "zh": (Z, H), "zch": (Z, C, H), "z_hidden": (Z,)}
Z_KINDS = ("mean", "sample")
BATCH = 32  # games at once in a process
STEP_REWARD = -0.1  # of a step that touches no new tile


class Controllers:
    """K controllers C, each a row of parameters; row by row of a batch another one may act.

    Steer, gas and brake of a weighted sum: 3 biases, then 288x3 weights for [z, h] (reference
    carracing/model.py). `z_hidden` has a layer of 40 tanh units between: biases, then weights.
    """

    def __init__(self, parameters: np.ndarray, inputs: str = "zh"):
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
        vae = VAE(Z_SIZE, precision).load(folder / "vae" / "vae.json")
        rnn = MDNRNN(Z_SIZE).load(folder / "rnn" / "rnn.json")
        return cls(vae, rnn, load_initial_z(folder / "initial_z" / "initial_z.json", Z_SIZE))

    @classmethod
    def random(cls, seed: int) -> "WorldModel":
        start = np.zeros((1, Z_SIZE), np.float32)
        return cls(VAE(Z_SIZE, seed=seed), MDNRNN(Z_SIZE, seed=seed), (start, start))


class RealWorld:
    """Many real games in lockstep, seen through V and M: the `world` of rollout.py.

    observation: float32 (B, Z + 2H), [z, c, h]; z is V's mean, or with `sampled` a sample, as in
    the paper, by noise that the row's seed fixes. M advances after each action. A row's company
    does not change its last bit.
    laps: the seeds of all episodes that ended with a whole lap

    With `patience` N, a row that has touched no new tile for N steps ends there, and its last
    reward is charged the steps that it leaves out, as if it stood still until `max_length`: 0.1
    each. It saves the time of hopeless rollouts; only a car that would have come back loses by it.
    """

    def __init__(
        self,
        model: WorldModel,
        renderer: str = "stock",
        patience: int = 0,
        sampled: bool = False,
    ):
        self.vae, self.patience, self.max_length = model.vae, patience, MAX_STEPS
        self._sampled = sampled
        self._rows = Rows(FastStep(model.rnn))
        self._noise = RowNoise(0, Z_SIZE)
        self._games = CarRacingBatch(renderer)
        self._slots = np.empty(0, np.int64)  # the game of each row
        self._seeds = np.empty(0, np.int64)
        self._age, self._waited = np.empty(0, np.int64), np.empty(0, np.int64)
        self.laps: set[int] = set()
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
        self.frames, rewards, done, lapped = self._games.step(actions, self._slots)
        self.laps.update(self._seeds[lapped].tolist())
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
        batch = frames.repeat(2, axis=0) if len(frames) == 1 else frames  # see FastStep
        mu, logvar = (latent[: len(frames)] for latent in self.vae.encode(batch))
        return mu + np.exp(logvar / 2) * normal if self._sampled else mu


def simulate(world, controllers: Controllers, seeds: np.ndarray, max_length=None, batch=BATCH):
    """Episode k is controller k's, with seeds[k]: returns float64 (K,), lengths int64 (K,)."""
    return run_rollouts(world, controllers.act, seeds, max_length, batch)


def random_policy(seeds: np.ndarray):
    """The driver that extract.py records, another for each episode: an `act` for rollouts."""
    policies = [RandomPolicy(int(seed)) for seed in seeds]
    return lambda _, rows: np.stack([policies[row]() for row in rows])


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("mode", choices=("render", "norender"), help="watch one episode, or score many")
    add("controller", nargs="?", type=cli.existing_file, help="json; without it all is random")
    add("seed", nargs="?", type=cli.non_negative_int, default=0, help="of the first episode")
    add("--episodes", type=cli.positive_int, default=100, help="how many to score")
    add("--inputs", choices=INPUTS, default="zh", help="what the controller sees")
    add("--z", choices=Z_KINDS, default="mean", help="what of V's z it sees")
    add("--policy", choices=("controller", "random"), default="controller", help="who plays")
    text = "what draws the frames for V; scores are reported on stock"
    add("--renderer", choices=KINDS, default="stock", help=text)
    add("--models", type=Path, default=Path(), help="folder of vae/, rnn/ and initial_z/")
    add("--batch", type=cli.positive_int, default=BATCH, help="episodes played at once in a rank")
    text = "processes that share the episodes (default: one for each core)"
    add("-n", "--num_worker", type=cli.positive_int, help=text)
    add("--max_length", type=cli.non_negative_int, default=0, help="end episodes here, 0: 1000")
    add("--csv", type=Path, help="write the scores of all episodes here")
    viewer.add_arguments(parser)
    return viewer.check_arguments(cli.parse(parser, argv=argv))


def load_agent(args) -> tuple[WorldModel, np.ndarray]:
    """V and M, and the controller's parameters (P,); all at random where no file is named."""
    size = Controllers.size(args.inputs)
    if args.controller:
        return WorldModel.load(args.models), load_controller(args.controller, size)
    rng = np.random.default_rng(args.seed)
    # reference carracing/model.py: random weights of a random spread
    return WorldModel.random(args.seed), rng.standard_cauchy(size) * rng.uniform(0, 0.01)


def score(args, trial_seeds: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return, length and whether the lap was finished of the trials `shared`: float64 (n, 3)."""
    model, parameters = load_agent(args)
    mine = trial_seeds[shared]
    controllers = Controllers(parameters[None].repeat(max(1, len(mine)), 0), args.inputs)
    act = random_policy(mine) if args.policy == "random" else controllers.act
    world = RealWorld(model, args.renderer, sampled=args.z == "sample")
    returns, lengths = run_rollouts(world, act, mine, args.max_length, args.batch)
    world.close()
    return np.stack((returns, lengths, np.isin(mine, list(world.laps))), axis=1)


def main(argv=None):
    args = parse(argv)
    if args.mode == "render":
        import watch  # here, because scoring needs no pictures

        precision.use_threads(usable_cores())
        model, parameters = load_agent(args)
        watch.run(args, model, Controllers(parameters[None], args.inputs))
        return
    trial_seeds = seeds.test_seeds(args.seed, args.episodes)
    count = min(args.num_worker or usable_cores(), args.episodes)
    rows = min(args.batch, -(-args.episodes // count))
    needed = mpi.TENSORFLOW_BYTES + rows * ROW_BYTES[args.renderer]
    with mpi.ranks(count, rank_bytes=needed, smaller="-n/--num_worker or --batch") as ranks:
        part = score(args, trial_seeds, ranks.share(args.episodes))
        rows = ranks.collect(part, args.episodes)
        if ranks.rank:
            return
        returns, lengths, laps = rows.T
        lengths = lengths.astype(int)
        scores.print_trials(returns, lengths, args.seed)
        if args.csv:
            scores.save_csv(args.csv, returns, lengths, args.seed)
        print(f"laps finished: {laps.mean():.0%}")
        print(scores.summary(returns, args.seed))


if __name__ == "__main__":
    cli.run(main)
