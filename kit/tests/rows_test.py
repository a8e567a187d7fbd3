"""Rows that come and go: their noise, moving them together, and their sums."""

import numpy as np

from kit.batches.rollout import remaining_rows
from kit.batches.rows import RowNoise, take_rows, whole_blocks
from kit.tensors.tf import tf


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


def test_whole_blocks_keep_the_rows_and_repeat_the_last():
    rows = np.arange(26).reshape(13, 2)
    filled = whole_blocks(rows)
    assert filled.shape == (18, 2) and whole_blocks(filled) is filled
    np.testing.assert_array_equal(filled[:13], rows)
    assert (filled[13:] == rows[-1]).all() and len(whole_blocks(np.zeros((73, 2)))) == 84


def test_a_rows_product_does_not_depend_on_how_many_rows_there_are():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(144, 291)).astype(np.float32)
    weights = tf.constant(rng.normal(size=(291, 100)).astype(np.float32))

    def product(count):
        return tf.matmul(tf.constant(whole_blocks(rows[:count])), weights).numpy()[:count]

    every = product(144)
    for count in range(1, 144):
        np.testing.assert_array_equal(product(count), every[:count], err_msg=str(count))
