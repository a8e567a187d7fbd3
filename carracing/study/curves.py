"""Draw the learning curve against environment steps and hours, beside the reference's.

Reads log/carracing.cma.*.{hist,hist_best,settings}.json. Writes <base>.curve.png beside the last.

  python -m study.curves log/carracing.cma.16.64
  python -m study.curves log/second_round/carracing.cma.4.64 log/carracing.cma.16.64     joined

Steps are those of the candidates: without the evaluations, and without what --patience saved. The
reference's points are those of its released log. It does not say how many steps an episode took. So
its steps are at most those drawn: 64 x 16 episodes of 1000 steps a generation.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from estool import history
from kit.command.errors import UserError
from kit.files.atomic import read_json
from kit.show import pictures

from world import SOLVED

# generation, days, mean of 1024 episodes (reference log/carracing.cma.16.64.hist_best.json)
REFERENCE = np.array(
    [
        (25, 0.65, 822.9),
        (50, 1.24, 867.5),
        (150, 3.6, 875.5),
        (200, 4.8, 880.4),
        (1800, 46.6, 900.5),
    ]
)
REFERENCE_STEPS = 64 * 16 * 1000  # of a generation, at most


def parse(argv=None):
    parser = cli.parser(__doc__)
    text = "the path of the logs without .hist.json and the like; of each round where C went on"
    parser.add_argument("base", nargs="+", help=text)
    text = "the picture (default: <base>.curve.png)"
    parser.add_argument("--output", type=cli.file_in(".png"), help=text)
    args = cli.parse(parser, argv=argv)
    args.output = args.output or Path(f"{args.base[-1]}.curve.png")
    return args


def load_curves(base: str) -> dict[str, np.ndarray]:
    """Float64 arrays: of all generations `steps`, `hours`, `population` (the mean return), and of
    the evaluations of the mean `at` (which generation, from 0 on) and `evaluation`."""
    rows = np.array(history.load_history(f"{base}.hist.json"), float)
    if not rows.size:
        raise UserError(f"{base}.hist.json holds no generation yet")
    settings = read_json(f"{base}.settings.json")
    episodes = settings["population"] * settings["num_episode"]
    evaluations = history.load_evaluations(f"{base}.hist_best.json")
    return {
        "steps": np.cumsum((rows[:, 7] - 1) * episodes),
        "hours": rows[:, 1] / 3600,
        "population": rows[:, 2],
        "at": np.array([row["generation"] for row in evaluations], int) - 1,
        "evaluation": np.array([row["curr"] for row in evaluations]),
    }


def join(rounds: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One after the other: steps, hours and generations count on."""
    joined = rounds[0]
    for curves in rounds[1:]:
        begins = {"steps": joined["steps"][-1], "hours": joined["hours"][-1]}
        begins["at"] = len(joined["steps"])
        parts = {name: (joined[name], curves[name] + begins.get(name, 0)) for name in joined}
        joined = {name: np.concatenate(pair) for name, pair in parts.items()}
    return joined


def draw(curves: dict[str, np.ndarray]) -> Figure:
    """Two plots with logarithmic axes, ours and the reference's in each."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    reference = {"steps": REFERENCE[:, 0] * REFERENCE_STEPS, "hours": REFERENCE[:, 1] * 24}
    labels = {"steps": "environment steps", "hours": "hours (the reference: 64 cores)"}
    for axis, (name, label) in zip(figure.subplots(1, 2, sharey=True), labels.items(), strict=True):
        x = np.maximum(curves[name], 1e-3)
        axis.plot(x, curves["population"], color="tab:blue", alpha=0.6, label="population's mean")
        text = "mean of the distribution"
        axis.plot(x[curves["at"]], curves["evaluation"], "o-", color="tab:red", label=text)
        axis.plot(reference[name], REFERENCE[:, 2], "s--", color="tab:purple", label="reference")
        axis.axhline(SOLVED, color="black", linestyle=":", label="solved")
        axis.set(xscale="log", xlabel=label)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("return")
    figure.axes[1].legend(loc="lower right")
    return figure


def main(argv=None):
    args = parse(argv)
    curves = join([load_curves(base) for base in args.base])
    pictures.save_figure(args.output, draw(curves))
    print(
        f"{args.output}: {len(curves['steps'])} generations, {curves['steps'][-1] / 1e6:.1f} "
        f"million steps, {curves['hours'][-1]:.1f} hours"
    )


if __name__ == "__main__":
    cli.run(main)
