"""Ctrl-C and SIGTERM: how a command ends, and how the end waits until a step is complete."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PARENT = "ESTOOL_PARENT"  # variable: the process that this one is to end with


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

    previous = {number: signal.signal(number, handle) for number in _heard()}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Interrupt:
    """The handler of a command: raises KeyboardInterrupt, in a `postponed` block at its end."""

    def __init__(self):
        self.waits = self.arrived = False

    def __call__(self, number, frame) -> None:
        if not self.waits:
            raise KeyboardInterrupt
        self.arrived = True


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """In the block a command's SIGINT and SIGTERM wait for its end.

    For C++ code that calls Python, as Box2D does: an exception that a signal raises in there is
    lost, or breaks it. Threads other than the main one hear no signals.
    """
    handler = signal.getsignal(signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    if not main or not isinstance(handler, Interrupt) or handler.waits:
        yield
        return
    handler.waits = True
    try:
        yield
    finally:
        handler.waits = False
        if handler.arrived:
            handler.arrived = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In the block SIGINT and SIGTERM wait; processes that are started in it never get them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def deadly(seconds: int) -> Iterator[None]:
    """In the block SIGINT, SIGTERM and the end of so many `seconds` end the process at once.

    For C code that waits for another process: Python would hear of a signal only after it.
    """
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in _heard()}
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_on_signals() -> None:
    """From now on SIGTERM raises KeyboardInterrupt, as Ctrl-C does: games are closed, ranks end."""
    handler = Interrupt()
    signal.signal(signal.SIGTERM, handler)
    if signal.SIGINT in _heard():
        signal.signal(signal.SIGINT, handler)


def leave_at_once(status: int) -> None:
    """From now on SIGINT and SIGTERM end the process with `status`, without a word.

    For a command that is ending: an impatient second Ctrl-C shows no traceback of its cleaning up.
    """
    for number in _heard():
        signal.signal(number, lambda *_: os._exit(status))


def _heard() -> list[signal.Signals]:
    """The signals not ignored at the start of the process; a background script ignores SIGINT."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def end_with_parent() -> None:
    """End this process after the shell script that started it, if the script gave its id.

    A script that is killed cannot end what it started. It writes `export ESTOOL_PARENT=$$`.
    """
    number = os.environ.get(PARENT, "")
    if not number.isdigit():
        return
    import psutil  # here, because it cannot be loaded before cli.begin has seen to the encoding

    def watch():
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(int(number))
            while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
