"""Draw the README's figures that are no screenshots: how V, M and C hang together, Doom's learning.

  bash pictures.bash          runs this last, after it has made the strips of the shipped agents

Reads pictures/doom.png (for two frames in the figure) and doomrnn/log/. Writes architecture.png and
doom_learning.png beside this file. CarRacing's curve is drawn by carracing/study/curves.py.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from estool import plot
from kit.show import pictures

HERE = Path(__file__).parent
LOG = HERE.parent / "doomrnn" / "log" / "doomrnn.cma.16.64"
SIZES = {  # parameters, as the rooms' tests count them
    "V": "4 348 547 / 4 446 915 parameters",
    "M": "422 368 / 1 678 785 parameters",
    "C": "867 / 1 088 parameters",
}
BLUE, GREEN, ORANGE, INK = "#4878b8", "#4a9a62", "#d9822b", "#333333"
TILE, BORDER = 154, 3  # of a strip, see kit/show/panels.py


class Diagram:
    """A figure in units of a hundredth of its width."""

    def __init__(self, width: float, height: float):
        self.figure = Figure((width / 10, height / 10), dpi=100)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")
        self.axes.autoscale(False)

    def text(self, x, y, text, size=11, colour=INK, **options):
        options = {"ha": "center", "va": "center", **options}
        self.axes.text(x, y, text, size=size, color=colour, linespacing=1.35, **options)

    def box(self, x, y, width, height, colour):
        style = "round,pad=0,rounding_size=1.2"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, color=colour))

    def funnel(self, x, y, width, left, right, colour):
        """A trapezium with vertical sides, centred on the height y."""
        corners = [(x, y - left), (x, y + left), (x + width, y + right), (x + width, y - right)]
        self.axes.add_patch(Polygon(corners, color=colour, joinstyle="round"))

    def image(self, x, y, side, picture, text):
        extent = (x, x + side, y, y + side)
        self.axes.imshow(picture, extent=extent, aspect="auto", interpolation="antialiased")
        self.axes.add_patch(Rectangle((x, y), side, side, fill=False, color=INK, linewidth=1))
        self.text(x + side / 2, y - 2.6, text)

    def vector(self, x, y, width, height, values, colour):
        """A column of cells, darker where a value is larger."""
        cell = height / len(values)
        for index, value in enumerate(values):
            place = (x, y + index * cell)
            self.axes.add_patch(Rectangle(place, width, cell, color=colour, alpha=value, lw=0))
        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, color=INK, linewidth=1))

    def arrow(self, *points, colour=INK):
        """A line through points (x, y), an arrow head at its end."""
        self.axes.plot(*zip(*points[:-1], strict=True), color=colour, lw=1.8)
        style = {"arrowstyle": "-|>", "mutation_scale": 14, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        self.axes.add_patch(FancyArrowPatch(*points[-2:], color=colour, **style))


def architecture(frame: np.ndarray, reconstruction: np.ndarray) -> Figure:
    """V, M and C around the game, from a frame and V's reconstruction of it, uint8 (S, S, 3)."""
    d = Diagram(120, 62)
    d.image(3, 25, 17, frame, "the game's picture\n64 x 64 x 3")
    d.funnel(26, 33.5, 11, 9, 4.5, BLUE)
    d.text(31.5, 33.5, "V", 24, "white", weight="bold")
    d.text(31.5, 20.6, "encoder:\n4 convolutions", 10)
    values = 0.15 + 0.85 * np.random.default_rng(4).random(14)
    d.vector(43, 27, 3, 13, values, BLUE)
    d.text(50.3, 38.2, "z\n32 / 64\nnumbers", 10)

    d.funnel(54, 52, 8, 2.6, 5.5, BLUE)
    d.text(58, 52, "V", 17, "white", weight="bold")
    d.image(68, 46.2, 11.5, reconstruction, "")
    d.text(
        81.5,
        52,
        "V's decoder draws z: what it keeps of the\npicture, what M expects, and every dream",
        10,
        ha="left",
    )

    d.box(60, 22, 22, 16, GREEN)
    d.text(66, 30, "M", 24, "white", weight="bold")
    d.text(75, 30, "LSTM\n256 / 512\ncells", 11, "white")
    d.text(
        92.5,
        36.2,
        "the next z, 5 Gaussians for each\nnumber; Doom: is this the end?",
        10,
        ha="left",
    )
    d.arrow((82, 35), (91, 35), colour=GREEN)
    d.text(89.3, 28.6, "h, its memory (Doom: and c)", 10, ha="left")

    d.box(92, 12, 16, 14, ORANGE)
    d.text(96.5, 19, "C", 24, "white", weight="bold")
    d.text(103, 19, "one\nlinear\nlayer", 11, "white")

    d.arrow((20.5, 33.5), (25.5, 33.5))
    d.arrow((37.5, 33.5), (42.5, 33.5))
    d.arrow((44.5, 40.5), (44.5, 52), (53.5, 52))
    d.arrow((62.5, 52), (67.5, 52))
    d.arrow((46.5, 33.5), (59.5, 33.5))
    d.arrow((46.5, 30), (52, 30), (52, 16), (91.5, 16))
    d.arrow((82, 28.6), (88.3, 28.6), (88.3, 22), (91.5, 22))
    d.arrow((100, 12), (100, 7), (11.5, 7), (11.5, 19.2), colour=ORANGE)
    d.arrow((71, 7), (71, 21.5), colour=ORANGE)
    d.text(40, 9, "action: steer, gas, brake / left, stay, right", 10, ORANGE)
    d.text(60, 2.4, "V: " + SIZES["V"] + "      M: " + SIZES["M"] + "      C: " + SIZES["C"], 10)
    d.text(3, 58, "sizes: CarRacing / DoomTakeCover", 10, ha="left")
    return d.figure


def two_frames(strip: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """The crop and the reconstruction in a column of a strip (H, W, 3)."""
    side = TILE + 2 * BORDER
    left = column * side + BORDER
    tops = (row * side + BORDER for row in (1, 2))
    return tuple(strip[top : top + TILE, left : left + TILE] for top in tops)


def main(argv=None):
    cli.parse(cli.parser(__doc__), argv=argv)
    frames = two_frames(imageio.imread(HERE / "doom.png"), column=3)
    pictures.save_figure(HERE / "architecture.png", architecture(*frames))
    pictures.save_figure(HERE / "doom_learning.png", plot.learning_curves(str(LOG), None))


if __name__ == "__main__":
    cli.run(main)
