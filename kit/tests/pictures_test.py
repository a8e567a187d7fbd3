"""Pictures in the stages' folders: rows of frames, and curves in the plots where they belong."""

import imageio.v3 as imageio
import matplotlib.figure
import numpy as np

from kit.show import pictures


def test_levels_are_rounded_and_cut_off():
    given = np.array([-0.5, 0, 0.5, 1 / 255 - 1e-4, 1, 2])
    assert pictures.to_uint8(given).tolist() == [0, 0, 128, 1, 255, 255]


def test_a_saved_picture_is_the_rows_that_were_given(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 3), np.uint8)
    pictures.save(tmp_path / "a.png", pictures.rows(frames, scale=2))
    read = imageio.imread(tmp_path / "a.png")
    assert read.shape == (16, 24, 3)
    np.testing.assert_array_equal(read[8:16:2, 16:24:2], frames[1, 2])


def test_held_out_curves_share_the_plot_of_the_training_ones(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(pictures, "save_figure", lambda path, figure: figures.append(figure))
    curves = {"kl": [1, 2], "held_out_kl": [3, 4], "false_alarms": [5, 6]}
    pictures.save_curves(tmp_path / "a.png", [10, 20], curves)
    assert isinstance(figures[0], matplotlib.figure.Figure)
    kl, alarms = figures[0].axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in kl.get_lines()}
    assert drawn == {"training": [[10, 1], [20, 2]], "held out": [[10, 3], [20, 4]]}
    assert [line.get_ydata().tolist() for line in alarms.get_lines()] == [[5, 6]]
    assert (kl.get_title(), alarms.get_title()) == ("kl", "false alarms")
