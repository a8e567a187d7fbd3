"""Train steps beside the original's, in one run; what they are made of.

    python -m dreamerv2.study.bench [--sizes atari laptop] [--rounds 5] [--json]

The original (built as parity.py does, in --folder) and ours take turns, each with all cores. A
busy machine slows both, so that ratios hold; rates are of the fastest round, processor seconds the
median. Then the share of what this machine's matrix products could do, and a profile of one step.
Takes about ten minutes, most of it the original's compilation.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from dreamerv2.study import profile
from dreamerv2.study.cases import Case, spaces
from dreamerv2.study.flops import train_step_flops
from dreamerv2.study.parity import Original
from kit.command import cli
from kit.command.mpi import usable_cores
from kit.judge import timing
from kit.judge.timing import Row

ATARI = {"image": (64, 64, 1)}
COLOUR = {"image": (64, 64, 3)}
# as in parity.py: blocks, settings, observations, actions, discrete
SIZES = {
    "atari": (["atari"], {}, ATARI, 6, True),
    "laptop": (["laptop"], {}, COLOUR, 7, True),
    "laptop_vectors": (["dmc_proprio", "laptop"], {}, {"vector": (17,)}, 6, False),
}


class Timed:
    """A function that takes one train step, and the processor seconds of its process."""

    def __init__(self, step, process: psutil.Process):
        self._step, self._process = step, process
        self.wall: list[float] = []
        self.processor: list[float] = []

    def __call__(self) -> None:
        start, before = time.perf_counter(), sum(self._process.cpu_times()[:2])
        self._step()
        self.wall.append(time.perf_counter() - start)
        self.processor.append(sum(self._process.cpu_times()[:2]) - before)


def original_step(original: Original, case: Case, folder: str, threads: int):
    """A process of the original, and a function that lets it take one step."""
    job = case.job(Path(folder), "serve", {}, threads=threads)
    pipe = subprocess.PIPE
    process = original.start(job, folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    def step():
        process.stdin.write("step\n")
        process.stdin.flush()
        if process.stdout.readline() != "done step\n":
            raise RuntimeError("the original ended before its step was done")

    return process, step


def our_agent(case: Case, precision: int):
    """Ours with that precision, as training makes it."""
    from dreamerv2.agent import Agent

    config = case.config.update({"precision": precision})
    return Agent(config, *spaces(case.observations, case.actions, case.discrete))


def matrix_gflops(dtype: str, size: int = 2048, rounds: int = 10) -> float:
    """GFLOP/s of a matrix product of this type, over processor seconds of one core."""
    from kit.tensors.tf import graph_function, tf

    a = tf.cast(tf.random.normal((size, size)), dtype)
    product = graph_function(lambda a: tf.matmul(a, a))
    timed = Timed(lambda: product(a).numpy(), psutil.Process())
    for _ in range(rounds):
        timed()
    return 2 * size**3 / min(timed.processor[1:]) / 1e9


def size_rows(name: str, original: Original, rounds: int) -> list[Row]:
    """The lines of the table for one size."""
    case = Case(name, SIZES[name], {})
    own = psutil.Process()
    agents = {"bfloat16": our_agent(case, 16), "float32": our_agent(case, 32)}
    with tempfile.TemporaryDirectory() as folder:
        process, step = original_step(original, case, folder, usable_cores())
        try:
            timed = {"original float32": Timed(step, psutil.Process(process.pid))}
            for label, agent in agents.items():
                timed[f"ours {agent.dtype.name}" if label == "bfloat16" else "ours float32"] = (
                    Timed(lambda agent=agent: agent.train(case.batch), own)
                )
            for function in timed.values():  # compiles
                function()
                function()
            for _ in range(rounds):
                for function in timed.values():
                    function()
        finally:
            process.stdin.close()
            process.wait()
    base = timed["original float32"]
    flops = train_step_flops(case, agents["float32"])
    rows = []
    for label, function in timed.items():
        wall, processor = min(function.wall[2:]), float(np.median(function.processor[2:]))
        ratio = float(np.median(base.processor[2:])) / processor
        ours = label != "original float32"
        against = "the original, processor seconds"
        rows.append(Row(f"{name}: {label}", 1 / wall, "train steps/s"))
        rows.append(
            Row(f"{name}: {label}", processor, "processor s", ratio if ours else None, against)
        )
        if ours:
            ratio = float(np.median(np.array(base.wall[2:]) / np.array(function.wall[2:])))
            rows.append(Row(f"{name}: {label}, wall", wall, "s", ratio, "the original, wall"))
        dtype = "bfloat16" if "bfloat16" in label else "float32"
        bound = matrix_gflops(dtype)
        share = flops / processor / 1e9 / bound
        what = f"{name}: {label}, share of {dtype} products' {bound:.0f} GFLOP/s a core"
        rows.append(Row(what, 100 * share, "%"))
    rows.append(Row(f"{name}: work of a step", flops / 1e9, "GFLOP"))
    shares = profile.shares(agents["bfloat16"], case.batch)
    rows += [Row(f"{name}: {kind}", 100 * share, "% of the step") for kind, share in shares]
    return rows


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/dreamerv2-original"))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["atari", "laptop"])
    parser.add_argument("--rounds", type=cli.positive_int, default=5)
    parser.add_argument("--json", action="store_true", help="print json")
    args = parser.parse_args(argv)
    from kit.tensors.precision import use_threads

    use_threads(usable_cores(), 2)
    original = Original(args.folder)
    rows = [row for name in args.sizes for row in size_rows(name, original, args.rounds)]
    memory = psutil.Process(os.getpid()).memory_info().rss / 1e9
    timing.show([*rows, Row("memory of this process", memory, "GB")], args.json)


if __name__ == "__main__":
    cli.run(main)
