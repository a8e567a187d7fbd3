"""How the loop scales: a generation whose episodes only sleep, so that one machine can hold many
ranks, and what is left is the loop's own time.

  python scaling.py -n 16                            16 ranks, 100 ms an episode
  mpirun -hosts a,b -n 128 python scaling.py         over a network

Prints one line: ranks, seconds a generation beside what the sleep alone takes, and where the rest
goes: handing out candidates and seeds, waiting for results, the strategy's ask and tell.
"""

import time

import numpy as np

from estool import cli, es, evolve, mpi

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
        evaluator = evolve.Evaluator(ranks, rollouts)
        if ranks.rank:
            evaluator.serve()
            return
        measure(args, ranks.size, evaluator)


def measure(args, ranks: int, evaluator: evolve.Evaluator) -> None:
    population = ranks * args.num_worker_trial
    strategy = es.make(STRATEGY, args.num_params, population, 0.1, 0.0, seed=1)
    seeds = np.arange(population)[:, None]
    rows = []
    for _ in range(args.generations + 1):
        start = time.perf_counter()
        candidates = strategy.ask()
        asked = time.perf_counter()
        returns, _ = evaluator(candidates, seeds, -1, False)
        played = time.perf_counter()
        strategy.tell(returns[:, 0])
        told = time.perf_counter()
        rows.append((told - start, played - asked, asked - start + told - played))
    evaluator.stop()
    whole, playing, strategy_time = np.median(rows[1:], axis=0)
    ideal = args.sleep * args.num_worker_trial
    sent = candidates.nbytes + seeds.nbytes
    print(
        f"ranks {ranks} candidates {population} parameters {args.num_params} "
        f"generation {whole:.3f} s asleep {ideal:.3f} s efficiency {ideal / whole:.1%} "
        f"handing out and collecting {1000 * (playing - ideal):.1f} ms "
        f"ask+tell {1000 * strategy_time:.1f} ms "
        f"to each rank {sent / 1e6:.2f} MB, from all {16 * population / 1e3:.1f} kB"
    )


if __name__ == "__main__":
    cli.run(main)
