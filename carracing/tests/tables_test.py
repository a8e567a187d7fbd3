"""The commands that make the table of agents and the figure beside the reference's."""

import json
from pathlib import Path

import numpy as np
import pytest

from estool.study.variants import CONTROLLER
from kit.command.errors import UserError
from kit.files import atomic, weights

import model
import train
from rnn import MDNRNN
from study import ablation, curves


@pytest.fixture
def models(tmp_path):
    for name in ablation.FILES:
        atomic.write_text(tmp_path / name, f'["{name}"]')
    return tmp_path


def playing(row, models):
    """The arguments of model.py that score a row, with a file in the place of its agent."""
    file = str(models / ablation.FILES[0])
    return [file if word == CONTROLLER else word for word in row.scores["stock"]]


def test_ablation_trains_with_one_budget_and_scores_on_stock(models):
    args = ablation.parse(["--models", str(models), "--output", str(models / "out")])
    rows = ablation.make_variants(args)
    assert [row.name for row in rows] == ["z", "z_hidden", "zh", "zh-untrained"]
    given = [train.parse(row.train) for row in rows]
    assert [g.inputs for g in given] == ["z", "z_hidden", "zh", "zh"]
    budgets = {(g.population, g.num_episode, g.renderer, g.eval_renderer) for g in given}
    assert budgets == {(64, 4, "fast", "fast")} and given[0].patience == 100
    assert [g.models for g in given] == [models] * 3 + [models / "out" / "untrained"]
    for row, training in zip(rows, given, strict=True):
        shown = model.parse(playing(row, models))
        assert (shown.inputs, shown.models) == (training.inputs, training.models)
        assert (shown.renderer, shown.episodes) == ("stock", 100)


def test_a_levers_row_differs_from_the_agent_by_that_lever_alone(models):
    names = ["zh", "zh-own-tracks", "zh-whole-episodes", "zh-sampled"]
    args = ablation.parse(["--models", str(models), "--rows", *names])
    agent, *levers = ablation.make_variants(args)
    base = vars(train.parse(agent.train))
    found = [
        {k: v for k, v in vars(train.parse(row.train)).items() if base[k] != v} for row in levers
    ]
    assert found == [{"common_seeds": 0}, {"patience": 0}, {"z": "sample"}]
    shown = [model.parse(playing(row, models)).z for row in levers]
    assert shown == ["mean", "mean", "sample"]


def test_table_is_laid_beside_the_papers(tmp_path):
    args = ablation.parse(["--rows", "z", "zh-untrained", "--output", str(tmp_path)])
    score = {"mean": 600.0, "stdev": 200.0, "stderr": 20.0, "median": 650.0}
    training = {"parameters": 99, "generations": 100, "hours": 2.5, "steps": 21e6}
    found = {"stock": score, "training": training}
    text = ablation.table(args, {"z": found, "zh-untrained": found})
    assert "| z | 99 | 600 ± 200 (20) | 650 | 100 | 21.0 M | 2.5 | 632 ± 251 |" in text
    assert text.endswith("| 2.5 |  |\n")


def test_untrained_m_is_random_and_v_the_same(models):
    folder = ablation.make_untrained(models, models / "untrained")
    assert (folder / "vae/vae.json").read_text() == (models / "vae/vae.json").read_text()
    found, fresh = MDNRNN().load(folder / "rnn/rnn.json"), MDNRNN(seed=ablation.UNTRAINED_SEED)
    for one, other in zip(found.variables, fresh.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1 / weights.SCALE)
    with pytest.raises(UserError, match=r"vae\.json"):
        ablation.make_untrained(Path("nowhere"), models / "other")


def test_curve_counts_steps_of_candidates(tmp_path):
    base = tmp_path / "log"
    rows = [[g, 1800 * g, 10.0 * g, 0, 0, 0, 0.1, 201.0, 300] for g in (1, 2, 3)]
    evaluation = [2, 3600, "improvement", 5, "curr", 700.0, "prev", 1, "best", 700.0]
    values = {
        "hist": rows,
        "hist_best": [evaluation],
        "settings": {"population": 6, "num_episode": 5},
    }
    for name, value in values.items():
        Path(f"{base}.{name}.json").write_text(json.dumps(value))
    loaded = curves.load_curves(str(base))
    assert loaded["steps"].tolist() == [6000, 12000, 18000] and loaded["hours"][-1] == 1.5
    ours = curves.draw(loaded).axes[0].lines[1]
    assert (ours.get_xdata().tolist(), ours.get_ydata().tolist()) == ([12000], [700])
    curves.main([str(base)])
    assert Path(f"{base}.curve.png").stat().st_size > 10_000
    twice = curves.join([loaded, loaded])
    assert twice["steps"].tolist() == [6000, 12000, 18000, 24000, 30000, 36000]
    assert twice["hours"][-1] == 3 and twice["at"].tolist() == [*loaded["at"], *loaded["at"] + 3]
    Path(f"{base}.hist.json").write_text("[]")
    with pytest.raises(UserError, match="no generation yet"):
        curves.load_curves(str(base))
