"""Evolution strategies: ask for candidates, tell their returns. strategy.py has the interface.

STRATEGIES holds them under the names that `train.py -o` takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from estool.cmaes import CMAES
from estool.openes import OpenES
from estool.pepg import PEPG
from estool.simple_ga import SimpleGA
from estool.strategy import Strategy
from kit.command.errors import UserError

__all__ = ["CMAES", "PEPG", "STRATEGIES", "OpenES", "Recipe", "SimpleGA", "Strategy", "make"]

POPULATION_FLAGS = "--population, --num_worker_trial"  # what it comes from


@dataclass(frozen=True)
class Recipe:
    """A strategy as `train.py -o` starts it."""

    strategy: type[Strategy]
    weight_decay: float  # unless told otherwise
    options: Mapping[str, object] = field(default_factory=dict)
    decays: bool = True  # sigma shrinks on a schedule: takes sigma_decay
    pairs: bool = False  # needs an even number of candidates


_GRADIENT = {"sigma_limit": 0.02, "learning_rate_decay": 1.0, "learning_rate_limit": 0.01}
STRATEGIES: dict[str, Recipe] = {  # reference train.py, but for cma_diagonal
    "cma": Recipe(CMAES, 0.01, decays=False),
    "cma_diagonal": Recipe(CMAES, 0.01, {"diagonal": True}, decays=False),
    "ga": Recipe(SimpleGA, 0.005, {"sigma_limit": 0.02}),
    "openes": Recipe(OpenES, 0.005, _GRADIENT),
    "pepg": Recipe(PEPG, 0.005, _GRADIENT, pairs=True),
    "ses": Recipe(PEPG, 0.005, {"sigma_limit": 0.02, "elite_ratio": 0.1}, pairs=True),
}


def make(
    name: str,
    num_params: int,
    popsize: int,
    sigma_init: float,
    weight_decay: float | None,
    seed: int,
    sigma_decay: float = 0.999,
    antithetic: bool = True,
) -> Strategy:
    """The strategy called `name` with train.py's settings; `weight_decay` None: its own default.

    `sigma_decay` matters where the recipe decays, `antithetic` (mirrored candidates) to openes.
    Raises UserError where there is no such strategy or the population does not suit it.
    """
    if name not in STRATEGIES:
        raise UserError(f"-o/--optimizer: expected one of {', '.join(STRATEGIES)}, found {name!r}")
    recipe = STRATEGIES[name]
    if popsize < 3:
        raise UserError(f"{POPULATION_FLAGS}: expected 3 candidates or more, found {popsize}")
    mirrored = recipe.strategy is OpenES and antithetic
    if popsize % 2 and (recipe.pairs or mirrored):
        hint = " (or --antithetic 0)" if mirrored else ""
        raise UserError(f"{POPULATION_FLAGS}: {name} needs an even number{hint}, found {popsize}")
    options = dict(recipe.options)
    if recipe.decays:
        options["sigma_decay"] = sigma_decay
    if mirrored:
        options["antithetic"] = True
    decay = recipe.weight_decay if weight_decay is None else weight_decay
    return recipe.strategy(
        num_params, popsize, sigma_init=sigma_init, weight_decay=decay, seed=seed, **options
    )
