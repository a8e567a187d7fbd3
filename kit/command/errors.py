"""Errors that a command reports in one sentence, without a traceback."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path


class UserError(Exception):
    """A mistake of the user or a bad file.

    The message is one sentence that names the file or flag, what was found and what was
    expected. `cli.run` prints it on standard error and exits with status 2.
    """

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, where IPython would show a traceback."""
        return [str(self)]


# Not mistakes of the program; others show a traceback.
FAULTS = (UserError, OSError, MemoryError, ModuleNotFoundError)

SB3 = "`pip install -r requirements-sb3.txt` in the repository's folder"
OPTIONAL = {"stable_baselines3": SB3, "torch": SB3}  # packages that setup.bash leaves out
READER_GONE = 141  # status where the reader of the output has seen enough, as the shell has it
AGAIN = 0.05  # seconds until an interruption that was lost is made again: the callback is over then


def origin(error: BaseException) -> BaseException:
    """The KeyboardInterrupt that `error` came of, or else `error` itself.

    Libraries that clean up after it raise other errors: zipfile where a file in it is still open,
    Python 3.11 around `__set_name__`.
    """
    earlier = error
    while earlier is not None and not isinstance(earlier, KeyboardInterrupt):
        earlier = earlier.__cause__ or earlier.__context__
    return earlier or error


def exit_status(error: BaseException) -> int:
    """2 for one of FAULTS, 130 for Ctrl-C and SIGTERM, 1 for our own mistakes."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, FAULTS) else 1


def sentence(error: BaseException) -> str:
    """What a person is told of one of FAULTS or of an interruption."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"out of memory ({error or 'no size given'}): give smaller sizes"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if isinstance(error, ModuleNotFoundError):
        advice = OPTIONAL.get(error.name, "run `source setup.bash`")
        return f"the Python package {error.name} is not installed: {advice}"
    return " ".join(str(error).split())  # libraries' own words may have several lines


def say(message: object) -> None:
    """Print `message` on standard error under the command's name."""
    with contextlib.suppress(OSError):  # a log file on a disk that is full
        print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr, flush=True)


def report(kind, error, traceback) -> None:
    """The excepthook, for errors while a command still imports its modules."""
    cause = origin(error)
    if not isinstance(cause, (KeyboardInterrupt, UserError, ModuleNotFoundError)):
        sys.__excepthook__(kind, error, traceback)
        return
    say(sentence(cause))
    os._exit(exit_status(cause))


def report_lost(unraisable) -> None:
    """The unraisablehook: raise an interruption again that Python could not raise in place.

    In the callback of a weak reference or in a `__del__` an exception is printed and lost. Drawing
    a figure runs many of them. The command would go on as if nobody had asked it to end.
    """
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    heard = callable(signal.getsignal(signal.SIGINT))  # a script's background ignores it
    number = signal.SIGINT if heard else signal.SIGTERM
    threading.Timer(AGAIN, os.kill, (os.getpid(), number)).start()
