"""Disjoint sets of seeds, so that no score is taken on episodes that chose the agent."""

import numpy as np

from kit.command.errors import UserError

TEST = range(100_000)  # reported scores
SELECTION = range(100_000, 200_000)  # choosing the best generation
CHECK = range(200_000, 300_000)  # judging a stage, where nothing is chosen by it
TRAINING = range(1_000_000, 2**31 - 1)  # recording, V, M and the fitness of candidates


def test_seeds(first: int, count: int) -> np.ndarray:
    """Seeds first, first + 1, ... of the test set: int64 (count,); UserError outside the set."""
    return _consecutive(TEST, "test", first, count)


def selection_seeds(count: int) -> np.ndarray:
    """The first `count` selection seeds: int64 (count,); UserError where there are too few."""
    return _consecutive(SELECTION, "selection", SELECTION.start, count)


def check_seeds(first: int, count: int) -> np.ndarray:
    """`count` seeds of the check set, from its `first` on: int64 (count,)."""
    return _consecutive(CHECK, "check", CHECK.start + first, count)


def training_seeds(rng: np.random.Generator, count: int) -> np.ndarray:
    """Seeds drawn from the training set, with replacement: int64 (count,)."""
    return rng.integers(TRAINING.start, TRAINING.stop, count, dtype=np.int64)


# pytest collects functions by this prefix, also imported ones.
test_seeds.__test__ = False


def _consecutive(allowed: range, name: str, first: int, count: int) -> np.ndarray:
    if count < 1 or first < allowed.start or first + count > allowed.stop:
        raise UserError(
            f"{name} seeds run from {allowed.start} to {allowed.stop - 1}, found {count} from "
            f"{first}: give a smaller seed, or fewer episodes"
        )
    return np.arange(first, first + count, dtype=np.int64)
