"""How large an evolution is, by its flags: candidates, episodes, memory. Too large is refused.

An importable module, no command; for evolve.py and the rooms' train.py.
"""

import argparse

from kit.command import memory, mpi, seeds
from kit.command.errors import UserError

POPULATION = 64  # paper, appendix: evolution
SMALLER = "--population, --num_worker_trial, --num_episode, --average or network"
MATRICES = 5  # of parameters x parameters, float64, that CMA-ES keeps and works with


def population(args: argparse.Namespace, ranks: int) -> int:
    """Candidates of a generation on so many ranks."""
    if args.num_worker_trial:
        return args.num_worker_trial * ranks
    return args.population or POPULATION


def evaluation(args: argparse.Namespace, candidates: int) -> int:
    """Episodes that the mean is scored on."""
    return args.eval_episodes or candidates * args.num_episode


def of_rank(args: argparse.Namespace) -> tuple[int, int]:
    """Episodes that a rank plays in a generation and in an evaluation, at most."""
    ranks = args.num_worker or mpi.usable_cores()
    candidates = population(args, ranks)
    counts = candidates * args.num_episode, evaluation(args, candidates)
    return tuple(-(-count // ranks) for count in counts)


def require(args: argparse.Namespace, name: str, candidates: int, num_params: int) -> None:
    """UserError where the seeds or the memory do not suffice for the run `name`, or where
    --average means more generations than there will be."""
    if 0 < args.generations < args.average:
        raise UserError(
            f"--average {args.average}: expected at most --generations {args.generations}"
        )
    episodes = evaluation(args, candidates)
    if episodes > len(seeds.SELECTION):
        given = "--eval_episodes"
        if not args.eval_episodes:
            given += " than population x episodes (--population, --num_worker_trial, --num_episode)"
        raise UserError(
            f"{name}: an evaluation of {episodes} episodes, and there are {len(seeds.SELECTION)} "
            f"selection seeds: give a smaller {given}"
        )
    pairs = candidates * args.num_episode
    # a controller for each episode, also in float32; the strategy's copies; means that are kept
    needed = (12 * pairs + 32 * candidates + 8 * args.average) * num_params
    what = f"{name}: controllers of {candidates} candidates in {args.num_episode} episodes"
    memory.require(needed, what, SMALLER)
    if args.optimizer == "cma":
        what = f"{name}: the covariance of {num_params} parameters"
        memory.require(8 * MATRICES * num_params**2, what, "network (--layers), or -o cma_diagonal")
