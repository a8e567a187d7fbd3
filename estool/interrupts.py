"""Ctrl-C and SIGTERM that wait until a step is whole."""

import contextlib
import signal
from collections.abc import Iterator


class Stop:
    """`requested` is true once the person or the system has asked this process to end."""

    requested = False


@contextlib.contextmanager
def deferred() -> Iterator[Stop]:
    """In the block SIGINT and SIGTERM only set `requested`; a second one raises at once.

    A training loop looks at it between two steps, saves, and raises KeyboardInterrupt, so that a
    checkpoint never holds half a step.
    """
    stop = Stop()

    def handle(number, frame):
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
