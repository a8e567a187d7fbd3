"""Learning curves from the logs of a run, for train.py and for the notebook.

Every function reads `<base>.hist.json` and, where it is there, `<base>.hist_best.json`, and
returns a matplotlib Figure: reward against hours, or against generations.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from estool import history
from kit.command.errors import UserError
from kit.show import pictures

AXES = {"hours": (1, 1 / 3600, "hours"), "generation": (0, 1.0, "generation")}


def learning_curve(
    base: str | os.PathLike,
    axis: str = "hours",
    requirement: float | None = None,
    reference: str | os.PathLike | None = None,
    size: tuple[float, float] = (16, 10),
) -> Figure:
    """One figure, against `axis` "hours" or "generation".

    `requirement` is drawn as a level; `reference` is the base of another run's logs to draw beside
    this one. Raises UserError naming the file that is missing or damaged.
    """
    figure = _figure(size)
    _draw(figure.subplots(), base, axis, requirement, reference)
    return figure


def learning_curves(
    base: str | os.PathLike,
    requirement: float | None = None,
    reference: str | os.PathLike | None = None,
    size: tuple[float, float] = (16, 6),
) -> Figure:
    """Both curves side by side in one figure."""
    figure = _figure(size)
    for axes, axis in zip(figure.subplots(1, 2), AXES, strict=True):
        _draw(axes, base, axis, requirement, reference)
    return figure


def _figure(size) -> Figure:
    figure = Figure(figsize=size, dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw(axes, base, axis, requirement, reference) -> None:
    column, scale, label = AXES[axis]
    rows = np.array(history.load_history(f"{base}.hist.json"), float)
    if not rows.size:
        raise UserError(f"{base}.hist.json holds no generation yet")
    x = rows[:, column] * scale
    axes.plot(x, rows[:, 2], label="mean", color="tab:blue")
    axes.plot(x, rows[:, 3], label="min", color="tab:gray", linewidth=0.8)
    axes.plot(x, rows[:, 4], label="max", color="tab:green", linewidth=0.8)
    if Path(f"{base}.hist_best.json").exists():
        _evaluations(axes, base, axis, "tab:red", "evaluation of the mean", "running best")
    if reference is not None:
        name = Path(reference).name
        _evaluations(axes, reference, axis, "tab:purple", f"{name}, evaluation", f"{name}, best")
    if requirement is not None:
        axes.axhline(requirement, color="black", linestyle=":", label="requirement")
    axes.set(title=Path(base).name, xlabel=label, ylabel="reward")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def _evaluations(axes, base, axis, color, every, best) -> None:
    column, scale, _ = AXES[axis]
    rows = history.load_evaluations(f"{base}.hist_best.json")
    x = np.array([row[("generation", "seconds")[column]] for row in rows]) * scale
    axes.plot(x, [row["curr"] for row in rows], "o-", color=color, markersize=3, label=every)
    axes.plot(x, [row["best"] for row in rows], "--", color=color, alpha=0.7, label=best)


def save_beside(agent: Path, path: Path, requirement: float | None = None) -> str:
    """Save the curves of x.best.json, where its logs lie beside it: the picture's name, or ""."""
    base = str(agent).removesuffix(".best.json")
    if not Path(f"{base}.hist.json").is_file():
        return ""
    pictures.save_figure(path, learning_curves(base, requirement))
    return path.name
