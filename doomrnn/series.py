"""Encode the recorded frames with V: what M learns from.

Reads record/*.npz (the first 10 000 by name; laptop: all) and tf_vae/vae.json. Writes
series/series.npz: `mu` and `logvar` float16 (N, 64), `action` float16 (N,), all episodes one after
the other, and `length` int32 (episodes,). The reference's ragged arrays need pickle, these flat
arrays do not. Encoded parts lie in series/parts until the end. Started again, it goes on after the
last part. Where series.npz is complete, it does nothing.

  python series.py --preset laptop         5 minutes for 3.6 million frames on 2 cores
"""

from kit.command import cli

cli.begin(__name__)

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kit.batches import latents
from kit.command import locks, mpi
from kit.command.errors import UserError
from kit.files import encoding, recordings, worlds
from kit.tensors import precision

from vae import VAE
from world import ACTION_SHAPE, NAME, Z_SIZE

NAMES = ("mu", "logvar", "action", "length")  # of the arrays
PART = 200  # recordings encoded between two saves
PRESETS = {
    "smoke": {"precision": "float32"},
    "laptop": {"max_files": 0},
    "paper": {"precision": "float32"},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add(
        "--max_files", type=cli.non_negative_int, default=10_000, help="recordings a folder, 0: all"
    )
    add("--batch", type=cli.positive_int, default=256, help="frames encoded at once")
    add("--precision", choices=precision.CHOICES, default="auto", help="of V's layers")
    add("--vae", type=cli.existing_file, default=Path("tf_vae/vae.json"), help="weights of V")
    recordings.add_folders(parser)
    add("--output", type=Path, default=Path("series"), help="folder of the result")
    return cli.parse(parser, PRESETS, argv)


def encode_part(vae: VAE, source: recordings.Recordings, paths, args, update) -> dict:
    """The arrays of series.npz for some recordings, one read and encoded on each core at a time."""

    def encode(path):
        episode = source.load(path)
        update()
        if episode is None:
            return None
        mu, logvar = latents.encode(vae, episode[0], args.batch)
        mu, logvar = mu.astype(np.float16), logvar.astype(np.float16)
        return mu, logvar, episode[1].astype(np.float16), np.int32([len(mu)])

    with ThreadPoolExecutor(mpi.usable_cores()) as pool:
        encoded = [columns for columns in pool.map(encode, paths) if columns is not None]
    if not encoded:
        raise UserError(f"{source.name}: {len(paths)} recordings on end cannot be read")
    columns = zip(*encoded, strict=True)
    return {name: np.concatenate(column) for name, column in zip(NAMES, columns, strict=True)}


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output):
        encode(args)


def encode(args) -> None:
    """Encode, while this process alone may write to `args.output`."""
    worlds.check(args.output / worlds.FILE, NAME)
    source = recordings.Recordings(args.record, ACTION_SHAPE, args.max_files, NAME)
    precision.use_threads(1, mpi.usable_cores())
    dtype = precision.resolve(args.precision)
    key = encoding.fingerprint(args.vae, source, dtype, args.batch)

    def make_encode():
        vae = VAE(Z_SIZE, dtype).load(args.vae)
        worlds.claim(args.output, NAME)
        return lambda paths, update: encode_part(vae, source, paths, args, update)

    given = args.output, key, NAMES, PART, Z_SIZE
    arrays = encoding.write_series(source, *given, make_encode)
    if arrays is None:
        return
    count = len(arrays["length"])
    print(
        f"{args.output / 'series.npz'}: {len(arrays['mu'])} frames of {count} episodes; "
        f"{len(source.paths) - count} damaged recordings skipped"
    )


if __name__ == "__main__":
    cli.run(main)
