"""The loop: the five files to the letter, resume bit for bit, seeds, caps, curves."""

import json
import pickle
import re

import numpy as np
import pytest

from estool import es, evolve, history, plot
from estool.study import toy
from kit.command import cli, mpi, seeds
from kit.command.errors import UserError

BASE = "log/toy.cma.3.6"


SMALL = ("-n", "1", "--population", "6", "-e", "3", "--eval_steps", "2", "--seed_start", "5")


def train(folder, generations, *more):
    toy.main([*SMALL, "--directory", str(folder), "--generations", str(generations), *more])
    return folder


def toy_arguments(folder, generations, *more):
    parser = cli.parser("")
    evolve.add_arguments(parser)
    words = [*SMALL, "--directory", str(folder), "--generations", str(generations), *more]
    return cli.parse(parser, argv=words)


def files(folder):
    """The five files, without their seconds."""
    texts = {suffix: (folder / f"{BASE}{suffix}").read_text() for suffix in history.SUFFIXES}
    for suffix in (".hist.json", ".hist_best.json"):
        rows = json.loads(texts[suffix])
        texts[suffix] = [[row[0], *row[2:]] for row in rows]
    return texts


def test_the_logs_are_what_the_reference_would_write():
    log = history.Log()
    fitness, steps = np.array([1.239, -2.0, 4.0]), np.array([10.0, 20.5, 30.129])
    row = log.add_generation(1, 7.9, fitness, 0.0986789, steps)
    # mean 1.0796, population stdev 2.452, mean steps 20.2096
    assert row == [1, 7, 1.07, -2.0, 4.0, 2.45, 0.09867, 21.2, 31]
    assert log.add_evaluation(1, 8.2, 0.5, [0.1, 0.2])  # worse than the mean, but the first
    assert not log.add_evaluation(2, 9.0, 0.25, [0.3, 0.4])
    assert log.add_evaluation(3, 10.0, 1.5, [0.5, 0.6])
    assert log.history_best == [
        [1, 8, "improvement", 0.5 - 1.07, "curr", 0.5, "prev", 1.07, "best", 0.5],
        [2, 9, "improvement", -0.25, "curr", 0.25, "prev", 0.5, "best", 0.5],
        [3, 10, "improvement", 1.0, "curr", 1.5, "prev", 0.5, "best", 1.5],
    ]
    assert log.evaluations[0] == [1, 0.5, [0.1, 0.2]]
    assert (log.best_params, log.best_score) == ([0.5, 0.6], 1.5)


def test_the_five_files_to_the_letter(tmp_path):
    log = history.Log()
    log.add_generation(1, 2, np.array([1.0, 2.0]), 0.1, np.array([4.0, 5.0]))
    log.add_evaluation(1, 3, 1.75, [0.25, -1.0])
    log.write(tmp_path / "a", np.array([0.123456, -1.0]))
    expected = {
        ".json": "[\n  [\n    0.1235,\n    -1.0\n  ]\n]",
        ".best.json": "[\n[\n0.25,\n-1.0\n],\n1.75\n]",
        ".hist.json": "[\n[\n1,\n2,\n1.5,\n1.0,\n2.0,\n0.5,\n0.1,\n5.5,\n6\n]\n]",
        ".hist_best.json": '[\n[\n1,\n3,\n"improvement",\n0.25,\n"curr",\n1.75,\n"prev",\n1.5,\n'
        '"best",\n1.75\n]\n]',
        ".log.json": "[[1, 1.75, [0.25, -1.0]]]",
    }
    for suffix, text in expected.items():
        assert (tmp_path / f"a{suffix}").read_text() == text


def test_resume_equals_an_uninterrupted_run(tmp_path):
    flags = ("--cap_time", "1", "--retrain", "1")
    whole = files(train(tmp_path / "whole", 7, *flags))
    for generations in (1, 2, 5, 7):
        parts = train(tmp_path / "parts", generations, *flags)
    assert files(parts) == whole
    assert len(json.loads(whole[".log.json"])) == 3


