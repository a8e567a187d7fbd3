"""Benchmarks: functions timed in turns in one run, and a table of the results."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kit.command import cli, launch


@dataclass
class Row:
    """A line of the table: a rate, and its ratio to another line where there is one."""

    what: str
    rate: float
    unit: str
    ratio: float | None = None
    against: str = ""


def seconds(functions: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The shortest time of each function over `rounds`, all in turns after a first call.

    In turns, because a busy machine slows everything for a while: ratios survive that.
    """
    for function in functions.values():
        function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


class Other:
    """Functions in another process of the same command, which may set its threads otherwise.

    It is started with --plain and there calls `serve`; `call` runs one function of it once.
    """

    def __init__(self):
        command = [sys.executable, *sys.orig_argv[1:], "--plain"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def call(self, name: str) -> None:
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != f"done {name}\n":
            raise RuntimeError(f"the other process ended before {name} was done")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def serve(functions: Mapping[str, Callable[[], object]]) -> None:
    """Run the function whose name is read from standard input, until there are no more names."""
    for line in sys.stdin:
        functions[line.strip()]()
        print("done", line.strip(), flush=True)


def parse(doc: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags of a benchmark: `json` for machines, and `plain` for the process of `Other`."""
    parser = cli.parser(doc)
    parser.add_argument("--json", action="store_true", help="print json")
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    return cli.parse(parser, argv=argv)


def sgemm_gflops(size: int = 1024, rounds: int = 20) -> float:
    """float32 matrix products of this machine on the threads numpy has: GFLOP/s."""
    a = np.random.default_rng(0).standard_normal((size, size), np.float32)
    return 2 * size**3 / seconds({"sgemm": lambda: a @ a}, rounds)["sgemm"] / 1e9


def rank_rows(save: Callable[[Path], None], arguments: str) -> list[Row]:
    """train.py in this folder with one single-threaded rank and with two.

    `save(folder)` writes the weights that it reads; `arguments` are its further flags.
    """
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        for count in (1, 2):
            command = f"train.py -n {count} --models {folder} --directory {folder}/{count} "
            environment = os.environ | dict.fromkeys(launch.THREADS, "1")
            output = subprocess.run(
                [sys.executable, *(command + arguments).split()],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            rates[count] = max(float(rate) for rate in re.findall(r"(\d+) steps/s", output))
    return [
        Row("train.py, 1 rank on 1 thread", rates[1], "steps/s"),
        Row("train.py, 2 ranks", rates[2], "steps/s", rates[2] / rates[1], "1 rank"),
    ]


def show(rows: Sequence[Row], as_json: bool) -> None:
    """Print the rows as a table, or as json for machines."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    width = max(len(row.what) for row in rows)
    for row in rows:
        ratio = f"  {row.ratio:6.2f} x {row.against}" if row.ratio is not None else ""
        print(f"{row.what:{width}}  {row.rate:12,.{0 if row.rate > 9 else 2}f} {row.unit}{ratio}")
