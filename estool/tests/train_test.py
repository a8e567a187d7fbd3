"""The commands of this folder, as people start them: train, go on, replay, score, bad input."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from estool import agents, games, history, model, train
from kit.command import launch
from kit.command.errors import UserError
from kit.files.weights import load_controller, save_controller

HERE = Path(__file__).parents[1]
TINY = ("--population", "4", "--eval_steps", "2", "--eval_episodes", "3", "--max_length", "60")
BASE = "log/CartPoleSwingUp-v0.pepg.1.4"


def tiny(folder, *more, game="cartpole_swingup", optimizer="pepg"):
    return [game, "-o", optimizer, *TINY, "--directory", str(folder), *map(str, more)]


def start(*command):
    kept = {key: value for key, value in os.environ.items() if key not in launch.THREADS}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=100, env=kept)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Four generations of CartPoleSwingUp in this process."""
    folder = tmp_path_factory.mktemp("trained")
    train.main(tiny(folder, "-n", 1, "--generations", 4))
    return folder


def test_as_a_script_with_two_ranks_or_as_a_module_it_does_the_same(tmp_path, trained):
    ways = {"script": ("train.py",), "module": ("-m", "estool.train")}
    for name, way in ways.items():
        done = start(*way, *tiny(tmp_path / name, "-n", 2, "--generations", 4))
        assert done.returncode == 0, done.stderr
        assert "CartPoleSwingUp-v0.pepg.1.4: 71 parameters, 2 ranks" in done.stdout
        for suffix in (".json", ".best.json", ".log.json"):
            expected = (trained / f"{BASE}{suffix}").read_text()
            assert (tmp_path / name / f"{BASE}{suffix}").read_text() == expected


def test_a_stopped_training_goes_on_as_if_it_had_not(tmp_path, trained):
    for generations in (1, 3, 4):
        train.main(tiny(tmp_path, "-n", 1, "--generations", generations))
    assert (tmp_path / f"{BASE}.json").read_text() == (trained / f"{BASE}.json").read_text()
    with pytest.raises(UserError, match="made with layers 10, and now it is 3 2"):
        train.main(tiny(tmp_path, "-n", 1, "--generations", 5, "--layers", 3, 2))


@pytest.mark.parametrize("name", ["cma", "ga", "ses"])
def test_strategies_learn_to_balance_a_pole(tmp_path, name):
    flags = ["CartPole-v1", "-o", name, "-n", "1", "-e", "2", "--layers", "--sigma_init", "0.5"]
    flags += ["--population", "16", "--generations", "12", "--eval_steps", "12"]
    train.main([*flags, "--eval_episodes", "10", "--directory", str(tmp_path)])
    evaluation = history.load_evaluations(tmp_path / f"log/CartPole-v1.{name}.2.16.hist_best.json")
    assert evaluation[-1]["curr"] > 150  # a random policy: about 20


def test_cap_time_and_retrain_and_batch_mode_reach_the_loop(tmp_path):
    flags = ("--cap_time", 1, "--retrain", 1, "--batch_mode", "min", "-e", 2)
    train.main(
        tiny(tmp_path, "-n", 1, "--generations", 3, *flags, game="Hopper-v5", optimizer="ga")
    )
    rows = history.load_history(tmp_path / "log/Hopper-v5.ga.2.4.hist.json")
    longest = [row[8] - 1 for row in rows]
    assert longest[1] <= 2 * int(rows[0][7]) and longest[2] <= 2 * int(rows[1][7])


def test_an_agent_brings_its_own_layers(tmp_path, capsys):
    flags = ("-n", 1, "--generations", 2, "--layers", 3, 2, "--time_factor", 60)
    train.main(tiny(tmp_path, *flags, game="CartPole-v1"))
    agent = tmp_path / "log/CartPole-v1.pepg.1.4.best.json"
    assert load_controller(agent, None).size == (4 + 1 + 1) * 3 + (3 + 1) * 2 + (2 + 1) * 2
    capsys.readouterr()
    model.main(["CartPole-v1", str(agent), "0", "--norender", "-n", "1", "--episodes", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[:3]] == [
        ["trial", str(i), "seed", str(i)] for i in range(3)
    ]
    assert lines[3].startswith("seed 0 average_reward ")
    with pytest.raises(UserError, match="expected 58 parameters in a flat list, found"):
        flags = ("--layers", "8", "--time_factor", "0")
        model.main(["CartPole-v1", str(agent), "0", "--norender", "-n", "1", *flags])


def test_a_score_is_that_of_the_agents_episodes_on_any_number_of_ranks(trained):
    agent = trained / f"{BASE}.best.json"
    scores = [
        start("model.py", "cartpole_swingup", agent, 7, "--norender", "--episodes", 5, "-n", ranks)
        for ranks in (1, 2)
    ]
    assert scores[0].returncode == 0, scores[0].stderr
    lines, others = (score.stdout.splitlines()[-6:] for score in scores)
    assert lines == others
    game = games.find("cartpole_swingup")
    parameters = load_controller(agent, 71)[None].repeat(5, 0)
    returns, lengths = agents.Rollouts(game)(parameters, np.arange(7, 12), test=True)
    for trial, line in enumerate(lines[:5]):
        expected = f"trial {trial} seed {7 + trial} reward {returns[trial]:.2f}"
        assert line == f"{expected} steps {lengths[trial]}"


@pytest.mark.parametrize("game", ["cartpole_swingup", "BipedalWalker-v3"])
def test_a_video_shows_the_episodes_that_are_scored(tmp_path, capsys, game):
    import imageio.v3 as imageio

    size = games.find(game).policy().num_params
    agent, video = tmp_path / "agent.json", tmp_path / "agent.gif"
    save_controller(agent, np.random.default_rng(0).standard_normal(size))
    flags = ["--episodes", "2", "--max_length", "20"]
    model.main([game, str(agent), "5", "--video", str(video), *flags])
    watched = capsys.readouterr().out.splitlines()
    model.main([game, str(agent), "5", "--norender", "-n", "1", *flags])
    scored = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 2)[2] for line in scored[:2]] == watched
    frames = imageio.imread(video, index=None)
    assert len(frames) >= 8 and np.ptp(frames[-1].astype(int)) > 50
    assert (frames[0] != frames[3]).any()


