"""What the tests share: small configs of real environments, and commands run as a person runs them.

An importable module, no tests.
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import config

ROOM = Path(__file__).parents[1]
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


def run(folder: Path, *arguments, status: int = 0, **environment) -> subprocess.CompletedProcess:
    """`python run.py ...` in `folder`; asserts the exit status."""
    done = subprocess.run(
        [sys.executable, str(ROOM / "run.py"), *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done
