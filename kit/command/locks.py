"""Locks: one process at a time in a folder, and no leftovers of killed processes there.

Locks are the kernel's (flock), so a lock ends with its process, however that ends. On a file
system without locks, work goes on without them.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kit.command.errors import UserError

PREFIX = ".writing-"  # of the folders that files are written in before they get their place
PATIENCE = 3.0  # seconds in which ranks of a killed run may still be ending


@contextlib.contextmanager
def only_one(folder: str | os.PathLike, name: str = "work") -> Iterator[None]:
    """Hold `folder` for this process in the block: a second one of that `name` is refused.

    Makes the folder, and removes what killed processes left in it. Raises UserError where another
    process holds it, or where it cannot be written to.
    """
    folder = Path(folder)
    path = folder / f".{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _lock_file(path)
        sweep(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {error.strerror or error}") from error
    if descriptor is None:
        raise UserError(
            f"{folder} is in use by {_holder(path)}: wait for its end, or name another folder"
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for it looks again
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the folders of unfinished writes in `folder` whose writer is dead."""
    for leftover in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # gone by now, or of somebody else
            descriptor = os.open(leftover, os.O_RDONLY)
            try:
                if _lock(descriptor, wait=False):
                    shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` to write in, locked so that `sweep` leaves it; removed at the end."""
    folder, descriptor = _make_hidden_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_hidden_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # swept before it was locked: once more
            descriptor = os.open(folder, os.O_RDONLY)
            _lock(descriptor, wait=True)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _lock_file(path: Path) -> int | None:
    """The descriptor of `path`, locked; None where another process has it after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(descriptor, wait=False):
            os.close(descriptor)
            if time.monotonic() > end:
                return None
            time.sleep(0.1)
        elif _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return descriptor
        else:
            os.close(descriptor)  # its holder has just removed it: once more


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, wait: bool) -> bool:
    """Whether the lock was free; True as well where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text() or "another process"
    return "another process"
