"""What a run tells: lines on the terminal, metrics.jsonl, TensorBoard scalars and videos.

An output is called with a list of (step, name, value): a number, or an image uint8 (H, W, C), or a
video uint8 (T, H, W, C). `dv2.train(env, config, outputs=[...])` takes any.
"""

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tqdm

from kit.command.progress import Scalars

Summary = tuple[int, str, np.ndarray]
Output = Callable[[Sequence[Summary]], None]
COUNTS = re.compile("_(total|loaded)_(steps|episodes)$")  # too much for a line on the terminal
PRINT_INTERVAL = 10.0  # seconds between two lines on the terminal
VIDEO_FPS = 20


class Logger:
    """Collects what was measured and gives it to all outputs.

    `step` counts the agent's actions, to be set by whoever trains; it is logged times `multiplier`,
    the action repeat.
    """

    def __init__(self, outputs: Sequence[Output], multiplier: int = 1):
        self.step = 0
        self._outputs, self._multiplier = list(outputs), multiplier
        self._summaries: list[Summary] = []
        self.start_clock()

    @property
    def shown_step(self) -> int:
        """The environment's own steps."""
        return self.step * self._multiplier

    def add(self, values: Mapping[str, object], prefix: str = "") -> None:
        """Numbers, images and videos by name; "<prefix>_" is put before each name."""
        for name, value in values.items():
            array = np.asarray(value)
            if array.ndim not in (0, 2, 3, 4):
                raise ValueError(f"{name}: expected a number, image or video, found {array.shape}")
            full = f"{prefix}_{name}" if prefix else name
            self._summaries.append((self.shown_step, full, array))

    def write(self, fps: bool = False) -> None:
        """Give all outputs what was added; with `fps` also the environment steps a second."""
        if fps:
            self._add_fps()
        if self._summaries:
            for output in self._outputs:
                output(self._summaries)
            self._summaries = []

    def close(self) -> None:
        """Write what is left, and close the outputs that can be closed."""
        self.write()
        for output in self._outputs:
            if hasattr(output, "close"):
                output.close()

    def start_clock(self) -> None:
        """The next `fps` is over the time from here on."""
        self._last = (time.monotonic(), self.shown_step)

    def _add_fps(self) -> None:
        now, step = self._last
        self.start_clock()
        self.add({"fps": (self.shown_step - step) / max(self._last[0] - now, 1e-9)})


class TerminalOutput:
    """A line of the newest numbers, at most one in ten seconds, above a progress bar."""

    def __init__(self, interval: float = PRINT_INTERVAL):
        self._interval, self._printed = interval, -math.inf
        self._newest: dict[str, float] = {}

    def __call__(self, summaries: Sequence[Summary]) -> None:
        self._newest |= {
            name: float(value)
            for _, name, value in summaries
            if value.ndim == 0 and not COUNTS.search(name)
        }
        if self._newest and time.monotonic() > self._printed + self._interval:
            step = max(step for step, _, _ in summaries)
            numbers = " / ".join(f"{name} {value:.4g}" for name, value in self._newest.items())
            tqdm.tqdm.write(f"[{step}] {numbers}")
            self._newest, self._printed = {}, time.monotonic()


class JSONLOutput:
    """metrics.jsonl in `logdir`: a line {"step": ..., name: number, ...} for each writing.

    `pandas.read_json(path, lines=True)` reads it; what is not finite becomes null. A line that a
    killed run left unfinished is removed when the next one begins.
    """

    def __init__(self, logdir: str | os.PathLike):
        self._path = Path(logdir).expanduser() / "metrics.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            _remove_unfinished_line(self._path)

    def __call__(self, summaries: Sequence[Summary]) -> None:
        numbers = {name: float(value) for _, name, value in summaries if value.ndim == 0}
        if numbers:
            finite = {k: v if math.isfinite(v) else None for k, v in numbers.items()}
            step = max(step for step, _, _ in summaries)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **finite}) + "\n")


class TensorBoardOutput:
    """Events in `logdir`: numbers as scalars/<name>, images and videos (GIF) by their names.

    A run that continues gives its `first_step`: what an earlier start logged from there on is
    hidden.
    """

    def __init__(
        self, logdir: str | os.PathLike, fps: float = VIDEO_FPS, first_step: int | None = None
    ):
        self._events = Scalars(Path(logdir).expanduser(), first_step)
        self._fps = fps

    def __call__(self, summaries: Sequence[Summary]) -> None:
        for step, name, value in summaries:
            if value.ndim == 0:
                if math.isfinite(value):
                    self._events.scalar(f"scalars/{name}", float(value), step)
            elif value.ndim == 4:
                self._events.video(name, value, step, self._fps)
            else:
                image = value if value.ndim == 3 else value[:, :, None]
                self._events.image(name, np.repeat(image, 3 // image.shape[2], axis=2), step)

    def close(self) -> None:
        self._events.close()


def _remove_unfinished_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 2**20))
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)
