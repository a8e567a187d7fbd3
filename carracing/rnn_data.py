"""What M is trained on: whole encoded episodes, side by side, cut into chunks.

An importable module, no command; reads series/series.npz. An episode's LSTM state is carried from
chunk to chunk. Shapes: N episodes, F frames, Z latents, A actions, B streams, T steps.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files import worlds
from kit.files.recordings import check_latents, load_arrays

from world import ACTION_SHAPE, NAME, Z_SIZE

START = [0, 0, 0]  # of `passes`: pass, batch, chunk


class Series:
    """The encoded episodes: mu and logvar float16 (N, F, Z), action float16 (N, F, A)."""

    def __init__(self, *paths: Path, z_size: int = Z_SIZE, action_size: int = ACTION_SHAPE[0]):
        """Of all `paths`; UserError naming a file that is missing, damaged or of another form."""
        parts = [_load(path, z_size, action_size) for path in paths]
        frames = [part[0].shape[1] for part in parts]
        if len(set(frames)) > 1:
            raise UserError(f"{', '.join(map(str, paths))}: episodes of {frames} frames do not mix")
        self.mu, self.logvar, self.action = map(np.concatenate, zip(*parts, strict=True))
        self.path = ", ".join(map(str, paths))

    def split(self, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Episodes for training and `held_out` for testing, at most a quarter of all."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.mu))
        count = max(1, min(held_out, len(order) // 4))
        return np.sort(order[count:]), order[:count]

    def describe(self) -> str:
        """How much it holds, in words."""
        return f"{self.path}: {len(self.mu)} episodes of {self.mu.shape[1]} frames"

    def first_latents(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """mu and logvar of the first frames of `count` episodes at most, (n, Z) each."""
        return self.mu[:count, 0], self.logvar[:count, 0]

    def longest(self, episodes: np.ndarray) -> int:
        """Of `episodes` the one with most frames: all have the same, so the first."""
        return episodes[0]

    def opening(self, episode: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """mu (T, Z) and actions (T, A), float32, of the first `count` frames of an episode."""
        frames = slice(count)
        return self.mu[episode, frames].astype(np.float32), self.action[episode, frames].astype(
            np.float32
        )

    def memory(self) -> int:
        """Bytes that the arrays hold."""
        return sum(array.nbytes for array in (self.mu, self.logvar, self.action))

    def chunk(self, episodes: np.ndarray, start: int, steps: int) -> dict[str, np.ndarray]:
        """T steps of B episodes from frame `start`, float32: what M sees and should predict."""
        frames = slice(start, start + steps + 1)
        return {
            "mu": self._columns(self.mu[episodes, frames]),  # (T + 1, B, Z)
            "logvar": self._columns(self.logvar[episodes, frames]),
            "action": self._columns(self.action[episodes, frames][:, :-1]),  # (T, B, A)
        }

    @staticmethod
    def _columns(values: np.ndarray) -> np.ndarray:
        return values.swapaxes(0, 1).astype(np.float32)  # time first

    def chunks(self, steps: int) -> int:
        """How many chunks of `steps` an episode has; what is left of it is left out."""
        count = (self.mu.shape[1] - 1) // steps
        if not count:
            raise UserError(
                f"{self.path}: episodes of {self.mu.shape[1]} frames are too short for {steps} "
                "steps (--length)"
            )
        return count


def _load(path: Path, z_size: int, action_size: int) -> list[np.ndarray]:
    """mu, logvar and action of one series.npz, checked."""
    worlds.check(path, NAME)
    arrays = load_arrays(path, ("mu", "logvar", "action"))
    mu, logvar, action = arrays
    check_latents(path, mu, logvar, action)
    episodes = mu.shape[:2]
    expected = [(*episodes, z_size), (*episodes, z_size), (*episodes, action_size)]
    found = [mu.shape, logvar.shape, action.shape]
    if found != expected or mu.ndim != 3 or len(mu) < 2:
        raise UserError(
            f"{path}: expected mu, logvar, action of shapes {expected} and at least 2 "
            f"episodes, found {found}"
        )
    return arrays


def passes(
    series: Series, episodes: np.ndarray, count: int, steps: int, seed: int, position: list[int]
) -> Iterator[tuple[dict[str, np.ndarray], list[int]]]:
    """Endless chunks of `count` episodes from their first frames on, shuffled anew each pass.

    With each chunk comes the position [pass, batch, chunk] that the next one has; chunk 0 begins
    episodes. Generators started at the same position go on alike.
    """
    epoch, batch, chunk = position
    chunks, batches = series.chunks(steps), len(episodes) // count
    if not batches:
        raise UserError(
            f"{series.path}: {len(episodes)} episodes are too few for {count} side by side "
            "(--batch)"
        )
    while True:
        order = np.random.default_rng([seed, 1, epoch]).permutation(episodes)
        while batch < batches:
            chosen = order[batch * count : (batch + 1) * count]
            part = series.chunk(chosen, chunk * steps, steps)
            chunk = (chunk + 1) % chunks
            batch += chunk == 0
            yield part, [epoch, batch, chunk] if batch < batches else [epoch + 1, 0, 0]
        epoch, batch = epoch + 1, 0
