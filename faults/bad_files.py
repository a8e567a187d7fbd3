"""Damaged recordings, weights, series, checkpoints and histories."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from interruptions import MAKERS, ROOT, Rooms, stages
from refusals import Outcome, refused, run, snapshot


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _huge(_, __) -> bytes:
    """A header that promises ten petabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 64, 64, 3)}
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(member, header)
        archive.writestr("obs.npy", member.getvalue() + bytes(100))
        archive.writestr("action.npy", member.getvalue())
    return file.getvalue()


def _cut(rng, data: bytes) -> bytes:
    return data[: rng.integers(1, len(data))]


def _arrays(change: Callable) -> Callable:
    """A recording whose arrays are changed by `change(frames, actions, rng)`."""

    def damage(rng, data: bytes) -> bytes:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            frames, actions = change(file["obs"], file["action"], rng)
        return npz(obs=frames, action=actions)

    return damage


def _nan(frames, actions, rng):
    actions = actions.copy()
    actions[rng.integers(len(actions))] = rng.choice([np.nan, np.inf, -np.inf])
    return frames, actions


def _pickled(rng, data: bytes) -> bytes:
    """Arrays of objects: reading them would run code."""
    file = io.BytesIO()
    np.savez(file, obs=np.array([{"a": 1}], object), action=np.array([None], object))
    return file.getvalue()


def _one_array(rng, data: bytes) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((5, 64, 64, 3), np.uint8))
    return file.getvalue()


DAMAGED_RECORDINGS = {
    "empty": lambda rng, data: b"",
    "cut short": _cut,
    "not a zip": lambda rng, data: rng.bytes(3000),
    "text": lambda rng, data: b"obs,action\n1,2\n",
    "another shape": _arrays(lambda f, a, rng: (f[:, ::2], a)),
    "grey": _arrays(lambda f, a, rng: (f[..., :1], a)),
    "another dtype": _arrays(lambda f, a, rng: (f.astype(np.float32) / 255, a)),
    "whole actions": _arrays(lambda f, a, rng: (f, a.astype(np.int64))),
    "an action too few": _arrays(lambda f, a, rng: (f, a[:-1])),
    "no frame": _arrays(lambda f, a, rng: (f[:0], a[:0])),
    "actions of another game": _arrays(lambda f, a, rng: (f, np.stack([a, a], -1))),
    "NaN or infinite actions": _arrays(_nan),
    "pickled objects": _pickled,
    "one array, no archive": _one_array,
    "no actions": lambda rng, data: npz(obs=np.zeros((5, 64, 64, 3), np.uint8)),
    "ten petabytes promised": _huge,
}


