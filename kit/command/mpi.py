"""Work split over processes (ranks), on one machine or several.

    with mpi.ranks(args.num_worker) as ranks:
        ...   # runs in every rank, rank 0 included

Started plainly, the command replaces itself by `mpirun -n N` of the same command; started by
mpirun it uses the ranks that are there (`mpirun -hosts a,b -n 8 python train.py`, with the same
folder and environment on each host). With one rank MPI is not even imported.
"""

import contextlib
import math
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kit.command import interrupts, launch, memory
from kit.command.errors import FAULTS, READER_GONE, exit_status, origin, sentence
from kit.command.limits import usable_cores

PYTHON_BYTES = 30e6  # that a rank has for itself with numpy and MPI loaded
TENSORFLOW_BYTES = 200e6  # and with TensorFlow
GRACE = 2.0  # seconds between a rank's own timeout and what rank 0 says of its silence
LONGEST_PAUSE = 2e-3  # seconds between two looks for a message


class Ranks:
    """One process without MPI: what the code sees that runs in one or in many.

    timeout: seconds that a rank's part of a piece of work may take, 0: any time
    """

    rank = 0
    size = 1

    def __init__(self, timeout: float = 0.0):
        self.timeout = timeout

    def broadcast(self, array: np.ndarray | None) -> np.ndarray:
        """Rank 0's `array` in every rank; the others pass None."""
        return array

    def scatter(
        self, part: Callable[[int], np.ndarray], shape: Sequence[int], dtype=np.float64
    ) -> np.ndarray:
        """What `part(rank)` gives in rank 0 for this rank; nobody else calls it.

        `shape` and `dtype` are those of this rank's part, which it knows beforehand.
        """
        return part(self.rank)

    def share(self, count: int, rank: int | None = None) -> np.ndarray:
        """The indices of a rank's part of `count` jobs (default: this one's): every size-th."""
        return np.arange(self.rank if rank is None else rank, count, self.size)

    def collect(self, part: np.ndarray, count: int) -> np.ndarray | None:
        """The rows (count, C) of all ranks, in rank 0; each gives the float64 rows of its share."""
        return part

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """The block may take `timeout`; then its traceback is shown and the process ends."""
        if not self.timeout:
            yield
            return
        timer = threading.Timer(self.timeout, self._hangs, (threading.get_ident(),))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hangs(self, thread: int) -> None:
        """Say where `thread` is, and leave."""
        where = "".join(traceback.format_stack(sys._current_frames()[thread]))
        said = f"no end after {self.timeout:g} s (--rank_timeout), here it hangs:"
        _leave(f"{_name(self.rank, self.size)}: {said}\n{where}", 1)


class MPIRanks(Ranks):
    """The processes that one mpirun started.

    A waiting rank polls, and sleeps in between. So it can be interrupted, and it leaves its core to
    the others.
    """

    def __init__(self, world, timeout: float = 0.0):
        super().__init__(timeout)
        self._world = world
        self.rank = world.Get_rank()
        self.size = world.Get_size()
        processes = world.allgather(f"{os.getpid()}@{socket.gethostname()}")
        launch.unlink_shared_memory()  # all have it by now
        if self.rank == 0:  # mpirun names a killed rank only so
            print("ranks, process@host:", *processes, flush=True)

    def broadcast(self, array):
        head = np.zeros(8, np.int64)  # dimensions, dtype, shape
        if array is not None:
            array = np.ascontiguousarray(array)
            head[: 2 + array.ndim] = array.ndim, ord(array.dtype.char), *array.shape
        self._wait([self._world.Ibcast(head)])
        if array is None:
            array = np.empty(head[2 : 2 + head[0]], chr(head[1]))
        self._wait([self._world.Ibcast(array)])
        return array

    def scatter(self, part, shape, dtype=np.float64):
        if self.rank:
            mine = np.empty(shape, dtype)
            self._wait([self._world.Irecv(mine, 0)])
            return mine
        others = [np.ascontiguousarray(part(rank), dtype) for rank in range(1, self.size)]
        sent = [self._world.Isend(rows, rank) for rank, rows in enumerate(others, 1)]
        mine = part(0)
        self._wait(sent)
        return mine

    def collect(self, part, count):
        if self.rank:
            self._wait([self._world.Isend(np.ascontiguousarray(part), 0)])
            return None
        shares = [self.share(count, rank) for rank in range(self.size)]
        parts = [np.empty((len(share), part.shape[1])) for share in shares[1:]]
        # The others began when this rank did: they have had their time. First they may speak.
        patience = self.timeout + GRACE if self.timeout else math.inf
        requests = [self._world.Irecv(rows, rank) for rank, rows in enumerate(parts, 1)]
        self._wait(requests, patience)
        result = np.empty((count, part.shape[1]))
        for share, rows in zip(shares, [part, *parts], strict=True):
            result[share] = rows
        return result

    def _wait(self, requests, patience: float = math.inf) -> None:
        """Until all `requests`, one for each other rank where it is rank 0's, are done."""
        end, pause = time.monotonic() + patience, 2e-5
        while not all(request.Test() for request in requests):
            if time.monotonic() > end:
                silent = [i for i, one in enumerate(requests, 1) if not one.Test()]
                names = ", ".join(map(str, silent))
                said = f"no answer from rank {names} of {self.size} after {patience:g} s"
                _leave(f"{_name(0, self.size)}: {said} (--rank_timeout)\n", 1)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@contextlib.contextmanager
