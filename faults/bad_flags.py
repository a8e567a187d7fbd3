"""Numbers that are odd or none at all, unknown names, flags that contradict each other."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anyenv_stages import CONFIG, GAMES
from interruptions import ROOT, UNFINISHED, Rooms, stages
from refusals import Outcome, refused, run, snapshot

NUMBERS = (
    *("0", "-1", "-0.5", "2.5", "2147483648", "9999999999999", "1" + 40 * "0", "1e400"),
    *("nan", "inf", "-inf", "abc", "", " ", "0x10", "1,5", "None", "1e-300", "1e300"),
    *("1", "100001", "2147483647", "1e-9", "1e9"),  # possible for some
)
NUMERIC = ("positive_int", "non_negative_int", "positive_float", "non_negative_float")
NUMERIC += ("fraction", "whole_number", "number", "count")  # argument types
WORKS = 6.0  # seconds after which a command with an odd but possible flag may be told to end


def scripts() -> list[tuple[list[str], list[str]]]:
    """Commands and their numeric flags, by the argument types in their sources."""
    result = []
    loop, agent = (_flags(ROOT / f"estool/{name}.py") for name in ("evolve", "agents"))
    for room in ("carracing", "doomrnn"):
        for name in ("extract", "series", "vae_train", "rnn_train", "train"):
            path = ROOT / room / f"{name}.py"
            flags = _flags(path) + (loop if name == "train" else [])
            flags += _flags(path.with_name("policies.py")) if name == "extract" else []
            more = ["-n", "1"] if name == "train" else []
            result.append((["python", str(path), "--preset", "smoke", *more], flags))
    path = ROOT / "estool/study/toy.py"
    result.append((["python", str(path), "--generations", "3", "-n", "1"], loop))
    cart = "CartPoleSwingUp-v0"
    result.append((["python", str(ROOT / "estool/train.py"), cart, "-n", "1"], loop + agent))
    path = ROOT / "estool/model.py"
    names = _flags(path) + agent
    result.append((["python", str(path), cart, "--norender", "-n", "1"], names))
    worlds = {"carracing": [], "doomrnn": ["doomrnn"]}
    for room, world in worlds.items():
        path = ROOT / room / "model.py"
        command = ["python", str(path), *world, "norender", "-n", "1"]
        result.append((command, _flags(path)))
    run = ["python", str(ROOT / "anyenv/run.py"), "-c", str(CONFIG)]
    numbers = ["--n_games", "--processes"]
    result.append(([*run, "record_data", GAMES], [*numbers, "--chunk_size"]))
    result.append(([*run, "eval", "--policy", "random"], [*numbers, "--seed"]))
    path = ROOT / "dreamerv2/evaluate.py"
    result.append((["python", str(path), GRID], _flags(path)))
    return result


def _flags(path: Path) -> list[str]:
    """The long names of those that `path` adds with a numeric type."""
    pattern = rf'\(\s*((?:"-[^"]+",\s*)+)type=(?:cli\.)?(?:{"|".join(NUMERIC)})\b'
    added = re.findall(pattern, path.read_text())
    return sorted({name for names in added for name in re.findall(r"--\w+", names)})


def flags(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A numeric flag of some command with a number that is odd or none at all."""
    commands = scripts()
    command, names = commands[rng.integers(len(commands))]
    name, value = str(rng.choice(names)), str(rng.choice(NUMBERS))
    before = snapshot(folder)
    given = f"{Path(command[1]).parent.name} {Path(command[1]).name} {name}={value!r}"
    ended = run([*command, f"{name}={value}"], folder, WORKS)
    if not re.search(rf"argument \S*{name}: expected", ended.output):
        # a number that is possible: now for real
        _furnish(rooms, command, folder)
        before = snapshot(folder)
        ended = run([*command, f"{name}={value}"], folder, WORKS)
    faults = list(ended.faults)
    if ended.status == 2:
        faults = [fault.split("\n")[0] for fault in refused(ended, name)]
        if snapshot(folder) != before:
            faults.append("files were changed")
    elif name == "--rank_timeout" and ended.status == 1 and name in ended.output:
        return Outcome([given], faults)  # a share of the work took longer: it has left at once
    elif ended.status not in (0, 130, -15):  # it is a possible value: the work began
        faults.append(f"status {ended.status}")
    if left := [path.name for kind in UNFINISHED for path in folder.rglob(kind)]:
        faults.append(f"left behind {left}")
    return Outcome([given], [f"{given}: {fault}\n{ended.output}" for fault in faults])


def _furnish(rooms: Rooms, command: Sequence[str], folder: Path) -> None:
    """Give `command` what its stage reads."""
    room, name = Path(command[1]).parent.name, Path(command[1]).name
    name = {"model.py": "train.py"}.get(name, name)
    stage = next((one for one in stages() if one.name == f"{room} {name}"), None)
    if stage:
        rooms.prepare(stage, folder)


