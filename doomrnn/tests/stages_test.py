"""Every stage of the room at smoke size, and what its commands refuse."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from kit.command import cli, mpi
from kit.command.errors import UserError
from kit.files import weights
from kit.tensors import precision

import extract
import model
import series
import train
import vae_train
from rnn import MDNRNN
from world import SHARED_BYTES

ROOM = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy of this room without data, after extract.bash and gpu_jobs.bash at smoke size."""
    folder = tmp_path_factory.mktemp("doomrnn") / "doomrnn"
    folder.mkdir()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("*.bash")]:
        shutil.copy(path, folder)
    for name in ("fast", "study"):
        shutil.copytree(ROOM / name, folder / name)
    run(folder, "bash", "extract.bash", "--preset", "smoke")
    run(folder, "bash", "gpu_jobs.bash", "--preset", "smoke")
    return folder


def run(folder, *command, status=0):
    """Run a command in the room; returns its standard output."""
    environment = os.environ | {"PYTHON": sys.executable, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable if word == "python" else word for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_stages_leave_the_files_that_the_reference_has(room):
    for name in ("vae", "rnn", "initial_z"):
        assert (room / "tf_models" / f"{name}.json").stat().st_size > 1000
    names = ["tf_vae/vae.settings.json", "tf_vae/loss.png", "tf_rnn/loss.png", "tf_rnn/dream.png"]
    names += [f"tf_vae/reconstructions.{at}png" for at in ("", "0.", "3.", "6.")]
    for name in names:
        assert (room / name).exists(), name
    with np.load(room / "series" / "series.npz", allow_pickle=False) as series:
        frames = series["length"].sum()
        assert series["mu"].shape == series["logvar"].shape == (frames, 64)
        assert series["action"].shape == (frames,)


def test_a_second_recording_run_plays_nothing_again(room):
    before = {path: path.stat().st_mtime_ns for path in (room / "record").iterdir()}
    run(room, "bash", "extract.bash", "--preset", "smoke")
    assert before == {path: path.stat().st_mtime_ns for path in (room / "record").iterdir()}


def test_controller_training_and_playing(room, monkeypatch, capsys):
    run(room, "python", "train.py", "--preset", "smoke", "-n", "2")
    agent = "log/doomrnn.cma.2.6.best.json"
    assert (room / agent).exists()
    play = ("doomrnn", "norender", agent, "7", "--episodes", "3", "--max_length", "50")
    lines = run(room, "python", "model.py", *play, "-n", "2").splitlines()
    assert lines[-1].split()[::2] == ["seed", "average_reward", "stdev", "stderr", "median"]
    assert [line.split()[3] for line in lines[-4:-1]] == ["7", "8", "9"]
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_threads", lambda *_: None)  # too late here
    model.main([*play, "-n", "1"])  # the seed fixes the run, any number of ranks scores the same
    assert capsys.readouterr().out.splitlines()[-4:] == lines[-4:]
    model.main(["doomreal", "render", agent, "--max_length", "12", "--video", "a.mp4"])
    film = imageio.imread(room / "a.mp4", plugin="FFMPEG")
    assert film.shape == (12, 428, 1280, 3)
    game, crop = film[:, 40:300, :512], film[:, 40:300, 540:880]
    assert min(game.std(), crop.std()) > 10 and (game[0] != game[-1]).any()


def test_interrupted_vae_training_equals_an_uninterrupted_one(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_towers", lambda: 2)  # too late here
    command = ["--preset", "smoke", "--steps", "12"]
    vae_train.main([*command, "--output", "whole"])
    test = vae_train.Training.test

    def interrupt(training, *args):
        os.kill(os.getpid(), signal.SIGTERM)
        return test(training, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(vae_train.Training, "test", interrupt)
        vae_train.main([*command, "--output", "halved"])
    capsys.readouterr()
    vae_train.main([*command, "--output", "halved"])
    assert "going on from step 3" in capsys.readouterr().out
    whole, halved = ((room / name / "vae.json").read_bytes() for name in ("whole", "halved"))
    assert whole == halved


def test_damaged_recording_is_skipped_counted_and_named(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_threads", lambda *_: None)  # too late here
    bad = room / "record" / "1000001.npz"
    bad.write_bytes(b"not a zip")
    series.main(["--preset", "smoke", "--output", "series2"])
    output = capsys.readouterr().out
    assert "1000001.npz" in output and "1 damaged" in output
    bad.unlink()


def test_episodes_that_do_not_fit_into_memory_are_refused_before_the_start():
    base = mpi.TENSORFLOW_BYTES
    args = ["-n", "2", "--population", "64", "-e", "4", "--eval_episodes", "10"]
    assert train.rank_bytes(train.parse(args)) == (base + 128 * 80e3, 0)
    args += ["--eval_world", "doomreal", "--batch", "100"]
    assert train.rank_bytes(train.parse(args)) == (
        base + 100 * 80e3 + 5 * 21e6,
        5 * SHARED_BYTES["doomreal"],
    )
    args = ["norender", "--episodes", "100000", "--batch", "100000", "-n", "1"]
    with pytest.raises(UserError, match=r"needs about 2\.1e\+03 GB of memory.*--batch"):
        model.main(["doomreal", *args])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("norender", "--video", "a.mp4"), "--video needs render"),
        (("render", "--csv", "a.csv"), "--csv needs norender"),
        (("render", "--policy", "random"), "--policy random needs norender"),
        (("render", "--policy", "blind"), "--policy blind needs norender"),
    ],
)
def test_what_the_mode_would_leave_undone_is_refused(flags, said):
    with pytest.raises(UserError, match=said):
        model.parse(["doomreal", *flags])


def test_all_stages_and_a_round_from_nothing_to_an_agent(room, tmp_path):
    others = shutil.ignore_patterns("log", "checkpoint")  # of another test's train.py
    folder = shutil.copytree(room, tmp_path / "doomrnn", ignore=others)
    agent = "log/doomrnn.cma.2.6.best.json"
    assert "expected a round's number" in run(folder, "bash", "next_round.bash", agent, status=2)
    command = ("bash", "-c", 'ROUNDS="$0" exec bash from_nothing.bash --preset smoke')
    assert "expected 2 to 9 in ROUNDS" in run(folder, *command, "1", status=2)
    last = run(folder, *command, "2").splitlines()[-1]
    scored = last.split(": ")[1].split()
    assert "median" in run(folder, *scored, "--episodes", "2", "--max_length", "20")
    ours, before = folder / "round2", folder / "tf_models"
    for turn in (ours / "first", ours):
        assert (turn / agent).exists() and (turn / "advantage.json").exists()
    assert len(list((ours / "record").glob("*.npz"))) > 0
    assert (ours / "vae.json").read_bytes() == (before / "vae.json").read_bytes()
    size = MDNRNN(64).shapes  # M: a few steps of at most 5e-4 on from the one before
    first, second = (weights.load_weights(folder / "rnn.json", size) for folder in (before, ours))
    moved = [np.abs(a - b).max() for a, b in zip(first, second, strict=True)]
    assert 0 < max(moved) < 0.005


def test_a_third_round_goes_on_from_the_second_with_what_both_have_learned(tmp_path):
    """Which commands next_round.bash gives; a script in Python's place writes them down."""
    for path in ROOM.glob("*.bash"):
        shutil.copy(path, tmp_path)
    names = ("rnn.json", "vae.json", "advantage.json", "first/advantage.json", "series/series.npz")
    for name in [f"round2/{name}" for name in names] + ["round3/series/series.npz", "a.json"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    python.chmod(0o755)
    command = ["bash", "next_round.bash", "3", "a.json"]
    environment = os.environ | {"PYTHON": str(python), "SEED": "4", "WORKERS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text()
    learned = "round2/first/advantage.json round2/advantage.json a.json round3/first/advantage.json"
    for words in (
        "--agent a.json --models round2 --seed 43",
        "--weights round2/rnn.json --seed 43",
        "--series series/series.npz round2/series/series.npz round3/series/series.npz",
        "round2/vae.json round3/tf_rnn/rnn.json --to round3",
        f"--along {learned} --seed_start 43 --models round3 --directory round3/first",
    ):
        assert words in calls, (words, calls)


BAD = [
    (series, ["--vae", "nothing.json"], "nothing.json"),
    (model, ["doomreal", "norender", "nothing.json"], "nothing.json"),
    (model, ["doomtwo", "norender"], "doomtwo"),
    (vae_train, ["--record", "empty"], "empty"),
    (train, ["-n", "1", "--models", "empty"], "empty"),
    (extract, ["--episodes", "0"], "--episodes"),
    (extract, ["--workers", "2", "--worker", "2"], "--worker"),
]


@pytest.mark.parametrize(("script", "arguments", "named"), BAD)
def test_bad_input_gets_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, script, arguments, named
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.interrupts, "leave_at_once", lambda _: None)  # pytest hears Ctrl-C
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: script.main(arguments))
    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert named in errors and errors.count("\n") == 1
