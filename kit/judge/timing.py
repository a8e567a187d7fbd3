"""Benchmarks: functions timed in turns in one run, and a table of the results."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np


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


def sgemm_gflops(size: int = 1024, rounds: int = 20) -> float:
    """float32 matrix products of this machine on the threads numpy has: GFLOP/s."""
    a = np.random.default_rng(0).standard_normal((size, size), np.float32)
    return 2 * size**3 / seconds({"sgemm": lambda: a @ a}, rounds)["sgemm"] / 1e9


def show(rows: Sequence[Row], as_json: bool) -> None:
    """Print the rows as a table, or as json for machines."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    width = max(len(row.what) for row in rows)
    for row in rows:
        ratio = f"  {row.ratio:6.2f} x {row.against}" if row.ratio is not None else ""
        print(f"{row.what:{width}}  {row.rate:12,.{0 if row.rate > 9 else 2}f} {row.unit}{ratio}")
