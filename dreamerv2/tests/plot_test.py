"""plot.py: where runs are found, bins, combinations, and the files that come out."""

import json
import re

import numpy as np
import pytest

from dreamerv2.common import plot, runs
from dreamerv2.common.runs import Run
from kit.command.errors import UserError

EVERYTHING = [re.compile("")]


def write(folder, pairs, key="eval_return"):
    folder.mkdir(parents=True)
    lines = [json.dumps({"step": x, key: y}) for x, y in pairs]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def load(*indirs, prefix=False):
    return runs.load(indirs, "step", "eval_return", EVERYTHING, EVERYTHING, prefix)[0]


def test_a_folder_says_task_method_and_seed(tmp_path):
    write(tmp_path / "atari_pong" / "mine" / "3", [(2, 5), (1, 4), (3, None)])
    write(tmp_path / "minigrid", [(1, 1)])
    pong, grid = load(tmp_path, prefix=True)
    assert (pong.task, pong.method, pong.seed) == ("atari_pong", "indir1_mine", "indir1_3")
    assert pong.xs.tolist() == [1, 2] and pong.ys.tolist() == [4, 5]
    assert (grid.task, grid.method, grid.seed) == ("minigrid", "indir1_dreamerv2", "indir1_1")


def test_a_cut_off_last_line_is_left_out_and_a_bad_one_named(tmp_path):
    write(tmp_path / "a", [(1, 1)])
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "eval_ret')
    assert load(tmp_path)[0].xs.tolist() == [1]
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is no json"):
        load(tmp_path)


def test_bins_are_means_at_their_right_borders():
    xs, ys = np.array([0, 1, 10, 11, 35.0]), np.array([1, 3, 5, 7, 9.0])
    means = runs.bin_means(xs, ys, np.array([0, 10, 20, 30, 40.0]))
    assert means.tolist()[:2] == [3, 7] and np.isnan(means[2]) and means[3] == 9


@pytest.mark.parametrize(
    ("task", "longest", "width", "count"),
    [("atari_pong", 2e7, 1e6, 20), ("dmc_walker_walk", 3e5, 1e4, 30), ("minigrid", 3000, 100, 30)],
)
def test_bins_by_themselves_are_the_suites_and_narrower_for_short_runs(task, longest, width, count):
    run = Run(task, "m", "1", np.array([1, longest]), np.array([1, 2.0]))
    (binned,) = runs.bin_tasks([run], -1)
    assert binned.xs[0] == pytest.approx(width) and len(binned.xs) == count


def test_a_run_shorter_than_a_bin_is_one_point():
    run = Run("t", "m", "1", np.array([10, 50.0]), np.array([1, 2.0]))
    (binned,) = runs.bin_tasks([run], 1e6)
    assert (binned.xs.tolist(), binned.ys.tolist()) == ([1e6], [1.5])


def test_runs_that_ended_early_keep_their_last_value():
    short = Run("t", "m", "1", np.array([1, 2.0]), np.array([5, 6.0]))
    long = Run("t", "m", "2", np.array([1, 2, 3.0]), np.array([7, 8, 9.0]))
    xs, ys = runs.stack([short, long])
    assert xs.tolist() == [1, 2, 3] and ys.tolist() == [[5, 7], [6, 8], [6, 9]]


def test_spreads():
    ys = np.array([[1.0, 3, 5, 7, 9]])
    assert [float(v[0]) for v in runs.spread(ys, "per0").values()] == [1, 5, 9]
    assert [float(v[0]) for v in runs.spread(ys, "per25").values()] == [3, 5, 7]
    low, mean, high = (float(v[0]) for v in runs.spread(ys, "std1").values())
    assert (mean, high - mean) == (5, pytest.approx(8**0.5)) and low == pytest.approx(5 - 8**0.5)


def test_scores_on_the_scale_of_human_gamers():
    level = {
        run.method: float(run.ys) for run in runs.baselines(EVERYTHING) if run.task == "atari_pong"
    }
    assert (level["random"], level["human_gamer"]) == (-20.7, 14.6)
    pong = Run("atari_pong", "m", "1", np.array([1, 2.0]), np.array([-20.7, 14.6]))
    unknown = Run("mine", "m", "1", np.array([1, 2.0]), np.array([0, 0.0]))
    options = {"low": "random", "high": "human_gamer"}
    (combined,) = runs.combine([pong, unknown], lambda ys: np.nanmean(ys, -1), **options)
    assert combined.ys.tolist() == [0, 1]


def test_the_seeds_command_writes_its_three_files(tmp_path, capsys):
    for seed in (1, 2):
        write(tmp_path / f"logs/atari_pong/dreamerv2/{seed}", [(4e5 * i, i) for i in range(9)])
        write(tmp_path / f"logs/dmc_walker_walk/dreamerv2/{seed}", [(9e3 * i, i) for i in range(9)])
    command = f"--indir {tmp_path}/logs --outdir {tmp_path}/plots --xaxis step --yaxis eval_return"
    plot.main([*command.split(), "--bins", "1e6"])
    folder = tmp_path / "plots" / "logs"
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.pdf",
        "curves.png",
        "runs.json",
    ]
    records = json.loads((folder / "runs.json").read_text())
    pong = next(r for r in records if (r["task"], r["seed"]) == ("atari_pong", "indir1_2"))
    assert pong["xs"] == [1e6, 2e6, 3e6, 4e6] and pong["ys"] == [1, 4, 6.5, 8]
    assert "2 tasks: atari_pong, dmc_walker_walk" in capsys.readouterr().out
    (again,) = runs.load(
        [folder / "runs.json"], "step", "r", [re.compile("pong")], EVERYTHING, False
    )[0][:1]
    assert again.ys.tolist() == [1, 4, 6.5, 8]


@pytest.mark.parametrize(
    "options",
    [
        "--agg per0 --palette discrete --cols 1 --add seeds",
        "--agg none --palette red blue --add none --labels a first b second --colors a green",
        "--xlim 0 10 --ylim 0 5 --ylimticks False --xlabel x --ylabel y --xticks 3 --yticks 2",
        "--bins 0 --xmult 0.5 --maxval 3 --size 4 3 --dpi 50 --legendcols 1 --subdir False",
        "--methods b a --tasks one --prefix True --add mean median gamer_mean record_mean",
        "--add human_above human_below clip_record_mean gamer_median auto seeds --baselines random",
    ],
)
def test_options(tmp_path, options):
    for method in ("a", "b"):
        write(tmp_path / f"logs/one/{method}/1", [(i, i % 4) for i in range(9)])
    plot.main([*f"--indir {tmp_path}/logs --outdir {tmp_path}/plots".split(), *options.split()])
    folder = tmp_path / "plots" if "--subdir" in options else tmp_path / "plots" / "logs"
    assert (folder / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--yaxis foo", "no run has both step and foo; the logs have eval_return, step"),
        ("--labels a", "--labels: expected pairs"),
        ("--tasks nothing", "no run has both"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path, options, message):
    write(tmp_path / "logs/one/a/1", [(1, 1)])
    with pytest.raises(UserError, match=message):
        plot.main([*f"--indir {tmp_path}/logs --outdir {tmp_path}/p".split(), *options.split()])
    assert not (tmp_path / "p").exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="found nothing at"):
        plot.main(["--indir", str(tmp_path / "no"), "--outdir", str(tmp_path)])
