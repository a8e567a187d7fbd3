"""CMA-ES: Hansen & Ostermeier 2001; here on pycma, arXiv 1604.00772."""

import warnings

import cma
import numpy as np
from cma.sigma_adaptation import CMAAdaptSigmaCSA

from estool.strategy import Strategy


class CMAES(Strategy):
    """CMA-ES from the mean 0, with full or `diagonal` covariance (sep-CMA-ES, Ros & Hansen 2008).

    The step size is adapted by CSA whatever the version of pycma: 4.5.0 would take TPA by default
    at a thousand parameters, and sigma would grow where that of the paper's experiments fell.

    (The code published with the paper has the sign of the weight decay reversed.)
    """

    def __init__(
        self,
        num_params: int,
        popsize: int,
        sigma_init: float = 0.1,
        weight_decay: float = 0.01,
        seed: int = 0,
        diagonal: bool = False,
    ):
        super().__init__(num_params, popsize, weight_decay)
        options = {
            "popsize": popsize,
            "AdaptSigma": CMAAdaptSigmaCSA,
            "CMA_diagonal": diagonal,
            # A separate generator: nothing else in the process shifts its numbers, and it is
            # pickled with the strategy.
            "randn": np.random.RandomState(seed).randn,
            "seed": np.nan,  # leave numpy's global generator alone
            "verbose": -10,  # no output, no log files, no file of signals
            "verb_log": 0,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it recommends other settings for 1000 parameters
            self._es = cma.CMAEvolutionStrategy(num_params * [0.0], sigma_init, options)

    def _sample(self):
        return self._es.ask()

    def _learn(self, candidates, returns, decay):
        self._es.tell(self._asked, decay - returns)  # pycma minimises

    def current_param(self):
        return np.array(self._es.mean)

    def set_mu(self, mu):
        """Move the mean; the paths that led to the old one are forgotten, the covariance kept."""
        self._es.mean = np.array(mu, np.float64)
        self._es.pc[:] = 0
        self._es.adapt_sigma.ps[:] = 0

    def rms_stdev(self):
        return float(np.mean(self._es.stds))
