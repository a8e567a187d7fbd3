"""Measure how the loop scales with ranks. Episodes only sleep, so that one machine can hold many
ranks, and the loop's time remains.

  python -m estool.study.scaling -n 16                        16 ranks, 100 ms an episode
  mpirun -hosts a,b -n 128 python -m estool.study.scaling     over a network

Prints one line: the ranks, seconds a generation and of them asleep, the bytes to each rank and from
all of them, and the processor time of ask and tell, of rank 0 in all and of another rank. Seconds
depend on what else the machine does. Processor time does not.
"""

from kit.command import cli

cli.begin(__name__)

import time

import numpy as np

from estool import es
from estool.evaluator import Evaluator
from kit.command import mpi

STRATEGY = "pepg"


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("-n", "--num_worker", type=cli.positive_int, help="ranks (default: one for each core)")
    text = "candidates of a rank, each of which plays one episode"
    add("-t", "--num_worker_trial", type=cli.positive_int, default=4, help=text)
    add("--num_params", type=cli.positive_int, default=2804, help="of a candidate")
    add("--sleep", type=cli.positive_float, default=0.1, help="seconds of an episode")
    add("--generations", type=cli.positive_int, default=10, help="measured, after one that is not")
    return cli.parse(parser, argv=argv)


def main(argv=None):
    args = parse(argv)

    def rollouts(params, seeds, max_length, test):
        time.sleep(args.sleep * len(seeds))
        return params[:, 0].copy(), np.ones(len(seeds))

    with mpi.ranks(args.num_worker) as ranks:
        evaluator = Evaluator(ranks, rollouts)
        began = time.process_time()
        result = evaluator.serve() if ranks.rank else measure(args, ranks.size, evaluator)
        used = 1000 * (time.process_time() - began) / (args.generations + 1)
        cpu = ranks.collect(np.full((1, 1), used), ranks.size)
        if ranks.rank == 0:
            others = f" others {cpu[1:].mean():.1f} ms each" if ranks.size > 1 else ""
            print(f"{result} cpu of rank 0 {cpu[0, 0]:.1f} ms{others}")


def measure(args, ranks: int, evaluator: Evaluator) -> str:
    population = ranks * args.num_worker_trial
    strategy = es.make(STRATEGY, args.num_params, population, 0.1, 0.0, seed=1)
    seeds = np.arange(population)[:, None]
    seconds, thinking = [], []
    for _ in range(args.generations + 1):
        start, clock = time.perf_counter(), time.process_time()
        candidates = strategy.ask()
        asked = time.process_time()
        returns, _ = evaluator(candidates, seeds, -1, False)
        played = time.process_time()
        strategy.tell(returns[:, 0])
        thinking.append(asked - clock + time.process_time() - played)
        seconds.append(time.perf_counter() - start)
    evaluator.stop()
    ideal = args.sleep * args.num_worker_trial
    sent = (candidates.nbytes + seeds.nbytes) / ranks  # each candidate plays one episode
    return (
        f"ranks {ranks} candidates {population} parameters {args.num_params} "
        f"generation {np.median(seconds[1:]):.3f} s asleep {ideal:.3f} s "
        f"to each rank {sent / 1e6:.2f} MB, from all {16 * population / 1e3:.1f} kB "
        f"ask+tell {1000 * np.median(thinking[1:]):.1f} ms"
    )


if __name__ == "__main__":
    cli.run(main)
