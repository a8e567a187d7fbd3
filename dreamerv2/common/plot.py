"""Learning curves of many runs: a plot for each task, a line for each method.

    python dreamerv2/common/plot.py --indir ~/logdir --outdir ~/plots \
        --xaxis step --yaxis eval_return --bins 1e6

Reads <indir>/<task>/<method>/<seed>/metrics.jsonl (a folder above or less is filled in) and json
files of runs, such as dreamerv2/scores/published.json. Writes runs.json, curves.png and curves.pdf
into <outdir>/<name of the first indir>.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamerv2.common import runs as curves
from dreamerv2.common.runs import Run
from kit.command import cli
from kit.command.errors import UserError
from kit.files.atomic import atomic_path, write_json

PALETTES = {
    "contrast": "#0022ff #33aa00 #ff0011 #ddaa00 #cc44dd #0088aa #001177 #117700 #990022 #885500",
    "discrete": "#377eb8 #4daf4a #984ea3 #e41a1c #ff7f00 #a65628 #f781bf #888888 #a6cee3 #b2df8a",
    "gradient": "#fde725 #a0da39 #4ac16d #1fa187 #277f8e #365c8d #46327e #440154",
    "baselines": "#222222 #666666 #aaaaaa #cccccc",
}
BASELINES = ["d4pg", "rainbow_sticky", "human_gamer", "impala"]
COMBINED = {  # name -> how the tasks become one curve
    "median": {"aggregate": lambda ys: np.nanmedian(ys, -1)},
    "mean": {"aggregate": lambda ys: np.nanmean(ys, -1)},
    "gamer_median": {"aggregate": lambda ys: np.nanmedian(ys, -1), "high": "human_gamer"},
    "gamer_mean": {"aggregate": lambda ys: np.nanmean(ys, -1), "high": "human_gamer"},
    "record_mean": {"aggregate": lambda ys: np.nanmean(ys, -1), "high": "human_record"},
    "clip_record_mean": {
        "aggregate": lambda ys: np.nanmean(ys, -1),
        "high": "human_record",
        "most": 1.0,
    },
    "seeds": {"aggregate": lambda ys: np.isfinite(ys).sum(-1).astype(float)},
    "human_above": {"aggregate": lambda ys: (ys >= 1).sum(-1).astype(float), "high": "human_gamer"},
    "human_below": {"aggregate": lambda ys: (ys <= 1).sum(-1).astype(float), "high": "human_gamer"},
}
FOR_ATARI = ["gamer_median", "gamer_mean", "record_mean", "clip_record_mean"]
FOR_OTHERS = ["mean", "median"]


def truth(text: str) -> bool:
    """Argument type: True or False."""
    if text not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"expected True or False, found {text!r}")
    return text == "True"


def pattern(text: str) -> re.Pattern:
    """Argument type: a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression ({error})") from error


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; UserError for contradictions."""
    parser = cli.parser(__doc__)
    add = parser.add_argument
    several, two = {"nargs": "+"}, {"nargs": 2, "type": float}
    add("--indir", type=Path, required=True, help="folders of runs, or json files", **several)
    add("--indir-prefix", type=Path, help="folder that every --indir lies in")
    add("--outdir", type=Path, required=True, help="where the figure goes")
    add("--subdir", type=truth, default=True, help="into a folder named after the first --indir")
    add("--xaxis", default="step", help="key of the logs: step, hours ...")
    add("--yaxis", default="eval_return", help="key of the logs: train_return, kl_loss ...")
    add("--tasks", type=pattern, default=[re.compile("")], help="only these tasks", **several)
    add("--methods", type=pattern, default=[re.compile("")], help="only these methods", **several)
    text = "published scores to show as lines"
    add("--baselines", type=pattern, default=[*map(re.compile, BASELINES)], help=text, **several)
    add("--prefix", type=truth, default=False, help="tell methods of several --indir apart")
    text = "width of the bins that are averaged; 0: none, -1: atari 1e6, dmc, crafter 1e4, else 1e5"
    add("--bins", type=cli.number(-1, 1e12), default=-1.0, help=text)
    spreads = ("std1", "per0", "per5", "per25", "none")
    add("--agg", choices=spreads, default="std1", help="spread over seeds; none: a line for each")
    add("--size", default=[2.5, 2.3], help="width and height of a plot, inches", **two)
    add("--dpi", type=cli.positive_int, default=80, help="pixels an inch")
    add("--cols", type=cli.positive_int, default=6, help="plots in a row")
    add("--xlim", default=None, help="ends of the x axis", **two)
    add("--ylim", default=None, help="ends of the y axis", **two)
    add("--ylimticks", type=truth, default=True, help="ticks at the ends of the y axis")
    add("--xlabel", help="text below")
    add("--ylabel", help="text at the left")
    add("--xticks", type=cli.positive_int, default=6, help="most ticks")
    add("--yticks", type=cli.positive_int, default=5, help="most ticks")
    add("--xmult", type=float, default=1.0, help="factor on the x axis")
    add("--labels", default=[], help="method and its name in the legend, in pairs", **several)
    text = f"{', '.join(PALETTES)}, or colours"
    add("--palette", default=["contrast"], help=text, **several)
    add("--legendcols", type=cli.positive_int, default=4, help="columns of the legend")
    add("--colors", default=[], help="method and colour, in pairs", **several)
    add("--maxval", type=cli.non_negative_float, default=0.0, help="cut values there; 0: nowhere")
    text = f"plots over all tasks: {', '.join(COMBINED)}, auto or none"
    add(
        "--add",
        choices=[*COMBINED, "auto", "none"],
        default=["auto", "seeds"],
        help=text,
        **several,
    )
    args = cli.parse(parser, argv=argv)
    for name in ("labels", "colors"):
        pairs = getattr(args, name)
        if len(pairs) % 2:
            raise UserError(f"--{name}: expected pairs, found {len(pairs)} words")
        setattr(args, name, dict(zip(pairs[::2], pairs[1::2], strict=True)))
    if len(args.palette) == 1 and args.palette[0] in PALETTES:
        args.palette = PALETTES[args.palette[0]].split()
    first = args.indir[0].expanduser().resolve()
    args.indir = [((args.indir_prefix or Path()) / path).expanduser() for path in args.indir]
    args.outdir = args.outdir.expanduser() / (first.stem if args.subdir else "")
    return args


def load(args: argparse.Namespace) -> tuple[list[Run], list[Run]]:
    """Runs in their bins, and baselines; UserError where there is nothing to draw."""
    runs, keys = curves.load(
        args.indir, args.xaxis, args.yaxis, args.tasks, args.methods, args.prefix
    )
    if not runs:
        known = f"; the logs have {', '.join(sorted(keys))}" if keys else ""
        places = ", ".join(map(str, args.indir))
        raise UserError(f"{places}: no run has both {args.xaxis} and {args.yaxis}{known}")
    most = args.maxval or np.inf
    runs = [
        Run(r.task, r.method, r.seed, r.xs * args.xmult, np.clip(r.ys, -most, most)) for r in runs
    ]
    runs = curves.bin_tasks(runs, args.bins)
    tasks = {run.task for run in runs}
    levels = curves.baselines(args.baselines, args.prefix) if "return" in args.yaxis else []
    return runs, [level for level in levels if level.task in tasks]


def draw(runs: list[Run], levels: list[Run], args: argparse.Namespace):
    """The figure."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    tasks = sorted({run.task for run in runs})
    methods = _order(runs, args.methods) + _order(levels, args.baselines)
    colours = _colours(runs, methods, args)
    combined = _combined_plots(args.add, tasks)
    plots = [(_title(task), [r for r in runs + levels if r.task == task]) for task in tasks]
    plots += [(name, curves.combine(runs, **_options(name))) for name in combined]
    columns = min(args.cols, len(plots))
    rows = -(-len(plots) // columns)
    size = (args.size[0] * columns, args.size[1] * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis, (title, relevant) in zip(axes.flat, plots, strict=False):
        axis.set_title(title.replace("_", " "), fontsize="medium")
        axis.set_facecolor("#e8e8e8" if title in combined else "white")
        _draw_plot(axis, relevant, methods, colours, args)
    for axis in axes.flat[len(plots) :]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel(args.xlabel or "")
    for axis in axes[:, 0]:
        axis.set_ylabel(args.ylabel or "")
    _legend(figure, args.labels, min(args.legendcols, max(2, columns)))
    return figure


def _draw_plot(axis, runs: list[Run], methods: list[str], colours, args) -> None:
    from matplotlib import ticker

    for index, method in enumerate(methods):
        relevant = [run for run in runs if run.method == method]
        style = {"color": colours[method], "zorder": 1000 - index}
        if not relevant:
            continue
        if relevant[0].xs is None:
            axis.axhline(np.mean([run.ys for run in relevant]), ls="--", label=method, **style)
        elif args.agg == "none":
            for run in relevant:
                axis.plot(run.xs, run.ys, label=method, marker=_marker(run.xs), **style)
        else:
            xs, ys = curves.stack(relevant)
            lines = curves.spread(ys, args.agg)
            known = np.isfinite(lines["middle"])
            xs, lines = xs[known], {name: line[known] for name, line in lines.items()}
            axis.fill_between(xs, lines["low"], lines["high"], alpha=0.15, lw=0, **style)
            axis.plot(xs, lines["middle"], label=method, marker=_marker(xs), **style)
    axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    steps = [1, 2, 2.5, 5, 10]
    axis.xaxis.set_major_locator(ticker.MaxNLocator(args.xticks, steps=steps))
    axis.yaxis.set_major_locator(ticker.MaxNLocator(args.yticks, steps=steps))
    if args.xlim:
        axis.set_xlim(args.xlim)
    if args.ylim:
        axis.set_ylim(args.ylim)
        if args.ylimticks:
            inside = [tick for tick in axis.get_yticks() if args.ylim[0] < tick < args.ylim[1]]
            axis.set_yticks(sorted({*inside, *args.ylim}))


def _marker(xs: np.ndarray) -> str | None:
    return "o" if len(xs) == 1 else None


def _order(runs: Sequence[Run], patterns: Sequence[re.Pattern]) -> list[str]:
    """Methods in the order of the patterns that name them."""
    found = sorted({run.method for run in runs})
    ordered = [method for p in patterns for method in found if p.search(method)]
    return list(dict.fromkeys(ordered))


def _colours(runs: Sequence[Run], methods: list[str], args) -> dict[str, str]:
    curved = {run.method for run in runs}
    palettes = {True: args.palette, False: PALETTES["baselines"].split()}
    colours, used = {}, {True: 0, False: 0}
    for method in methods:
        palette = palettes[method in curved]
        colours[method] = args.colors.get(method) or palette[used[method in curved] % len(palette)]
        used[method in curved] += method not in args.colors
    return colours


def _combined_plots(names: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """What --add means for these tasks."""
    several = len(tasks) > 1
    atari = any(task.startswith("atari_") for task in tasks)
    auto = (FOR_ATARI if atari else FOR_OTHERS) if several else []
    chosen = [new for name in names for new in (auto if name == "auto" else [name])]
    return [name for name in chosen if name != "none"]


def _options(name: str) -> dict:
    options = COMBINED[name]
    return options | {"low": "random"} if "high" in options else options


def _title(task: str) -> str:
    suite, _, name = task.partition("_")
    text = (name or suite).replace("_", " ")
    return text.title() if text.islower() else text


def _legend(figure, labels: dict[str, str], columns: int) -> None:
    entries = {}
    for axis in figure.axes:
        for handle, method in zip(*axis.get_legend_handles_labels(), strict=True):
            entries[labels.get(method, method)] = handle
    columns = min(columns, max(1, len(entries)))
    figure.tight_layout(h_pad=0.6, w_pad=0.6)
    options = {"ncol": columns, "loc": "lower center", "frameon": False, "fontsize": "medium"}
    legend = figure.legend(entries.values(), entries.keys(), **options)
    box = legend.get_window_extent(figure.canvas.get_renderer())
    top = box.transformed(figure.transFigure.inverted()).y1
    figure.tight_layout(rect=(0, top, 1, 1), h_pad=0.6, w_pad=0.6)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the runs, write runs.json, curves.png and curves.pdf."""
    args = parse(argv)
    runs, levels = load(args)
    for name in ("task", "method", "seed"):
        values = sorted({getattr(run, name) for run in runs})
        print(f"{len(values)} {name}s: {', '.join(values)}")
    write_json(args.outdir / "runs.json", curves.to_records(runs))
    figure = draw(runs, levels, args)
    for name in ("curves.png", "curves.pdf"):
        with atomic_path(args.outdir / name) as temporary:
            figure.savefig(temporary, dpi=args.dpi)
        print(f"wrote {args.outdir / name}")


if __name__ == "__main__":
    cli.run(main)
