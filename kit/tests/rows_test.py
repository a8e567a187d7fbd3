"""Rows that come and go: their noise, and moving them together."""

import numpy as np

from kit.batches.rollout import remaining_rows
from kit.batches.rows import RowNoise, take_rows


def test_noise_of_a_row_does_not_depend_on_its_company():
    alone, together = RowNoise(2, 3), RowNoise(2, 3)
    alone.start([7])
    together.start([5, 6])
    together.next()
    together.keep(np.array([1]))
    together.start([7, 8])  # 7 moves into the slot that 5 left
    for _ in range(70):
        for mine, theirs in zip(alone.next(), together.next(), strict=True):
            np.testing.assert_array_equal(mine[0], theirs[1])


def test_rows_that_move_do_not_overwrite_each_other():
    array = np.arange(6)
    assert take_rows(array, np.array([5, 1, 4])).tolist() == [5, 1, 4]
    assert take_rows(np.arange(4), np.array([1, 0, 3])).tolist() == [1, 0, 3]


def test_finished_rows_are_filled_from_the_end():
    rows = remaining_rows(np.array([True, False, True, False, False]))
    assert rows.tolist() == [3, 1, 4]
    assert remaining_rows(np.ones(3, bool)).tolist() == []
