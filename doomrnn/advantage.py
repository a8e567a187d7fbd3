"""Learn in the dream how an agent should have moved: a direction for C's search.

Reads tf_models/{vae,rnn,initial_z}.json and an agent. The agent plays in the dream. About every 80
steps a random move (left, none or right) replaces its move for 15 steps. The cost of that move is
how near death comes within 70 steps, by M's restart head (interventions.py). Writes a controller
whose action is the estimated advantage. model.py can play it, train.py --along searches along it.

  python advantage.py log/doomrnn.cma.16.64.best.json          2 minutes on 2 cores
  python train.py --components 32 --along advantage.json ...
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.command import mpi, seeds
from kit.command.errors import UserError
from kit.files.weights import load_controller, save_controller
from kit.tensors import precision

from agent import Controllers, WorldModel, make_world
from interventions import Interventions
from world import INPUTS, MAX_STEPS, MODELS, ROW_BYTES, SEES, TEMPERATURE

HOLD, WINDOW = 15, 70  # steps of a push, and from its beginning until its cost is known
FIRST, PAUSE = (0, 200), (0, 30)  # steps before an episode's first push, and between two
LINEAR = [name for name in INPUTS if name != "z_hidden"]
PRESETS = {
    "smoke": {"episodes": 400, "max_length": 100, "precision": "float32"},
    "laptop": {"temperature": 1.1},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("controller", type=cli.existing_file, help="json of the agent that plays")
    add("--episodes", type=cli.positive_int, default=9_000, help="dreams in all")
    add("--inputs", choices=LINEAR, default=SEES, help="what the controller sees")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--max_length", type=cli.positive_int, default=MAX_STEPS, help="steps of a dream")
    add("--batch", type=cli.positive_int, default=512, help="dreams at once in a rank")
    add("--precision", choices=precision.CHOICES, default="auto", help="of the dream")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes all, for so many processes")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("-n", "--num_worker", type=cli.positive_int, help="processes (default: one a core)")
    add("--output", type=cli.file_in(".json"), default=Path("advantage.json"), help="the result")
    return cli.parse(parser, PRESETS, argv)


class Pusher:
    """An `act` for rollouts: a policy's actions, but for the pushes, whose costs it collects."""

    def __init__(self, world, policy, inputs: str, count: int, max_length: int, seed: list[int]):
        """`policy`: the `act` that plays `count` episodes of `world`, and sees `inputs`."""
        self._world, self._policy, self._inputs = world, policy, inputs
        self._rng = np.random.default_rng(seed)
        self._left = np.full(count, max_length)  # steps until the clock ends an episode
        self._wait = self._rng.integers(*FIRST, count)  # steps to the next push
        self._age = np.full(count, -1)  # steps since a push whose cost is open, -1: none is
        self._push, self._cost = np.zeros(count), np.zeros(count)
        size = Controllers.size(inputs)
        self._seen = np.zeros((count, size), np.float32)
        self._rows = np.empty(0, np.int64)  # that acted last
        self.found = Interventions(size)

    def act(self, observation: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions float32 (B,) of the episodes `rows`."""
        gone = np.setdiff1d(self._rows, rows)
        gone = gone[(self._age[gone] >= 0) & (self._left[gone] > 0)]  # those died
        self._cost[gone] = 1
        self._close(gone)
        self._rows = rows
        self._left[rows] -= 1
        old = rows[self._age[rows] >= 0]
        self._cost[rows] = np.maximum(self._cost[rows], _probability(self._world.death_logit))
        self._age[old] += 1
        self._close(old[self._age[old] >= WINDOW])
        self._open(observation, rows)
        self._wait[rows] -= 1
        pushed = (self._age[rows] >= 0) & (self._age[rows] < HOLD)
        action = self._policy(observation, rows)
        return np.where(pushed, self._push[rows], action).astype(np.float32)

    def _open(self, observation, rows):
        fresh = (self._wait[rows] <= 0) & (self._age[rows] < 0)
        episodes = rows[fresh]
        seen = [observation[fresh][:, part] for part in INPUTS[self._inputs]]
        self._seen[episodes] = np.concatenate(seen, axis=1)
        self._push[episodes] = self._rng.integers(-1, 2, len(episodes))
        self._cost[episodes], self._age[episodes] = 0, 0

    def _close(self, episodes):
        self.found.add(self._seen[episodes], self._push[episodes], self._cost[episodes])
        self._age[episodes] = -1
        self._wait[episodes] = self._rng.integers(*PAUSE, len(episodes))


def _probability(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logit, -30, 30)))


def learn(args, share: np.ndarray, rank: int) -> Interventions:
    """The interventions of the episodes `share` of args.episodes."""
    model = WorldModel.load(args.models)
    size = Controllers.size(args.inputs)
    parameters = load_controller(args.controller, size)[None]
    controllers = Controllers(parameters.repeat(max(1, len(share)), 0), args.inputs)
    world = make_world("doomrnn", model, args.temperature, precision.resolve(args.precision))
    given = len(share), args.max_length, [args.seed, rank]
    pusher = Pusher(world, controllers.act, args.inputs, *given)
    episodes = seeds.training_seeds(np.random.default_rng(args.seed), args.episodes)[share]
    run_rollouts(world, pusher.act, episodes, args.max_length, args.batch)
    return pusher.found


def main(argv=None):
    args = parse(argv)
    smaller = "-n/--num_worker or --batch"
    needed = mpi.TENSORFLOW_BYTES + args.batch * ROW_BYTES["doomrnn"]
    with mpi.ranks(args.num_worker, rank_bytes=needed, smaller=smaller) as ranks:
        part = learn(args, ranks.share(args.episodes), ranks.rank).pack()
        rows = ranks.collect(part[None], ranks.size)
        if ranks.rank:
            return
        found = Interventions.unpack(rows)
        if not found.count:
            raise UserError("no push was seen to its end: --episodes or --max_length is too small")
        save_controller(args.output, found.direction())
        print(f"{args.output}: from {found.count} pushes in {args.episodes} dreams")


if __name__ == "__main__":
    cli.run(main)
