"""Environments in processes: one that is killed, and one that trains and is killed."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dreamerv2 import config as settings
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make
from kit.command.errors import UserError

KILLED = """
import functools, os
from dreamerv2 import config
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make
if __name__ == "__main__":
    maker = functools.partial(make, "gym_CartPole-v1", "train", config.defaults())
    batch = make_batch([maker] * 2, "process")
    batch.reset(seed=[0, 1])
    print("ready", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_processes_end_in_silence_with_the_one_that_trains(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == -9 and done.stdout == "ready\n"
    assert "Traceback" not in done.stderr


def test_a_killed_process_is_one_sentence_and_the_others_end():
    maker = functools.partial(make, "gym_CartPole-v1", "train", settings.defaults())
    batch = make_batch([maker] * 2, "process")
    batch.reset(seed=[0, 1])
    batch.processes[0].kill()
    with pytest.raises(UserError, match="a process of --envs_parallel process has ended, killed"):
        for _ in range(3):
            batch.step(np.zeros(2, np.int64))
    batch.close()
    assert not any(process.is_alive() for process in batch.processes)
