"""The stages of anyenv/ that are interrupted, on real CartPole pixels, at sizes of seconds."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

CONFIG = Path(__file__).with_name("anyenv.json")
# What a stage reads: the stage that makes it, and in which folder.
MAKERS = {
    "games": ("record_data", "games"),
    "latents": ("convert_data", "latents"),
    "v": ("train_vae", "v"),
    "m": ("train_mem", "m"),
}
GAMES, LATENTS = "games/vae.hdf5", "latents/mem.hdf5"


def hdf5(name: str) -> Callable[[Path], dict]:
    """All numbers of a file."""

    def numbers(folder: Path) -> dict:
        with h5py.File(folder / name) as file:
            result = {key: file[key][:].tobytes() for key in file}
            return result | {key: str(value) for key, value in file.attrs.items()}

    return numbers


def trained(checkpoint: str) -> Callable[[Path], dict]:
    """What a training of V or M has come to: all but the time that it took."""

    def state(folder: Path) -> dict:
        with np.load(folder / checkpoint, allow_pickle=False) as file:
            values = json.loads(str(file["values"]))
            result = {key: file[key].tobytes() for key in file.files if key != "values"}
        kept = {key: values[key] for key in ("epoch", "part", "step", "best", "waited")}
        return result | kept

    return state


def commands(root: Path) -> list[tuple]:
    """Of each: name, arguments, what it comes to (None: an evolution), what it needs, processes."""

    def run(*arguments: str) -> list[str]:
        return ["python", str(root / "anyenv/run.py"), "-c", str(CONFIG), *arguments]

    record = ("record_data", GAMES, "-n", "30", "--processes", "1")
    return [
        ("record_data", run(*record), hdf5(GAMES), (), 1),
        ("train_vae", run("train_vae", GAMES), trained("v/vision.training.npz"), (GAMES,), 1),
        (
            "convert_data",
            run("convert_data", GAMES, LATENTS),
            hdf5(LATENTS),
            (GAMES, "v/vision.ckpt"),
            1,
        ),
        ("train_mem", run("train_mem", LATENTS), trained("m/memory.training.npz"), (LATENTS,), 1),
        ("train_ctrl", run("train_ctrl"), None, ("v/vision.ckpt", "m/memory.ckpt"), 2),
    ]
