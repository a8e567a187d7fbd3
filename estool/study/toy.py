"""A train.py of the smallest kind, for the tests: evolves 5 numbers towards 1.

    python toy.py -n 2 --population 8 --generations 3 --directory /tmp/toy

Writes what evolve.py writes, under --directory, in a second. --fault makes rank 1 fail
in generation 2, or all ranks meet the same bad file at the start (both).
"""

from kit.command import cli

cli.begin(__name__)

import os
import signal
import time

import numpy as np

from estool import evolve
from kit.command import mpi
from kit.command.errors import UserError

FAULTS = ("user", "raise", "hang", "stop", "both")


def make_rollouts(rank: int, fault: str | None):
    """Rollouts whose rows depend on nothing but their own parameters and seed."""
    calls = 0

    def rollouts(params, seeds, max_length, test):
        nonlocal calls
        calls += 1
        if calls == 2 and rank == 1 and fault == "raise":
            raise ZeroDivisionError("the fault that was ordered")
        if calls == 2 and rank == 1 and fault == "hang":
            time.sleep(3600)
        if calls == 2 and rank == 1 and fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if calls == 2 and rank == 1 and fault == "user":
            raise UserError("z.json is bad")
        noise = np.array([np.random.default_rng(seed).standard_normal() for seed in seeds])
        lengths = 10 + seeds % 7
        if max_length > 0:
            lengths = np.minimum(lengths, max_length)
        return noise - ((params - 1) ** 2).sum(1), lengths

    return rollouts


def main(argv=None):
    parser = cli.parser(__doc__)
    evolve.add_arguments(parser)
    parser.add_argument("--fault", choices=FAULTS, help="what goes wrong")
    args = cli.parse(parser, argv=argv)
    with mpi.ranks(args.num_worker, args.rank_timeout) as ranks:
        if args.fault == "both":
            raise UserError("z.json is bad")
        evolve.run(args, ranks, "toy", 5, make_rollouts(ranks.rank, args.fault))


if __name__ == "__main__":
    cli.run(main)
