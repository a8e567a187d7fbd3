"""The commands that make tables: the flags that they give are flags, the rows the right ones."""

from pathlib import Path

import numpy as np
import pytest

from estool.study.variants import CONTROLLER, Place
from kit.command.errors import UserError
from kit.files import atomic, weights

import advantage
import agent
import model
import train
from rnn import MDNRNN
from study import ablation, temperatures


@pytest.fixture
def models(tmp_path):
    for name in ("vae", "rnn", "initial_z"):
        (tmp_path / f"{name}.json").write_text(f'["{name}"]')
    return tmp_path


def play_arguments(arguments, agent):
    return model.parse([str(agent) if word == CONTROLLER else word for word in arguments])


def test_each_temperature_has_its_own_dream_choice_and_first_agent(models, tmp_path, monkeypatch):
    flags = ["--models", str(models), "--temperatures", "0.1", "1.15", "--first", "30"]
    args = temperatures.parse([*flags, "--output", str(tmp_path / "out")])
    calls, place = [], Place(Path(), args.output, args.generations)

    def call(place, script, arguments):
        if script == "train.py":
            given = train.parse([*arguments])
            calls.append((script, given.generations, given.temperature, given.init_opt))
            atomic.write_json(given.directory / "log" / "d.best.json", [])
            atomic.write_json(
                given.directory / "log" / "d.hist.json", [[0] * 9] * given.generations
            )
        else:
            given = advantage.parse(arguments)
            calls.append((script, given.episodes, given.temperature, given.controller))
            atomic.write_json(given.output, [])

    monkeypatch.setattr(Place, "call", call)
    for _ in range(2):  # the second time all is there
        found = [(t, *temperatures.train_first(args, place, t)) for t in args.temperatures]
    agents = [tmp_path / "out" / f"tau-{t}" / "first/log/d.best.json" for t in ("0.1", "1.15")]
    assert calls[:2] == [("train.py", 30, 0.1, None), ("advantage.py", 9000, 0.1, agents[0])]
    assert calls[2:] == [("train.py", 30, 1.15, None), ("advantage.py", 9000, 1.15, agents[1])]
    low, high = (temperatures.make_variant(args, *row) for row in found)
    assert (low.name, high.name) == ("tau-0.1", "tau-1.15")
    given = train.parse(high.train)
    assert (given.temperature, given.world, given.eval_world) == (1.15, "doomrnn", "doomrnn")
    assert (given.population, given.num_episode, given.components) == (128, 2, 32)
    assert (given.average, given.eval_steps, given.sigma_init) == (10, 20, 0.2)
    assert (given.models, given.inputs, given.init_opt) == (models, "zch", None)
    assert given.along == [agents[1], agents[1].parents[1] / "advantage.json"]
    for world in ("doomrnn", "doomreal"):
        given = play_arguments(low.scores[world], agents[0])
        assert (given.world, given.temperature, given.episodes) == (world, 0.1, 300)
        assert given.controller == agents[0] and given.max_length == 2100
    assert model.parse(temperatures.random_arguments(args)).policy == "random"


def test_temperature_table_is_laid_beside_the_papers(models, tmp_path):
    args = temperatures.parse(["--temperatures", "1.15", "1.25", "--output", str(tmp_path)])
    values = {"mean": 900.0, "stdev": 500.0, "stderr": 28.9, "median": 800.0}
    found = {"doomrnn": values, "doomreal": values}
    text = temperatures.table(args, {"tau-1.15": found, "tau-1.25": found}, values)
    ours = "900 ± 500 (29) | 900 ± 500 (29) | 800"
    assert f"| 1.15 | {ours} | 918 ± 546 | 1092 ± 556 |" in text
    assert f"| 1.25 | {ours} |  |  |" in text and text.endswith("| 210 ± 108 |\n")


@pytest.mark.parametrize(
    ("table", "flag"),
    [(ablation, "--generations"), (temperatures, "--generations"), (temperatures, "--first")],
)
def test_a_training_that_would_end_before_its_first_choice_is_refused(table, flag, capsys):
    with pytest.raises(SystemExit) as error:
        table.parse([flag, "9"])
    assert error.value.code == 2 and f"{flag} 9 ends before" in capsys.readouterr().err


def test_ablation_trains_in_the_game_with_one_budget(models, tmp_path):
    args = ablation.parse(["--models", str(models), "--output", str(tmp_path / "out")])
    rows = ablation.make_variants(args)
    assert [row.name for row in rows] == list(ablation.ROWS)
    given = [train.parse(row.train) for row in rows]
    assert [g.inputs for g in given] == ["z", "z_hidden", "zh", "zch", "zh", "zch"]
    assert {(g.world, g.eval_world, g.population, g.num_episode) for g in given} == {
        ("doomreal", "doomreal", 64, 1)
    }
    assert [g.components for g in given] == [32, 0, 32, 32, 32, 32]
    assert {(g.sigma_init, g.average) for g in given} == {(0.2, 5)}
    untrained = tmp_path / "out" / "untrained"
    assert [g.models for g in given] == [models] * 4 + [untrained] * 2
    for row, training in zip(rows, given, strict=True):
        playing = play_arguments(row.scores["doomreal"], models / "vae.json")
        assert (playing.inputs, playing.models) == (training.inputs, training.models)


def test_untrained_m_is_random_and_v_the_same(models):
    folder = ablation.make_untrained(models, models / "untrained")
    assert (folder / "vae.json").read_text() == (models / "vae.json").read_text()
    found, fresh = MDNRNN().load(folder / "rnn.json"), MDNRNN(seed=ablation.UNTRAINED_SEED)
    for one, other in zip(found.variables, fresh.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1 / weights.SCALE)
    with pytest.raises(UserError, match=r"vae\.json"):
        ablation.make_untrained(Path("nowhere"), models / "other")


def test_training_in_the_game_plays_the_game(monkeypatch):
    args = train.parse(["--world", "doomreal", "--inputs", "z", "--eval_world", "doomrnn"])
    world = agent.WorldModel.random(1)
    monkeypatch.setattr(agent.WorldModel, "load", lambda _: world)
    played = []

    def simulate(world, *rest):
        played.append(type(world).__name__)
        return np.zeros(1), np.ones(1)

    monkeypatch.setattr(agent, "simulate", simulate)
    rollouts, size = train.make_rollouts(args)
    rollouts(np.zeros((1, size)), np.array([5]), -1, False)
    rollouts(np.zeros((1, size)), np.array([5]), -1, True)
    assert size == 64 and played == ["RealWorld", "Dream"]