GRID = str(ROOT / "dreamerv2/zoo/minigrid_empty.npz")
WRONG = (  # what does not fit together, or names nothing: a command, and what it has to name
    (["doomrnn/extract.py", "--workers", "2", "--worker", "2"], "--worker"),
    (["doomrnn/extract.py", "--min_frames", "300", "--max_frames", "200"], "--min_frames"),
    (["carracing/extract.py", "--policy", "nobody"], "--policy"),
    (["carracing/extract.py", "--renderer", "crayon"], "--renderer"),
    (["doomrnn/model.py", "doomtwo", "norender"], "doomtwo"),
    (["doomrnn/model.py", "doomrnn", "norender", "nothing.json"], "nothing.json"),
    (["doomrnn/model.py", "doomrnn", "norender", "--inputs", "xyz"], "--inputs"),
    (["doomrnn/model.py", "doomrnn"], "mode"),
    (["carracing/model.py", "sideways"], "mode"),
    (["carracing/train.py", "--models", "nowhere", "-n", "1"], "nowhere"),
    (["doomrnn/train.py", "--optimizer", "luck"], "--optimizer"),
    (["doomrnn/train.py", "--preset", "huge"], "--preset"),
    (["doomrnn/train.py", "--eval_episodes", "200000", "-n", "1"], "selection seeds"),
    (["doomrnn/train.py", "--max_lenght", "5"], "--max_lenght"),
    (["carracing/train.py", "-n", "16", "-t", "2", "--population", "64"], "--population"),
    (["estool/study/toy.py", "-n", "1", "--average", "5", "--generations", "3"], "--average"),
    (["doomrnn/model.py", "doomrnn", "norender", "--video", "a.mp4"], "--video"),
    (["carracing/model.py", "render", "--csv", "a.csv"], "--csv"),
    (["doomrnn/model.py", "doomrnn", "norender", "--episodes", "100001"], "episodes"),
    (["doomrnn/study/check.py", "--episodes", "100001"], "--episodes"),
    (["doomrnn/study/temperatures.py", "--episodes", "100001"], "--episodes"),
    (["carracing/study/ablation.py", "--seed", "99999"], "--seed"),
    (["carracing/vae_train.py", "--record", "nowhere"], "nowhere"),
    (["doomrnn/series.py", "--vae", "nowhere.json"], "nowhere.json"),
    (["doomrnn/rnn_train.py", "--series", "nowhere.npz"], "nowhere.npz"),
    (["carracing/rnn_train.py", "--precision", "float8"], "--precision"),
    (["estool/study/toy.py", "-n", "1", "--init_opt", "nowhere.json"], "nowhere.json"),
    (["estool/train.py", "NoSuchGame-v0", "-n", "1"], "NoSuchGame-v0"),
    (["estool/train.py"], "game"),
    (["estool/model.py", "NoSuchGame-v0"], ""),
    (["anyenv/run.py"], "COMMAND"),
    (["anyenv/run.py", "dance"], "dance"),
    (["anyenv/run.py", "-c", "nowhere.json", "keys"], "nowhere.json"),
    (["anyenv/run.py", "-c", str(CONFIG), "train_vae", "nowhere.hdf5"], "nowhere.hdf5"),
    (["anyenv/run.py", "-c", str(CONFIG), "train_mem", "nowhere.hdf5"], "nowhere.hdf5"),
    (["anyenv/run.py", "-c", str(CONFIG), "convert_data", "a.hdf5", "a.hdf5"], "a.hdf5"),
    (["anyenv/run.py", "-c", str(CONFIG), "eval"], "v/vision.ckpt"),
    (["anyenv/run.py", "-c", str(CONFIG), "train_ctrl"], "v/vision.ckpt"),
    (["anyenv/run.py", "-c", str(CONFIG), "eval", "--policy", "nobody"], "--policy"),
    (["anyenv/run.py", "-c", str(CONFIG), "eval", "--gif", "a.png"], "--gif"),
    (["anyenv/run.py", "-c", str(CONFIG), "dream", "--temperature", "0"], "--temperature"),
    (["anyenv/run.py", "record_data", "a.hdf5", "--agent", "nobody"], "--agent"),
    (["dreamerv2/train.py", "--foo", "1"], "foo"),
    (["dreamerv2/train.py", "--steps"], "--steps"),
    (["dreamerv2/train.py", "cartpole"], "cartpole"),
    (["dreamerv2/train.py", "--(", "1"], "("),
    (["dreamerv2/train.py", "--configs", "huge"], "--configs"),
    (["dreamerv2/train.py", "--task", "nothing"], "--task"),
    (["dreamerv2/train.py", "--task", "gym_NoSuchGame-v0"], "NoSuchGame-v0"),
    (["dreamerv2/train.py", "--task", "minigrid_Nowhere-9x9"], "Nowhere-9x9"),
    (["dreamerv2/train.py", "--replay.minlen", "9", "--replay.maxlen", "5"], "--replay.minlen"),
    (["dreamerv2/evaluate.py", "nowhere"], "nowhere"),
    (["dreamerv2/evaluate.py", GRID, "--task", "gym_CartPole-v1"], "minigrid_empty.npz"),
    (["dreamerv2/evaluate.py", GRID, "--gif", "a.png"], "--gif"),
    (["dreamerv2/play.py", GRID, "--video", "a.mp4"], "--actor"),
    (["dreamerv2/play.py", "nowhere.npz", "--actor"], "nowhere.npz"),
    (["dreamerv2/common/plot.py", "--indir", "nowhere", "--outdir", "plots"], "nowhere"),
)


def combinations(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """Unknown names, and flags that contradict each other."""
    (script, *more), named = WRONG[rng.integers(len(WRONG))]
    command = ["python", str(ROOT / script), *more]
    if "--eval_episodes" in more:  # is found only after the models
        _furnish(rooms, command, folder)
    before = snapshot(folder)
    faults = refused(run(command, folder), named)
    if snapshot(folder) != before:
        faults.append("files were changed")
    given = " ".join([script, *more])
    return Outcome([given], [f"{given}: {fault}" for fault in faults])
