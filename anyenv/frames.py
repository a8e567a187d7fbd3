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
        self.groups = -(-len(self._runs) // self._together)

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

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[np.ndarray, int]]:
        """Batches uint8 (B, 64, 64, 3) of an epoch without its first `skip` groups.

        Each comes with the number of the group it is cut from. What is left of a group after its
        last whole batch is put to the next one; of the last group it is left out, unless it is all.
        """
        rng = np.random.default_rng([self.seed, 1, epoch])
        order = rng.permutation(len(self._runs))
        groups = [order[i : i + self._together] for i in range(0, len(order), self._together)]

        def read(index: int) -> np.ndarray:
            parts = []
            for start, stop in (self._runs[run] for run in np.sort(groups[index])):
                frames = self.source.read("states", start, stop)
                parts.append(frames[~self._tested[start:stop]])
            frames = np.concatenate(parts)
            np.random.default_rng([self.seed, 2, epoch, index]).shuffle(frames)
            return in_colour(frames)

        left = np.empty((0, 64, 64, 3), np.uint8)
        with ThreadPoolExecutor(1) as reader:
            upcoming = reader.submit(read, skip) if skip < len(groups) else None
            for index in range(skip, len(groups)):
                frames = upcoming.result()
                if index + 1 < len(groups):
                    upcoming = reader.submit(read, index + 1)
                frames = np.concatenate((left, frames)) if len(left) else frames
                whole = len(frames) // self.batch
                last = index + 1 == len(groups)
                if last and not whole and len(frames):
                    yield frames, index
                for k in range(whole):
                    yield frames[k * self.batch : (k + 1) * self.batch], index
                left = frames[whole * self.batch :].copy()
