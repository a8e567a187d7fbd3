"""Encode the recorded frames with V: what M learns from.

Reads record/*.npz (the first 10 000 by name) and tf_vae/vae.json. Writes series/series.npz:
`mu` and `logvar` float16 (N, 1000, 32), `action` float16 (N, 1000, 3), as the reference's. All
episodes have the same length; those of another length are skipped. Encoded parts lie in
series/parts until the end. Started again, it goes on after the last part. Where series.npz is
complete, it does nothing.

  python series.py          1500 episodes: 3 minutes on 2 cores
"""

from kit.command import cli

cli.begin(__name__)

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kit.command import locks, memory, progress
from kit.command.errors import UserError
from kit.command.mpi import usable_cores
from kit.files import recordings, worlds
from kit.files.atomic import read_json, write_json
from kit.tensors import precision

from vae import VAE
from world import ACTION_SHAPE, MAX_STEPS, NAME, Z_SIZE

NAMES = ("mu", "logvar", "action")  # of the arrays
PART = 50  # recordings encoded between two saves
PRESETS = {
    "smoke": {"precision": "float32", "frames": 60},
    "laptop": {},
    "paper": {"precision": "float32"},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add(
        "--max_files", type=cli.non_negative_int, default=10_000, help="recordings a folder, 0: all"
    )
    add("--frames", type=cli.positive_int, default=MAX_STEPS, help="of an episode")
    add("--batch", type=cli.positive_int, default=256, help="frames encoded at once")
    add("--precision", choices=precision.CHOICES, default="auto", help="of V's layers")
    add("--vae", type=cli.existing_file, default=Path("tf_vae/vae.json"), help="weights of V")
    recordings.add_folders(parser)
    add("--output", type=Path, default=Path("series"), help="folder of the result")
    return cli.parse(parser, PRESETS, argv)


def encode_episode(vae: VAE, frames: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """mu and logvar, float16 (T, Z), of frames uint8 (T, 64, 64, 3)."""
    latents = [vae.encode(frames[i : i + batch]) for i in range(0, len(frames), batch)]
    mu, logvar = (np.concatenate(parts).astype(np.float16) for parts in zip(*latents, strict=True))
    return mu, logvar


def encode_part(vae: VAE, source: recordings.Recordings, paths, args, bar) -> dict:
    """The arrays of series.npz for some recordings, one read and encoded on each core at a time."""

    def encode(path):
        episode = source.load(path)
        bar.update()
        if episode is None or len(episode[0]) != args.frames:
            return None
        mu, logvar = encode_episode(vae, episode[0], args.batch)
        return mu, logvar, episode[1].astype(np.float16)

    with ThreadPoolExecutor(usable_cores()) as pool:
        encoded = [columns for columns in pool.map(encode, paths) if columns is not None]
    if not encoded:
        text = f"expected episodes of {args.frames} frames (--frames)"
        raise UserError(f"{source.name}: {text}, found none in {len(paths)} recordings on end")
    columns = zip(*encoded, strict=True)
    return {name: np.stack(column) for name, column in zip(NAMES, columns, strict=True)}


def fingerprint(args, source: recordings.Recordings, dtype: str) -> str:
    """Changes with V, the recordings and the flags that the result depends on."""
    text = [
        dtype,
        args.batch,
        args.frames,
        *((path.name, path.stat().st_size) for path in source.paths),
    ]
    return hashlib.sha256(args.vae.read_bytes() + repr(text).encode()).hexdigest()[:16]


def encode_parts(vae: VAE, source: recordings.Recordings, folder: Path, args) -> list[Path]:
    """Write what is not yet in `folder`, PART recordings a file; returns the files in order."""
    parts = []
    with progress.bar(len(source.paths), "episodes", "encoding") as bar:
        for start in range(0, len(source.paths), PART):
            paths = source.paths[start : start + PART]
            parts.append(folder / f"{start}.npz")
            if parts[-1].exists():
                bar.update(len(paths))
                continue
            arrays = encode_part(vae, source, paths, args, bar)
            recordings.save_arrays(parts[-1], **arrays)
    return parts


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output):
        encode(args)


def encode(args) -> None:
    """Encode, while this process alone may write to `args.output`."""
    worlds.claim(args.output, NAME)
    source = recordings.Recordings(args.record, ACTION_SHAPE, args.max_files, NAME)
    path, made_of = args.output / "series.npz", args.output / "series.made_of.json"
    precision.use_threads(1, usable_cores())
    dtype = precision.resolve(args.precision)
    key = fingerprint(args, source, dtype)
    if path.exists() and made_of.exists() and read_json(made_of) == [key, path.stat().st_size]:
        shutil.rmtree(args.output / "parts", ignore_errors=True)
        print(f"{path} is complete already")
        return
    frames = source.mean_frames() * len(source.paths)
    needed = 2 * frames * 4 * Z_SIZE  # all, and all parts
    memory.require(needed, f"{path} of {frames:.3g} frames", "--max_files")
    vae = VAE(Z_SIZE, dtype).load(args.vae)
    # Parts of another V or of other recordings lie in another folder and do not mix in.
    parts = encode_parts(vae, source, args.output / "parts" / key, args)
    columns = zip(*(recordings.load_arrays(part, NAMES) for part in parts), strict=True)
    arrays = {name: np.concatenate(c) for name, c in zip(NAMES, columns, strict=True)}
    recordings.save_arrays(path, **arrays)
    write_json(made_of, [key, path.stat().st_size])
    shutil.rmtree(args.output / "parts")
    skipped = len(source.paths) - len(arrays["mu"])
    print(
        f"{path}: {len(arrays['mu'])} episodes of {args.frames} frames; {skipped} recordings "
        "skipped"
    )


if __name__ == "__main__":
    cli.run(main)
