"""Helpers for rows that come and go: noise for each, moving them together, the same bits for each.

An importable module, no command. The rooms' worlds are built with it.
"""

import numpy as np

NOISE_BLOCK = 32  # steps of noise drawn at once for a row
FEW = 72  # rows up to which a matrix product on a CPU with AVX2 takes 6 at once; beyond it 12


class RowNoise:
    """A generator for every row with a separate seed, so that rows do not depend on each other.

    Each step takes `uniforms` and `normals` float32 numbers a row, drawn in blocks of steps.
    """

    def __init__(self, uniforms: int, normals: int):
        self._sizes = uniforms, normals
        self._generators = []  # one a slot
        self._numbers = np.empty((0, NOISE_BLOCK, uniforms + normals), np.float32)
        self._slot = np.empty(0, np.int64)  # of each row
        self._position = np.empty(0, np.int64)  # of each row in its block

    def start(self, seeds: np.ndarray) -> list[np.random.Generator]:
        """Append rows; returns their generators, to draw what a row needs at its start."""
        free = np.setdiff1d(np.arange(len(self._generators)), self._slot)[: len(seeds)]
        missing = len(seeds) - len(free)
        slots = np.append(free, np.arange(missing) + len(self._generators)).astype(np.int64)
        self._generators += [None] * missing
        fresh = np.empty((missing, *self._numbers.shape[1:]), np.float32)
        self._numbers = np.concatenate((self._numbers, fresh))
        for slot, seed in zip(slots, seeds, strict=True):
            self._generators[slot] = np.random.default_rng(int(seed))
        self._slot = np.append(self._slot, slots)
        self._position = np.append(self._position, np.full(len(slots), NOISE_BLOCK))
        return [self._generators[slot] for slot in slots]

    def keep(self, rows: np.ndarray) -> None:
        self._slot, self._position = self._slot[rows], self._position[rows]

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """The next step's numbers: uniform (B, uniforms) in [0, 1) and normal (B, normals)."""
        uniforms, normals = self._sizes
        for row in np.flatnonzero(self._position == NOISE_BLOCK):
            slot = self._slot[row]
            generator, numbers = self._generators[slot], self._numbers[slot]
            numbers[:, :uniforms] = generator.random((NOISE_BLOCK, uniforms), np.float32)
            numbers[:, uniforms:] = generator.standard_normal((NOISE_BLOCK, normals), np.float32)
            self._position[row] = 0
        numbers = self._numbers[self._slot, self._position]
        self._position += 1
        return numbers[:, :uniforms], numbers[:, uniforms:]


def take_rows(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`array[rows]` for no more rows than there are, in place: copies only the rows that move."""
    moved = np.flatnonzero(rows != np.arange(len(rows)))
    array[moved] = array[rows[moved]]
    return array[: len(rows)]


def whole_blocks(rows: np.ndarray) -> np.ndarray:
    """`rows` (B, ...), B at least 1, filled up with the last one to whole blocks of a product.

    The rows of a part of a block are summed in another order than those of a whole one, and an
    episode may turn on the last bit. Filled up, a row's sums do not depend on how many there are:
    on CPUs with AVX2 measured for up to 299 rows.
    """
    missing = -len(rows) % (6 if len(rows) <= FEW else 12)
    return np.concatenate((rows, rows[-1:].repeat(missing, axis=0))) if missing else rows
