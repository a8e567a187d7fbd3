"""A run that makes very many train steps in a row is ended between two of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FLAGS = ["--configs", "smoke", "--task", "gym_CartPole-v1", "--dataset.length", "4"]
FLAGS += ["--jit", "False", "--train_steps", "10000000"]


def test_sigterm_is_heard_between_two_train_steps(tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "dreamerv2/train.py"), "--logdir", str(tmp_path), *FLAGS],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + 120
        while not (tmp_path / "variables.npz").exists() and time.monotonic() < end:
            time.sleep(0.2)  # the first evaluation saves it; then training begins
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[0]
    finally:
        process.kill()
    assert process.returncode == 130, said
    with np.load(tmp_path / "variables.npz", allow_pickle=False) as file:
        step = json.loads(str(file["values"]))["step"]
    files = (tmp_path / "train_episodes").glob("*.npz")
    assert sum(int(path.stem.rpartition("-")[2]) for path in files) == step
