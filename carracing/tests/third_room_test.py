"""A room for another game: a copy of this one with world.py, policies.py and env.py anew.

The stages run untouched, at smoke size, on LunarLander drawn in pixels.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOM = Path(__file__).parents[1]
GAME = Path(__file__).with_name("lander")
AGENT = "log/lander.cma.2.6.best.json"


@pytest.fixture(scope="module")
def lander(tmp_path_factory):
    """The copy, after all stages."""
    folder = tmp_path_factory.mktemp("lander") / "lander"
    folder.mkdir()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("*.bash"), *GAME.glob("*.py")]:
        if path.name != "renderer.py":  # CarRacing's own
            shutil.copy(path, folder)
    shutil.copytree(ROOM / "fast", folder / "fast")
    for stage in ("extract.bash", "gpu_jobs.bash", "gce_train.bash"):
        run(folder, "bash", stage, "--preset", "smoke")
    return folder


def run(folder, *command, status=0):
    """Run a command in the room; returns what it prints."""
    environment = os.environ | {"PYTHON": sys.executable, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable if word == "python" else word for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_all_stages_run_on_a_game_that_they_do_not_know(lander):
    with np.load(next((lander / "record").glob("*.npz")), allow_pickle=False) as recording:
        frames, actions = recording["obs"], recording["action"]
    assert frames.shape == (60, 64, 64, 3) and actions.shape == (60, 2)
    assert (frames[0] == 255).mean() > 0.1 and (frames[0] == 0).mean() > 0.3  # the moon, the sky
    assert np.abs(np.diff(frames.astype(int), axis=0)).sum() > 0  # something moves
    with np.load(lander / "series" / "series.npz", allow_pickle=False) as series:
        assert series["mu"].shape == (6, 60, 32) and series["action"].shape == (6, 60, 2)
    lines = run(lander, "python", "model.py", "norender", AGENT, "--episodes", "2", "-n", "1")
    assert "landed: 0%" in lines and "average_reward -" in lines


def test_a_folder_of_the_other_game_is_refused_in_one_sentence(lander, tmp_path):
    for name in ("vae", "rnn", "initial_z"):
        shutil.copytree(ROOM / name, tmp_path / name)
    play = ("python", "model.py", "norender", AGENT, "-n", "1", "--models", str(tmp_path))
    said = run(lander, *play, status=2)
    assert f"{tmp_path}/vae belongs to the world 'carracing', and this one is 'lander'" in said
    assert len(said.splitlines()) == 1
