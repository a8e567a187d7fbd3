"""Recorded episodes, an npz each: written atomically, read in shuffled parts, bad ones skipped."""

import argparse
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kit.command import cli, interrupts, memory, seeds
from kit.command.errors import UserError
from kit.files import worlds
from kit.files.atomic import atomic_path

# Level 1 costs a third of the time that the game itself takes and saves two thirds of the disk;
# numpy's own savez_compressed (level 6) is four times slower and saves no more.
COMPRESSION = 1


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add --record, a list of folders for `Recordings`."""
    folders = {"nargs": "+", "metavar": "FOLDER", "default": [Path("record")]}
    parser.add_argument("--record", type=Path, help="folders of recordings", **folders)


def add_arguments(parser: argparse.ArgumentParser, inputs, sees: str, models: Path, batch: int):
    """Add the flags of extract.py that say which episodes, and what an agent plays with.

    inputs, sees: what a controller may see, and does; models, batch: the defaults of its flags.
    """
    add = parser.add_argument
    add("--agent", type=cli.existing_file, metavar="JSON", help="a controller that plays instead")
    add("--inputs", choices=inputs, default=sees, help="what that controller sees")
    add("--noise", type=cli.non_negative_float, default=0.08, help="deviation of its weights")
    add("--models", type=Path, default=models, help="folder of its V and M")
    add("--batch", type=cli.positive_int, default=batch, help="its episodes played at once")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes all episodes")
    add("--workers", type=cli.positive_int, default=1, help="processes that share the episodes")
    add("--worker", type=cli.non_negative_int, default=0, help="which of them this one is")
    add("--output", type=Path, default=Path("record"), help="folder of the recordings")


def check_arguments(args: argparse.Namespace) -> argparse.Namespace:
    """UserError where --worker is none of --workers, or where memory is too small for episodes."""
    if args.worker >= args.workers:
        raise UserError(f"--worker: expected 0 to {args.workers - 1}, found {args.worker}")
    frames = 2 * args.max_frames * 64 * 64 * 3  # in a list, and as one array
    memory.require(frames, f"an episode of {args.max_frames} frames", "--max_frames")
    memory.require(400 * args.episodes, f"a list of {args.episodes} seeds", "--episodes")
    return args


def share(args: argparse.Namespace) -> np.ndarray:
    """The seeds of the episodes that are this worker's, int64."""
    every = seeds.training_seeds(np.random.default_rng(args.seed), args.episodes)
    return every[args.worker :: args.workers]