def test_logs_lost_to_a_kill_come_back_from_the_checkpoint(tmp_path):
    whole = files(train(tmp_path, 4))
    for suffix in history.SUFFIXES:
        (tmp_path / f"{BASE}{suffix}").unlink()
    assert files(train(tmp_path, 4)) == whole


@pytest.mark.parametrize("name", es.STRATEGIES)
def test_every_strategy_resumes_bit_for_bit(tmp_path, name):
    flags = ("-o", name, "--sigma_decay", "0.9")
    base = f"log/toy.{name}.3.6.json"
    whole = train(tmp_path / "whole", 5, *flags) / base
    for generations in (2, 5):
        parts = train(tmp_path / "parts", generations, *flags) / base
    assert parts.read_text() == whole.read_text()
    sigma = history.load_history(whole.with_suffix(".hist.json"))[-1][6]
    if es.STRATEGIES[name].decays:
        assert sigma < 0.1 * 0.9**4
    else:
        assert sigma > 0.1 * 0.9**2


def test_weight_decay_has_the_default_of_the_strategy(tmp_path):
    for name, given, expected in (("cma", (), 0.01), ("ga", (), 0.005), ("ga", ("0.3",), 0.3)):
        more = ("--weight_decay", *given) if given else ()
        folder = train(tmp_path / f"{name}{expected}", 1, "-o", name, *more)
        settings = json.loads((folder / f"log/toy.{name}.3.6.settings.json").read_text())
        assert settings["weight_decay"] == expected


def test_the_evaluated_mean_is_averaged_over_generations_also_after_a_break(tmp_path):
    every = train(tmp_path / "every", 4, "--eval_steps", "1")
    train(tmp_path / "three", 3, "--average", "3", "--eval_steps", "4")
    averaged = train(tmp_path / "three", 4, "--average", "3", "--eval_steps", "4")
    means = [row[2] for row in json.loads((every / f"{BASE}.log.json").read_text())]
    ((generation, _, mean),) = json.loads((averaged / f"{BASE}.log.json").read_text())
    assert generation == 4 and np.std(means, axis=0).max() > 0.01
    np.testing.assert_allclose(mean, np.mean(means[1:], axis=0), atol=2e-4)


def test_a_run_starts_from_the_mean_or_the_strategy_of_another(tmp_path):
    first = train(tmp_path / "first", 4)
    begin = history.load_history(first / f"{BASE}.hist.json")[0]
    mean = train(tmp_path / "mean", 1, "--init_opt", str(first / f"{BASE}.json"), "-o", "ga")
    row = history.load_history(mean / "log/toy.ga.3.6.hist.json")[0]
    assert row[2] > begin[2] + 0.5
    checkpoint = str(first / "checkpoint/toy.cma.3.6.pkl")
    flags = ("--init_opt", checkpoint, "--sigma_init", "0.5")
    row = history.load_history(train(tmp_path / "taken", 1, *flags) / f"{BASE}.hist.json")[0]
    assert row[2] > begin[2] + 0.5 and row[6] < 0.2
    with pytest.raises(UserError, match=r"expected SimpleGA of 5 .* found CMAES of 5"):
        train(tmp_path / "other", 1, "--init_opt", checkpoint, "-o", "ga")


