"""Work split over processes (ranks), on one machine or several.

    with mpi.ranks(args.num_worker) as ranks:
        ...   # runs in every rank, rank 0 included

Started plainly, the command replaces itself by `mpirun -n N` of the same command; started by
mpirun it uses the ranks that are there (`mpirun -hosts a,b -n 8 python train.py`, with the same
folder and environment on each host). With one rank MPI is not even imported.
"""

import contextlib
import os
import shutil
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from estool.errors import UserError

# Ranks that each start as many threads as there are cores slow each other down severalfold.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
# What mpirun tells its processes: MPICH and Intel MPI, Open MPI.
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
LOCAL_SIZE_VARIABLES = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Ranks:
    """One process without MPI: what the code sees that runs in one or in many."""

    rank = 0
    size = 1

    def broadcast(self, array: np.ndarray | None) -> np.ndarray:
        """Rank 0's `array` in every rank; the others pass None."""
        return array

    def share(self, count: int) -> np.ndarray:
        """The indices of this rank's part of `count` jobs: every size-th, from its own rank on."""
        return np.arange(self.rank, count, self.size)

    def collect(self, part: np.ndarray, count: int) -> np.ndarray | None:
        """The rows (count, C) of all ranks, in rank 0; each gives the float64 rows of its share."""
        return part


class MPIRanks(Ranks):
    """The processes that one mpirun started."""

    def __init__(self, world):
        self._world = world
        self.rank = world.Get_rank()
        self.size = world.Get_size()

    def broadcast(self, array):
        head = self._world.bcast(None if array is None else (array.shape, array.dtype.str))
        if array is None:
            array = np.empty(*head)
        self._world.Bcast(np.ascontiguousarray(array))
        return array

    def collect(self, part, count):
        rows = np.zeros((count, part.shape[1]))
        rows[self.share(count)] = part
        result = np.empty_like(rows) if self.rank == 0 else None
        self._world.Reduce(rows, result)  # a sum with zeros: exact in any order
        return result


@contextlib.contextmanager
def ranks(count: int | None = None) -> Iterator[Ranks]:
    """Run the block in `count` ranks (None: one for each usable core).

    An exception in any rank ends all of them, with its traceback under `rank R of N on HOST:`
    and status 1; a UserError with its sentence and status 2, Ctrl-C with 130.

    To be entered once and early in a command: the process may be replaced here.
    """
    if _variable(RANK_VARIABLES) is None:
        count = count or usable_cores()
        if count > 1:
            _become_mpirun(count)
        yield Ranks()
        return
    _limit_threads()
    world = _world()
    if world.Get_size() == 1:
        yield Ranks()
        return
    try:
        yield MPIRanks(world)
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (0, None):
            raise
        _end_all(error, world.Get_rank(), world.Get_size())


def _end_all(error: BaseException, rank: int, size: int) -> None:
    """Report `error` and leave at once: mpirun then ends the other ranks.

    They may be waiting for this one, so that an ordinary exit would wait for them for ever.
    """
    sys.stdout.flush()
    if isinstance(error, UserError):
        status = 2
        # All ranks may have met the same bad file: let rank 0 say so once and end the rest.
        time.sleep(rank and 1 + 0.1 * rank)
        text = f"{Path(sys.argv[0]).name}: {error}\n"
        if rank:
            text = f"rank {rank} of {size} on {socket.gethostname()}: {text}"
    elif isinstance(error, KeyboardInterrupt):
        status, text = 130, "" if rank else f"{Path(sys.argv[0]).name}: interrupted\n"
    else:
        status = 1
        text = f"rank {rank} of {size} on {socket.gethostname()}:\n{traceback.format_exc()}"
    sys.stderr.write(text)
    sys.stderr.flush()
    os._exit(status)


def _become_mpirun(count: int) -> None:
    """Replace this process by mpirun: a signal to the command is one to mpirun, which passes it
    on and outlives no rank, so that nothing is left behind."""
    mpirun = shutil.which("mpirun", path=str(Path(sys.executable).parent)) or shutil.which("mpirun")
    if mpirun is None:
        raise UserError(
            f"-n {count} needs mpirun, and there is none: install requirements.txt, or give -n 1"
        )
    command = [mpirun, "-n", str(count), sys.executable, *sys.orig_argv[1:]]
    environment = _with_threads(count) | {"ESTOOL_RANKS": str(count), "PYTHONUNBUFFERED": "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    # mpirun would read standard input for rank 0, and stop where it runs in the background
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execve(mpirun, command, environment)


def _limit_threads() -> None:
    """Restart this rank with its share of the cores, where a plain mpirun has set no limit.

    The libraries read these variables when they are loaded, which has happened by now.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        local = int(_variable(LOCAL_SIZE_VARIABLES) or _variable(SIZE_VARIABLES) or 1)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], _with_threads(local))


def _with_threads(local_ranks: int) -> dict[str, str]:
    threads = str(max(1, usable_cores() // local_ranks))
    return dict.fromkeys(THREADS, threads) | dict(os.environ)  # the user's own values win


def _world():
    """MPI.COMM_WORLD; UserError where mpirun and mpi4py do not know each other."""
    started = int(_variable(SIZE_VARIABLES) or os.environ.get("ESTOOL_RANKS", 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a mismatch; it is explained better below
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(f"mpi4py cannot be loaded ({error}): install requirements.txt") from error
    found = MPI.COMM_WORLD.Get_size()
    if found != started:
        if _variable(RANK_VARIABLES) != "0":
            sys.exit(2)  # rank 0 says it for all
        raise UserError(
            f"mpirun started {started} ranks, but each sees {found}: mpirun and mpi4py belong to "
            f"different MPI libraries; start with the mpirun in {Path(sys.executable).parent}"
        )
    return MPI.COMM_WORLD


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if name in os.environ), None)
