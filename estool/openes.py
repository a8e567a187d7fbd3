"""OpenAI's evolution strategy: Salimans et al. 2017, arXiv 1703.03864."""

import numpy as np

from estool.strategy import GradientAscent, Strategy, centered_ranks


class OpenES(Strategy):
    """A Gaussian of one step size whose mean climbs the estimated gradient with Adam.

        theta_i = mu + sigma eps_i,    gradient = sum_i r_i eps_i / (N sigma)

    with r the returns, `rank_fitness`: their centered ranks, minus weight decay, standardised.
    `antithetic`: the second half of the candidates mirrors the first.
    """

    def __init__(
        self,
        num_params: int,
        popsize: int = 256,
        sigma_init: float = 0.1,
        sigma_decay: float = 0.999,
        sigma_limit: float = 0.01,
        learning_rate: float = 0.01,
        learning_rate_decay: float = 0.9999,
        learning_rate_limit: float = 0.001,
        antithetic: bool = False,
        weight_decay: float = 0.01,
        rank_fitness: bool = True,
        forget_best: bool = True,
        seed: int = 0,
    ):
        if antithetic and popsize % 2:
            raise ValueError(f"antithetic candidates come in pairs, found {popsize} of them")
        super().__init__(num_params, popsize, weight_decay)
        self.sigma, self.sigma_decay, self.sigma_limit = sigma_init, sigma_decay, sigma_limit
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.learning_rate_limit = learning_rate_limit
        self.antithetic, self.rank_fitness = antithetic, rank_fitness
        self.forget_best = forget_best
        self._rng = np.random.default_rng(seed)
        self._noise = None
        self.set_mu(np.zeros(num_params))

    def _sample(self):
        if self.antithetic:
            half = self._rng.standard_normal((self.popsize // 2, self.num_params))
            self._noise = np.concatenate((half, -half))
        else:
            self._noise = self._rng.standard_normal((self.popsize, self.num_params))
        return self._mu + self.sigma * self._noise

    def _learn(self, candidates, returns, decay):
        rewards = (centered_ranks(returns) if self.rank_fitness else returns) - decay
        spread = rewards.std()
        rewards = (rewards - rewards.mean()) / spread if spread > 0 else np.zeros(self.popsize)
        gradient = rewards @ self._noise / (self.popsize * self.sigma)
        self._mu += self._ascent.step(gradient, self.learning_rate)
        self._noise = None
        if self.sigma > self.sigma_limit:
            self.sigma *= self.sigma_decay
        if self.learning_rate > self.learning_rate_limit:
            self.learning_rate *= self.learning_rate_decay

    def current_param(self):
        return self._mu.copy()

    def set_mu(self, mu):
        self._mu = np.array(mu, np.float64)
        self._ascent = GradientAscent(self.num_params)

    def rms_stdev(self):
        return float(self.sigma)
