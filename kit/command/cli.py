"""Command lines: presets, argument types, one-sentence errors.

A script begins with the first line below, before it imports what takes long to load, and ends in
the last two; PRESETS is a dict: preset name -> {flag: value}.

    cli.begin(__name__)

    def main(argv=None):
        parser = cli.parser(__doc__, PRESETS)
        parser.add_argument("--epochs", type=cli.positive_int, default=10, help="passes over ...")
        args = cli.parse(parser, PRESETS, argv)

    if __name__ == "__main__":
        cli.run(main)
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kit.command import errors, interrupts
from kit.command.errors import FAULTS, exit_status, origin, say, sentence

Presets = Mapping[str, Mapping[str, object]]
# What libraries say when they are loaded: nothing, unless the user wants to hear it. And OpenCV has
# frames here that are too small to share; other cores have other ranks.
DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


def begin(name: str = "__main__") -> None:
    """Make this process a command: from now on its interruptions and faults are one sentence.

    `name` is the script's __name__: nothing happens where it is imported. Called first, because
    Ctrl-C often comes while TensorFlow is loaded.
    """
    if name != "__main__":
        return
    _use_utf8()
    _open_streams()
    sys.excepthook = errors.report
    sys.unraisablehook = errors.report_lost
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["MPLBACKEND"] = "agg"  # figures go to files; a bad name here would be a traceback


def run(main: Callable[[], object]) -> None:
    """Call `main()`: a UserError ends in one sentence and status 2, Ctrl-C in a line and 130.

    So do SIGTERM, and what the system refuses: a file (OSError) or memory.
    """
    begin()
    # A log file shows a line when it is printed, in an encoding that may not have its characters.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    interrupts.raise_on_signals()
    interrupts.end_with_parent()
    try:
        main()
        interrupts.leave_at_once(130)  # all is done, but a script that goes on from here is to end
    except BrokenPipeError:  # `python model.py ... | head`
        _forget_output()
        sys.exit(errors.READER_GONE)
    except BaseException as error:
        cause = origin(error)
        if not isinstance(cause, (KeyboardInterrupt, *FAULTS)):
            raise
        status = exit_status(cause)
        interrupts.leave_at_once(status)
        exit_with(sentence(cause), status)


def exit_with(message: object, status: int) -> None:
    """Print `message` on standard error after everything on standard output, then exit."""
    try:
        sys.stdout.flush()
    except OSError:  # a log file on a disk that is full
        _forget_output()
    say(message)
    sys.exit(status)


def _use_utf8() -> None:
    """Start once more in UTF-8 mode where the path of this Python needs it and the locale has none.

    TensorFlow, psutil and others take paths for UTF-8 and would not find their own libraries.
    """
    if sys.getfilesystemencoding() != "utf-8" and not (sys.prefix + __file__).isascii():
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONUTF8": "1"})


def _open_streams() -> None:
    """Standard streams that were closed (`train.py >&-`) go nowhere: no file gets their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _forget_output() -> None:
    """Drop what is still to be printed: Python would try to write it at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The docstring as it was written, and each flag's default after its help."""

    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parser(doc: str | None, presets: Presets | None = None) -> argparse.ArgumentParser:
    """An argument parser that describes itself with the script's docstring.

    With `presets` it has `--preset`, whose values `parse` puts in the place of the defaults.
    """
    result = _Parser(description=doc, formatter_class=_Formatter, allow_abbrev=False)
    if presets:
        text = "a named set of sizes; flags given beside it win"
        result.add_argument("--preset", choices=list(presets), help=text)
    return result


def parse(
    parser: argparse.ArgumentParser,
    presets: Presets | None = None,
    argv: Sequence[str] | None = None,
) -> argparse.Namespace:
    """Parse `argv` (sys.argv without it); values of the chosen preset become the defaults."""
    if presets:
        early = _Parser(prog=parser.prog, add_help=False, allow_abbrev=False)
        early.add_argument("--preset")
        name = early.parse_known_args(argv)[0].preset
        values = dict(presets.get(name, {}))  # a wrong name is reported by the full parse below
        unknown = set(values) - {action.dest for action in parser._actions}
        if unknown:
            raise ValueError(f"preset {name} sets flags that do not exist: {sorted(unknown)}")
        parser.set_defaults(**values)
    return parser.parse_args(argv)


def _number(convert, accepts, expected: str):
    def convert_argument(text: str):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):  # NaN is in no interval
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text[:40]!r}")
        return value

    return convert_argument


# Beyond these no size, rate or seed has a meaning, and float32 and int32 have an end.
MOST, LARGEST, SMALLEST = 2**31 - 1, 1e9, 1e-9


def whole_number(least: int, most: int = MOST):
    """Argument type: a whole number from `least` to `most`."""
    return _number(int, lambda v: least <= v <= most, f"a whole number from {least} to {most}")


def number(least: float, most: float):
    """Argument type: a number from `least` to `most`."""
    return _number(float, lambda v: least <= v <= most, f"a number from {least:g} to {most:g}")


positive_int = whole_number(1)
non_negative_int = whole_number(0)
positive_float = number(SMALLEST, LARGEST)
non_negative_float = _number(
    float, lambda v: v == 0 or SMALLEST <= v <= LARGEST, f"a number from 0 to {LARGEST:g}"
)
fraction = number(0, 1)


def file_in(suffix: str) -> Callable[[str], Path]:
    """Argument type: the path of a file to write, of that format."""

    def convert(text: str) -> Path:
        if Path(text).suffix != suffix:
            raise argparse.ArgumentTypeError(f"expected a name in {suffix}, found {text!r}")
        return Path(text)

    return convert


def existing_file(text: str) -> Path:
    """Argument type: the path of a file that is there."""
    path = Path(text)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise argparse.ArgumentTypeError(f"expected a file, found {found} at {text!r}")
    return path
