"""What evolution strategies have in common: the interface, ranks, weight decay, the best so far.

A strategy maximises. Use it like this:

    strategy = es.make("pepg", num_params, popsize, sigma_init=0.1, weight_decay=0.0, seed=1)
    while ...:
        candidates = strategy.ask()  # (N, P)
        strategy.tell(evaluate(candidates))  # returns, (N,), in the same order
"""

import abc
import functools

import numpy as np
import threadpoolctl


def one_thread():
    """A context in which numpy's matrix products use one thread.

    At these sizes more threads gain little, cost tenfold where another process wants the cores,
    and round differently: a run would not be the same on another number of cores.
    """
    return _threads().limit(limits=1, user_api="blas")


@functools.cache
def _threads() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


def centered_ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each of N values, evenly from -0.5 (lowest) to 0.5; equal values share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    return (first + (counts - 1) / 2)[place] / (len(values) - 1) - 0.5


class Strategy(abc.ABC):
    """A search distribution over P parameters, and N candidates a generation from it.

    A candidate's score is its return - weight_decay * mean(theta^2). Subclasses draw candidates in
    `_sample` and learn from them in `_learn`. All arrays are float64. All random numbers come
    from the strategy's generator, so that a pickle made between two generations continues bit
    for bit.
    """

    forget_best = False  # True: `best_param` is the best of the last generation only

    def __init__(self, num_params: int, popsize: int, weight_decay: float):
        self.num_params = num_params  # P
        self.popsize = popsize  # N
        self.weight_decay = weight_decay
        self._asked = None
        self._best_param = np.zeros(num_params)
        self._best_score = self._best_return = self._last_return = -np.inf

    def __str__(self):
        return f"{type(self).__name__} of {self.num_params} parameters, {self.popsize} candidates"

    def ask(self) -> np.ndarray:
        """The candidates of the next generation: float64 (N, P)."""
        with one_thread():
            self._asked = self._sample()
        return np.array(self._asked)

    def tell(self, returns: np.ndarray) -> None:
        """Learn from the candidates' returns, float (N,), in the order of `ask`.

        Raises RuntimeError without an `ask` before, ValueError where not all are finite.
        """
        if self._asked is None:
            raise RuntimeError("tell() needs an ask() before it")
        returns = np.asarray(returns, np.float64)
        if returns.shape != (self.popsize,) or not np.isfinite(returns).all():
            raise ValueError(f"expected {self.popsize} finite returns, found {returns}")
        candidates = np.asarray(self._asked)
        with one_thread():
            decay = self.weight_decay * np.mean(candidates**2, axis=1)
            self._remember(candidates, returns, returns - decay)
            self._learn(candidates, returns, decay)
        self._asked = None

    def _remember(self, candidates, returns, scores) -> None:
        self._last_return = float(returns.max())
        winner = int(np.argmax(scores))
        if self.forget_best or scores[winner] > self._best_score:
            self._best_score = float(scores[winner])
            self._best_return = float(returns[winner])
            self._best_param = candidates[winner].copy()

    @abc.abstractmethod
    def _sample(self) -> np.ndarray:
        """Draw candidates, (N, P)."""

    @abc.abstractmethod
    def _learn(self, candidates: np.ndarray, returns: np.ndarray, decay: np.ndarray) -> None:
        """Update from candidates (N, P), returns (N,) and weight decay (N,), 0 or more each."""

    @abc.abstractmethod
    def current_param(self) -> np.ndarray:
        """The centre of the search, float64 (P,): what an evaluation scores."""

    def best_param(self) -> np.ndarray:
        """The candidate with the best score, float64 (P,)."""
        return self._best_param.copy()

    @abc.abstractmethod
    def set_mu(self, mu: np.ndarray) -> None:
        """Move the centre to `mu`, (P,); whatever momentum led to the old one is forgotten."""

    @abc.abstractmethod
    def rms_stdev(self) -> float:
        """The size of a step, as the histories log it: the mean of the P standard deviations."""

    def result(self) -> tuple[np.ndarray, float, float, float]:
        """best_param, its return, the best return of the last generation, rms_stdev."""
        return self.best_param(), self._best_return, self._last_return, self.rms_stdev()


class GradientAscent:
    """Adam (Kingma & Ba 2014, arXiv 1412.6980) with a first decay of 0.99, as reference es.py."""

    def __init__(self, num_params: int, beta1: float = 0.99, beta2: float = 0.999):
        self._betas = beta1, beta2
        self._first, self._second = np.zeros(num_params), np.zeros(num_params)
        self._count = 0

    def step(self, gradient: np.ndarray, rate: float, epsilon: float = 1e-8) -> np.ndarray:
        """What to add to the parameters, (P,), for their gradient (P,)."""
        beta1, beta2 = self._betas
        self._count += 1
        self._first = beta1 * self._first + (1 - beta1) * gradient
        self._second = beta2 * self._second + (1 - beta2) * gradient**2
        scale = rate * np.sqrt(1 - beta2**self._count) / (1 - beta1**self._count)
        return scale * self._first / (np.sqrt(self._second) + epsilon)
