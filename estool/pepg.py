"""PEPG: Sehnke et al. 2010, "Parameter-exploring policy gradients"; defaults of reference es.py."""

import numpy as np

from estool.strategy import GradientAscent, Strategy, centered_ranks


class PEPG(Strategy):
    """A Gaussian with a step size for each parameter; mirrored pairs teach its mean and its sizes.

    With eps ~ N(0, sigma^2) and rewards r+ of mu + eps and r- of mu - eps, B pairs of them:

        mu    climbs sum (r+ - r-) eps with Adam, or with `elite_ratio` > 0 moves by the mean of
              the elite's eps (what train.py calls ses)
        sigma grows by sigma_alpha sum ((r+ + r-) / 2 - b) (eps^2 - sigma^2) / sigma / (2 B s),
              by no more than the share `sigma_max_change` of it

    b is the mean reward; with `average_baseline` off it is the reward of mu itself, which then is
    the first candidate. s is the rewards' standard deviation, or 1 where they are ranks.
    """

    def __init__(
        self,
        num_params: int,
        popsize: int = 256,
        sigma_init: float = 0.1,
        sigma_alpha: float = 0.2,
        sigma_decay: float = 0.999,
        sigma_limit: float = 0.01,
        sigma_max_change: float = 0.2,
        learning_rate: float = 0.01,
        learning_rate_decay: float = 0.9999,
        learning_rate_limit: float = 0.01,
        elite_ratio: float = 0.0,
        average_baseline: bool = True,
        weight_decay: float = 0.01,
        rank_fitness: bool = True,
        forget_best: bool = True,
        seed: int = 0,
    ):
        if popsize % 2 == average_baseline:
            kind = "an even" if average_baseline else "an odd"
            raise ValueError(f"expected {kind} number of candidates, found {popsize}")
        super().__init__(num_params, popsize, weight_decay)
        self.sigma = np.full(num_params, float(sigma_init))
        self.sigma_alpha, self.sigma_max_change = sigma_alpha, sigma_max_change
        self.sigma_decay, self.sigma_limit = sigma_decay, sigma_limit
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.learning_rate_limit = learning_rate_limit
        self.elite_size = max(1, int(popsize // 2 * 2 * elite_ratio)) if elite_ratio > 0 else 0
        self.average_baseline, self.rank_fitness = average_baseline, rank_fitness
        self.forget_best = forget_best
        self._rng = np.random.default_rng(seed)
        self._noise = None  # (B, P)
        self.set_mu(np.zeros(num_params))

    def _sample(self):
        self._noise = self._rng.standard_normal((self.popsize // 2, self.num_params))
        self._noise *= self.sigma
        centre = [] if self.average_baseline else [self._mu[None]]
        return np.concatenate((*centre, self._mu + self._noise, self._mu - self._noise))

    def _learn(self, candidates, returns, decay):
        rewards = (centered_ranks(returns) if self.rank_fitness else returns) - decay
        baseline = rewards.mean() if self.average_baseline else rewards[0]
        plus, minus = rewards[-2 * len(self._noise) :].reshape(2, -1)
        spread = 1.0 if self.rank_fitness else np.concatenate((plus, minus)).std()
        self._move_mean(plus, minus)
        if self.sigma_alpha > 0 and spread > 0:
            self._adapt_sigma((plus + minus) / 2 - baseline, spread)
        self._noise = None
        self.sigma[self.sigma > self.sigma_limit] *= self.sigma_decay
        if self.learning_rate > self.learning_rate_limit:
            self.learning_rate *= self.learning_rate_decay

    def _move_mean(self, plus, minus) -> None:
        if not self.elite_size:
            self._mu += self._ascent.step((plus - minus) @ self._noise, self.learning_rate)
            return
        best = np.argsort(-np.concatenate((plus, minus)), kind="stable")[: self.elite_size]
        pair, sign = best % len(plus), np.where(best < len(plus), 1.0, -1.0)
        self._mu += sign @ self._noise[pair] / self.elite_size

    def _adapt_sigma(self, advantage, spread) -> None:
        """`advantage` (B,): how much better a pair did than the baseline."""
        # sum_b advantage_b (eps_b^2 - sigma^2) / sigma, without an array of (B, P) for sigma^2
        change = (advantage @ self._noise**2 - advantage.sum() * self.sigma**2) / self.sigma
        change *= self.sigma_alpha / (2 * len(advantage) * spread)
        limit = self.sigma_max_change * self.sigma
        self.sigma += np.clip(change, -limit, limit)

    def current_param(self):
        return self._mu.copy()

    def set_mu(self, mu):
        self._mu = np.array(mu, np.float64)
        self._ascent = GradientAscent(self.num_params)

    def rms_stdev(self):
        return float(self.sigma.mean())
