"""Pictures that a person can judge a training by: rows of frames and curves, as PNG."""

import os
from collections.abc import Mapping, Sequence

import imageio.v3 as imageio
import numpy as np

from kit.files.atomic import atomic_path

HELD_OUT = "held_out_"  # begins the names of curves of data that training never sees


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Frames in [0, 1] of any shape as uint8 in [0, 255]."""
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)


def rows(lines: Sequence[np.ndarray], scale: int = 1) -> np.ndarray:
    """Rows of frames, uint8 (N, H, W, 3) each, as one picture, every pixel `scale` wide."""
    picture = np.concatenate([np.concatenate(list(line), axis=1) for line in lines])
    return picture.repeat(scale, 0).repeat(scale, 1)


def save(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3) as PNG."""
    with atomic_path(path) as temporary:
        imageio.imwrite(temporary, picture)


def save_figure(path: str | os.PathLike, figure) -> None:
    """Write a matplotlib.figure.Figure in the format of the path's suffix."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, bbox_inches="tight")


def save_curves(
    path: str | os.PathLike, steps: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> None:
    """Small plots against `steps`, side by side; held_out_<name> is drawn in the one of <name>."""
    # Here, because it costs a second that most commands can save. No pyplot: its backend is the
    # user's choice.
    from matplotlib.figure import Figure

    names = [name for name in curves if not name.startswith(HELD_OUT)]
    figure = Figure(figsize=(4 * len(names), 3))
    axes = figure.subplots(1, len(names), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        lines = {"training": name, "held out": HELD_OUT + name}
        known = {text: curves[key] for text, key in lines.items() if key in curves}
        for text, values in known.items():
            axis.plot(steps, values, label=text, marker="o" if len(steps) == 1 else None)
        if len(known) > 1:
            axis.legend()
        axis.set(title=name.replace("_", " "), xlabel="step")
        axis.grid(alpha=0.3)
    save_figure(path, figure)
