"""Bad files for anyenv/: configs, recordings, latents, weights and checkpoints.

Each ends the command that reads it with one sentence that names the file, and harms nothing.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from anyenv_stages import CONFIG, GAMES, LATENTS
from bad_files import DAMAGED_JSON, damage_bytes
from interruptions import ROOT, UNFINISHED, Rooms, stages
from refusals import Outcome, refused, run, snapshot

RUN = ["python", str(ROOT / "anyenv/run.py")]
CONFIGS = ("empty", "cut short", "a list in place of a number", "an object", "a number")
CONFIGS += ("an empty list", "endless nesting", "no text")
# Values that a key cannot have, by the type of its default.
ODD = {
    bool: ("yes", 1, None, [True]),
    int: (-5, 2.5, "3", None, True, [1], {}, 10**400, float("nan"), float("inf")),
    float: (-5, "0.1", None, True, [1], {}, float("nan"), float("-inf"), 1e300),
    str: (7, None, "", [], {}, True, "\n" * 3),
    list: ("64", 64, [64], [64, 64, 2], [64, 64, 3.5], None, {}),
    dict: (3, "x", None, [1]),
}
FREE = ("game_name", "ckpt_path", "mind_path", "logs_dir")  # any text is one


def configs(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A config that is none, with an unknown section or key, or with an odd value."""
    values = json.loads(CONFIG.read_text())
    known = json.loads((ROOT / "anyenv/config.json.dist").read_text())
    kind = str(rng.choice(["damaged", "unknown section", "unknown key", *["odd value"] * 7]))
    section = str(rng.choice(list(known)))
    named = "config.json"
    if kind == "damaged":
        kind = str(rng.choice(CONFIGS))
        text = DAMAGED_JSON[kind](rng, CONFIG.read_text().rstrip())
    else:
        if kind == "odd value":
            named = str(rng.choice(list(known[section])))
            odd = list(ODD[type(known[section][named])])
            if named in FREE:
                odd.remove("\n" * 3)
            value = odd[rng.integers(len(odd))]
            values[section][named] = value
            kind = f"{section}.{named} {str(value)[:20]!r}"
        elif kind == "unknown key":
            named = "epoch_s"
            values[section][named] = 1
        else:
            named = "vae_traning"
            values[named] = {}
        text = json.dumps(values)
    path = folder / "config.json"
    path.write_text(text)
    before = snapshot(folder)
    ended = run([*RUN, "-c", "config.json", "record_data", GAMES, "-n", "1"], folder, 20)
    faults = refused(ended, named)
    if snapshot(folder) != before:
        faults.append("files were changed")
    given = f"anyenv config: {kind}"
    return Outcome([given], [f"{given}: {fault}" for fault in faults])


