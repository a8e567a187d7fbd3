"""The five log files of a run, `log/<game>.<optimizer>.<episodes>.<population>` and

  .json            [[params]]         the current mean of the distribution
  .best.json       [params, score]    the mean with the best evaluation
  .hist.json       a HISTORY row for each generation
  .hist_best.json  [gen, seconds, "improvement", x, "curr", x, "prev", x, "best", x], an evaluation
  .log.json        [gen, evaluation, params], an evaluation

as github.com/hardmaru/WorldModelsExperiments writes them.
"""

import dataclasses
import json
import math
import os

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import read_json, write_text
from kit.files.weights import controller_text

# Fitness is a candidate's mean return; steps are a candidate's mean episode length.
HISTORY = (
    "generation",
    "seconds",
    "mean fitness",
    "lowest fitness",
    "highest fitness",
    "standard deviation of fitness",
    "sigma",
    "mean steps + 1",
    "most steps + 1",
)
SUFFIXES = (".json", ".best.json", ".hist.json", ".hist_best.json", ".log.json")


@dataclasses.dataclass
class Log:
    """What the five files hold; pickled in the checkpoint, so that they can be written again."""

    history: list = dataclasses.field(default_factory=list)
    history_best: list = dataclasses.field(default_factory=list)
    evaluations: list = dataclasses.field(default_factory=list)  # rows of .log.json
    best_params: list | None = None
    best_score: float = 0.0

    def add_generation(self, generation, seconds, fitness, sigma, steps) -> list:
        """Add and return the HISTORY row for fitness (N,), sigma and mean steps (N,)."""
        row = [
            generation,
            int(seconds),
            cut(fitness.mean(), 2),
            cut(fitness.min(), 2),
            cut(fitness.max(), 2),
            cut(fitness.std(), 2),
            cut(sigma, 5),
            cut(steps.mean(), 2) + 1.0,
            int(steps.max()) + 1,
        ]
        if not self.history:  # what the first evaluation is compared with
            self.best_score = row[2]
        self.history.append(row)
        return row

    def add_evaluation(self, generation, seconds, score: float, params: list) -> bool:
        """Add an evaluation of `params`, (P,) rounded to 4 decimals; True where it is the best."""
        previous = self.best_score
        better = not self.evaluations or score > previous
        if better:
            self.best_score, self.best_params = score, params
        self.evaluations.append([generation, score, params])
        values = ("improvement", score - previous, "curr", score, "prev", previous)
        self.history_best.append([generation, int(seconds), *values, "best", self.best_score])
        return better

    def write(self, base: str | os.PathLike, mean: np.ndarray) -> None:
        """Write the five files of `base` (the last three once there has been an evaluation)."""
        write_text(f"{base}.json", controller_text(mean))
        write_text(f"{base}.hist.json", _lines(self.history))
        if self.evaluations:
            write_text(f"{base}.best.json", controller_text(self.best_params, self.best_score))
            write_text(f"{base}.hist_best.json", _lines(self.history_best))
            write_text(f"{base}.log.json", json.dumps(self.evaluations, allow_nan=False))


def cut(value: float, digits: int) -> float:
    """`value` with its further digits dropped, not rounded, as the histories have them."""
    scale = 10**digits
    return int(value * scale) / scale


def _lines(rows: list) -> str:
    return json.dumps(rows, indent=0, separators=(",", ":"), allow_nan=False)


def load_history(path: str | os.PathLike) -> list[list[float]]:
    """The rows of a .hist.json file, nine numbers each; UserError where it is anything else."""
    rows = _rows(path, len(HISTORY))
    if not all(_is_number(value) for row in rows for value in row):
        raise UserError(f"{path}: expected rows of {len(HISTORY)} finite numbers")
    return rows


def load_evaluations(path: str | os.PathLike) -> list[dict[str, float]]:
    """The rows of a .hist_best.json file, as dicts; UserError where it is anything else.

    Keys: generation, seconds, improvement, curr, prev, best.
    """
    result = []
    for row in _rows(path, 10):
        named = dict(
            zip(("generation", "seconds", *row[2::2]), (*row[:2], *row[3::2]), strict=True)
        )
        expected = ["generation", "seconds", "improvement", "curr", "prev", "best"]
        if list(named) != expected or not all(_is_number(value) for value in named.values()):
            raise UserError(f"{path}: expected rows of {', '.join(expected)}, found {row}")
        result.append(named)
    return result


def _rows(path, width: int) -> list:
    rows = read_json(path)
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == width for row in rows
    ):
        raise UserError(f"{path}: expected a list of rows of {width} values")
    return rows


def _is_number(value) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # True is an int as well