def recordings(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """Several damaged recordings among good ones: encoding skips, names and counts them."""
    room = str(rng.choice(["carracing", "doomrnn"]))
    stage = next(one for one in stages() if one.name == f"{room} series.py")
    rooms.prepare(stage, folder)
    good = sorted((folder / "record").glob("*.npz"))
    kinds = rng.choice(list(DAMAGED_RECORDINGS), 8, replace=False)
    for index, kind in enumerate(kinds):
        data = DAMAGED_RECORDINGS[kind](rng, good[index % len(good)].read_bytes())
        (folder / "record" / f"{index}.npz").write_bytes(data)
    ended = run(stage.command, folder)
    given = [f"{room} recording: {kind}" for kind in kinds]
    faults = [f"{fault}\n{ended.output}" for fault in ended.faults]
    named = [ended.output.count(f"skipped damaged recording record/{i}.npz") for i in range(8)]
    faults += [f"{g}: named {n} times" for g, n in zip(given, named, strict=True) if n != 1]
    if ended.status:
        faults.append(f"status {ended.status}\n{ended.output}")
    elif stage.result(folder) != rooms.left_alone(stage)[0]:
        faults.append("the good recordings were encoded to something else")
    return Outcome(given, faults)


# ---------------------------------------------------------------- json files


def _break_text(rng, text: str) -> str:
    return text[: rng.integers(1, len(text) - 3)]


def _put(value: str) -> Callable:
    """Some number of the file becomes `value`, but not the score that ends a controller."""

    def damage(rng, text: str) -> str:
        start = rng.integers(int(0.9 * len(text)))
        found = NUMBER.search(text, start) or NUMBER.search(text)
        return text[: found.start()] + value + text[found.end() :]

    return damage


NUMBER = re.compile(r"(?<=[\s\[,])-?\d[^\s\],]*")
DAMAGED_JSON = {
    "empty": lambda rng, text: "",
    "cut short": _break_text,
    "NaN": _put("NaN"),
    "infinity": _put("-Infinity"),
    "1e400": _put("1e400"),
    "1e300": _put("1e300"),
    "a word": _put('"x"'),
    "null": _put("null"),
    "true": _put("true"),
    "a list in place of a number": _put("[1]"),
    "a number too few": lambda rng, text: text.replace(",", "", 1),
    "an object": lambda rng, text: '{"weights": 1}',
    "a number": lambda rng, text: "7",
    "an empty list": lambda rng, text: "[]",
    "endless nesting": lambda rng, text: "[" * 200_000,
    "no text": lambda rng, text: "\x00\x01" * 50,
    "of the other room": None,
}


def weights(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A damaged controller, V, M or file of first latents: playing ends at its start."""
    name = str(rng.choice(["controller", "vae", "rnn", "initial_z"], p=[0.55, 0.15, 0.15, 0.15]))
    models = folder / "tf_models"
    models.mkdir()
    for part in ("vae", "rnn", "initial_z"):
        (models / f"{part}.json").symlink_to(ROOT / "doomrnn/tf_models" / f"{part}.json")
    agent = next((ROOT / "doomrnn/log").glob("*.best.json"))
    (folder / "controller.json").write_text(agent.read_text())
    path = folder / "controller.json" if name == "controller" else models / f"{name}.json"
    kind = str(rng.choice(list(DAMAGED_JSON)))
    if kind == "of the other room":
        text = json.dumps([[0.5] * 867]) if name == "controller" else _other_room(rooms, name)
    else:
        text = DAMAGED_JSON[kind](rng, path.read_text())
    path.unlink()
    path.write_text(text)
    before = snapshot(folder)
    play = [*("python", str(ROOT / "doomrnn/model.py"), "doomrnn", "norender", "controller.json")]
    ended = run([*play, "-n", "1", "--episodes", "2", "--max_length", "5"], folder)
    faults = refused(ended, path.name)
    if snapshot(folder) != before:
        faults.append("files were changed")
    given = f"{name}.json: {kind}"
    return Outcome([given], [f"{given}: {fault}" for fault in faults])


def _other_room(rooms: Rooms, name: str) -> str:
    maker, folder = MAKERS[name]
    return (rooms.made_by(f"carracing {maker}") / folder / f"{name}.json").read_text()


# ---------------------------------------------------------------- series, checkpoints, histories


def damage_bytes(rng, data: bytes) -> tuple[str, bytes]:
    kind = str(rng.choice(["empty", "cut short", "not a zip", "one array", "other arrays"]))
    made = {
        "empty": lambda: b"",
        "cut short": lambda: data[: rng.integers(1, len(data))],
        "not a zip": lambda: rng.bytes(2000),
        "one array": lambda: _one_array(rng, data),
        "other arrays": lambda: npz(a=np.zeros(3)),
    }
    return kind, made[kind]()


def _damage_series(rng, data: bytes) -> tuple[str, bytes]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    kind = str(rng.choice(["NaN", "another width", "whole numbers", "a frame too few"]))
    mu = arrays["mu"].copy()
    if kind == "NaN":
        mu[-1] = np.nan
    elif kind == "another width":
        mu = mu[..., :-1]
    elif kind == "whole numbers":
        mu = mu.astype(np.int16)
    else:
        mu = mu[:-1]
    return kind, npz(**(arrays | {"mu": mu}))


def results(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A damaged series.npz, checkpoint of V, of M or of an evolution, or strategy to start from."""
    target = str(rng.choice(["series", "vae", "rnn", "evolution", "init_opt"]))
    room = str(rng.choice(["carracing", "doomrnn"]))
    names = {"series": "rnn_train.py", "vae": "vae_train.py", "rnn": "rnn_train.py"}
    name = f"{room} {names[target]}" if target in names else "estool toy.py"
    stage = next(one for one in stages() if one.name == name)
    rooms.prepare(stage, folder)
    if target == "series":
        path = folder / "series/series.npz"
        source = path
    elif target not in names:
        other = target == "init_opt"
        path = folder / ("strategy.pkl" if other else "checkpoint/toy.cma.16.9.pkl")
        source = rooms.made_by(name) / "checkpoint/toy.cma.16.9.pkl"
    else:
        path = folder / f"tf_{target}/checkpoint.npz"
        source = rooms.made_by(name) / f"tf_{target}/checkpoint.npz"
    damage = _damage_series if target == "series" and rng.random() < 0.5 else damage_bytes
    kind, data = damage(rng, source.read_bytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    before = snapshot(folder)
    command = [*stage.command, *(["-n", "1"] if target not in names else [])]
    command += ["--init_opt", "strategy.pkl"] if target == "init_opt" else []
    faults = refused(run(command, folder), path.name)
    changed = [n for n, data in snapshot(folder).items() if before.get(n, data) != data]
    if changed:
        faults.append(f"changed: {changed}")
    given = f"{target} {path.name}: {kind}"
    return Outcome([given], [f"{room} {given}: {fault}" for fault in faults])


HISTORY = """
from estool import plot
from kit.command import cli
def main():
    plot.learning_curves("run")
cli.run(main)
"""


def histories(rooms: Rooms, rng: np.random.Generator, folder: Path) -> Outcome:
    """A history with a torn last line, or whatever else is not one."""
    row = [1, 2, 1.5, 1.0, 2.0, 0.5, 0.1, 5.5, 6]
    better = [1, 3, "improvement", 0.25, "curr", 1.75, "prev", 1.5, "best", 1.75]
    texts = {
        ".hist.json": json.dumps([row] * 20, indent=0),
        ".hist_best.json": json.dumps([better] * 5, indent=0),
    }
    for suffix, text in texts.items():
        (folder / f"run{suffix}").write_text(text)
    suffix = str(rng.choice(list(texts)))
    kinds = [kind for kind, damage in DAMAGED_JSON.items() if damage and kind != "1e300"]
    kind = str(rng.choice([*kinds, *["cut short"] * 6]))
    if kind in ("an empty list", "a number too few"):
        kind = "cut short"
    (folder / f"run{suffix}").write_text(DAMAGED_JSON[kind](rng, texts[suffix]))
    (folder / "curves.py").write_text(HISTORY)
    faults = refused(run(["python", str(folder / "curves.py")], folder), f"run{suffix}")
    given = f"history: {kind}"
    return Outcome([given], [f"{given} in {suffix}: {fault}" for fault in faults])
