"""Score an agent on many episodes, or watch one: in the real game, or in the dream.

  python model.py doomreal norender log/doomrnn.cma.16.64.best.json [seed]    100 real episodes
  python model.py doomreal render   log/doomrnn.cma.16.64.best.json [seed]    watch one
  python model.py doomrnn  ...                                                the same in the dream

Reads tf_models/{vae,rnn,initial_z}.json and the controller; without a controller all three parts
are random. `norender` prints a line an episode and their statistics: 100 real episodes of 900 steps
take a minute on 2 cores. `render` opens a window (the key M shows what M expected of each frame),
or writes --video out.mp4 or --gif out.gif.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.command import mpi, seeds
from kit.files import scores
from kit.show import viewer
from kit.tensors import precision

from agent import Controllers, load_agent, make_world
from doomreal import DoomReal
from policies import POLICIES
from world import BATCH, INPUTS, MODELS, ROW_BYTES, SEES, SHARED_BYTES, TEMPERATURE, WORLDS


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("world", choices=WORLDS, help="the real game, or the dream")
    add("mode", choices=("render", "norender"), help="watch one episode, or score many")
    add("controller", nargs="?", type=cli.existing_file, help="json; without it all is random")
    add("seed", nargs="?", type=cli.non_negative_int, default=0, help="of the first episode")
    add("--episodes", type=cli.positive_int, default=100, help="how many to score")
    add("--inputs", choices=INPUTS, default=SEES, help="what the controller sees")
    add("--policy", choices=("controller", *POLICIES), default="controller", help="who plays")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("--batch", type=cli.positive_int, default=BATCH, help="episodes played at once in a rank")
    text = "processes that share the episodes (default: one for each core)"
    add("-n", "--num_worker", type=cli.positive_int, help=text)
    add("--max_length", type=cli.non_negative_int, default=0, help="end episodes here, 0: nowhere")
    add("--csv", type=Path, help="write the scores of all episodes here")
    viewer.add_arguments(parser)
    return viewer.check_arguments(cli.parse(parser, argv=argv))


def score(args, trial_seeds: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return and length of the trials `shared`: float64 (n, 2)."""
    model, parameters = load_agent(args)
    mine = trial_seeds[shared]
    controllers = Controllers(parameters[None].repeat(max(1, len(mine)), 0), args.inputs)
    act = POLICIES[args.policy](mine) if args.policy in POLICIES else controllers.act
    world = make_world(args.world, model, args.temperature)
    try:
        return np.stack(run_rollouts(world, act, mine, args.max_length, args.batch), axis=1)
    finally:
        world.close()


def main(argv=None):
    args = parse(argv)
    if args.mode == "render":
        import watch  # here, because scoring needs no pictures

        precision.use_threads()
        model, parameters = load_agent(args)
        world = make_world(args.world, model, args.temperature)
        large = DoomReal(rows=480) if args.world == "doomreal" else None
        watch.run(args, model, Controllers(parameters[None], args.inputs), world, large)
        return
    trial_seeds = seeds.test_seeds(args.seed, args.episodes)
    count = min(args.num_worker or mpi.usable_cores(), args.episodes)
    rows = min(args.batch, -(-args.episodes // count))
    needed = mpi.TENSORFLOW_BYTES + rows * ROW_BYTES[args.world]
    shared, smaller = rows * SHARED_BYTES[args.world], "-n/--num_worker or --batch"
    with mpi.ranks(count, 0, needed, smaller, shared) as ranks:
        part = score(args, trial_seeds, ranks.share(args.episodes))
        rows = ranks.collect(part, args.episodes)
        if ranks.rank:
            return
        scores.report(*rows.T, args.seed, args.csv)


if __name__ == "__main__":
    cli.run(main)
