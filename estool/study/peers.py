"""Other libraries' strategies on the same functions, and their updates beside ours, for bench.py.

An importable module, no command. evosax minimises in float32.
"""

from collections.abc import Callable, Mapping

import cma
import numpy as np

from estool import es
from kit.judge.timing import Row

Functions = Mapping[str, Callable[[np.ndarray], np.ndarray]]
RATE = 0.1  # of Adam, as in bench.SETTINGS


def pycma_rows(functions: Functions, size, population, generations, sigma) -> list[Row]:
    """pycma alone, with its own defaults: what es.CMAES stands on."""
    rows = []
    for label, function in functions.items():
        options = {"popsize": population, "seed": 1, "verbose": -9, "verb_log": 0}
        strategy = cma.CMAEvolutionStrategy(size * [0.0], sigma, options)
        for _ in range(generations):
            candidates = strategy.ask()
            strategy.tell(candidates, -function(np.array(candidates)))
        value = function(strategy.mean[None])[0]
        rows.append(Row(f"{label}, pycma's CMA-ES", value, f"after {generations} generations"))
    return rows


def _evosax(name: str, size: int, population: int, sigma: float):
    """(strategy, its parameters) of evosax with Adam and the step sizes of ours."""
    import jax.numpy as jnp
    import optax
    from evosax import algorithms

    adam = {"optimizer": optax.adam(RATE, b1=0.99, b2=0.999)}
    decay = optax.exponential_decay(sigma, 1, 0.999, end_value=0.01)
    options = {
        "CMA_ES": {},
        "Open_ES": adam | {"std_schedule": decay},
        "PGPE": adam,
    }[name]
    strategy = getattr(algorithms, name)(population, jnp.zeros(size), **options)
    params = strategy.default_params
    if name != "Open_ES":
        params = params.replace(std_init=sigma)
    return strategy, params


def evosax_rows(functions: Functions, size, population, generations, sigma) -> list[Row]:
    """evosax with Adam at the rate of bench.SETTINGS; PGPE without a schedule for its sizes."""
    import jax

    rows = []
    for label, function in functions.items():
        for name in ("CMA_ES", "Open_ES", "PGPE"):
            strategy, params = _evosax(name, size, population, sigma)
            key = jax.random.key(1)
            state = strategy.init(key, np.zeros(size, np.float32), params)
            ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
            for _ in range(generations):
                key, first, second = jax.random.split(key, 3)
                candidates, state = ask(first, state, params)
                cost = -function(np.asarray(candidates, np.float64))
                state, _ = tell(second, candidates, cost.astype(np.float32), state, params)
            value = function(np.asarray(state.mean, np.float64)[None])[0]
            rows.append(Row(f"{label}, evosax {name}", value, f"after {generations} generations"))
    return rows


class _Replay:
    """A generator that deals out the noise that the peer has drawn."""

    def __init__(self):
        self.noise = None

    def standard_normal(self, shape):
        assert self.noise.shape == shape
        return self.noise.copy()


def update_rows(function, size: int = 100, population: int = 100, generations: int = 20):
    """Ours and evosax's OpenES and PGPE on the same candidates: how far apart their means end.

    float32 leaves some millionths of what the mean has moved.
    """
    import jax

    rows, sigma = [], 0.5
    steady = {"sigma_decay": 1.0, "learning_rate": RATE, "learning_rate_decay": 1.0}
    steady |= {"sigma_init": sigma, "weight_decay": 0.0}
    pairs = {
        "Open_ES": es.OpenES(size, population, antithetic=True, **steady),
        "PGPE": es.PEPG(size, population, sigma_alpha=0.2, **steady),
    }
    for name, ours in pairs.items():
        theirs, params = _evosax(name, size, population, sigma)
        if name == "Open_ES":
            theirs.std_schedule = lambda _: sigma
        state = theirs.init(jax.random.key(1), np.zeros(size, np.float32), params)
        ours._rng = _Replay()
        for generation in range(generations):
            candidates, state = theirs.ask(jax.random.key(generation), state, params)
            candidates = np.asarray(candidates, np.float64)
            noise = (candidates - np.asarray(state.mean)) / np.asarray(state.std)
            ours._rng.noise = noise[: population // 2]
            mine = ours.ask()
            ours.tell(function(mine))
            cost = -function(candidates).astype(np.float32)
            state, _ = theirs.tell(jax.random.key(0), candidates, cost, state, params)
        moved = np.linalg.norm(ours.current_param())
        apart = np.linalg.norm(ours.current_param() - np.asarray(state.mean)) / moved
        what = f"same candidates, {generations} generations, ours and evosax {name}: mean"
        rows.append(Row(what, 1e6 * apart, "millionths of the way moved"))
        apart = abs(ours.rms_stdev() / float(np.mean(np.asarray(state.std))) - 1)
        rows.append(Row(what.replace("mean", "sigma"), 1e6 * apart, "millionths"))
    return rows
