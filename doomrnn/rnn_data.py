"""What M is trained on: encoded episodes, laid end to end and cut into streams.

An importable module, no command; reads series/series.npz. A stream's LSTM state is carried from
chunk to chunk and zeroed where an episode begins. Shapes: N frames, Z latents, B streams, T steps.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files import worlds
from kit.files.recordings import check_latents, load_arrays

from world import MAX_STEPS, NAME, Z_SIZE, discretise

START = [0, 0]  # of `passes`: pass, chunk


class Series:
    """The encoded episodes: mu and logvar float16 (N, Z), action float32 (N,) as M sees it.

    restart (N,) is 1 at an episode's first frame; known (N,) is 0 at the last frame of an episode
    that the clock ended: whether it would have gone on is unknown, and M is not told an end there.
    """

    def __init__(self, *paths: Path, z_size: int = Z_SIZE):
        """Of all `paths`; UserError naming a file that is missing, damaged or of another form."""
        parts = zip(*(_load(path, z_size) for path in paths), strict=True)
        self.mu, self.logvar, action, self.length = map(np.concatenate, parts)
        self.path = ", ".join(map(str, paths))
        frames = len(action)
        self.action = discretise(action)
        self.start = np.cumsum(self.length) - self.length
        self.restart = np.zeros(frames, np.float32)
        self.restart[self.start] = 1
        self.known = np.ones(frames, np.float32)
        self.known[(self.start + self.length - 1)[self.length >= MAX_STEPS]] = 0

    def split(self, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Episodes for training and `held_out` for testing, at most a quarter of all."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.length))
        count = max(1, min(held_out, len(order) // 4))
        return np.sort(order[count:]), order[:count]

    def frames(self, episodes: np.ndarray) -> np.ndarray:
        """The frames of `episodes`, one after the other, int64."""
        parts = [np.arange(self.start[e], self.start[e] + self.length[e]) for e in episodes]
        return np.concatenate(parts)

    def describe(self) -> str:
        """How much it holds, in words."""
        return f"{self.path}: {len(self.mu)} frames of {len(self.length)} episodes"

    def first_latents(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """mu and logvar of the first frames of `count` episodes at most, (n, Z) each."""
        first = self.start[:count]
        return self.mu[first], self.logvar[first]

    def longest(self, episodes: np.ndarray) -> int:
        """Of `episodes` the one with most frames."""
        return episodes[np.argmax(self.length[episodes])]

    def opening(self, episode: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """mu (T, Z) and actions (T,), float32, of the first `count` frames of an episode."""
        frames = self.frames([episode])[:count]
        return self.mu[frames].astype(np.float32), self.action[frames]

    def memory(self) -> int:
        """Bytes that the arrays hold."""
        arrays = (self.mu, self.logvar, self.action, self.restart, self.known)
        return sum(array.nbytes for array in arrays)

    def chunk(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of T steps from frames (T + 1, B): what M sees and what it should predict."""
        now, after = frames[:-1], frames[1:]
        return {
            "mu": self.mu[frames].astype(np.float32),  # (T + 1, B, Z)
            "logvar": self.logvar[frames].astype(np.float32),
            "action": self.action[now],  # (T, B)
            "fresh": self.restart[now],
            "restart": self.restart[after],
            "known": self.known[now],
        }


def _load(path: Path, z_size: int) -> list[np.ndarray]:
    """mu, logvar, action and length of one series.npz, checked."""
    worlds.check(path, NAME)
    arrays = load_arrays(path, ("mu", "logvar", "action", "length"))
    mu, logvar, action, lengths = arrays
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or not (lengths > 0).all():
        raise UserError(f"{path}: expected whole lengths above 0, one for each episode")
    check_latents(path, mu, logvar, action)
    frames = int(lengths.sum())
    expected = [(frames, z_size), (frames, z_size), (frames,)]
    found = [mu.shape, logvar.shape, action.shape]
    if found != expected or len(lengths) < 2:
        raise UserError(
            f"{path}: expected mu, logvar, action of shapes {expected} and at least 2 "
            f"episodes, found {found} and {len(lengths)}"
        )
    return arrays


def streams(frames: np.ndarray, count: int, steps: int, name: str) -> np.ndarray:
    """Frames cut into `count` streams for whole chunks of `steps`: (chunks * steps + 1, count)."""
    length = (len(frames) // count - 1) // steps * steps + 1
    if length <= 1:
        raise UserError(
            f"{name}: {len(frames)} frames are too few for {count} streams of {steps} steps "
            "(--batch, --length)"
        )
    return frames[: len(frames) // count * count].reshape(count, -1)[:, :length].T


def passes(
    series: Series, episodes: np.ndarray, count: int, steps: int, seed: int, position: list[int]
) -> Iterator[tuple[dict[str, np.ndarray], list[int]]]:
    """Endless chunks of `steps` frames of `count` streams, episodes shuffled anew each pass.

    With each chunk comes the position [pass, chunk] that the next one has; chunk 0 begins a pass.
    Generators started at the same position go on alike.
    """
    epoch, chunk = position
    while True:
        order = np.random.default_rng([seed, 1, epoch]).permutation(episodes)
        frames = streams(series.frames(order), count, steps, series.path)
        chunks = (len(frames) - 1) // steps
        while chunk < chunks:
            part = frames[chunk * steps : (chunk + 1) * steps + 1]
            chunk += 1
            yield series.chunk(part), [epoch, chunk] if chunk < chunks else [epoch + 1, 0]
        epoch, chunk = epoch + 1, 0
