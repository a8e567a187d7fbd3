"""Evolution strategies: ask for candidates, tell their returns.

A strategy maximises. Each one subclasses `Strategy` and stands in STRATEGIES under the name that
`train.py -o` takes.
"""

import abc
import functools
import warnings

import cma
import numpy as np
import threadpoolctl
from cma.sigma_adaptation import CMAAdaptSigmaCSA

from estool.errors import UserError


def one_thread():
    """A context in which numpy's matrix products use one thread.

    At these sizes more threads gain little, cost tenfold where another process wants the cores,
    and round differently: a run would not be the same on another number of cores.
    """
    return _threads().limit(limits=1, user_api="blas")


@functools.cache
def _threads() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


class Strategy(abc.ABC):
    """What the loop in evolve.py needs of a strategy. Instances can be pickled between tells."""

    num_params: int  # P
    popsize: int  # N

    @abc.abstractmethod
    def ask(self) -> np.ndarray:
        """The candidates of the next generation: float64 (N, P)."""

    @abc.abstractmethod
    def tell(self, returns: np.ndarray) -> None:
        """Learn from the candidates' returns, float (N,), in the order of `ask`."""

    @abc.abstractmethod
    def current_param(self) -> np.ndarray:
        """The mean of the distribution, float64 (P,)."""

    @abc.abstractmethod
    def best_param(self) -> np.ndarray:
        """The best candidate of all generations, float64 (P,)."""

    @abc.abstractmethod
    def set_mu(self, mu: np.ndarray) -> None:
        """Move the mean of the distribution to `mu`, (P,)."""

    @abc.abstractmethod
    def rms_stdev(self) -> float:
        """The size of a step, as the histories log it: the mean of the P standard deviations."""

    @abc.abstractmethod
    def result(self) -> tuple[np.ndarray, float, float, float]:
        """best_param, its return, the best return of the last generation, rms_stdev."""


class CMAES(Strategy):
    """CMA-ES with full covariance from the mean 0, on pycma.

    The step size is adapted by CSA whatever the version of pycma: 4.5.0 would take TPA by default
    at a thousand parameters, and sigma would grow where that of the paper's experiments fell.

    With `weight_decay` a candidate counts for return - weight_decay * mean(theta^2). (The code
    published with the paper has the sign of the second term reversed.)
    """

    def __init__(
        self,
        num_params: int,
        popsize: int,
        sigma_init: float = 0.1,
        weight_decay: float = 0.01,
        seed: int = 0,
    ):
        self.num_params = num_params
        self.popsize = popsize
        self.weight_decay = weight_decay
        options = {
            "popsize": popsize,
            "AdaptSigma": CMAAdaptSigmaCSA,
            # A generator of its own: nothing else in the process shifts its numbers, and it is
            # pickled with the strategy.
            "randn": np.random.RandomState(seed).randn,
            "seed": np.nan,  # leave numpy's global generator alone
            "verbose": -10,  # no output, no log files, no file of signals
            "verb_log": 0,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it recommends other settings for 1000 parameters
            self._es = cma.CMAEvolutionStrategy(num_params * [0.0], sigma_init, options)
        self._asked: list[np.ndarray] | None = None
        self._best_param = np.zeros(num_params)
        self._best_score = self._best_return = self._last_return = -np.inf

    def ask(self) -> np.ndarray:
        with one_thread():
            self._asked = self._es.ask()
        return np.array(self._asked)

    def tell(self, returns: np.ndarray) -> None:
        if self._asked is None:
            raise RuntimeError("tell() needs an ask() before it")
        returns = np.asarray(returns, np.float64)
        if returns.shape != (self.popsize,) or not np.isfinite(returns).all():
            raise ValueError(f"expected {self.popsize} finite returns, found {returns}")
        candidates = np.array(self._asked)  # (N, P)
        scores = returns - self.weight_decay * np.mean(candidates**2, axis=1)
        with one_thread():
            self._es.tell(self._asked, -scores)  # pycma minimises
        self._asked = None
        self._last_return = float(returns.max())
        winner = int(np.argmax(scores))
        if scores[winner] > self._best_score:
            self._best_score = float(scores[winner])
            self._best_return = float(returns[winner])
            self._best_param = candidates[winner]

    def current_param(self) -> np.ndarray:
        return np.array(self._es.mean)

    def best_param(self) -> np.ndarray:
        return self._best_param.copy()

    def set_mu(self, mu: np.ndarray) -> None:
        """Move the mean; the paths that led to the old one are forgotten, the covariance kept."""
        self._es.mean = np.array(mu, np.float64)
        self._es.pc[:] = 0
        self._es.adapt_sigma.ps[:] = 0

    def rms_stdev(self) -> float:
        return float(np.mean(self._es.stds))

    def result(self) -> tuple[np.ndarray, float, float, float]:
        return self.best_param(), self._best_return, self._last_return, self.rms_stdev()


STRATEGIES: dict[str, type[Strategy]] = {"cma": CMAES}


def make(
    name: str, num_params: int, popsize: int, sigma_init: float, weight_decay: float, seed: int
) -> Strategy:
    """The strategy called `name`; UserError where there is none or the population is too small."""
    if name not in STRATEGIES:
        raise UserError(f"-o/--optimizer: expected one of {', '.join(STRATEGIES)}, found {name!r}")
    if popsize < 3:
        raise UserError(f"--population: expected 3 candidates or more, found {popsize}")
    return STRATEGIES[name](
        num_params, popsize, sigma_init=sigma_init, weight_decay=weight_decay, seed=seed
    )
