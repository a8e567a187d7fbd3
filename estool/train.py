"""Evolve a small network for a gymnasium task.

  python train.py CartPoleSwingUp-v0 -o pepg -n 2       in this folder; all of estool's strategies
  python -m estool.train BipedalWalker-v3 -n 8          anywhere
  python train.py MountainCarContinuous-v0 --layers 8   any id with a vector observation
  mpirun -hosts a,b -n 128 python train.py HalfCheetah-v5

Writes log/<game>.<optimizer>.<episodes>.<population>{.json,.best.json,.hist.json,.hist_best.json,
.log.json,.png,.settings.json} and a checkpoint from which the same command goes on. Every
generation each candidate plays --num_episode episodes; every --eval_steps generations the mean is
scored on selection seeds, and the best one is kept. `python model.py GAME log/x.best.json` replays.
"""

from kit.command import cli

cli.begin(__name__)

from estool import agents, evolve
from kit.command import mpi


def parse(argv=None):
    parser = cli.parser(__doc__)
    agents.add_arguments(parser)
    text = "1: train with the game's shaped rewards, where it has some; never used for scores"
    parser.add_argument("--shaping", type=int, choices=(0, 1), default=1, help=text)
    evolve.add_arguments(parser)
    parser.set_defaults(num_episode=1)  # reference estool/train.py
    return cli.parse(parser, argv=argv)


def main(argv=None):
    args = parse(argv)
    game = agents.chosen_game(args)
    with mpi.ranks(args.num_worker, args.rank_timeout) as ranks:
        rollouts = agents.Rollouts(game, args.batch, args.max_length, bool(args.shaping))
        try:
            fixed = agents.settings(game) | {"env_id": game.env_id, "max_length": args.max_length}
            if game.shaping:
                fixed["shaping"] = args.shaping
            size, line = rollouts.policy.num_params, game.requirement
            evolve.run(args, ranks, game.name, size, rollouts, fixed, line)
        finally:
            rollouts.close()


if __name__ == "__main__":
    cli.run(main)
