"""Recordings encoded part by part into one file, going on after the last part that was written.

An importable module, no command; the rooms' series.py uses it.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kit.command import memory, progress
from kit.files.atomic import read_json, write_json
from kit.files.recordings import Recordings, load_arrays, save_arrays

# The named arrays of some recordings; `update` is to be called after each of them.
Encode = Callable[[Sequence[Path], Callable[[], object]], dict[str, np.ndarray]]


def fingerprint(vae: Path, source: Recordings, *flags) -> str:
    """Changes with V, the recordings and the flags that the result depends on."""
    text = [*flags, *((path.name, path.stat().st_size) for path in source.paths)]
    return hashlib.sha256(vae.read_bytes() + repr(text).encode()).hexdigest()[:16]


def encode_parts(source: Recordings, folder: Path, size: int, encode: Encode) -> list[Path]:
    """Write what is not yet in `folder`, `size` recordings a file; returns the files in order."""
    parts = []
    with progress.bar(len(source.paths), "episodes", "encoding") as bar:
        for start in range(0, len(source.paths), size):
            paths = source.paths[start : start + size]
            parts.append(folder / f"{start}.npz")
            if parts[-1].exists():
                bar.update(len(paths))
                continue
            save_arrays(parts[-1], **encode(paths, bar.update))
    return parts


def write_series(
    source: Recordings,
    folder: Path,
    key: str,
    names: Sequence[str],
    size: int,
    z_size: int,
    make_encode: Callable[[], Encode],
) -> dict[str, np.ndarray] | None:
    """Write the arrays `names` of all recordings, `size` at once, into series.npz in `folder`.

    Returns them, or None where they are there already, made with the same `key` (`fingerprint`).
    `make_encode` loads V. UserError where the memory does not suffice.
    """
    path, made_of = folder / "series.npz", folder / "series.made_of.json"
    if path.exists() and made_of.exists() and read_json(made_of) == [key, path.stat().st_size]:
        shutil.rmtree(folder / "parts", ignore_errors=True)
        print(f"{path} is complete already")
        return None
    frames = source.mean_frames() * len(source.paths)
    needed = 2 * frames * 4 * z_size  # all, and all parts
    memory.require(needed, f"{path} of {frames:.3g} frames", "--max_files")
    # Parts of another V or of other recordings lie in another folder and do not mix in.
    parts = encode_parts(source, folder / "parts" / key, size, make_encode())
    columns = zip(*(load_arrays(part, names) for part in parts), strict=True)
    arrays = {name: np.concatenate(c) for name, c in zip(names, columns, strict=True)}
    save_arrays(path, **arrays)
    write_json(made_of, [key, path.stat().st_size])
    shutil.rmtree(folder / "parts")
    return arrays
