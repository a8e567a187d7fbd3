"""What the tests share: small configs of real environments, and commands run as a person runs them.

An importable module, no tests.
"""

import copy
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from kit.command import cli

import config
import run as script

ROOM = Path(__file__).parents[1]
LOADED = ["train_vae", "train_mem", "train_ctrl", "agent", "dream", "cma", "matplotlib.pyplot"]
CARTPOLE = {
    "general": {"game_name": "CartPole-v1", "crop_range": "[165:325, 150:450, :]"},
    "vae_training": {"batch_size": 32, "epochs": 2, "latent_space_dim": 4, "precision": "float32"},
    "rnn_training": {
        "batch_size": 4,
        "sequence_len": 20,
        "gradient_steps": 10,
        "hidden_units": 8,
        "epochs": 3,
        "precision": "float32",
        "rend_n_rollouts": 4,
        "rend_n_episodes": 2,
        "rend_step": 2,
    },
    "es_training": {
        "epochs": 2,
        "popsize": 4,
        "n_episodes": 1,
        "eval_steps": 1,
        "eval_episodes": 2,
        "processes": 1,
        "max_steps": 30,
        "precision": "float32",
    },
}
BOXING = {"game_name": "ALE/Boxing-v5"}
DOORKEY = {"game_name": "MiniGrid-DoorKey-5x5-v0", "crop_range": "[:, :, :]"}


def general(**values) -> SimpleNamespace:
    """The section `general` with these values, the others as config.json.dist has them."""
    given = json.loads(config.DIST.read_text())["general"] | values
    return SimpleNamespace(**given)


def config_of(folder: Path, **sections) -> config.Config:
    """The loaded CARTPOLE, with these changes, written to `folder`/config.json."""
    values = copy.deepcopy(CARTPOLE)
    for section, keys in sections.items():
        values[section] |= keys
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return config.load(path)


def run(folder: Path, *arguments, status: int = 0) -> subprocess.CompletedProcess:
    """`python run.py ...` in `folder`, one process; asserts the exit status.

    It is forked from a process that has loaded TensorFlow already, which saves the seconds that a
    start takes; tests of interruptions start processes of their own.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    words = ["run.py", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place) / name for name in ("out", "err")]
        process = context.Process(target=_command, args=(folder, words, paths))
        process.start()
        process.join(300)
        out, err = (path.read_text() for path in paths)
    assert process.exitcode == status, out + err
    return subprocess.CompletedProcess(words, status, out, err)


def _command(folder: Path, words: list[str], paths: list[Path]) -> None:
    """What `python run.py` does, its output in files."""
    os.chdir(folder)
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
    sys.argv = words
    cli.run(script.main)


def start(folder: Path, *arguments) -> subprocess.Popen:
    """`python run.py ...` in `folder` as a separate process, whose output is thrown away."""
    return subprocess.Popen(
        [sys.executable, str(ROOM / "run.py"), *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
