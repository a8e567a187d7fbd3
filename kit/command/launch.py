"""How a command becomes several processes: the mpirun beside this Python, and what it says."""

import contextlib
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

from kit.command import interrupts, memory
from kit.command.errors import UserError
from kit.command.limits import SHARED, usable_cores

# Ranks that each start as many threads as there are cores slow each other down severalfold.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
STREAMS = "ESTOOL_STREAMS"  # variable: copies of standard output and error for rank 0
START_TIMEOUT = 600  # seconds after which a rank no longer waits for others to start
SHARED_BYTES = 1.1e6  # of MPICH's shared memory for each rank on a machine, measured with 2 to 16
# What mpirun tells its processes: MPICH and Intel MPI, Open MPI.
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
LOCAL_SIZE_VARIABLES = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")


def rank() -> int | None:
    """Which of mpirun's processes this one is; None where no mpirun has started it."""
    found = _variable(RANK_VARIABLES)
    return None if found is None else int(found)


def size() -> int:
    """How many processes mpirun has started."""
    return int(_variable(SIZE_VARIABLES) or os.environ.get("ESTOOL_RANKS", 1))


def is_first() -> bool:
    """Whether this process is rank 0, or the only one: who speaks for all."""
    return not rank()


def become_mpirun(count: int) -> None:
    """Replace this process by mpirun: a signal to the command is one to mpirun, which passes it
    on and outlives no rank, so that nothing is left behind."""
    mpirun = shutil.which("mpirun", path=str(Path(sys.executable).parent)) or shutil.which("mpirun")
    if mpirun is None:
        raise UserError(
            f"-n {count} needs mpirun, and there is none: install requirements.txt, or give -n 1"
        )
    if "ESTOOL_RANKS" in os.environ:
        raise UserError(
            f"{mpirun} does not tell its processes which rank they are: start with the mpirun in "
            f"{Path(sys.executable).parent}, or give -n 1"
        )
    command = [mpirun, "-n", str(count), sys.executable, *sys.orig_argv[1:]]
    environment = _with_threads(count) | {"ESTOOL_RANKS": str(count), "PYTHONUNBUFFERED": "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    # Rank 0 writes by itself: mpirun answers the end of its reader with its own innards.
    streams = [os.dup(number) for number in (1, 2)]
    for number in streams:
        os.set_inheritable(number, True)
    environment[STREAMS] = " ".join(map(str, streams))
    # mpirun would read standard input for rank 0, and stop where it runs in the background
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execve(mpirun, command, environment)


def take_streams() -> None:
    """Standard output and error of the command that became mpirun, for rank 0."""
    for number, kept in zip((1, 2), os.environ.pop(STREAMS, "").split(), strict=False):
        if is_first():
            os.dup2(int(kept), number)
        os.close(int(kept))


def limit_threads() -> None:
    """Restart this rank with its share of the cores, where a plain mpirun has set no limit.

    The libraries read these variables when they are loaded, which has happened by now.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        local = int(_variable(LOCAL_SIZE_VARIABLES) or size())
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], _with_threads(local))


def _with_threads(local_ranks: int) -> dict[str, str]:
    threads = str(max(1, usable_cores() // local_ranks))
    return dict.fromkeys(THREADS, threads) | dict(os.environ)  # the user's own values win


def world():
    """MPI.COMM_WORLD; UserError where mpirun and mpi4py do not know each other."""
    started = size()
    if "ESTOOL_RANKS" not in os.environ:  # else it was looked at before the start
        needed = SHARED_BYTES * int(_variable(LOCAL_SIZE_VARIABLES) or started)
        _once(
            memory.require_shared,
            needed,
            f"the start of {started} ranks",
            "number of ranks",
            in_all=True,
        )
    try:
        # A rank that ended before this point would be waited for in it, for ever and without
        # ears: mpirun minds the end of such a rank only where a signal ended it.
        with warnings.catch_warnings(), interrupts.deadly(START_TIMEOUT):
            warnings.simplefilter("ignore")  # of a mismatch; it is explained better below
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(f"mpi4py cannot be loaded ({error}): install requirements.txt") from error
    _once(_same_size, started, MPI.COMM_WORLD.Get_size())
    return MPI.COMM_WORLD


def _once(check, *given, **options) -> None:
    """Where `check` raises UserError in all ranks, rank 0 says it for all."""
    try:
        check(*given, **options)
    except UserError:
        if is_first():
            raise
        sys.exit(2)


def _same_size(started: int, found: int) -> None:
    if found != started:
        raise UserError(
            f"mpirun started {started} ranks, but each sees {found}: mpirun and mpi4py belong to "
            f"different MPI libraries; start with the mpirun in {Path(sys.executable).parent}"
        )


def unlink_shared_memory() -> None:
    """Leave MPICH's shared memory to its processes alone: it ends with the last of them.

    Under its name it would stay on, tens of megabytes of memory, after every kill -9. What earlier
    ones have left that were killed before this point is removed too, once it is so old that no
    rank may still be waiting for another one to open it.
    """
    with contextlib.suppress(OSError):  # no Linux
        # as the file system has it: a path may have characters that the locale has not
        lines = os.fsdecode(Path("/proc/self/maps").read_bytes()).splitlines()
        for path in {line.split()[-1] for line in lines if "/mpich_shm_" in line}:
            Path(path).unlink(missing_ok=True)
    for path in Path(SHARED).glob("mpich_shm_*"):
        with contextlib.suppress(OSError):  # somebody else has removed it
            found, old = path.stat(), time.time() - 2 * START_TIMEOUT
            if found.st_uid == os.getuid() and found.st_mtime < old:
                path.unlink()


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if name in os.environ), None)
