"""Score an agent on many tracks, or watch it drive one.

  python model.py norender log/carracing.cma.16.64.best.json [seed]    100 real episodes
  python model.py render   log/carracing.cma.16.64.best.json [seed]    watch one

Reads vae/vae.json, rnn/rnn.json and the controller; without a controller all three parts are
random. `norender` prints a line an episode and their statistics, on gymnasium's own drawing unless
--renderer fast is given. `render` opens a window (the key M shows what M expected of each frame),
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

from agent import Controllers, RealWorld, load_agent
from env import make
from policies import POLICIES
from world import BATCH, GOAL, INPUTS, KINDS, MODELS, ROW_BYTES, SCORED, SEES, TRAINED, Z_KINDS


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("mode", choices=("render", "norender"), help="watch one episode, or score many")
    add("controller", nargs="?", type=cli.existing_file, help="json; without it all is random")
    add("seed", nargs="?", type=cli.non_negative_int, default=0, help="of the first episode")
    add("--episodes", type=cli.positive_int, default=100, help="how many to score")
    add("--inputs", choices=INPUTS, default=SEES, help="what the controller sees")
    add("--z", choices=Z_KINDS, default="mean", help="what of V's z it sees")
    add("--policy", choices=("controller", *POLICIES), default="controller", help="who plays")
    text = "what draws the frames for V; scores are reported on stock"
    add("--renderer", choices=KINDS, default=SCORED, help=text)
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("--batch", type=cli.positive_int, default=BATCH, help="episodes played at once in a rank")
    text = "processes that share the episodes (default: one for each core)"
    add("-n", "--num_worker", type=cli.positive_int, help=text)
    add("--max_length", type=cli.non_negative_int, default=0, help="end episodes here, 0: nowhere")
    add("--csv", type=Path, help="write the scores of all episodes here")
    viewer.add_arguments(parser)
    return viewer.check_arguments(cli.parse(parser, argv=argv))


def score(args, trial_seeds: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return, length and whether the goal was reached, of the trials `shared`: float64 (n, 3)."""
    model, parameters = load_agent(args)
    mine = trial_seeds[shared]
    controllers = Controllers(parameters[None].repeat(max(1, len(mine)), 0), args.inputs)
    act = POLICIES[args.policy](mine) if args.policy in POLICIES else controllers.act
    world = RealWorld(model, args.renderer, sampled=args.z == "sample")
    returns, lengths = run_rollouts(world, act, mine, args.max_length, args.batch)
    world.close()
    return np.stack((returns, lengths, np.isin(mine, list(world.goals))), axis=1)


def main(argv=None):
    args = parse(argv)
    if args.mode == "render":
        import watch  # here, because scoring needs no pictures

        precision.use_threads()
        model, parameters = load_agent(args)
        large = make(TRAINED, render_mode="rgb_array")
        watch.run(args, model, Controllers(parameters[None], args.inputs), large)
        return
    trial_seeds = seeds.test_seeds(args.seed, args.episodes)
    count = min(args.num_worker or mpi.usable_cores(), args.episodes)
    rows = min(args.batch, -(-args.episodes // count))
    needed = mpi.TENSORFLOW_BYTES + rows * ROW_BYTES[args.renderer]
    with mpi.ranks(count, rank_bytes=needed, smaller="-n/--num_worker or --batch") as ranks:
        part = score(args, trial_seeds, ranks.share(args.episodes))
        rows = ranks.collect(part, args.episodes)
        if ranks.rank:
            return
        returns, lengths, goals = rows.T
        scores.report(returns, lengths, args.seed, args.csv, f"{GOAL}: {goals.mean():.0%}")


if __name__ == "__main__":
    cli.run(main)
