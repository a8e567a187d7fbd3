"""Runs as curves: read from metrics.jsonl, put into bins, combined over tasks."""

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import read_json

BASELINES = Path(__file__).parents[1] / "scores" / "baselines.json"
BINS = {"atari": 1e6, "dmc": 1e4, "crafter": 1e4}
OTHER_BINS = 1e5
FEWEST_BINS, USUAL_BINS = 10, 30  # a short run gets narrower bins by itself


@dataclass(frozen=True)
class Run:
    """A curve, xs and ys float (N,); a baseline is a level: xs is None and ys one number."""

    task: str
    method: str
    seed: str
    xs: np.ndarray | None
    ys: np.ndarray


def load(
    indirs: Sequence[Path],
    xaxis: str,
    yaxis: str,
    tasks: Sequence[re.Pattern],
    methods: Sequence[re.Pattern],
    prefix: bool,
) -> tuple[list[Run], set[str]]:
    """The runs under `indirs`, and the keys that their logs hold.

    A folder's logs lie at <task>/<method>/<seed>/*.jsonl; what is missing of that is filled in
    (the folder's name, "dreamerv2", "1"). A file is a list of runs, as plot.py writes it. Raises
    UserError for a folder or file that is not there.
    """
    runs, keys = [], set()
    for number, indir in enumerate(indirs, 1):
        name = f"indir{number}_"
        found = _from_file(indir) if indir.is_file() else []
        if not indir.exists():
            raise UserError(f"--indir: expected a folder or a json file, found nothing at {indir}")
        for path in sorted(indir.glob("**/*.jsonl")):
            rows = _rows(path)
            keys |= {key for row in rows for key in row}
            pairs = [(row[xaxis], row[yaxis]) for row in rows if xaxis in row and yaxis in row]
            pairs = [(x, y) for x, y in pairs if None not in (x, y)]
            if pairs:
                xs, ys = np.array(sorted(pairs, key=lambda pair: pair[0]), float).T
                found.append(Run(*_place(path, indir), xs, ys))
        for run in found:
            if any(p.search(run.task) for p in tasks) and any(
                p.search(run.method) for p in methods
            ):
                method = name + run.method if prefix else run.method
                runs.append(replace(run, method=method, seed=name + run.seed))
    return runs, keys


def _matches(text: str, patterns: Sequence[re.Pattern]) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _rows(path: Path) -> list[dict]:
    """The lines of a log; the last may have been cut off by a kill."""
    lines, rows = path.read_text(encoding="utf-8", errors="replace").splitlines(), []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise UserError(f"{path}: line {number} is no json object ({error})") from error
    return rows


def _place(path: Path, indir: Path) -> tuple[str, str, str]:
    """Task, method and seed, from where a log lies."""
    parts = path.relative_to(indir).parts[:-1] or (indir.resolve().name,)
    task, method, *seed = (*parts, *("dreamerv2", "1")[len(parts) - 1 :])
    return task, method, "_".join(seed)