def test_without_an_agent_a_random_one_plays(capsys):
    flags = ["--norender", "--episodes", "2", "-n", "1"]
    model.main(["CartPole-v1", *flags])
    first = capsys.readouterr().out
    model.main(["CartPole-v1", *flags])
    assert capsys.readouterr().out == first and "seed 721 reward" in first


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("train.py", "NoSuchTask-v0", "-n", 1), "NoSuchTask-v0: gymnasium cannot make it"),
        (("train.py", "CartPole-v1", "-o", "adam"), "argument -o/--optimizer: invalid choice"),
        (
            ("train.py", "CartPole-v1", "-n", 1, "-o", "ses", "--population", 7),
            "--population, --num_worker_trial: ses needs an even number, found 7",
        ),
        (("model.py", "CartPole-v1", "nothing.json"), "expected a file, found nothing"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, command, expected):
    done = start(*command, *(("--directory", tmp_path) if command[0] == "train.py" else ()))
    assert done.returncode == 2 and expected in done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--noise_bias", "nan"], "--noise_bias: expected a number from -20 to 20, found 'nan'"),
        (["--max_length", "-2"], "--max_length: expected a whole number from -1"),
        (["--layers", "2147483647", "2147483647"], "GB of memory.*--layers"),
        (["--norender", "--video", "a.mp4"], "--video needs pictures, found --norender"),
        (["--csv", "a.csv"], "--csv needs scores: give --norender"),
        (["0", "--norender", "-n", "1", "--episodes", "100001"], "test seeds .* fewer episodes"),
    ],
)
def test_flags_that_cannot_be_or_go_together_are_refused(tmp_path, capsys, flags, said):
    agent = []
    if "--episodes" in flags:
        save_controller(tmp_path / "a.json", np.zeros(10))
        agent = [str(tmp_path / "a.json")]
    with pytest.raises((SystemExit, UserError)) as caught:
        model.main(["CartPole-v1", *agent, *flags])
    assert re.search(said, capsys.readouterr().err + str(caught.value))


def test_damaged_settings_beside_an_agent_are_named(tmp_path):
    save_controller(tmp_path / "a.json", np.zeros(10))
    for text in ("{", "[]", '{"layers": 3}'):
        (tmp_path / "a.settings.json").write_text(text)
        with pytest.raises(UserError, match=r"a\.settings\.json: expected the settings"):
            model.main(["CartPole-v1", str(tmp_path / "a.json"), "--norender", "-n", "1"])
    (tmp_path / "a.settings.json").unlink()
    model.main(["CartPole-v1", str(tmp_path / "a.json"), "--norender", "-n", "1", "--layers"])


def test_settings_hold_what_a_replay_needs(trained):
    settings = json.loads((trained / f"{BASE}.settings.json").read_text())
    assert settings["layers"] == "10" and settings["env_id"] == "CartPoleSwingUp-v0"


@pytest.mark.parametrize("agent", sorted((HERE / "zoo").glob("*.best.json")), ids=lambda p: p.name)
def test_an_agent_of_the_zoo_plays_as_its_evaluation_says(agent, capsys):
    _, evaluation = json.loads(agent.read_text())
    flags = ["--norender", "-n", "1", "--episodes", "4"]
    model.main([agent.name.split(".")[0], str(agent), "0", *flags])
    # the median: now and then one of the cheetah's episodes fails, the fourth is such a one
    score = float(capsys.readouterr().out.split("median ")[1].split()[0])
    assert score > 0.9 * evaluation > 0
    rows = history.load_evaluations(agent.with_name(agent.name.replace(".best.", ".hist_best.")))
    assert rows[-1]["best"] == evaluation


def test_the_scaling_experiment_counts_its_bytes():
    flags = ("-n", 2, "--sleep", 0.01, "--generations", 2, "--num_params", 1000)
    line = start("-m", "estool.study.scaling", *flags).stdout.splitlines()[-1]
    assert line.startswith("ranks 2 candidates 8 parameters 1000 generation 0.")
    # to each rank its 4 candidates of 1000 float64 and their seeds; 8 returns and lengths
    assert "asleep 0.040 s to each rank 0.03 MB, from all 0.1 kB" in line