def _numbers(name: str, value: float) -> Callable:
    def damage(rng, file) -> None:
        file[name][rng.integers(len(file[name]) // 2)] = value

    return damage


def _dropped(name: str) -> Callable:
    def damage(rng, file) -> None:
        del file[name]

    return damage


def _attribute(name: str, value) -> Callable:
    def damage(rng, file) -> None:
        file.attrs[name] = value

    return damage


def _no_attribute(rng, file) -> None:
    del file.attrs[str(rng.choice(["N_TRANSITIONS", "N_GAMES", "CHUNK_SIZE"]))]


HDF5 = {
    "no actions": _dropped("actions"),
    "no states": _dropped("states"),
    "no episodes": _dropped("episodes"),
    "an attribute too few": _no_attribute,
    "no games": _attribute("N_GAMES", 0),
    "more transitions promised": _attribute("N_TRANSITIONS", 10**9),
    "a number that is a text": _attribute("N_GAMES", "many"),
    "episodes that do not follow": _numbers("episodes", 10**6),
    "another game's": _attribute("MADE_WITH", '{"game_name": "ALE/Boxing-v5"}'),
    "another crop's": _attribute("MADE_WITH", '{"crop_range": "[:, :, :]"}'),
}
LATENT = {  # only M reads these
    "NaN latents": _numbers("states", np.nan),
    "NaN rewards": _numbers("rewards", np.nan),
    "actions beyond the game's": _numbers("actions", 9),
}


def _damage_hdf5(rng, path: Path, latent: bool) -> str:
    """Damage a file in place; returns how."""
    kinds = HDF5 | (LATENT if latent else {})
    kind = str(rng.choice([*kinds, "bytes", "bytes"]))
    if kind == "bytes":
        kind, data = damage_bytes(rng, path.read_bytes())
        path.write_bytes(data)
        return kind
    with h5py.File(path, "r+") as file:
        kinds[kind](rng, file)
    return kind


def _stage(name: str):
    return next(one for one in stages() if one.name == f"anyenv {name}")


def transitions(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A damaged recording for V, for encoding or for topping up; damaged latents for M."""
    name = str(rng.choice(["train_vae", "convert_data", "record_data", "train_mem", "train_mem"]))
    stage, latent = _stage(name), name == "train_mem"
    rooms.prepare(stage, folder)
    path = folder / (LATENTS if latent else GAMES)
    if not path.exists():
        path.parent.mkdir()
        shutil.copy(rooms.made_by("anyenv record_data") / GAMES, path)
    kind = _damage_hdf5(rng, path, latent)
    more = ["-n", "60"] if name == "record_data" else []
    return _refused([*stage.command, *more], folder, path, f"{name} {path.name}: {kind}")


# Weights and checkpoints, and the command that reads them.
WEIGHTS = {
    "v/vision.ckpt": "convert_data",
    "m/memory.ckpt": "eval",
    "c/mind_best.ckpt": "eval",
    "v/vision.training.npz": "train_vae",
    "m/memory.training.npz": "train_mem",
    "c/controller.ckpt": "train_ctrl",
}
MADE = {"v": "train_vae", "m": "train_mem", "c": "train_ctrl"}


def weights(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """Damaged weights or checkpoints, another part's, or of another environment or size."""
    name = str(rng.choice(list(WEIGHTS)))
    reader = WEIGHTS[name]
    for part, maker in MADE.items():
        shutil.copytree(rooms.made_by(f"anyenv {maker}") / part, folder / part)
    if reader != "eval":
        for needed, kept in (("games", GAMES), ("latents", LATENTS)):
            made = {"games": "record_data", "latents": "convert_data"}[needed]
            (folder / needed).mkdir()
            shutil.copy(rooms.made_by(f"anyenv {made}") / kept, folder / kept)
    path, shipped = folder / name, ROOT / "anyenv/agents/cartpole"
    kind = str(rng.choice(["bytes", "bytes", "another size's", "another part's", "NaN"]))
    others = {"v/vision.ckpt": "memory.ckpt", "m/memory.ckpt": "vision.ckpt"}
    others["c/mind_best.ckpt"] = "vision.ckpt"
    if name not in others or kind == "bytes":
        kind, data = damage_bytes(rng, path.read_bytes())
        path.write_bytes(data)
    elif kind == "another size's":
        shutil.copy(shipped / path.name.replace("_best", ""), path)
    elif kind == "another part's":
        shutil.copy(shipped / others[name], path)
    elif path.name == "mind_best.ckpt":
        path.write_text(DAMAGED_JSON["NaN"](rng, path.read_text()))
    else:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        arrays["array_0"] = np.full_like(arrays["array_0"], np.nan)
        with path.open("wb") as file:
            np.savez(file, **arrays)
    command = [*RUN, "-c", str(CONFIG), "eval", "-n", "2", "--processes", "1"]
    if reader != "eval":
        command = list(_stage(reader).command)
    return _refused(command, folder, path, f"{reader} {name}: {kind}")


def _refused(command: list[str], folder: Path, path: Path, given: str) -> Outcome:
    before = snapshot(folder)
    faults = refused(run(command, folder), path.name)
    if changed := [n for n, data in snapshot(folder).items() if before.get(n, data) != data]:
        faults.append(f"changed: {changed}")
    if left := [found.name for kind in UNFINISHED for found in folder.rglob(kind)]:
        faults.append(f"left behind {left}")
    return Outcome([given], [f"anyenv {given}: {fault}" for fault in faults])