def _from_file(path: Path) -> list[Run]:
    try:
        return [
            Run(
                str(record["task"]),
                str(record["method"]),
                str(record["seed"]),
                np.array(record["xs"], float),
                np.array(record["ys"], float),
            )
            for record in read_json(path)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected a list of runs as in runs.json ({error})") from error


def to_records(runs: Sequence[Run]) -> list[dict]:
    """What runs.json holds; NaN, an empty bin, becomes null."""
    return [
        {
            "task": run.task,
            "method": run.method,
            "seed": run.seed,
            "xs": run.xs.tolist(),
            "ys": [None if np.isnan(y) else y for y in run.ys.tolist()],
        }
        for run in runs
    ]


def baselines(patterns: Sequence[re.Pattern], prefix: bool = False) -> list[Run]:
    """The published scores whose method matches: scores/baselines.json."""
    found = []
    for task, methods in read_json(BASELINES).items():
        for method, score in methods.items():
            name = f"baseline_{method}" if prefix else method
            if _matches(name, patterns):
                found.append(Run(task, name, "", None, np.array(float(score))))
    return found


def bin_tasks(runs: Sequence[Run], width: float) -> list[Run]:
    """Each run as the means of bins, at their right borders; the same bins for all of a task.

    Args: width: of a bin; 0 leaves the runs as they are, -1 takes the suite's usual one, narrower
    where a task's longest run would have fewer than ten.
    """
    if not width:
        return list(runs)
    binned = []
    for run in runs:
        longest = max(other.xs.max() for other in runs if other.task == run.task)
        size = width
        if width < 0:
            size = BINS.get(run.task.split("_")[0], OTHER_BINS)
            size = size if longest >= FEWEST_BINS * size else max(longest, 1) / USUAL_BINS
        last = int(np.ceil(run.xs.max() / size - 1e-9))
        borders = np.arange(max(last, 1) + 1) * size
        binned.append(replace(run, xs=borders[1:], ys=bin_means(run.xs, run.ys, borders)))
    return binned


def bin_means(xs: np.ndarray, ys: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """The mean of `ys` between each two borders (left, right], NaN where there is none.

    xs, ys (N,), borders (B + 1,) -> (B,). What lies at the first border belongs to the first bin.
    """
    places = np.clip(np.searchsorted(borders, xs, side="left") - 1, 0, None)
    known = np.isfinite(ys) & (places < len(borders) - 1)
    sums = np.bincount(places[known], ys[known], len(borders) - 1)
    counts = np.bincount(places[known], minlength=len(borders) - 1)
    with np.errstate(invalid="ignore"):
        return sums / counts


def stack(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """The longest run's xs (N,), and every run's ys at them, (N, runs).

    A run that ended earlier keeps its last value.
    """
    xs = max((run.xs for run in runs), key=lambda values: values[-1])
    columns = []
    for run in runs:
        places = np.searchsorted(run.xs, xs - 1e-9, side="left")
        columns.append(run.ys[np.clip(places, 0, len(run.ys) - 1)])
    return xs, np.stack(columns, -1)


def combine(
    runs: Sequence[Run],
    aggregate: Callable[[np.ndarray], np.ndarray],
    low: str = "",
    high: str = "",
    most: float = np.inf,
) -> list[Run]:
    """One curve for each method and seed: `aggregate` over the tasks, (N, tasks) -> (N,).

    With `low` and `high`, baselines of scores/baselines.json, scores are put on the scale where
    those are 0 and 1, and cut at `most`; tasks without both are left out.
    """
    curves = [run for run in runs if run.xs is not None]
    if low:
        bottom = {run.task: run.ys for run in baselines([re.compile(f"^{low}$")])}
        top = {run.task: run.ys for run in baselines([re.compile(f"^{high}$")])}
        curves = [run for run in curves if run.task in bottom and run.task in top]
        shares = [(r.ys - bottom[r.task]) / (top[r.task] - bottom[r.task]) for r in curves]
        curves = [replace(r, ys=np.minimum(y, most)) for r, y in zip(curves, shares, strict=True)]
    combined = []
    for method, seed in sorted({(run.method, run.seed) for run in curves}):
        xs, ys = stack([run for run in curves if (run.method, run.seed) == (method, seed)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # bins that are empty in all tasks
            combined.append(Run("combined", method, seed, xs, aggregate(ys)))
    return combined


def spread(ys: np.ndarray, name: str) -> Mapping[str, np.ndarray]:
    """Low, middle and high of ys (N, runs): std1, per0, per5 or per25."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # empty bins stay NaN
        if name == "std1":
            mean, deviation = np.nanmean(ys, -1), np.nanstd(ys, -1)
            return {"low": mean - deviation, "middle": mean, "high": mean + deviation}
        outer = {"per0": 0, "per5": 5, "per25": 25}[name]
        low, middle, high = np.nanpercentile(ys, (outer, 50, 100 - outer), axis=-1)
        return {"low": low, "middle": middle, "high": high}