def test_a_search_along_directions_goes_on_along_those_of_its_checkpoint(tmp_path):
    directions = np.random.default_rng(0).standard_normal((5, 2))

    def run(folder, generations, found):
        args = toy_arguments(folder, generations)
        rollouts = toy.make_rollouts(0, None)
        evolve.run(args, mpi.Ranks(), "toy", 5, rollouts, directions=lambda: found)
        return files(folder)

    whole = run(tmp_path / "whole", 5, directions)
    run(tmp_path / "parts", 2, directions)
    assert run(tmp_path / "parts", 5, "not asked for") == whole
    mean = np.array(json.loads(whole[".json"])[0])
    basis = np.linalg.qr(directions)[0]
    np.testing.assert_allclose(basis @ (basis.T @ mean), mean, atol=2e-4)
    assert np.abs(mean).max() > 0.01
    checkpoint = str(tmp_path / "whole" / "checkpoint/toy.cma.3.6.pkl")
    with pytest.raises(UserError, match=r"of 5 parameters, .* found .* of 2 .* a subspace of 5"):
        train(tmp_path / "new", 1, "--init_opt", checkpoint)


def test_other_settings_are_refused_by_name(tmp_path):
    train(tmp_path, 2)
    with pytest.raises(
        UserError, match=r"toy\.cma\.3\.6\.pkl was made with sigma_init 0\.1.* 0\.2"
    ):
        train(tmp_path, 3, "--sigma_init", "0.2")
    with pytest.raises(UserError, match="seed_start 5, and now it is 6"):
        train(tmp_path, 3, "--seed_start", "6")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train(tmp_path, 2)
    path = tmp_path / "checkpoint/toy.cma.3.6.pkl"
    path.write_bytes(path.read_bytes()[:1000])
    said = r"toy\.cma\.3\.6\.pkl: expected the checkpoint of an evolution, found a damaged file"
    with pytest.raises(UserError, match=f"{said}.*--restart"):
        train(tmp_path, 3)
    given = tmp_path / "given.pkl"
    for data, found in ((path.read_bytes(), "a damaged file"), (pickle.dumps([1]), "a list")):
        given.write_bytes(data)
        with pytest.raises(UserError, match=rf"^--init_opt {given}: expected .* found {found}"):
            train(tmp_path / "fresh", 1, "--init_opt", str(given))


def test_restart_keeps_the_earlier_run_aside(tmp_path):
    before = files(train(tmp_path, 4))
    after = files(train(tmp_path, 2, "--restart"))
    assert len(after[".hist.json"]) == 2 and after[".hist.json"] == before[".hist.json"][:2]
    kept = tmp_path / "log/previous-1"
    assert len(history.load_history(kept / "toy.cma.3.6.hist.json")) == 4
    assert (kept / "toy.cma.3.6.pkl").exists()


def test_fitness_steps_and_evaluation_against_numbers_of_our_own(tmp_path):
    """A task whose outcome is known: the log's columns follow from what rollouts were given."""
    calls = []

    def rollouts(params, episode_seeds, max_length, test):
        returns = params.sum(1) + episode_seeds % 10
        lengths = 20 + episode_seeds % 5
        calls.append((params, episode_seeds, max_length, test, returns, lengths))
        return returns, lengths

    args = toy_arguments(tmp_path, 2, "--cap_time", "1", "--batch_mode", "min")
    evolve.run(args, mpi.Ranks(), "toy", 4, rollouts)

    assert [call[3] for call in calls] == [False, False, True]
    first, second, test = calls
    returns, lengths = first[4].reshape(6, 3), first[5].reshape(6, 3)
    row = history.load_history(tmp_path / f"{BASE}.hist.json")[0]
    assert row[2:5] == [history.cut(f(returns.min(1)), 2) for f in (np.mean, np.min, np.max)]
    assert row[7] == history.cut(lengths.mean(), 2) + 1
    assert row[8] == int(lengths.mean(1).max()) + 1
    assert (first[2], second[2], test[2]) == (-1, 2 * int(lengths.mean() + 1), -1)
    # the same training episodes for every candidate, others in the next generation
    drawn = first[1].reshape(6, 3)
    assert (drawn == drawn[0]).all() and drawn.min() >= seeds.TRAINING.start
    assert (second[1].reshape(6, 3)[0] != drawn[0]).all()
    # the mean as it is saved, on 6 x 3 selection episodes
    assert test[1].tolist() == list(range(100_000, 100_018))
    saved = json.loads((tmp_path / f"{BASE}.json").read_text())[0]
    assert (test[0] == np.array(saved)).all()
    assert json.loads((tmp_path / f"{BASE}.best.json").read_text()) == [saved, test[4].mean()]


