"""Trainings that differ in a few flags: train each, score each, and write one table.

An importable module, no command; the rooms' study/ablation.py and temperatures.py use it. Every
variant has a separate folder with all that train.py writes. Started again, a training goes on from
its checkpoint. Nothing is scored twice unless its agent has changed. With more generations a table
is continued.
"""

import argparse
import csv
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from estool import history
from kit.command import cli, interrupts
from kit.command.errors import UserError
from kit.files.atomic import read_json, write_json, write_text

CONTROLLER = "{controller}"  # where a scoring command names the agent


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table; scripts are those of the room."""

    name: str
    train: Sequence[str]  # the arguments of train.py
    scores: Mapping[str, Sequence[str]]  # column -> the arguments of model.py
    files: Sequence[Path] = ()  # what the agent stands on: V and M


@dataclasses.dataclass(frozen=True)
class Place:
    """Where trainings run: the folder of the scripts, that of the results, and how they run."""

    room: Path
    folder: Path
    generations: int
    workers: int | None = None  # processes; None: one a core

    def call(self, script: str, arguments: Sequence[str]) -> None:
        """Run a script that ends with this process; UserError where it fails."""
        workers = ["-n", str(self.workers)] if self.workers else []
        command = [sys.executable, str(self.room / script), *arguments, *workers]
        print("+", script, *command[2:], flush=True)
        environment = os.environ | {interrupts.PARENT: str(os.getpid())}
        with subprocess.Popen(command, env=environment) as process:
            try:
                status = process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if status == 130:
            raise KeyboardInterrupt
        if status:
            raise UserError(f"{script} ended with status {status}, see above")


def add_arguments(parser: argparse.ArgumentParser, **defaults) -> None:
    """Add the flags of a table of trainings, with `defaults` for those that have none here."""
    add, count = parser.add_argument, cli.positive_int
    add("--generations", type=count, help="of each agent")
    add("--population", type=count, help="candidates in a generation")
    add("--num_episode", type=count, help="episodes that a candidate plays in a generation")
    add("--eval_steps", type=count, help="generations from one choice of the best to the next")
    add("--episodes", type=count, help="test episodes that each agent is scored on")
    add("--seed", type=cli.non_negative_int, default=0, help="first test seed of the scores")
    add("--seed_start", type=cli.non_negative_int, default=111, help="fixes the evolutions")
    add("--max_length", type=count, help="steps of an episode")
    add("-n", "--num_worker", type=count, help="processes (default: one a core)")
    add("--models", type=Path, help="folder of V, M and first latents")
    add("--output", type=Path, help="folder of the results")
    parser.set_defaults(**defaults)


def copy_models(models: Path, folder: Path, files: Sequence[str]) -> None:
    """Copy `files` of the folder `models` into `folder`; UserError where one is missing."""
    for name in files:
        if not (models / name).is_file():
            raise UserError(f"{models / name}: expected a file, found nothing")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(models / name, folder / name)


def check_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace, lengths=("generations",)
):
    """`args`; a usage error where the trainings would end before a best agent is chosen."""
    for name in lengths:
        if getattr(args, name) < args.eval_steps:
            parser.error(
                f"--{name} {getattr(args, name)} ends before the first choice of the best, at "
                f"--eval_steps {args.eval_steps}"
            )
    return args


def run(variants: Iterable[Variant], place: Place) -> dict:
    """Train and score all variants; {name: {"training": {...}, column: {...}}}.

    One after the other: what an iterator of them does for the next comes after this one's scores.
    Writes results.json after every score, so that a look in between shows what there is.
    UserError where a script failed, or where a folder holds the training of another variant.
    """
    results = {}
    for variant in variants:
        base = train(variant, place)
        results[variant.name] = {"training": _training(base)}
        for column, arguments in variant.scores.items():
            file = place.folder / variant.name / f"{column}.csv"
            returns = score(place, arguments, file, Path(f"{base}.best.json"))
            results[variant.name][column] = statistics(returns)
            write_json(place.folder / "results.json", results, indent=2)
    return results


def train(variant: Variant, place: Place) -> str:
    """Bring the training of `variant` to its last generation; returns the base of its logs."""
    folder = place.folder / variant.name
    made_with = {"arguments": list(variant.train), "files": [_digest(p) for p in variant.files]}
    stamp = folder / "made_with.json"
    if stamp.is_file() and read_json(stamp) != made_with:
        raise UserError(
            f"{folder} holds a training with other flags or other weights: move it away to start "
            "afresh, or name another --output"
        )
    write_json(stamp, made_with)
    base = _base(folder)
    if base is None or len(history.load_history(f"{base}.hist.json")) < place.generations:
        where = ["--generations", str(place.generations), "--directory", str(folder)]
        place.call("train.py", [*variant.train, *where])
        base = _base(folder)
    if base is None:
        raise UserError(f"{folder / 'log'}: expected a training with an evaluation, found none")
    return base


def score(
    place: Place, arguments: Sequence[str], file: Path, controller: Path | None = None
) -> np.ndarray:
    """Returns (episodes,) by model.py, kept in the csv `file`; played again for another agent."""
    named = [str(controller) if word == CONTROLLER else word for word in arguments]
    sources = [controller] if controller else []
    make(place, "model.py", [*named, "--csv", str(file)], file, sources)
    return read_returns(file)


def make(
    place: Place, script: str, arguments: Sequence[str], file: Path, sources: Sequence[Path]
) -> None:
    """Run a script that writes `file`, unless that lies there, made like this of such `sources`."""
    made_with = {"arguments": list(arguments), "files": [_digest(path) for path in sources]}
    stamp = file.with_suffix(".made_with.json")
    if not (file.is_file() and stamp.is_file() and read_json(stamp) == made_with):
        place.call(script, arguments)
        write_json(stamp, made_with)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: expected a file, found nothing")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_returns(file: Path) -> np.ndarray:
    """The column `reward` of a csv of scores.save_csv, float64 (episodes,)."""
    with file.open(newline="") as rows:
        return np.array([float(row["reward"]) for row in csv.DictReader(rows)])


def statistics(returns: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation, standard error, median and number of the returns (N,)."""
    deviation = float(returns.std())
    return {
        "mean": float(returns.mean()),
        "stdev": deviation,
        "stderr": deviation / len(returns) ** 0.5,
        "median": float(np.median(returns)),
        "episodes": len(returns),
    }


def write_table(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a markdown table and return its text."""
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
    write_text(path, text)
    return text


def cell(values: Mapping[str, float]) -> str:
    """`mean ± stdev (stderr)` of `statistics`."""
    return f"{values['mean']:.0f} ± {values['stdev']:.0f} ({values['stderr']:.0f})"


def _base(folder: Path) -> str | None:
    """The path of a folder's logs without their suffixes; None where it has no agent yet."""
    found = sorted((folder / "log").glob("*.best.json"))
    if len(found) > 1:
        raise UserError(f"{folder / 'log'}: expected the logs of one training, found {len(found)}")
    return str(found[0]).removesuffix(".best.json") if found else None


def _training(base: str) -> dict[str, float]:
    """What a training took: parameters, generations, hours, and steps of its candidates."""
    rows = np.array(history.load_history(f"{base}.hist.json"), float)
    settings = read_json(f"{base}.settings.json")
    episodes = settings["population"] * settings["num_episode"]
    steps = float((rows[:, 7] - 1).sum() * episodes)
    return {
        "parameters": settings["num_params"],
        "generations": len(rows),
        "hours": rows[-1, 1] / 3600,
        "steps": steps,
    }
