"""Panels: sizes, no blur, bars as long as their values."""

import numpy as np
import pytest

from kit.show import panels


def coloured(picture, colour):
    return (np.abs(picture.astype(int) - colour).max(-1) < 10).sum()


def test_enlarged_frames_keep_their_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(panels.enlarge(frame, 192), frame.repeat(3, 0).repeat(3, 1))
    square = panels.beside_in_square(frame, frame, side=256)
    assert square.shape == (256, 256, 3) and not square[:64].any() and not square[192:].any()
    np.testing.assert_array_equal(square[64:192, 128:], frame.repeat(2, 0).repeat(2, 1))


def test_a_fitted_picture_keeps_its_proportions():
    assert panels.fit(np.zeros((400, 600, 3), np.uint8), 384).shape == (384, 576, 3)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 2)])
def test_a_meters_bar_is_as_long_as_its_value(low, high):
    def length(value):
        return coloured(panels.meter("x", value, 400, low=low, high=high), panels.BLUE)

    unit = length(high) / high
    assert unit > 1000
    for value in np.linspace(low, high, 5):
        assert length(value) == pytest.approx(abs(value) * unit, abs=0.03 * length(high))
    assert length(high + 5) == length(high)  # no further than its scale


def test_panels_of_unequal_width_are_filled_up():
    picture = panels.below(np.full((2, 3, 3), 9, np.uint8), np.full((1, 5, 3), 9, np.uint8))
    assert picture.shape == (3, 5, 3) and not picture[:2, 3:].any() and picture[2].all()


def test_texts_in_a_bar_stay_in_their_places():
    one, two = (panels.text_bar([text, "b"], 400) for text in ("a", "a long text"))
    np.testing.assert_array_equal(one[:, 200:], two[:, 200:])
    assert (one[:, :200] != two[:, :200]).any()


@pytest.mark.parametrize(("length", "last"), [(3, 2), (500, 496)])
def test_moments_are_spread_over_the_episode_and_few(length, last):
    moments = panels.Moments()
    for step in range(length):
        moments.add([np.full((64, 64, 3), step % 256, np.uint8)])
        assert len(moments.steps) == len(moments.tiles) < 64
    chosen = moments.choose()
    assert len(chosen) == len(moments.tiles) == panels.COLUMNS
    assert chosen[0] == 0 and chosen[-1] == last
    gaps = np.diff(chosen)
    assert gaps.max() - gaps.min() <= (8 if length == 500 else 1)
    assert [tiles[0][0, 0, 0] for tiles in moments.tiles] == [step % 256 for step in chosen]


def test_a_strip_has_a_row_a_kind_and_a_column_a_moment():
    moments = [
        [panels.tile(np.full((64, 64, 3), 10 * step + kind, np.uint8)) for kind in (0, 5)]
        for step in range(8)
    ]
    strip = panels.strip(moments, ("a", "b"))
    assert strip.shape == (2 * 160, 8 * 160, 3)
    middle = strip[80::160, 80::160, 0]
    np.testing.assert_array_equal(middle, [np.arange(0, 80, 10), np.arange(5, 85, 10)])


def test_a_table_has_a_named_row_for_each_line_of_frames():
    lines = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    table = panels.table({"a": lines[0], "b": lines[1][:2]}, side=32)
    assert table.shape == (2 * 34, 150 + 3 * 34, 3)
    assert table[:34, :150].any() and table[34:, :150].any()
    for row, column in ((0, 0), (0, 2), (1, 1)):
        top, left = 34 * row, 150 + 34 * column
        frame = lines[row, column].repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(table[top : top + 32, left : left + 32], frame)
    assert not table[34:, 150 + 2 * 34 :].any()
