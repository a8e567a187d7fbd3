"""A search in a few directions of the parameters, and the directions that a linear policy's inputs
suggest.

A linear policy answers to w . x. Where the inputs x are correlated and of very different spread, as
the state of an LSTM is, most directions of w do almost nothing and a few do almost all: a strategy
with one step size for all of them crawls. Searching along the principal components of x, each
scaled to spread 1, makes a step in any direction change the policy as much as in any other.
"""

import numpy as np

from estool.strategy import Strategy
from kit.command.errors import UserError


def principal_directions(inputs: np.ndarray, count: int) -> np.ndarray:
    """Directions float64 (P, count) in the weights of a linear policy, from inputs (N, P) it meets.

    The `count` principal components of the second moments of the inputs, divided by the root of
    those: along each of them a weight of 1 answers with a mean square of 1. Moments about zero and
    not about the mean, because a policy without a bias answers to the mean too.
    Raises UserError where the inputs span fewer than `count` dimensions.
    """
    inputs = np.asarray(inputs, np.float64)
    moments, vectors = np.linalg.eigh(inputs.T @ inputs / len(inputs))  # ascending
    moments, vectors = moments[::-1][:count], vectors[:, ::-1][:, :count]
    if len(moments) < count or moments[-1] <= 1e-12 * moments[0]:
        raise UserError(
            f"--components {count}: expected at most the dimensions of what the controller sees"
        )
    return vectors / np.sqrt(moments)


class Subspace(Strategy):
    """Another strategy's search, over K coordinates, seen as one over P parameters.

    A candidate is the sum of K directions (P,), each times its coordinate. Weight decay and
    `rms_stdev` are those of the coordinates.
    """

    def __init__(self, inner: Strategy, directions: np.ndarray):
        """`directions` (P, K), where K is the number of parameters of `inner`."""
        super().__init__(len(directions), inner.popsize, weight_decay=0.0)
        self._inner, self._directions = inner, np.array(directions, np.float64)

    def __str__(self):
        return f"{self._inner}, in a subspace of {self.num_params} parameters"

    def _sample(self):
        return self._inner.ask() @ self._directions.T

    def _learn(self, candidates, returns, decay):
        self._inner.tell(returns)

    def current_param(self):
        return self._directions @ self._inner.current_param()

    def best_param(self):
        return self._directions @ self._inner.best_param()

    def set_mu(self, mu):
        """Move the centre to the point of the subspace that is nearest to `mu`."""
        self._inner.set_mu(np.linalg.lstsq(self._directions, np.asarray(mu), rcond=None)[0])

    def rms_stdev(self):
        return self._inner.rms_stdev()
