"""Episodes, each an npz in a folder, and the batches that training draws from them.

Files and keys are those of DreamerV2 2.2.0: <YYYYMMDDTHHMMSS>-<32 hex digits>-<steps>.npz holds
every observation key, action float32 (T, A), reward float32 (T,), is_first, is_last, is_terminal
bool (T,), T = steps + 1. Row 0 is the reset; the action of a row is the one that led to it.
"""

import collections
import datetime
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from dreamerv2.envs.adapter import LOG
from kit.command import memory, progress
from kit.command.errors import UserError
from kit.files import recordings

Episode = dict[str, np.ndarray]
NEEDED = ("action", "reward", "is_first", "is_last", "is_terminal")
MANY = 1_000  # files whose reading at the start deserves a bar


class Replay:
    """The newest `capacity` steps of a folder, of which at most `memory_bytes` are in memory.

    Episodes beyond that are read again when they are drawn. Damaged files are skipped, counted
    (`damaged`) and named. `total_steps` counts every step that was ever added.

    Args:
        directory: where the files are; it is made.
        capacity: steps that batches are drawn from; 0 is all.
        ongoing: whether batches also hold those of `unfinished` episodes that have minlen steps.
        minlen, maxlen: steps of a sequence; an episode shorter than minlen is drawn whole, and a
            maxlen of 0 draws whole episodes.
        prioritize_ends: draws the ends of episodes more often.
        seed: fixes what is drawn.
        expected: key -> shape of a row; files that hold something else count as damaged.
    """

    def __init__(
        self,
        directory: Path,
        capacity: int = 0,
        ongoing: bool = False,
        minlen: int = 1,
        maxlen: int = 0,
        prioritize_ends: bool = False,
        memory_bytes: float = float("inf"),
        seed: int | Sequence[int] = 0,
        expected: Mapping[str, tuple[int, ...]] | None = None,
    ):
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._capacity, self._ongoing = capacity, ongoing
        self._minlen, self._maxlen = max(1, minlen), maxlen
        self._prioritize_ends = prioritize_ends
        self._expected = dict.fromkeys(NEEDED[1:], ()) | dict(expected or {})
        self._rng = np.random.default_rng(seed)
        self._paths: list[Path] = []  # of the episodes that are drawn from, oldest first
        self._held = _Held(memory_bytes)
        self.unfinished: Mapping[
            int, Mapping[str, list]
        ] = {}  # the driver's: worker -> key -> rows
        self._rest: Episode | None = None  # of the last sequence: it begins the next chunk
        self.total_steps = self.total_episodes = self.loaded_steps = self.damaged = 0
        self._read_folder()

    def __len__(self) -> int:
        """Episodes that batches are drawn from."""
        return len(self._paths)

    @property
    def stats(self) -> dict[str, int]:
        return {
            "total_steps": self.total_steps,
            "total_episodes": self.total_episodes,
            "loaded_steps": self.loaded_steps,
            "loaded_episodes": len(self),
        }

    def _read_folder(self) -> None:
        """Count every file, and hold the newest."""
        found = []
        for path in sorted(self._directory.glob("*.npz")):
            steps = _steps(path)
            if steps is None:
                self._skip(path, "its name does not end in -<steps>.npz")
                continue
            found.append((path, steps))
            self.total_steps += steps
            self.total_episodes += 1
        for path, steps in reversed(found):
            if self._capacity and self.loaded_steps >= self._capacity:
                break
            self._paths.append(path)
            self.loaded_steps += steps
        self._paths.reverse()
        many = len(self._paths) > MANY
        shown = progress.bar(len(self._paths), "episodes", "reading") if many else nullcontext()
        with shown as bar:
            for path in self._paths[::-1]:
                if self._held.full:
                    break
                self._episode(path)
                if bar is not None:
                    bar.update()

    def add_episode(self, episode: Episode) -> None:
        """Write a whole episode into the folder, and draw from it."""
        steps = len(episode["action"]) - 1
        time = datetime.datetime.now().strftime("%Y%m%dT%H%M%S")
        path = self._directory / f"{time}-{uuid.uuid4().hex}-{steps}.npz"
        recordings.save(path, **episode)
        self.total_steps += steps
        self.total_episodes += 1
        self.loaded_steps += steps
        self._paths.append(path)
        self._held.add(path, episode)
        while self._capacity and self.loaded_steps > self._capacity and len(self._paths) > 1:
            self._leave_out(0)

    def batch(self, batch: int, length: int) -> dict[str, np.ndarray]:
        """`batch` chunks of `length` rows: key -> (batch, length, ...).

        A chunk holds one or more sequences one after the other; is_first marks where each begins,
        and the chunk's first row. Keys that begin with "log_" stay out. Raises UserError where
        there is no episode.
        """
        chunks = [self._chunk(length) for _ in range(batch)]
        return {key: np.stack([chunk[key] for chunk in chunks]) for key in chunks[0]}

    def _chunk(self, length: int) -> Episode:
        parts, needed = [], length
        while needed:
            sequence = self._rest or self._sequence()
            parts.append({key: value[:needed] for key, value in sequence.items()})
            rest = {key: value[needed:] for key, value in sequence.items()}
            self._rest = rest if len(rest["action"]) else None
            needed -= len(parts[-1]["action"])
        chunk = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        chunk["is_first"][0] = True
        return chunk

    def _sequence(self) -> Episode:
        """Consecutive rows of an episode, each episode equally likely (original replay.py:96)."""
        episode = self._draw_episode()
        total = len(episode["action"])
        length = min(total, self._maxlen or total)
        # Lengths differ so that chunks do not all end where episodes of one length do.
        length = max(min(self._minlen, total), length - int(self._rng.integers(self._minlen)))
        starts = total - length + 1 + self._minlen * self._prioritize_ends
        start = min(int(self._rng.integers(starts)), total - length)
        sequence = {
            key: np.asarray(value[start : start + length])
            for key, value in episode.items()
            if not key.startswith(LOG)
        }
        sequence["is_first"] = np.zeros(length, bool)
        sequence["is_first"][0] = True
        return sequence

    def _draw_episode(self) -> Mapping[str, Sequence]:
        among = self.unfinished.values() if self._ongoing else ()
        ongoing = [rows for rows in among if len(rows["action"]) > self._minlen]
        while len(self._paths) + len(ongoing):
            index = int(self._rng.integers(len(self._paths) + len(ongoing)))
            if index >= len(self._paths):
                return ongoing[index - len(self._paths)]
            episode = self._episode(self._paths[index])
            if episode is not None:
                return episode
        raise UserError(f"{self._directory}: expected episodes (*.npz), found none")

    def _episode(self, path: Path) -> Episode | None:
        """What `path` holds, from memory or from the disk; None, and left out, where damaged."""
        episode = self._held.get(path)
        if episode is not None:
            return episode
        try:
            with np.load(path, allow_pickle=False) as file:
                episode = {key: file[key] for key in file.files}
            self._check(path, episode)
        except Exception as error:  # a damaged zip can raise anything
            self._skip(path, error)
            self._leave_out(self._paths.index(path))
            return None
        self._held.add(path, episode)
        return episode

    def _check(self, path: Path, episode: Episode) -> None:
        missing = [k for k in dict.fromkeys((*NEEDED, *self._expected)) if k not in episode]
        if missing:
            raise ValueError(f"expected {', '.join(missing)} in it")
        rows = _steps(path) + 1
        for key, value in episode.items():
            shape = (rows, *self._expected.get(key, value.shape[1:]))
            if value.shape != shape or value.dtype.kind not in "biuf":
                raise ValueError(f"expected {key} {shape}, found {value.dtype} {value.shape}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"{key} is NaN or infinite")

    def _skip(self, path: Path, reason: object) -> None:
        self.damaged += 1
        print(f"skipped damaged episode {path} ({reason})", flush=True)

    def _leave_out(self, index: int) -> None:
        path = self._paths.pop(index)
        self.loaded_steps -= _steps(path)
        self._held.remove(path)


class _Held:
    """The episodes in memory; where they are more than `most` bytes, the longest unused go."""

    def __init__(self, most: float):
        self._most, self._bytes = most, 0
        self._episodes: collections.OrderedDict[Path, Episode] = collections.OrderedDict()

    @property
    def full(self) -> bool:
        return self._bytes >= self._most

    def get(self, path: Path) -> Episode | None:
        if path in self._episodes:
            self._episodes.move_to_end(path)
        return self._episodes.get(path)

    def add(self, path: Path, episode: Episode) -> None:
        self._episodes[path] = episode
        self._bytes += _bytes(episode)
        while self._bytes > self._most and len(self._episodes) > 1:
            self.remove(next(iter(self._episodes)))

    def remove(self, path: Path) -> None:
        self._bytes -= _bytes(self._episodes.pop(path, {}))


def require_memory(row_bytes: int, capacity: int, memory_bytes: float) -> str:
    """What a replay will take at most, in one sentence; UserError where memory is too small."""
    whole = row_bytes * capacity if capacity else float("inf")
    most = min(whole, memory_bytes)
    memory.require(most, "the replay", "--replay_gb")
    files = f", {whole / 1e9:.3g} GB in files before compression" if capacity else ""
    return f"Replay: {row_bytes / 1e3:.3g} kB a step, at most {most / 1e9:.3g} GB in memory{files}."


def _bytes(episode: Episode) -> int:
    return sum(value.nbytes for value in episode.values())


def _steps(path: Path) -> int | None:
    """The number at the end of the name; None where there is none."""
    text = path.stem.rpartition("-")[2]
    return int(text) if text.isdecimal() else None
