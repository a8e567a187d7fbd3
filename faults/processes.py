"""Start commands, end them as a person or a system would, and see what stays behind.

Every process that a command starts inherits a mark in its environment: by it, and by no name, its
orphans are found.
"""

import atexit
import contextlib
import dataclasses
import importlib
import math
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "ESTOOL_FAULTS"  # variable: which harness and which command a process belongs to
LOADED = ("kit.tensors.tf", "estool.evolve", "gymnasium.envs.box2d.car_racing", "cv2", "cma")
LOADED += ("tensorboardX", "matplotlib.pyplot", "imageio")
LIBRARIES = ("mpich_shm_", "ucx_shm_", "sem.mp-")  # names in shared memory that begin so
# Both are long, because a training beside may leave this one a tenth of a core.
TIMEOUT = 900.0  # seconds after which a command counts as hanging
PATIENCE = 120.0  # seconds in which everything has to end that a signal has ended
SETTLED = 10.0  # seconds after which unused shared memory is nobody's that just begins or ends
# CPU seconds after which Python has loaded numpy and the command says what Ctrl-C looks like;
# before, it is Python that shows a traceback of its start.
BEGUN = 0.4


@dataclasses.dataclass
class Ended:
    """A command that has ended: its status, all that it printed, and what is wrong with that."""

    status: int
    output: str
    faults: list[str]


class Forked:
    """A Python script in a copy of this process, which has loaded TensorFlow and the like already.

    It saves the seconds that a start takes. Behaves as subprocess.Popen does, as far as needed.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, log, environment: dict, cores: set):
        sys.stdout.flush()
        self.returncode = None
        ready, begun = os.pipe()
        self.pid = os.fork()
        if self.pid:  # nothing is sent to it before it is what it is to be
            os.close(begun)
            os.read(ready, 1)
            os.close(ready)
            return
        try:
            os.setsid()
            os.sched_setaffinity(0, cores)
            os.chdir(folder)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = None
            streams = [open(number, "w", closefd=False) for number in (1, 2)]  # noqa: SIM115
            sys.stdout, sys.stderr = streams
            os.close(ready)
            os.close(begun)
            status = _run_script(arguments)
        except KeyboardInterrupt:  # at its very end
            status = 130
        except BaseException:
            traceback.print_exc()
            status = 1
        os._exit(status)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = math.inf) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("forked", timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run_script(arguments: Sequence[str]) -> int:
    """What `python script arguments` does, to its exit status; in a package `python -m` does it."""
    sys.argv, script = list(arguments), Path(arguments[0])
    packaged = script.with_name("__init__.py").exists() and script.parent.name == "study"
    sys.path[0] = str(script.parents[1] if packaged else script.parent)
    sys.orig_argv[1:] = arguments
    status = 0
    try:
        if packaged:
            runpy.run_module(f"{script.parent.name}.{script.stem}", run_name="__main__")
        else:
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def load_what_stages_load() -> None:
    """For Forked: import what takes long, without starting any of it."""
    os.environ["MPLBACKEND"] = "agg"
    for name in LOADED:
        importlib.import_module(name)


class Command:
    """A command in a new session, as if typed into a terminal, on so many `cores`.

    Its temporary files and what it prints get into `outside` or else into `folder`, so that what is
    left of them is seen.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        cores: int = 1,
        forked: bool = False,
        environment: Mapping[str, str] | None = None,
        outside: Path | None = None,
    ):
        self.mark, self.forked = f"{os.getpid()}-{uuid.uuid4().hex}", forked
        self.temporary = (outside or folder) / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._log = ((outside or folder) / "output.txt").open("w+")
        self._before, self._earlier = shared_memory(), set(psutil.pids())
        kept = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        values = {"TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
        values |= {"SDL_VIDEODRIVER": "dummy", "WORKERS": str(cores), MARK: self.mark}
        everything = kept | values | dict(environment or {})
        allowed = set(sorted(os.sched_getaffinity(0))[:cores])
        if forked:
            self.process = Forked(arguments[1:], folder, self._log, everything, allowed)
            return
        self.process = subprocess.Popen(
            [sys.executable if word == "python" else word for word in arguments],
            cwd=folder,
            env=everything,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )

    def family(self) -> list[psutil.Process]:
        """The processes of the command that are alive."""
        found = []
        for number in set(psutil.pids()) - self._earlier:
            try:
                process = psutil.Process(number)
                ours = self.forked and process.pid == self.process.pid
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and (ours or process.environ().get(MARK) == self.mark):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def running_after(self, seconds: float) -> bool:
        """Wait so long; false where the command has ended by then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def interrupt_as_terminal(self) -> None:
        """Ctrl-C: SIGINT to the whole group, once all of its processes have begun."""
        end = time.monotonic() + PATIENCE
        waits = not self.forked
        while waits and time.monotonic() < end and not all(map(_begun, self.family())):
            time.sleep(0.02)
        self.signal_group(signal.SIGINT)

    def signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # its last process has just ended
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)

    def wait(self, timeout: float = TIMEOUT, patience: float = PATIENCE) -> Ended:
        """The end of the command and of its whole family; hanging and orphans are faults."""
        faults = []
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            faults.append(f"hangs: no end after {timeout:.0f} s")
            status = -1
        end = time.monotonic() + (patience if status != -1 else 0)
        while (family := self.family()) and time.monotonic() < end:
            time.sleep(0.1)
        for orphan in family:
            faults.append(f"orphan: {_describe(orphan)}")
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(family, patience)
        self.process.wait()
        self._log.seek(0)
        output = self._log.read()
        self._log.close()
        if "Traceback" in output:
            faults.append("a traceback")
        left = [path.name for path in self.temporary.iterdir()]
        left += self._left_in_shared_memory()
        if left:
            faults.append(f"left behind: {', '.join(left)}")
        return Ended(status, output, faults)

    def _left_in_shared_memory(self) -> list[str]:
        """What is new there and used by nobody; a game of another run may just begin or end."""
        end = time.monotonic() + SETTLED
        while (left := shared_memory() - self._before) and time.monotonic() < end:
            time.sleep(0.5)
        return sorted(left)


def end_everything() -> None:
    """End what this harness has started and not waited for: it is being interrupted itself."""
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mark = process.environ().get(MARK, "")
            if process.pid in ours or mark.startswith(f"{os.getpid()}-"):
                process.kill()


def cpu_seconds() -> float:
    """Of this process and of all that it has waited for."""
    return sum(os.times()[:4])


def shared_memory() -> set[str]:
    """The names in /dev/shm that no living process uses, but for those of libraries.

    MPICH's and its UCX's are named for an instant until all ranks have it; a kill then leaves an
    empty page. Python's semaphores (sem.mp-) of any program are removed by a process beside it,
    which no signal ends, once the last one that has them has ended.
    """
    folder = Path("/dev/shm")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    names = {name for name in names if not name.startswith(LIBRARIES)}
    if not names:
        return names
    used = ""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            used += maps.read_text()
        except OSError:
            continue
    return {name for name in names if name not in used}


def _begun(process: psutil.Process) -> bool:
    try:
        times = process.cpu_times()
        return "python" not in process.name() or times.user + times.system > BEGUN
    except psutil.Error:
        return True


def _describe(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120]
    except psutil.Error:
        return str(process.pid)
