"""convert_data: encode the recorded frames with V, the rest of the file as it is.

An importable module; `python run.py convert_data data/vae.hdf5 data/mem.hdf5` is the command.
Works in <output>.part, a few thousand frames at a time, each flushed: started again, it goes on
after the last. The finished file takes its place whole.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import h5py
import numpy as np

from kit.command import locks, memory, progress
from kit.command.errors import UserError
from kit.tensors import precision

import data
import talk
from agent import in_colour
from config import Config
from models import load_vision

BLOCK = 4096  # frames encoded between two flushes
BATCH = 256  # frames encoded at once
COPIED = ("actions", "rewards", "episodes", "terminated")
ATTRIBUTES = ("N_TRANSITIONS", "N_GAMES", "CHUNK_SIZE", "ACTION_DIM", "MADE_WITH")
ENCODED = "ENCODED"  # attribute of the unfinished file: rows that are done
MADE_OF = "MADE_OF"  # attribute: changes with V and with the recordings


def run(config: Config, args) -> None:
    """Encode `args.path` into `args.output` with the V of `config` or of `args.vae_path`."""
    if args.path.resolve() == args.output.resolve():
        raise UserError(f"{args.output}: expected another file than the one that is encoded")
    vae_path = args.vae_path or Path(config.vae.ckpt_path)
    with (
        locks.only_one(args.output.parent, f"{args.output.name}-convert"),
        data.open_file(args.path, config.general, latent=False) as source,
    ):
        z_size = config.vae.latent_space_dim
        disk = source.count * 8 * z_size
        memory.require(BLOCK * 64 * 64 * 3 * 3, "encoding", "machine")
        talk.info(f"{args.path}: {source.count} frames; needs up to {disk / 1e9:.2g} GB of disk")
        precision.use_threads()
        vae = load_vision(vae_path, config, precision.resolve(config.vae.precision))
        key = _made_of(vae_path, source, vae.dtype.name)
        if _complete(args.output, key):
            talk.result(f"{args.output} is complete already")
            return
        part = args.output.with_name(args.output.name + ".part")
        _encode(source, vae, part, key, z_size)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(args.output)
        talk.result(f"{args.output}: {source.count} frames as {z_size} latents each")


def _made_of(vae_path: Path, source: data.Transitions, dtype: str) -> str:
    size = source.path.stat().st_size
    text = repr([dtype, source.count, source.games, size]).encode()
    return hashlib.sha256(vae_path.read_bytes() + text).hexdigest()[:16]


def _complete(path: Path, key: str) -> bool:
    with contextlib.suppress(OSError, KeyError), h5py.File(path, "r") as file:
        return file.attrs.get(MADE_OF) == key and ENCODED not in file.attrs
    return False


def _begin(source: data.Transitions, part: Path, key: str, z_size: int) -> None:
    """An unfinished file with everything but the latents, where there is none of this key."""
    with contextlib.suppress(OSError, KeyError), h5py.File(part, "r") as file:
        if file.attrs[MADE_OF] == key and ENCODED in file.attrs:
            return
    part.unlink(missing_ok=True)
    with h5py.File(part, "w") as file:
        for name, value in _columns(source).items():
            file.create_dataset(name, data=value, maxshape=(None, *value.shape[1:]))
        file.attrs["N_TRANSITIONS"], file.attrs["N_GAMES"] = source.count, source.games
        file.attrs["CHUNK_SIZE"] = source.chunk
        file.attrs["ACTION_DIM"] = source.actions.shape[1]
        file.attrs["LATENT_DIM"], file.attrs["STATE_SHAPE"] = z_size, [2, z_size]
        file.attrs["MADE_WITH"] = json.dumps(source.made_with)
        file.attrs[MADE_OF], file.attrs[ENCODED] = key, 0
        file.create_dataset(
            "states",
            (source.count, 2, z_size),
            np.float32,
            maxshape=(None, 2, z_size),
            chunks=(source.chunk, 2, z_size),
            compression=data.COMPRESSION,
        )


def _columns(source: data.Transitions) -> dict[str, np.ndarray]:
    columns = {name: source.read(name, 0, source.count) for name in ("actions", "rewards")}
    columns["episodes"] = source.episodes
    if source.tells_ends:
        columns["terminated"] = source.terminated
    return columns


def _encode(source: data.Transitions, vae, part: Path, key: str, z_size: int) -> None:
    _begin(source, part, key, z_size)
    with h5py.File(part, "r+") as file:
        done = int(file.attrs[ENCODED])
        with progress.bar(source.count, "frames", "encoding", done) as bar:
            for start in range(done, source.count, BLOCK):
                stop = min(source.count, start + BLOCK)
                frames = in_colour(source.read("states", start, stop))
                latents = [vae.encode(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
                file["states"][start:stop] = np.concatenate([np.stack(p, 1) for p in latents])
                file.attrs[ENCODED] = stop
                file.flush()
                bar.update(stop - start)
        del file.attrs[ENCODED]
