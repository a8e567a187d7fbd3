"""Estimate from interventions which way a linear policy should lean.

Now and then a random push replaces the policy's action: to one side, to none or to the other, for
some steps. What follows is its cost. The push depends on nothing. So a linear regression of the
cost on the inputs, and on the push times the inputs, tells how much worse a push to the right makes
each situation. That is the advantage of a linear policy's action, with credit given to the moment.
A search by whole episodes learns it much more slowly where the inputs that matter spread little.
"""

import numpy as np

RIDGE = 0.01  # of the moments of inputs scaled to spread 1


class Interventions:
    """Sums over interventions: inputs x (P,), pushes a in {-1, 0, 1} and costs."""

    def __init__(self, size: int):
        """`size`: P."""
        self.count = 0
        self.moments = np.zeros((size, size))  # of x
        self.pushed = np.zeros((size, size))  # of x, each times a
        self.cost = np.zeros(size)  # x times the cost
        self.pushed_cost = np.zeros(size)  # x times a times the cost

    def add(self, inputs: np.ndarray, pushes: np.ndarray, costs: np.ndarray) -> None:
        """Of N interventions: inputs (N, P), pushes (N,) and costs (N,)."""
        inputs = np.asarray(inputs, np.float64)
        leaning = inputs * pushes[:, None]
        self.count += len(inputs)
        self.moments += inputs.T @ inputs
        self.pushed += leaning.T @ inputs
        self.cost += inputs.T @ costs
        self.pushed_cost += leaning.T @ costs

    def pack(self) -> np.ndarray:
        """All sums in one row, float64 (2 P P + 2 P + 1,), for `unpack`."""
        parts = (self.moments, self.pushed, self.cost, self.pushed_cost)
        return np.concatenate([*(part.ravel() for part in parts), [self.count]])

    @classmethod
    def unpack(cls, rows: np.ndarray) -> "Interventions":
        """The sum of packed rows (N, 2 P P + 2 P + 1)."""
        total = rows.sum(axis=0)
        size = int((np.sqrt(2 * len(total) - 1) - 1) / 2)
        found = cls(size)
        square = size * size
        found.moments = total[:square].reshape(size, size)
        found.pushed = total[square : 2 * square].reshape(size, size)
        found.cost, found.pushed_cost = total[2 * square : -1].reshape(2, size)
        found.count = int(total[-1])
        return found

    def direction(self, ridge: float = RIDGE) -> np.ndarray:
        """Weights w float64 (P,): the larger w . x, the more a push by +1 spares, at spread 1."""
        # Inputs differ in spread by orders of magnitude; one ridge for all needs them alike.
        spread = np.sqrt(np.maximum(np.diag(self.moments), 1e-12) / self.count)
        scale = np.outer(spread, spread) * self.count
        moments, pushed = self.moments / scale, self.pushed / scale
        cost, pushed_cost = (v / spread / self.count for v in (self.cost, self.pushed_cost))
        bound = ridge * np.eye(len(spread))
        expected = np.linalg.solve(moments + bound, cost)  # whatever the push: taken off first
        variance = 2 / 3  # of a push that is -1, 0 or 1
        weights = -np.linalg.solve(variance * moments + bound, pushed_cost - pushed @ expected)
        size = np.sqrt(weights @ moments @ weights)
        return weights / spread / size