def save(path: str | os.PathLike, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed npz that numpy.load reads.

    Ctrl-C waits for its end: zipfile, broken off while it opens a member, complains when it closes.
    """
    with (
        atomic_path(path, durable=False) as temporary,
        interrupts.postponed(),
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as file,
    ):
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def save_arrays(path: str | os.PathLike, **arrays: np.ndarray) -> None:
    """`save` without compression, which gains nothing on latents."""
    with atomic_path(path) as temporary, interrupts.postponed():
        np.savez(temporary, **arrays)


def load_arrays(path: str | os.PathLike, names: Sequence[str]) -> list[np.ndarray]:
    """The arrays of those names in an npz; UserError where it is missing, damaged or lacks one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except Exception as error:  # a damaged zip can raise anything
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: expected {', '.join(names)} in an npz: {reason}") from error


def check_latents(path: str | os.PathLike, *arrays: np.ndarray) -> None:
    """UserError where one of `arrays`, read from `path`, holds other than finite numbers."""
    if any(array.dtype.kind != "f" or not np.isfinite(array).all() for array in arrays):
        raise UserError(f"{path}: expected finite numbers, found NaN, infinity or something else")


class Recordings:
    """Folders of recordings; damaged ones are skipped, counted and named once.

    action_shape: the shape of one action, () for a scalar. limit: recordings of each folder, the
    first by name; 0: all. world: the folders' (worlds.py). `paths` mixes the folders, by name.
    Raises UserError where a folder holds no recording at all, or those of another world.
    """

    def __init__(
        self,
        folders: str | os.PathLike | Sequence[str | os.PathLike],
        action_shape: tuple[int, ...],
        limit: int = 0,
        world: str | None = None,
    ):
        several = [folders] if isinstance(folders, str | os.PathLike) else folders
        self.name = ", ".join(str(folder) for folder in several)
        self.action_shape = action_shape
        self.skipped: set[Path] = set()
        self.paths = []
        for folder in several:
            found = sorted(Path(folder).glob("*.npz"), key=lambda path: path.name)
            if world:
                worlds.check(Path(folder) / worlds.FILE, world)
            if not found:
                raise UserError(f"{folder}: expected recordings (*.npz), found none; record first")
            self.paths += found[:limit] if limit else found
        self.paths.sort(key=lambda path: path.name)

    def load(self, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
        """Frames uint8 (T, 64, 64, 3) and actions float16 (T, ...); None for a damaged file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                frames, actions = file["obs"], file["action"]
            self._check(frames, actions)
        except Exception as error:  # a damaged zip can raise anything
            if path not in self.skipped:
                self.skipped.add(path)
                print(f"skipped damaged recording {path} ({error})", flush=True)
            return None
        return frames, actions

    def _check(self, frames, actions):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (64, 64, 3):
            raise ValueError(
                f"expected obs uint8 (T, 64, 64, 3), found {frames.dtype} {frames.shape}"
            )
        expected = (len(frames), *self.action_shape)
        if actions.shape != expected or actions.dtype.kind != "f" or not len(frames):
            raise ValueError(f"expected float actions {expected}, found {actions.shape}")
        if not np.isfinite(actions).all():
            raise ValueError("an action is NaN or infinite")

    def parts(
        self, paths: Sequence[Path], seed: Sequence[int], files: int, skip: int = 0
    ) -> Iterator[np.ndarray]:
        """Frames in random order, uint8 (N, 64, 64, 3), of `files` recordings at a time.

        One pass over `paths` in an order that `seed` fixes, the first `skip` parts left out. The
        next part is read while the caller works on this one, so two are in memory.
        """
        order = np.random.default_rng(seed).permutation(len(paths))
        groups = [order[i : i + files] for i in range(0, len(order), files)]

        def read(index):
            loaded = [self.load(paths[i]) for i in groups[index]]
            frames = [episode[0] for episode in loaded if episode is not None]
            if not frames:
                return np.empty((0, 64, 64, 3), np.uint8)
            part = np.concatenate(frames)
            np.random.default_rng([*seed, index]).shuffle(part)
            return part

        with ThreadPoolExecutor(1) as reader:
            upcoming = reader.submit(read, skip) if skip < len(groups) else None
            for index in range(skip, len(groups)):
                part = upcoming.result()
                if index + 1 < len(groups):
                    upcoming = reader.submit(read, index + 1)
                yield part

    def batches(
        self, paths: Sequence[Path], batch: int, files: int, seed: int, position: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, list[int]]]:
        """Endless batches of frames (batch, 64, 64, 3), each with the position after it.

        A position is [pass, part, batch in the part]; [0, 0, 0] is the start. What is left of a
        part after its last whole batch is left out. UserError where a pass has no batch at all.
        """
        number, first_part, first_batch = position
        while True:
            made = position != [0, 0, 0]
            for part, frames in enumerate(
                self.parts(paths, [seed, number], files, first_part), first_part
            ):
                for index in range(first_batch, len(frames) // batch):
                    made = True
                    yield frames[index * batch : (index + 1) * batch], [number, part, index + 1]
                first_batch = 0
            if not made:
                raise UserError(f"{self.name}: expected at least {batch} frames for a batch")
            number, first_part = number + 1, 0

    def split(self, held_out: int, frames: int, seed: int) -> tuple[list[Path], np.ndarray]:
        """Paths to train on, and up to `frames` random frames of the last `held_out` recordings.

        Of few recordings at least one is held out, and at least one is not, where there are two.
        """
        count = self._held_out(held_out)
        training = self.paths[:-count] or self.paths
        loaded = [self.load(path) for path in self.paths[-count:]]
        kept = [episode[0] for episode in loaded if episode is not None]
        if not kept:
            raise UserError(f"{self.name}: none of the last {count} recordings can be read")
        every = np.concatenate(kept)
        chosen = np.random.default_rng(seed).permutation(len(every))[:frames]
        return training, every[np.sort(chosen)]

    def mean_frames(self) -> float:
        """Frames of a recording, on the average of the first 20."""
        sample = [self.load(path) for path in self.paths[:20]]
        return float(np.mean([len(episode[0]) for episode in sample if episode is not None] or [0]))

    def describe(self, files: int, held_out: int, more: float) -> str:
        """One line: how many recordings, their disk, and the memory that training takes.

        That is of two parts of `files`, or of all `held_out` at the start, and `more` bytes.
        Raises UserError where there is less.
        """
        disk, mean = sum(path.stat().st_size for path in self.paths), self.mean_frames()
        parts = 3 * min(files, len(self.paths))  # one in use, one being put together
        needed = max(parts, 2 * self._held_out(held_out)) * mean * 64 * 64 * 3 + more
        memory.require(needed, f"{self.name}: training", "--files, --batch or --held_out")
        return (
            f"{self.name}: {len(self.paths)} recordings, about {mean * len(self.paths):.3g} "
            f"frames, {disk / 1e9:.1f} GB on disk; needs {needed / 1e9:.1f} GB of memory"
        )

    def _held_out(self, count: int) -> int:
        return min(count, max(1, len(self.paths) // 5))
