"""A simple genetic algorithm, reference es.py."""

import numpy as np

from estool.strategy import Strategy


class SimpleGA(Strategy):
    """Children of two random elites, gene by gene from the one or the other, plus noise.

    The elites are the best `elite_ratio` of all that lived, or with `forget_best` of the last
    generation. `current_param` is the best of them.
    """

    def __init__(
        self,
        num_params: int,
        popsize: int = 256,
        sigma_init: float = 0.1,
        sigma_decay: float = 0.999,
        sigma_limit: float = 0.01,
        elite_ratio: float = 0.1,
        forget_best: bool = False,
        weight_decay: float = 0.01,
        seed: int = 0,
    ):
        super().__init__(num_params, popsize, weight_decay)
        self.sigma, self.sigma_decay, self.sigma_limit = sigma_init, sigma_decay, sigma_limit
        self.elite_size = max(1, int(popsize * elite_ratio))
        self.forget_best = forget_best
        self._rng = np.random.default_rng(seed)
        self.set_mu(np.zeros(num_params))

    def _sample(self):
        shape = self.popsize, self.num_params
        mothers, fathers = self._rng.integers(len(self._elites), size=(2, self.popsize))
        genes = np.frombuffer(self._rng.bytes(-(-shape[0] * shape[1] // 8)), np.uint8)
        of_father = np.unpackbits(genes, count=shape[0] * shape[1]).view(bool).reshape(shape)
        candidates = self._rng.standard_normal(shape)
        candidates *= self.sigma
        candidates += np.where(of_father, self._elites[fathers], self._elites[mothers])
        return candidates

    def _learn(self, candidates, returns, decay):
        scores = returns - decay
        if not self.forget_best:
            candidates = np.concatenate((candidates, self._elites))
            scores = np.concatenate((scores, self._elite_scores))
        best = np.argsort(-scores, kind="stable")[: self.elite_size]
        self._elites, self._elite_scores = candidates[best], scores[best]
        if self.sigma > self.sigma_limit:
            self.sigma *= self.sigma_decay

    def current_param(self):
        return self._elites[0].copy()

    def set_mu(self, mu):
        """Make `mu` the only parent of the next generation; any of its children outranks it."""
        self._elites = np.array(mu, np.float64)[None]
        self._elite_scores = np.full(1, -np.inf)

    def rms_stdev(self):
        return float(self.sigma)
