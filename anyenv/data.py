"""The HDF5 files of the original: recorded or encoded episodes, laid end to end.

An importable module, no command. Datasets: `states` (N, 64, 64, C), or (N, 2, Z) mu and log
variance; `actions` (N, D); `rewards` float32 (N,); `episodes` (G + 1,), where each episode starts
and the last one ends; all of them may be longer than they say. Attributes: N_TRANSITIONS, N_GAMES,
CHUNK_SIZE, STATE_SHAPE, ACTION_DIM, and LATENT_DIM where states are encoded.

Two things are ours, and files without them are read as well: the dataset `terminated`, bool (G,),
false where a time limit ended the episode, and the attribute MADE_WITH, what of the config the
states depend on.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from kit.command.errors import UserError

COMPRESSION = "lzf"  # as the original; gzip would save a third of the disk for a fifth of the speed
MADE_WITH = ("game_name", "state_shape", "crop_range", "channels", "action_repeat", "observation")


def made_with(general) -> dict:
    """What of the config's general section the states depend on."""
    return {name: getattr(general, name) for name in MADE_WITH}


def differing(found: dict, general) -> str:
    """The first key in which `found` differs from the config, as "key here, there", or ""."""
    for name, value in made_with(general).items():
        if name in found and found[name] != value:
            return f"general.{name} {json.dumps(found[name])}, the config has {json.dumps(value)}"
    return ""


class Transitions:
    """A file opened for reading; `open_file` checks it.

    states, actions, rewards: h5py datasets, of which the first `count` rows count
    episodes: int64 (G + 1,) starts, the last entry the end of all
    terminated: bool (G,)
    """

    def __init__(self, path: Path, file: h5py.File):
        self.path, self._file = path, file
        self.count, self.games = int(file.attrs["N_TRANSITIONS"]), int(file.attrs["N_GAMES"])
        self.chunk = int(file.attrs["CHUNK_SIZE"])
        self.states, self.actions, self.rewards = (
            file[name] for name in ("states", "actions", "rewards")
        )
        self.episodes = file["episodes"][: self.games + 1].astype(np.int64)
        self.terminated = np.ones(self.games, bool)
        self.tells_ends = "terminated" in file
        if self.tells_ends:
            self.terminated = file["terminated"][: self.games].astype(bool)
        self.made_with = _json_attribute(file, "MADE_WITH")
        self._check()

    def _check(self) -> None:
        if self.count < 1 or self.games < 1 or self.chunk < 1:
            raise ValueError(f"it holds {self.count} transitions of {self.games} games")
        lengths = [len(d) for d in (self.states, self.actions, self.rewards)]
        if min(lengths) < self.count or len(self.episodes) != self.games + 1:
            raise ValueError(f"it says {self.count} transitions and holds {min(lengths)}")
        if self.states.ndim not in (3, 4) or self.actions.ndim != 2 or self.rewards.ndim != 1:
            raise ValueError("its datasets have other dimensions")
        steps = np.diff(self.episodes)
        # What a broken recording of the original leaves after its last whole game is left out.
        if self.episodes[0] != 0 or (steps <= 0).any() or self.episodes[-1] > self.count:
            raise ValueError("its episodes do not follow each other")
        if len(self.terminated) != self.games:
            raise ValueError("its terminated does not fit its episodes")
        self.count = int(self.episodes[-1])

    @property
    def latent_dim(self) -> int | None:
        """Z where the states are encoded, else None."""
        return int(self.states.shape[2]) if self.states.ndim == 3 else None

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of a dataset; UserError where that part of the file is damaged."""
        try:
            return self._file[name][start:stop]
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self.path}: {name} is damaged from row {start} on") from error

    def attribute(self, name: str):
        """A json attribute of ours, or {}."""
        return _json_attribute(self._file, name)


def _json_attribute(file: h5py.File, name: str) -> dict:
    try:
        value = json.loads(file.attrs.get(name, "{}"))
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def open_file(path: Path, general=None, latent: bool | None = None) -> Iterator[Transitions]:
    """`path` for reading, with `general` of that config, encoded or not where `latent` says.

    Raises UserError naming the file where it is missing, damaged, or of another config.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            found = Transitions(path, file)
        except FileNotFoundError as error:
            raise UserError(f"{path}: there is no such file: record_data writes it") from error
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).strip('"').split(", errno")[0].split(": time =")[0]
            raise UserError(f"{path}: expected recorded transitions in HDF5: {reason}") from error
        check(found, general, latent)
        yield found


