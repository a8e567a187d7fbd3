"""Evolve C inside M's dream, or in the real game.

Reads tf_models/{vae,rnn,initial_z}.json. Writes
log/doomrnn.cma.16.64{.json,.best.json,.hist.json,.hist_best.json,.log.json,.png} each generation,
and a checkpoint from which the same command goes on.

  python train.py --preset laptop       all cores, 60 generations: 2.7 minutes on 2
  python train.py -n 1                  one process, no MPI
  mpirun -hosts a,b -n 128 python train.py         many machines

A generation is 64 candidates times 16 dreams, with laptop 128 times 2 (and .2.128 in the names).
Every 25 generations, with laptop 20, the mean of the population is scored on selection seeds, and
the best one is kept.
"""

from kit.command import cli

cli.begin(__name__)

import atexit
import functools
from pathlib import Path

from estool import evolve, sizes
from kit.command import mpi

from world import (
    BATCH,
    INPUTS,
    MAX_STEPS,
    MODELS,
    NAME,
    ROW_BYTES,
    SEES,
    SHARED_BYTES,
    TEMPERATURE,
    WORLDS,
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
    "laptop": {
        "components": 32,
        "sigma_init": 0.2,
        "temperature": 1.1,
        "population": 128,
        "num_episode": 2,
        "average": 10,
        "generations": 60,
        "eval_steps": 20,
        "eval_episodes": 256,
    },
    # reference doomrnn/train.py: about 1800 generations, evaluated in the dream, in float32
    "paper": {"generations": 1800, "precision": "float32"},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    evolve.add_arguments(parser)
    add = parser.add_argument
    add("--inputs", choices=INPUTS, default=SEES, help="what the controller sees")
    text = "search along so many principal components of what the controller sees in the game; the "
    text += "player of the recordings plays it, and the agent of --init_opt (0: all weights)"
    add("--components", type=cli.non_negative_int, default=0, help=text)
    text = "controllers whose weights are directions of that search too, as advantage.py finds them"
    add("--along", type=cli.existing_file, nargs="+", metavar="JSON", default=[], help=text)
    add("--world", choices=WORLDS, default="doomrnn", help="the candidates' dream, or real game")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--max_length", type=cli.positive_int, default=MAX_STEPS, help="steps of a dream")
    text = "where the mean is scored: in the dream as the reference does, or the real game"
    add("--eval_world", choices=WORLDS, default="doomrnn", help=text)
    add("--batch", type=cli.positive_int, default=512, help="dreams at once in a rank")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of the dream")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    args = cli.parse(parser, PRESETS, argv)
    if args.components and args.inputs == "z_hidden":
        parser.error("--components: only a linear controller has them; give 0 for z_hidden")
    if args.along and not args.components:
        parser.error(
            "--along: expected --components as well, without them all weights are searched"
        )
    return args


def make_rollouts(args):
    """The function that evolve calls to play episodes, and the size of a controller."""
    # Here, because the process that only starts mpirun has no use for TensorFlow.
    from kit.tensors import precision

    from agent import Controllers, RealWorld, WorldModel, make_world, simulate

    model = WorldModel.load(args.models)
    dream = make_world("doomrnn", model, args.temperature, precision.resolve(args.precision))
    worlds = {"doomrnn": dream}

    def rollouts(params, seeds, max_length, test):
        kind = args.eval_world if test else args.world
        if kind not in worlds:
            worlds[kind] = RealWorld(model)
            atexit.register(worlds[kind].close)
        batch = args.batch if kind == "doomrnn" else BATCH
        limit = args.max_length if max_length < 0 else min(max_length, args.max_length)
        return simulate(worlds[kind], Controllers(params, args.inputs), seeds, limit, batch)

    return rollouts, Controllers.size(args.inputs)


def find_directions(args):
    """Directions (P, components + along) of the search, for which --init_opt plays as well."""
    from kit.files.weights import load_controller

    import directions
    from agent import Controllers, RealWorld, WorldModel

    start, agent, size = args.init_opt, None, Controllers.size(args.inputs)
    if start and start.suffix == ".json":
        agent = load_controller(start, size)
    along = [load_controller(path, size) for path in args.along]
    game = RealWorld(WorldModel.load(args.models))
    try:
        count, seed = args.components, args.seed_start
        return directions.find(game, args.inputs, count, seed, BATCH, agent, along)
    finally:
        game.close()


def rank_bytes(args) -> tuple[float, float]:
    """Memory of a rank: TensorFlow's and that of the episodes it plays at once; what is shared."""
    rows = {"doomrnn": 0, "doomreal": 0}
    for kind, episodes in zip((args.world, args.eval_world), sizes.of_rank(args), strict=True):
        rows[kind] = max(rows[kind], min(episodes, args.batch if kind == "doomrnn" else BATCH))
    if args.components:
        rows["doomreal"] = BATCH
    own = mpi.TENSORFLOW_BYTES + sum(rows[kind] * ROW_BYTES[kind] for kind in rows)
    return own, sum(rows[kind] * SHARED_BYTES[kind] for kind in rows)


def main(argv=None):
    args = parse(argv)
    smaller = "-n/--num_worker or --batch"
    own, shared = rank_bytes(args)
    with mpi.ranks(args.num_worker, args.rank_timeout, own, smaller, shared) as ranks:
        rollouts, size = make_rollouts(args)
        from agent import weight_files  # which has loaded TensorFlow by now

        names = ("inputs", "components", "world", "temperature", "max_length", "eval_world")
        settings = {name: getattr(args, name) for name in (*names, "precision")}
        settings["along"] = [str(path) for path in args.along]
        along = functools.partial(find_directions, args) if args.components else None
        evolve.run(
            args, ranks, NAME, size, rollouts, settings, None, along, weight_files(args.models)
        )


if __name__ == "__main__":
    cli.run(main)
