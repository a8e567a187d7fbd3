"""Frames for V in random order, read from HDF5 by whole chunks: never all of them.

An importable module, no command. Runs of frames that follow each other on the disk are read, those
of many places of the file are put together and shuffled, and batches are cut from that. Reading
single frames at random would be a hundred times slower.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from agent import in_colour
from data import Transitions

HELD_OUT = 0.2  # part of the episodes that is kept for testing, as in the original
TESTED = 2000  # frames of a test, at most
RUN = 256  # frames read on end, at least
SHUFFLED = 16_384  # frames that are shuffled together
TEST_RUN = 16  # frames on end of a test: many places are worth more than neighbours


class Frames:
    """The frames of a file, split into those for training and those for testing by episodes."""

    def __init__(self, source: Transitions, batch: int, seed: int):
        self.source, self.batch, self.seed = source, batch, seed
        held_out = max(1, int(HELD_OUT * source.games)) if source.games > 1 else 0
        order = np.random.default_rng([seed, 0]).permutation(source.games)
        tested = np.zeros(source.games, bool)
        tested[order[:held_out]] = True
        self._tested = np.repeat(tested, np.diff(source.episodes))  # of each frame
        self.training = int((~self._tested).sum())
        run = -(-RUN // source.chunk) * source.chunk
        starts = np.arange(0, source.count, run)
        self._runs = [(start, min(source.count, start + run)) for start in starts]
        self._together = max(1, SHUFFLED // run)

    @property
    def bytes(self) -> int:
        """Memory that shuffling takes: one group in use, one being put together, one as read."""
        return 3 * max(SHUFFLED, RUN) * int(np.prod(self.source.states.shape[1:]))

    def held_out(self) -> np.ndarray:
        """Frames for testing, uint8 (N, 64, 64, 3); of a single episode some that train as well."""
        rows = np.flatnonzero(self._tested) if self._tested.any() else np.arange(self.source.count)
        starts = rows[::TEST_RUN]
        count = min(len(starts), TESTED // TEST_RUN)
        chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
        parts = [self.source.read("states", s, s + TEST_RUN) for s in chosen]
        wanted = [self._tested[s : s + TEST_RUN] | ~self._tested.any() for s in chosen]
        kept = [p[w[: len(p)]] for p, w in zip(parts, wanted, strict=True)]
        return in_colour(np.concatenate(kept))

    @property
    def steps(self) -> int:
        """Batches of an epoch, about: what is left of a group after its last whole one is not."""
        return max(1, self.training // self.batch)

    def batches(self, epoch: int, skip: int) -> Iterator[np.ndarray]:
        """Batches uint8 (B, 64, 64, 3) of an epoch without its first `skip`.

        Of frames that make no whole batch at all the only one is all of them.
        """
        order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self._runs))
        groups = [
            [self._runs[run] for run in np.sort(order[i : i + self._together])]
            for i in range(0, len(order), self._together)
        ]
        sizes = [sum(int((~self._tested[a:b]).sum()) for a, b in group) for group in groups]
        batches = [size // self.batch for size in sizes]
        if not any(batches):
            groups, batches = [[run for group in groups for run in group]], [1]
        done = np.cumsum([0, *batches])
        first = int(np.searchsorted(done, skip, side="right")) - 1

        def read(index: int) -> np.ndarray:
            parts = []
            for start, stop in groups[index]:
                frames = self.source.read("states", start, stop)
                parts.append(frames[~self._tested[start:stop]])
            frames = np.concatenate(parts)
            np.random.default_rng([self.seed, 2, epoch, index]).shuffle(frames)
            return in_colour(frames)

        with ThreadPoolExecutor(1) as reader:
            upcoming = reader.submit(read, first) if first < len(groups) else None
            for index in range(first, len(groups)):
                frames = upcoming.result()
                if index + 1 < len(groups):
                    upcoming = reader.submit(read, index + 1)
                for k in range(max(0, skip - done[index]), batches[index]):
                    yield frames[k * self.batch : (k + 1) * self.batch]
