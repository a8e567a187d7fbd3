"""The commands of dreamerv2/ that are interrupted, on CartPole's numbers, at sizes of seconds.

A training that is started again is not the same one bit for bit: it draws other episodes. So what
its folder holds may only grow, and in the end it has all of its steps and an agent of them.
"""

import json
import re
from pathlib import Path

import numpy as np

# What a stage reads: the stage that makes it, and in which folder.
MAKERS = {"logdir": ("train.py", "logdir")}
# What a process says that multiprocessing spawned, where the one that started it is killed before
# they could talk; no code of ours runs in it by then.
SPAWNED = re.compile(r"in spawn_main(?s:(?!Traceback).)*(FileNotFound|EOF)Error|pickle data was tr")
STEPS, ENVS, LIMIT = 300, 2, 40  # actions, environments, steps of an episode at most
SIZES = ("--configs", "smoke", "--task", "gym_CartPole-v1", "--dataset.length", "4")
SIZES += ("--jit", "False", "--log_every", "40", "--checkpoint_minutes", "0.005")
SIZES += ("--steps", str(STEPS), "--envs", str(ENVS), "--time_limit", str(LIMIT))


def stored(folder: Path) -> int:
    """Steps that the names of its episodes add up to."""
    names = (folder / "logdir/train_episodes").glob("*.npz")
    return sum(int(path.stem.rpartition("-")[2]) for path in names)


def checkpoint(folder: Path) -> dict:
    """Its numbers, and how often each optimiser has made a step; {} where there is none."""
    path = folder / "logdir/variables.npz"
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        values = json.loads(str(file["values"]))
        for number, name in enumerate(values.pop("names")):
            if name.endswith("/steps"):
                values[f"steps of {name}"] = int(file[f"array_{number}"])
    return values


def told(folder: Path) -> list[dict]:
    """The whole lines of metrics.jsonl."""
    path = folder / "logdir/metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def trained(folder: Path) -> dict:
    """What a run has come to; a kill -9 may have left an odd number of steps for two games."""
    values, steps = checkpoint(folder), stored(folder)
    return {
        "steps": min(steps, STEPS),
        "at most one step more": steps < STEPS + ENVS,
        "step of the checkpoint": values["step"] == steps,
        "evaluated": values["evaluated"] == steps,
        "optimisers": sorted(name for name, value in values.items() if "/steps" in name and value),
        "settings": (folder / "logdir/config.yaml").read_text(),
    }


def watched(folder: Path, status: int, before: dict) -> tuple[dict, list[str]]:
    """What of a run may only grow, and what is wrong with it after an end with that status.

    before: the former, after the end before this one
    """
    files = [*folder.glob("logdir/*_episodes/*.npz")]
    values, rows, steps = checkpoint(folder), told(folder), stored(folder)
    grows = {"steps": steps, "lines": {json.dumps(row) for row in rows}}
    grows["episodes"] = {(path.parent.name, path.name, path.read_bytes()) for path in files}
    grows |= {name: value for name, value in values.items() if "/steps" in name or name == "hours"}
    faults = []
    if max((row.get("train_total_steps", 0) for row in rows), default=0) > steps:
        faults.append("an episode was told and not stored")
    if max((row["step"] for row in rows), default=0) > steps + ENVS * LIMIT:
        faults.append("more is lost than the episodes under way")
    if status == 130 and values and values["step"] < steps and steps > before.get("steps", 0):
        faults.append(f"it saved step {values['step']} and stored {steps} steps")
    return grows, faults


def scores(folder: Path) -> dict:
    return {"csv": (folder / "scores.csv").read_text()}


def commands(root: Path) -> list[tuple]:
    """Of each: name, arguments, what it comes to, what it needs, its part, a watch or None."""

    def script(name: str, *arguments: str) -> list[str]:
        return ["python", str(root / "dreamerv2" / name), *arguments]

    train = script("train.py", "--logdir", "logdir", *SIZES)
    test = script("evaluate.py", "logdir", "--episodes", "40", "--csv", "scores.csv")
    beside = [*train, "--envs_parallel", "process"]
    return [
        ("train.py", train, trained, (), "", watched),
        ("train.py, games in processes", beside, trained, (), "spawn_main", watched),
        ("evaluate.py", test, scores, ("logdir",), "", None),
    ]
