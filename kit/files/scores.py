"""The scores of many episodes: a line each, and the statistics a paper reports."""

import csv
import os
from collections.abc import Sequence

import numpy as np

from kit.files.atomic import atomic_path


def report(
    returns: Sequence[float],
    lengths: Sequence[int],
    first_seed: int,
    path: str | os.PathLike | None = None,
    more: str = "",
) -> None:
    """Print a line an episode, the line `more` where there is one, and the statistics.

    With `path` the scores of all episodes are written there as csv.
    """
    print_trials(returns, lengths, first_seed)
    if path:
        save_csv(path, returns, lengths, first_seed)
    print(*filter(None, (more, summary(returns, first_seed))), sep="\n")


def print_trials(returns: Sequence[float], lengths: Sequence[int], first_seed: int) -> None:
    """One line an episode."""
    for trial, (value, length) in enumerate(zip(returns, lengths, strict=True)):
        print(f"trial {trial} seed {first_seed + trial} reward {value:.2f} steps {length:.0f}")


def summary(returns: Sequence[float], seed: int) -> str:
    """`seed S average_reward A stdev D stderr E median M`; the deviation is the population's."""
    values = np.asarray(returns, np.float64)
    return (
        f"seed {seed} average_reward {values.mean():.2f} stdev {values.std():.2f} "
        f"stderr {values.std() / np.sqrt(len(values)):.2f} median {np.median(values):.2f}"
    )


def save_csv(
    path: str | os.PathLike, returns: Sequence[float], lengths: Sequence[int], first_seed: int
) -> None:
    """Write trial, seed, reward and steps of every episode."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "seed", "reward", "steps"])
        for trial, (value, length) in enumerate(zip(returns, lengths, strict=True)):
            writer.writerow([trial, first_seed + trial, float(value), int(length)])
