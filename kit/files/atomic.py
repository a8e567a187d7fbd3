"""Atomic writing of files, and reading of json with one sentence where it is damaged."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kit.command.errors import UserError
from kit.command.locks import hidden_folder


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of `path` at the end, or vanishes on an error.

    The temporary file has the name of `path` and lies in a hidden folder beside it, so that
    writers that go by the suffix work, and a listing of `*.npz` never sees half a file.
    Missing parent folders are made. A `durable` file is on the disk before it takes that place,
    for machines that are switched off. Raises UserError where `path` cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(path.parent) as folder:
            temporary = folder / path.name
            yield temporary
            if durable:
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {_reason(error, path.parent)}") from error


def _reason(error: OSError, folder: Path) -> str:
    if error.strerror:
        return error.strerror
    with contextlib.suppress(OSError):  # numpy says how many bytes, but not why
        if shutil.disk_usage(folder).free < 2**20:
            return "No space left on device"
    return str(error)


def write_json(path: str | os.PathLike, value, indent: int | None = None) -> None:
    """Write `value` as json; UserError where it holds NaN or infinity."""
    try:
        text = json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        raise UserError(f"{path} was not written: it would hold NaN or infinity") from error
    write_text(path, text + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike, numbers: bool = False):
    """The value in a json file; UserError where it is missing, unreadable or cut short.

    With `numbers` also where it says true or false, which numpy would take for 1 and 0.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # covers bad json, bad UTF-8, endless nesting
        raise UserError(f"{path} is no complete json file ({error})") from error
    if numbers and ("true" in text or "false" in text):
        raise UserError(f"{path}: expected numbers, found true or false")
    return value