def test_antithetic_seeds():
    settings = {"population": 5, "num_episode": 2, "common_seeds": 0, "antithetic": 1}
    drawn = evolve._episode_seeds(np.random.default_rng(0), settings)
    assert (drawn[3:] == drawn[:2]).all() and len(np.unique(drawn)) == 6
    drawn = evolve._episode_seeds(np.random.default_rng(0), settings | {"antithetic": 0})
    assert len(np.unique(drawn)) == 10


def test_a_generation_prints_a_line_and_leaves_pictures(tmp_path, capsys):
    train(tmp_path, 2)
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"generation 1 \d+ s  fitness -?\d+\.\d\d \(.* steps/s, ask\+tell", lines[1])
    assert re.match(r"evaluation at generation 2: .* 18 episodes; best", lines[3])
    assert (tmp_path / f"{BASE}.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "runs/toy.cma.3.6").glob("events*"))
    settings = json.loads((tmp_path / f"{BASE}.settings.json").read_text())
    assert (settings["population"], settings["eval_episodes"]) == (6, 18)


def test_curves_of_a_run(tmp_path):
    base = train(tmp_path, 4) / BASE
    for axis, label in (("hours", "hours"), ("generation", "generation")):
        figure = plot.learning_curve(base, axis, requirement=900, reference=base)
        axes = figure.axes[0]
        labels = [line.get_label() for line in axes.get_lines()]
        assert labels[:5] == ["mean", "min", "max", "evaluation of the mean", "running best"]
        assert axes.get_xlabel() == label and "requirement" in labels
    evaluations = history.load_evaluations(f"{base}.hist_best.json")
    drawn = axes.get_lines()[3].get_xydata().tolist()
    assert drawn == [[row["generation"], row["curr"]] for row in evaluations]
    assert len(plot.learning_curves(base).axes) == 2


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".hist.json", "[\n[\n1,\n2,\n1.5"),
        (".hist.json", "[[1, 2, 3]]"),
        (".hist.json", "[[1, 2, NaN, 1, 1, 1, 1, 1, 1]]"),
        (".hist_best.json", '[[1, 2, "better", 0, "curr", 1, "prev", 1, "best", 1]]'),
    ],
)
def test_a_torn_history_is_refused_by_name(tmp_path, suffix, text):
    base = train(tmp_path, 2) / BASE
    path = tmp_path / f"{BASE}{suffix}"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(str(path))):
        plot.learning_curves(base)


def test_a_run_goes_on_only_with_the_weights_it_began_with(tmp_path):
    weights = {"vae": tmp_path / "vae.json"}
    settings = tmp_path / f"{BASE}.settings.json"

    def go_on(generations, *more, given=weights):
        args = toy_arguments(tmp_path, generations, *more)
        evolve.run(args, mpi.Ranks(), "toy", 5, toy.make_rollouts(0, None), weights=given)
        return json.loads(settings.read_text())

    weights["vae"].write_text("first")
    assert "evolved_with" not in go_on(1, given=None)  # as an earlier version has begun it
    first = go_on(2)["evolved_with"]
    weights["vae"].write_text("second")
    with pytest.raises(UserError, match=rf"began with another {weights['vae']}: .* --restart"):
        go_on(3)
    assert json.loads(settings.read_text())["evolved_with"] == first
    assert go_on(1, "--restart")["evolved_with"] != first
    go_on(2)


def test_a_return_that_is_nan_stops_the_run(tmp_path):
    args = toy_arguments(tmp_path, 0)
    with pytest.raises(UserError, match="NaN"):
        evolve.run(args, mpi.Ranks(), "toy", 4, lambda p, s, *_: (np.full(len(s), np.nan), s))
