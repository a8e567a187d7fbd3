"""Evolve C in the real environment, seen through V and M.

Reads vae/vae.json, rnn/rnn.json and initial_z/initial_z.json. Writes
log/carracing.cma.16.64{.json,.best.json,.hist.json,.hist_best.json,.log.json,.png} each generation,
and a checkpoint from which the same command goes on.

  python train.py --preset laptop       90 generations of 4 tracks: log/carracing.cma.4.64.*
  python train.py -n 1                  one process, no MPI
  mpirun -hosts a,b -n 128 python train.py         many machines

A generation is 64 candidates times 16 episodes (4 in the laptop preset), drawn by the fast
renderer. Every 25 generations (10) the mean of the population is scored on selection seeds, on
gymnasium's own drawing (the fast one, which takes a tenth of the time), and the best is kept.

With --patience N a rollout in training that has touched no new tile for N steps ends there, and its
return is charged 0.1 for each step that was left to --max_length: what it would have lost standing
still. Evaluations never end so.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

from estool import evolve, sizes
from kit.command import mpi

from world import (
    BATCH,
    INPUTS,
    KINDS,
    MAX_STEPS,
    MODELS,
    NAME,
    ROW_BYTES,
    SCORED,
    SEES,
    SOLVED,
    TRAINED,
    Z_KINDS,
)

PRESETS = {
    "smoke": {
        "population": 6,
        "num_episode": 2,
        "generations": 2,
        "eval_steps": 1,
        "max_length": 40,
    }
    | {"eval_episodes": 4, "precision": "float32"},
    "laptop": {"generations": 90, "num_episode": 4, "patience": 75}
    | {"eval_steps": 10, "eval_episodes": 64, "eval_renderer": TRAINED},
    # reference carracing/train.py: about 1800 generations, trained on stock, in float32
    "paper": {"generations": 1800, "renderer": "stock", "precision": "float32", "z": "sample"},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    evolve.add_arguments(parser)
    add = parser.add_argument
    add("--inputs", choices=INPUTS, default=SEES, help="what the controller sees")
    add("--z", choices=Z_KINDS, default="mean", help="what of V's z it sees; the paper: a sample")
    add("--renderer", choices=KINDS, default=TRAINED, help="what draws the candidates' episodes")
    add("--max_length", type=cli.positive_int, default=MAX_STEPS, help="steps of an episode")
    text = "what draws the episodes that score the mean"
    add("--eval_renderer", choices=KINDS, default=SCORED, help=text)
    text = "end training rollouts without a new tile for so many steps; 0: never"
    add("--patience", type=cli.non_negative_int, default=0, help=text)
    add("--batch", type=cli.positive_int, default=BATCH, help="episodes at once in a rank")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of V")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    return cli.parse(parser, PRESETS, argv)


def make_rollouts(args):
    """The function that evolve calls to play episodes, and the size of a controller."""
    # Here, because the process that only starts mpirun has no use for TensorFlow.
    from kit.tensors import precision

    from agent import Controllers, RealWorld, WorldModel, simulate

    model = WorldModel.load(args.models, precision.resolve(args.precision))
    kinds = {False: args.renderer, True: args.eval_renderer}
    sampled = args.z == "sample"
    worlds = {kind: RealWorld(model, kind, sampled=sampled) for kind in set(kinds.values())}

    def rollouts(params, seeds, max_length, test):
        limit = args.max_length if max_length < 0 else min(max_length, args.max_length)
        world = worlds[kinds[test]]
        world.max_length, world.patience = limit, 0 if test else args.patience
        return simulate(world, Controllers(params, args.inputs), seeds, limit, args.batch)

    return rollouts, Controllers.size(args.inputs)


def rank_bytes(args) -> float:
    """Memory of a rank: TensorFlow's, and that of the episodes it plays at once."""
    rows = dict.fromkeys(KINDS, 0)
    for kind, count in zip((args.renderer, args.eval_renderer), sizes.of_rank(args), strict=True):
        rows[kind] = max(rows[kind], min(count, args.batch))
    return mpi.TENSORFLOW_BYTES + sum(rows[kind] * ROW_BYTES[kind] for kind in KINDS)


def main(argv=None):
    args = parse(argv)
    smaller = "-n/--num_worker or --batch"
    with mpi.ranks(args.num_worker, args.rank_timeout, rank_bytes(args), smaller) as ranks:
        rollouts, size = make_rollouts(args)
        from agent import weight_files  # which has loaded TensorFlow by now

        names = ("inputs", "z", "renderer", "max_length", "eval_renderer", "patience", "precision")
        settings = {name: getattr(args, name) for name in names}
        evolve.run(
            args, ranks, NAME, size, rollouts, settings, SOLVED, None, weight_files(args.models)
        )


if __name__ == "__main__":
    cli.run(main)
