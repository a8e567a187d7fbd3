"""Benchmark estool's speed, and compare its strategies with other libraries'.

  python -m estool.study.bench [--json]     speed: ask + tell, episodes; about a minute
  python -m estool.study.bench --functions  what each strategy reaches on two functions, seconds
  python -m estool.study.bench --peers      the same beside pycma and evosax, and their updates

evosax (arXiv 2212.04180) needs JAX and is not among the requirements: make a .venv for --peers with
`pip install evosax cma threadpoolctl numpy tqdm` and start this with its python in the folder above
estool/. Without evosax only pycma is compared.
"""

import argparse
import importlib.util
import time

import numpy as np

from estool import es
from kit.judge import timing
from kit.judge.timing import Row

FLOOR = 1.0  # seconds for ask + tell of 1000 candidates of 10 000 parameters


def sphere(x: np.ndarray) -> np.ndarray:
    """Returns (N,) of candidates (N, P): 0 at 1."""
    return -((x - 1) ** 2).sum(1)


def rastrigin(x: np.ndarray) -> np.ndarray:
    """Returns (N,) of candidates (N, P): 0 at 10, and a local optimum at every whole number."""
    x = x - 10
    return -(10 * x.shape[1] + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(1))


def strategy_rows() -> list[Row]:
    """Seconds for ask + tell, and where CMA-ES with full covariance ends."""
    rows = []
    for name in es.STRATEGIES:
        if name != "cma":
            seconds = generation_seconds(es.make(name, 10_000, 1000, 0.1, 0.01, 1), 3)
            what = f"{name}, 10 000 parameters, 1000 candidates"
            rows.append(Row(what, seconds, "s", FLOOR / seconds, "faster than the floor"))
    for size in (500, 1000, 2000, 3000, 4000):
        rounds = max(3, 8000 // size)
        seconds = generation_seconds(es.make("cma", size, 64, 0.1, 0.01, 1), rounds, best=False)
        rows.append(Row(f"cma, {size} parameters, 64 candidates", seconds, "s"))
    return rows


def generation_seconds(strategy: es.Strategy, rounds: int, best: bool = True) -> float:
    """Of ask + tell: the best round, or the mean (CMA-ES decomposes only now and then).

    Processor seconds, which a busy machine leaves as they are: a strategy uses one thread.
    """
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        candidates = strategy.ask()
        strategy.tell(candidates[:, :10].sum(1))
        taken.append(time.process_time() - start)
    return min(taken) if best else float(np.mean(taken))


def episode_rows() -> list[Row]:
    """Steps a second of one process, beside gymnasium's own vector environment."""
    import gymnasium

    from estool import agents, games

    rows = []
    for name in ("cartpole_swingup", "biped", "half_cheetah", "double_pendulum"):
        game = games.find(name)
        rollouts = agents.Rollouts(game)
        size = rollouts.policy.num_params
        params = np.random.default_rng(0).standard_normal((64, size)) * 0.1
        seeds = np.arange(1_000_000, 1_000_064)

        def ours(rollouts=rollouts, params=params, seeds=seeds):
            return rollouts(params, seeds, 200)[1].sum()

        env = gymnasium.make_vec(game.env_id, 32, vectorization_mode="sync")
        env.reset(seed=0)
        controllers = agents.Controllers(rollouts.policy, params)
        pairs = np.arange(32)

        def theirs(env=env, controllers=controllers, pairs=pairs):
            seen = env.reset(seed=0)[0]
            for _ in range(200):
                seen = env.step(controllers.act(np.asarray(seen, float), pairs))[0]

        seconds = timing.seconds({"ours": ours, "theirs": theirs}, 3)
        rate, plain = ours() / seconds["ours"], 32 * 200 / seconds["theirs"]
        what = f"{game.env_id}, {size} parameters"
        rows.append(Row(what, rate, "steps/s", rate / plain, "gymnasium's SyncVectorEnv"))
        rollouts.close()
        env.close()
    return rows


# The settings of the original's notebook; GA with the others' step size, since it is stuck with .1.
SETTINGS = {
    "cma": (es.CMAES, {}),
    "cma_diagonal": (es.CMAES, {"diagonal": True}),
    "ga": (es.SimpleGA, {}),
    "openes": (es.OpenES, {"learning_rate": 0.1, "learning_rate_decay": 1.0}),
    "pepg": (es.PEPG, {"learning_rate": 0.1, "learning_rate_decay": 1.0}),
}
FUNCTIONS = {"sphere": sphere, "rastrigin": rastrigin}
SIZE, POPULATION, GENERATIONS, SIGMA = 100, 100, 2000, 0.5


def function_rows() -> list[Row]:
    """The value of the mean after GENERATIONS in 100 dimensions; 0 is the optimum of both."""
    rows = []
    for label, function in FUNCTIONS.items():
        for name, (kind, options) in SETTINGS.items():
            strategy = kind(SIZE, POPULATION, sigma_init=SIGMA, weight_decay=0.0, seed=1, **options)
            for _ in range(GENERATIONS):
                strategy.tell(function(strategy.ask()))
            value = function(strategy.current_param()[None])[0]
            rows.append(Row(f"{label}, {name}", value, f"after {GENERATIONS} generations"))
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print json")
    parser.add_argument("--functions", action="store_true", help="values reached, not speed")
    parser.add_argument("--peers", action="store_true", help="beside pycma and evosax")
    args = parser.parse_args(argv)
    if not (args.functions or args.peers):
        timing.show([*strategy_rows(), *episode_rows()], args.json)
        return
    rows = function_rows()
    if args.peers:
        from estool.study import peers  # here, because it needs what nobody else needs

        rows += peers.pycma_rows(FUNCTIONS, SIZE, POPULATION, GENERATIONS, SIGMA)
        if importlib.util.find_spec("evosax"):
            rows += peers.evosax_rows(FUNCTIONS, SIZE, POPULATION, GENERATIONS, SIGMA)
            rows += peers.update_rows(rastrigin)
    timing.show(rows, args.json)


if __name__ == "__main__":
    main()
