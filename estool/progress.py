"""What a person watches while work runs: bars with rate and time left, TensorBoard scalars."""

import os
import sys

import numpy as np
import tqdm

PLAIN_INTERVAL = 30.0  # seconds between lines where standard error is a file


class _Lines:
    """A stream that makes whole lines of tqdm's output: what a log file wants."""

    def __init__(self, file):
        self._file = file

    def write(self, text: str) -> None:
        text = text.replace("\x1b[A", "").strip()  # the move up of bars below one another
        if text:
            print(text, file=self._file)

    def flush(self) -> None:
        self._file.flush()


def bar(total: int | None, unit: str, description: str, initial: int = 0) -> tqdm.tqdm:
    """A progress bar on standard error: `.update(n)`, `.set_postfix(...)`, a context manager.

    Work that continues starts at `initial`; rate and time left count only what is done now.
    """
    terminal = sys.stderr.isatty()
    interval = 0.2 if terminal else PLAIN_INTERVAL
    return tqdm.tqdm(
        total=total,
        file=sys.stderr if terminal else _Lines(sys.stderr),
        unit=" " + unit,
        desc=description,
        initial=initial,
        mininterval=interval,
        maxinterval=max(interval, 10.0),
        dynamic_ncols=terminal,
        unit_scale=total is None or total > 100_000,
    )


class Scalars:
    """TensorBoard events in `directory`.

    A run that continues gives its `first_step`: events of an earlier start from there on are
    hidden. Look at them with `tensorboard --logdir runs`.
    """

    def __init__(self, directory: str | os.PathLike, first_step: int | None = None):
        import tensorboardX  # here, because it costs a second that most commands can save

        self._writer = tensorboardX.SummaryWriter(str(directory), purge_step=first_step)

    def scalar(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, float(value), step)

    def image(self, tag: str, image: np.ndarray, step: int) -> None:
        """Add a picture: uint8 (H, W, 3)."""
        self._writer.add_image(tag, image, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()
