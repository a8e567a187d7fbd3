"""Bad files and bad settings for dreamerv2/.

A bad episode is skipped, counted and named once. Another file, or a setting, ends a command with
one sentence that names it.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from bad_files import DAMAGED_JSON, damage_bytes, npz
from dreamerv2_stages import SIZES, checkpoint, stored
from interruptions import ROOT, UNFINISHED, Rooms
from refusals import Outcome, refused, run, snapshot

ROOM = ROOT / "dreamerv2"
TRAIN = ["python", str(ROOM / "train.py"), "--logdir", "logdir", *SIZES]
AGENT = ROOM / "zoo/minigrid_empty.npz"
NUMBERS = ("0", "-1", "-0.5", "2.5", "9999999", "2147483648", "1e300", "1e-300", "nan", "inf")
NUMBERS += ("-inf", "abc", "", " ", "None", "1,5", "[1]", "True", "1e400")
WORKS = 8.0  # seconds after which a command with an odd but possible setting is told to end


def _arrays(change: Callable) -> Callable:
    """An episode whose arrays are changed by `change(arrays)`."""

    def damage(rng, arrays: dict) -> bytes:
        arrays = {key: np.array(value) for key, value in arrays.items()}
        change(arrays)
        return npz(**arrays)

    return damage


def _set(name: str, value: float) -> Callable:
    return _arrays(lambda arrays: arrays[name].__setitem__(0, value))


EPISODES = {
    "NaN reward": _set("reward", np.nan),
    "infinite observation": _set("observation", np.inf),
    "no reward": _arrays(lambda arrays: arrays.pop("reward")),
    "no observation": _arrays(lambda arrays: arrays.pop("observation")),
    "a row too few": _arrays(lambda arrays: arrays.update(action=arrays["action"][1:])),
    "objects": _arrays(lambda arrays: arrays.update(reward=np.array([{}], object))),
    "texts": _arrays(lambda arrays: arrays.update(reward=arrays["reward"].astype(str))),
    "another environment's": _arrays(
        lambda arrays: arrays.update(observation=np.zeros((len(arrays["reward"]), 9), np.float32))
    ),
    "actions of another environment": _arrays(
        lambda arrays: arrays.update(action=np.zeros((len(arrays["reward"]), 7), np.float32))
    ),
}


def episodes(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """Damaged episodes among good ones: training skips, counts and names them, and goes on."""
    shutil.copytree(rooms.made_by("dreamerv2 train.py") / "logdir", folder / "logdir")
    place = folder / "logdir/train_episodes"
    good = sorted(place.glob("*.npz"))
    given, before = {}, {path: path.read_bytes() for path in good}
    for number, kind in enumerate(rng.choice([*EPISODES, *["bytes"] * 4, "name"], 6)):
        source = good[number]
        name = source.name.replace("-", f"-{number:04}", 1)
        if kind == "bytes":
            kind, data = damage_bytes(rng, source.read_bytes())
        elif kind == "name":
            name, data = f"no-steps-{number}x.npz", source.read_bytes()
        else:
            with np.load(source, allow_pickle=False) as file:
                data = EPISODES[kind](rng, dict(file))
        (place / name).write_bytes(data)
        given[name] = f"dreamerv2 episode: {kind}"
    ended = run([*TRAIN, "--steps", str(stored_rightly(folder) + 20)], folder)
    faults = [f"{fault}\n{ended.output}" for fault in ended.faults]
    for name, kind in given.items():
        named = len(re.findall(rf"skipped damaged episode \S*{re.escape(name)} \(", ended.output))
        if named != 1:
            faults.append(f"{kind}: named {named} times")
    if ended.status:
        faults.append(f"status {ended.status}\n{ended.output}")
    elif checkpoint(folder)["step"] != stored_rightly(folder):
        faults.append("the checkpoint has other steps than the files")
    if any(path.read_bytes() != data for path, data in before.items()):
        faults.append("good episodes were changed")
    return Outcome(list(given.values()), faults)


def stored_rightly(folder: Path) -> int:
    """Steps of the files whose names tell them."""
    for path in folder.glob("logdir/train_episodes/no-steps-*.npz"):
        path.rename(path.with_suffix(".hidden"))
    steps = stored(folder)
    for path in folder.glob("logdir/train_episodes/no-steps-*.hidden"):
        path.rename(path.with_suffix(".npz"))
    return steps


def files(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A damaged checkpoint, config.yaml or agent, for training or for an evaluation."""
    shutil.copytree(rooms.made_by("dreamerv2 train.py") / "logdir", folder / "logdir")
    test = ["python", str(ROOM / "evaluate.py"), "logdir", "--episodes", "2"]
    command = [test, TRAIN][rng.integers(2)]
    what = str(rng.choice(["variables", "config", "agent", "other agent"]))
    path = folder / "logdir/variables.npz"
    if what == "variables":
        kind, data = damage_bytes(rng, path.read_bytes())
        path.write_bytes(data)
    elif what == "config":
        path = folder / "logdir/config.yaml"
        kind, text = _damage_yaml(rng, path.read_text(), command is test)
        path.write_text(text)
    elif what == "agent":
        path = folder / "agent.npz"
        kind, data = damage_bytes(rng, AGENT.read_bytes())
        path.write_bytes(data)
        command = [*test[:2], "agent.npz", "--episodes", "2"]
    else:
        kind = "of other sizes"
        command = [*TRAIN, "--rssm.deter", "24", "--steps", "400"]
    before = snapshot(folder)
    named = {"unknown key": "colour_of", "odd value": "envs"}.get(kind, path.name)
    faults = refused(run(command, folder), named)
    if changed := [n for n, data in snapshot(folder).items() if before.get(n, data) != data]:
        faults.append(f"changed: {changed}")
    given = f"dreamerv2 {Path(command[1]).name} {what}: {kind}"
    return Outcome([given], [f"{given}: {fault}" for fault in faults])


def _damage_yaml(rng, text: str, reads_all: bool) -> tuple[str, str]:
    """What is wrong, and the text; training reads only the task in it."""
    kinds = ("empty", "an empty list", "a number", "no text")
    kind = str(rng.choice([*kinds, *["unknown key", "odd value"] * reads_all]))
    if kind == "unknown key":
        return kind, text + "\ncolour_of: 3\n"
    if kind == "odd value":
        return kind, text.replace("\nenvs: 2", "\nenvs: many")
    return kind, DAMAGED_JSON[kind](rng, text)


def settings(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A key with a number that is odd or none, or with another value that it cannot have."""
    defaults = yaml.safe_load((ROOM / "configs.yaml").read_text())["defaults"]
    flat = {}
    for key, value in defaults.items():
        inner = value if isinstance(value, dict) else {"": value}
        flat |= {f"{key}.{name}".rstrip("."): one for name, one in inner.items()}
    del flat["logdir"], flat["task"]
    key, value = str(rng.choice(list(flat))), str(rng.choice(NUMBERS))
    ended = run([*TRAIN, "--steps", "140", f"--{key}={value}"], folder, WORKS)
    given = f"dreamerv2 train.py --{key}={value!r}"
    faults = list(ended.faults)
    if ended.status == 2:
        faults = [fault.split("\n")[0] for fault in refused(ended, key)]
    elif ended.status not in (0, 130, -15):
        faults.append(f"status {ended.status}")
    if left := [path.name for kind in UNFINISHED for path in folder.rglob(kind)]:
        faults.append(f"left behind {left}")
    return Outcome([given], [f"{given}: {fault}\n{ended.output}" for fault in faults])
