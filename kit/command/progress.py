"""Progress bars with rate and time left, and TensorBoard scalars."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import tqdm

PLAIN_INTERVAL = 30.0  # seconds between lines where standard error is a file
FLUSH_INTERVAL = 5.0  # seconds in which TensorBoard learns of what was written


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

    tensorboardX's own SummaryWriter writes in a thread: where the disk is full, that shows a
    traceback, its queue fills up, and training waits for ever. This one raises OSError.

    A run that continues gives its `first_step`: events of an earlier start from there on are
    hidden. Look at them with `tensorboard --logdir runs`.
    """

    def __init__(self, directory: str | os.PathLike, first_step: int | None = None):
        # here, because it costs a second that most commands can save
        from tensorboardX import event_file_writer, proto, summary

        self._make, self._event = summary, proto.event_pb2.Event
        self._proto = proto.summary_pb2.Summary
        Path(directory).mkdir(parents=True, exist_ok=True)
        # The number keeps apart what is started twice in a second.
        prefix = str(Path(directory) / "events")
        self._writer = event_file_writer.EventsWriter(prefix, f".{os.getpid()}")
        self._flushed = time.monotonic()
        if first_step is not None:
            start = proto.event_pb2.SessionLog(status=proto.event_pb2.SessionLog.START)
            self._write(step=first_step, session_log=start)

    def scalar(self, tag: str, value: float, step: int) -> None:
        self._write(step=step, summary=self._make.scalar(tag, float(value)))

    def image(self, tag: str, image: np.ndarray, step: int) -> None:
        """Add a picture: uint8 (H, W, 3)."""
        self._write(step=step, summary=self._make.image(tag, image, dataformats="HWC"))

    def video(self, tag: str, frames: np.ndarray, step: int, fps: float) -> None:
        """Add a film: uint8 (T, H, W, 1 or 3). TensorBoard plays it as a GIF."""
        import imageio.v3 as imageio  # here, because few commands make films

        film = frames[..., 0] if frames.shape[-1] == 1 else frames
        gif = imageio.imwrite("<bytes>", film, extension=".gif", duration=1000 / fps, loop=0)
        height, width, channels = frames.shape[1:]
        image = self._proto.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=gif
        )
        self._write(step=step, summary=self._proto(value=[self._proto.Value(tag=tag, image=image)]))

    def close(self) -> None:
        self._writer.close()

    def _write(self, **values) -> None:
        self._writer.write_event(self._event(wall_time=time.time(), **values))
        if time.monotonic() > self._flushed + FLUSH_INTERVAL:
            self._writer.flush()
            self._flushed = time.monotonic()