def ranks(
    count: int | None = None,
    timeout: float = 0.0,
    rank_bytes: float = PYTHON_BYTES,
    smaller: str = "-n/--num_worker",
    shared_bytes: float = 0.0,
) -> Iterator[Ranks]:
    """Run the block in `count` ranks (None: one for each usable core).

    Raises UserError where memory does not suffice for `rank_bytes` each, or /dev/shm for
    `shared_bytes` each and MPI's own; they depend on the flags `smaller`.

    An exception in any rank ends all of them, with its traceback under `rank R of N on HOST:`
    and status 1; a UserError with its sentence and status 2, Ctrl-C with 130. So does a rank that
    is longer than `timeout` seconds in `Ranks.watched` (0: never).

    To be entered once and early in a command: the process may be replaced here.
    """
    if launch.rank() is None:
        count = count or usable_cores()
        what = f"-n {count}: the work"
        memory.require(count * rank_bytes, what, smaller)
        shared = shared_bytes + (launch.SHARED_BYTES if count > 1 else 0)
        memory.require_shared(count * shared, what, smaller)
        if count > 1:
            launch.become_mpirun(count)
        yield Ranks(timeout)
        return
    launch.take_streams()
    launch.limit_threads()
    world = None
    try:
        world = launch.world()
        yield MPIRanks(world, timeout) if world.Get_size() > 1 else Ranks(timeout)
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (0, None):
            raise
        # A second signal must not lead out of here: an ordinary exit waits for the other ranks.
        interrupts.leave_at_once(130)
        error = origin(error)
        if world is None and not isinstance(error, KeyboardInterrupt):
            raise  # said by rank 0, where all ranks have met it
        if world is not None and world.Get_size() == 1:
            raise
        _end_all(error, launch.rank(), launch.size())


def _end_all(error: BaseException, rank: int, size: int) -> None:
    """Report `error` and leave at once: mpirun then ends the other ranks.

    They may be waiting for this one, so that an ordinary exit would wait for them for ever.
    """
    if isinstance(error, BrokenPipeError):
        _leave("", READER_GONE)
    status, name = exit_status(error), Path(sys.argv[0]).name
    # All ranks may have met the same bad file or fault: let rank 0 say so once and end the rest.
    time.sleep(rank and 1 + 0.1 * rank)
    if isinstance(error, (KeyboardInterrupt, *FAULTS)):
        text = f"{name}: {sentence(error)}\n"
        if rank:
            text = f"{_name(rank, size)}: {text}"
    else:
        text = f"{_name(rank, size)}:\n{traceback.format_exc()}"
    _leave(text, status)


def _name(rank: int, size: int) -> str:
    return f"rank {rank} of {size} on {socket.gethostname()}"


def _leave(text: str, status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a log file on a disk that is full
            stream.write(text if stream is sys.stderr else "")
            stream.flush()
    os._exit(status)
