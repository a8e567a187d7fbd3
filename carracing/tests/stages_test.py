"""Every stage of the room at smoke size, and what its commands refuse."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from kit.command import cli, mpi
from kit.command.errors import UserError
from kit.files import weights

import dream_env
import dream_model
import extract
import model as model_module
import rnn_train
import series
import train
import vae_train
from rnn import MDNRNN
from vae import shapes

ROOM = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy of this room without data, after all three bash scripts at smoke size."""
    folder = tmp_path_factory.mktemp("carracing") / "carracing"
    folder.mkdir()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("*.bash")]:
        shutil.copy(path, folder)
    for name in ("fast", "study"):
        shutil.copytree(ROOM / name, folder / name)
    for script in (["extract.bash"], ["gpu_jobs.bash"], ["gce_train.bash", "-n", "1"]):
        run(folder, "bash", *script, "--preset", "smoke")
    return folder


def run(folder, *command):
    """Run a command in the room; returns its standard output."""
    environment = os.environ | {"PYTHON": sys.executable, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable if word == "python" else word for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


AGENT = "log/carracing.cma.2.6.best.json"


def test_a_second_round_goes_on_from_an_agent_and_its_weights(room, tmp_path):
    folder = shutil.copytree(room, tmp_path / "carracing")
    sizes = {"vae": shapes(32), "rnn": MDNRNN(32).shapes}
    first = {}
    for name, size in sizes.items():  # biases shifted, so that they are nobody's first weights
        path = folder / name / f"{name}.json"
        arrays = weights.load_weights(path, size)
        first[name] = [array + 0.01 * (array.ndim == 1) for array in arrays]
        weights.save_weights(path, first[name])
    run(folder, "bash", "next_round.bash", "2", AGENT, "--preset", "smoke")
    assert len(list((folder / "round2" / "record").glob("*.npz"))) == 4
    with np.load(folder / "round2" / "series" / "series.npz", allow_pickle=False) as file:
        assert len(file["mu"]) == 10
    # A few steps of at most 5e-4 on from there. V's rate is still rising in its six steps: they
    # are seen in its checkpoint, and not in the four decimals of its json.
    with np.load(folder / "round2" / "tf_vae" / "checkpoint.npz", allow_pickle=False) as file:
        second = {"vae": [file[f"array_{index}"] for index in range(len(sizes["vae"]))]}
    second["rnn"] = weights.load_weights(folder / "round2" / "rnn" / "rnn.json", sizes["rnn"])
    for name, least in (("vae", 1e-7), ("rnn", 1e-4)):
        moved = [np.abs(a - b).max() for a, b in zip(first[name], second[name], strict=True)]
        assert least < min(moved) and max(moved) < 0.005, (name, moved)  # all of it learned
    assert (folder / "round2" / AGENT).exists()


def test_stages_leave_the_files_that_the_reference_has(room):
    for name in ("vae", "rnn", "initial_z"):
        assert (room / name / f"{name}.json").stat().st_size > 1000
    names = ["tf_vae/loss.png", "tf_rnn/loss.png", "tf_rnn/dream.png"]
    names += [f"tf_vae/reconstructions.{at}png" for at in ("", "0.", "3.", "6.")]
    for name in names:
        assert (room / name).exists(), name
    assert len(list((room / "record").glob("*.npz"))) == 6
    with np.load(room / "series" / "series.npz", allow_pickle=False) as file:
        assert file["mu"].shape == file["logvar"].shape == (6, 60, 32)
        assert file["action"].shape == (6, 60, 3) and file["action"].dtype == np.float16
        mu = file["mu"]
    pair = weights.load_initial_z(room / "initial_z" / "initial_z.json", 32)
    np.testing.assert_allclose(pair[0], mu[:, 0], atol=2e-4)
    for suffix in ("", ".best", ".hist", ".hist_best", ".log"):
        assert (room / "log" / f"carracing.cma.2.6{suffix}.json").exists()


def test_scoring_from_the_command_line_and_in_one_process(room, monkeypatch, capsys):
    command = ("norender", AGENT, "7", "--episodes", "3", "--max_length", "50")
    lines = run(room, "python", "model.py", *command, "-n", "2").splitlines()
    assert lines[-1].split()[::2] == ["seed", "average_reward", "stdev", "stderr", "median"]
    assert [line.split()[3] for line in lines[-5:-2]] == ["7", "8", "9"]
    assert lines[-2] == "laps finished: 0%"
    monkeypatch.chdir(room)
    model_module.main([*command, "-n", "1"])  # any number of ranks scores the same
    assert capsys.readouterr().out.splitlines() == lines[-5:]
    model_module.main(["norender", "--episodes", "2", "--max_length", "5", "-n", "1"])
    assert capsys.readouterr().out.count("trial") == 2


def test_tracks_that_do_not_fit_into_memory_are_refused_before_the_start():
    base = mpi.TENSORFLOW_BYTES
    args = ["-n", "2", "--population", "64", "-e", "4", "--eval_episodes", "10"]
    assert train.rank_bytes(train.parse(args)) == base + 36 * 22e6 + 5 * 6e6
    args += ["--eval_renderer", "fast", "--batch", "1000"]
    assert train.rank_bytes(train.parse(args)) == base + 128 * 22e6
    args = ["norender", "--episodes", "100000", "--batch", "100000", "-n", "1"]
    with pytest.raises(UserError, match=r"needs about 600 GB of memory.*--batch"):
        model_module.main(args)
    with pytest.raises(UserError, match="--gif needs render, found norender"):
        model_module.parse(["norender", "--gif", "a.gif"])


def test_pictures_of_the_game_and_of_the_dream(room, monkeypatch, capsys):
    video = ("--video", "a.mp4", "--strip", "a.png", "--max_length", "12")
    assert "steps 12" in run(room, "python", "model.py", "render", AGENT, *video)
    video = ("--gif", "b.gif", "--strip", "b.png", "--max_length", "9", "--expected")
    monkeypatch.chdir(room)
    monkeypatch.setattr(dream_model.precision, "use_threads", lambda *_: None)  # too late here
    dream_model.main([AGENT, "3", *video])
    assert "steps 9" in capsys.readouterr().out
    film = imageio.imread(room / "a.mp4", plugin="FFMPEG")
    assert film.shape == (12, 428, 1344, 3)
    game, crop = film[:, 40:300, :576], film[:, 40:300, 600:900]
    assert min(game.std(), crop.std()) > 10 and (game[0] != game[-1]).any()
    film = imageio.imread(room / "b.gif", plugin="pillow", index=None)
    assert film.shape[2:] == (560, 3) and len(film) in (2, 3)  # 9 steps at 50 a second, shown at 10
    rows = {"a.png": 4, "b.png": 1}  # of a strip: game, crop, reconstruction, dream
    for name, count in rows.items():
        strip = imageio.imread(room / name)
        assert strip.shape == (160 * count, 8 * 160, 3) and strip.std() > 5, name


BAD = [
    (series, ["--vae", "nothing.json"], "nothing.json"),
    (model_module, ["norender", "nothing.json"], "nothing.json"),
    (model_module, ["norendr"], "norendr"),
    (model_module, ["norender", "agent.json", "--models", "empty", "-n", "1"], "vae/vae.json"),
    (dream_model, ["agent.json", "--temperature", "0"], "--temperature"),
    (dream_env, ["--rnn", "nothing.json"], "nothing.json"),
    (vae_train, ["--record", "empty"], "empty"),
    (rnn_train, ["--series", "empty/series.npz"], "empty/series.npz"),
    (train, ["-n", "1", "--models", "empty"], "vae/vae.json"),
    (extract, ["--episodes", "0"], "--episodes"),
    (extract, ["--workers", "2", "--worker", "2"], "--worker"),
]


@pytest.mark.parametrize(("script", "arguments", "named"), BAD)
def test_bad_input_gets_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, script, arguments, named
):
    (tmp_path / "empty").mkdir()
    weights.save_controller(tmp_path / "agent.json", np.zeros(867))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.interrupts, "leave_at_once", lambda _: None)  # pytest hears Ctrl-C
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: script.main(arguments))
    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert named in errors and errors.count("\n") == 1
