"""Episodes of many candidates, dealt out to all ranks."""

import time
from collections.abc import Callable

import numpy as np

from kit.command.mpi import Ranks

Rollouts = Callable[[np.ndarray, np.ndarray, int, bool], tuple[np.ndarray, np.ndarray]]


class Evaluator:
    """Episodes of many candidates, played by all ranks."""

    def __init__(self, ranks: Ranks, rollouts: Rollouts):
        self._ranks, self._rollouts = ranks, rollouts
        self.steps, self.seconds = 0, 0.0  # of the last call

    def __call__(self, params, seeds, max_length, test) -> tuple[np.ndarray, np.ndarray]:
        """Play candidates (N, P) on seeds (N, E): returns and lengths, float64 (N, E) each.

        For rank 0 while the others `serve`. Candidate and episode pairs are dealt out like cards,
        so that a rank's share is as long as the others' whatever the candidates are worth.
        """
        start = time.perf_counter()
        head = np.array([max_length, test, *seeds.shape, params.shape[1]], np.int64)
        rows = self._share(self._ranks.broadcast(head), params, seeds)  # (N * E, 2)
        returns, lengths = rows.T.reshape(2, *seeds.shape)
        self.steps, self.seconds = int(lengths.sum()), time.perf_counter() - start
        return returns, lengths

    def serve(self) -> None:
        """Play this rank's share of each call of rank 0 until its `stop`."""
        while len(head := self._ranks.broadcast(None)):
            self._share(head)

    def stop(self) -> None:
        self._ranks.broadcast(np.empty(0, np.int64))

    def _share(self, head, params=None, seeds=None):
        """Get this rank's candidates and seeds, play them, and give back what came of it.

        A rank gets each of its candidates once: on many ranks that is a small part of all.
        """
        max_length, test, candidates, episodes, size = map(int, head)
        ranks, count = self._ranks, candidates * episodes
        mine = ranks.share(count)
        here = np.unique(mine // episodes)  # the candidates that play here

        def candidates_of(rank: int) -> np.ndarray:
            return params[np.unique(ranks.share(count, rank) // episodes)]

        def seeds_of(rank: int) -> np.ndarray:
            return seeds.reshape(-1)[ranks.share(count, rank)]

        params = ranks.scatter(candidates_of, (len(here), size))
        seeds = ranks.scatter(seeds_of, mine.shape, np.int64)
        part = np.empty((len(mine), 2))
        if len(mine):
            rows = params[np.searchsorted(here, mine // episodes)]  # (K, P)
            with ranks.watched():
                part.T[:] = self._rollouts(rows, seeds, max_length, bool(test))
        return ranks.collect(part, count)