def check(found: Transitions, general, latent: bool | None) -> None:
    """UserError where the file is of another config, or encoded where it should not be."""
    path, shape = found.path, tuple(found.states.shape[1:])
    if latent and found.latent_dim is None:
        raise UserError(f"{path} holds frames, expected latents: run convert_data first")
    if latent is False and found.latent_dim is not None:
        raise UserError(f"{path} holds latents, expected frames: give the file of record_data")
    if general is None:
        return
    if latent is False and shape != tuple(general.state_shape):
        raise UserError(
            f"{path} holds frames {shape}, general.state_shape is {general.state_shape}"
        )
    other = differing(found.made_with, general)
    if other:
        raise UserError(f"{path} was recorded with {other}: give another file or that config")


def create(
    path: Path, state_shape, state_dtype, action_dim: int, action_dtype, chunk: int, about: dict
) -> None:
    """A file without transitions."""
    with h5py.File(path, "w") as file:
        add = file.create_dataset
        add(
            "states",
            (0, *state_shape),
            state_dtype,
            maxshape=(None, *state_shape),
            chunks=(chunk, *state_shape),
            compression=COMPRESSION,
            fletcher32=True,  # what is damaged shall not be learned from
        )
        add(
            "actions",
            (0, action_dim),
            action_dtype,
            maxshape=(None, action_dim),
            chunks=(chunk, action_dim),
            compression=COMPRESSION,
        )
        add("rewards", (0,), np.float32, maxshape=(None,), chunks=(chunk,), compression=COMPRESSION)
        add("episodes", data=np.zeros(1, np.int64), maxshape=(None,), chunks=(chunk,))
        add("terminated", (0,), bool, maxshape=(None,), chunks=(chunk,))
        values = {"N_TRANSITIONS": 0, "N_GAMES": 0, "CHUNK_SIZE": chunk, "ACTION_DIM": action_dim}
        for name, value in values.items():
            file.attrs[name] = value
        file.attrs["STATE_SHAPE"] = list(state_shape)
        file.attrs["MADE_WITH"] = json.dumps(about)


def append(path: Path, episodes: Iterator[tuple]) -> None:
    """Add episodes (states, actions, rewards, terminated), each flushed to the disk in its turn."""
    with h5py.File(path, "r+") as file:
        count, games = int(file.attrs["N_TRANSITIONS"]), int(file.attrs["N_GAMES"])
        _resize(file, count, games)  # a broken-off append may have left more
        for states, actions, rewards, terminated in episodes:
            count, games = count + len(states), games + 1
            _resize(file, count, games)
            for name, values in (("states", states), ("actions", actions), ("rewards", rewards)):
                file[name][count - len(states) :] = values
            file["episodes"][games] = count
            file["terminated"][games - 1] = terminated
            file.attrs["N_TRANSITIONS"], file.attrs["N_GAMES"] = count, games
            file.flush()


def _resize(file: h5py.File, count: int, games: int) -> None:
    if "terminated" not in file:  # a file of the original: its episodes ran to the end
        ends = np.ones(int(file.attrs["N_GAMES"]), bool)
        chunk = (int(file.attrs["CHUNK_SIZE"]),)
        file.create_dataset("terminated", data=ends, maxshape=(None,), chunks=chunk)
    for name in ("states", "actions", "rewards"):
        file[name].resize(count, axis=0)
    file["episodes"].resize(games + 1, axis=0)
    file["terminated"].resize(games, axis=0)


def disk_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
