"""Real mpirun, real ranks: the same results as one process, and an end when one of them fails."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from estool import history
from kit.command import launch, mpi
from kit.command.errors import UserError

TOY = Path(__file__).parents[1] / "study" / "toy.py"
SMALL = ("--population", "6", "-e", "3", "--eval_steps", "2", "--cap_time", "1")
MPIRUN = str(Path(sys.executable).with_name("mpirun"))


def environment(**values):
    """The environment without the thread counts that test.bash sets."""
    kept = {key: value for key, value in os.environ.items() if key not in launch.THREADS}
    return kept | values


def command(folder, *more, before=()):
    return [*before, sys.executable, str(TOY), *SMALL, "--directory", str(folder), *more]


def run(folder, *more, before=(), **values):
    return subprocess.run(
        command(folder, *more, before=before),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**values),
    )


def test_two_ranks_started_either_way_do_what_one_does(tmp_path):
    limit = ("--generations", "4")
    starts = {
        "one": (("-n", "1"), ()),
        "own": (("-n", "2"), ()),
        "mpirun": ((), (MPIRUN, "-n", "2")),
    }
    for name, (flags, before) in starts.items():
        done = run(tmp_path / name, *limit, *flags, before=before)
        assert done.returncode == 0, done.stderr
        assert f"5 parameters, {1 if name == 'one' else 2} ranks" in done.stdout
    for suffix in (".json", ".best.json", ".log.json"):
        texts = {(tmp_path / name / "log" / f"toy.cma.3.6{suffix}").read_text() for name in starts}
        assert len(texts) == 1
    rows = [history.load_history(tmp_path / name / "log/toy.cma.3.6.hist.json") for name in starts]
    assert len({str([[row[0], *row[2:]] for row in one]) for one in rows}) == 1


def test_an_exception_in_one_rank_ends_all_and_is_named(tmp_path):
    done = run(tmp_path, "-n", "2", "--fault", "raise")
    assert done.returncode == 1
    assert done.stderr.startswith(f"rank 1 of 2 on {socket.gethostname()}:\nTraceback")
    assert done.stderr.endswith("ZeroDivisionError: the fault that was ordered\n")


def test_a_bad_file_is_a_sentence_said_once(tmp_path):
    done = run(tmp_path, "-n", "2", "--fault", "both")
    assert (done.returncode, done.stderr) == (2, "toy.py: z.json is bad\n")
    done = run(tmp_path, "-n", "2", "--fault", "user")
    assert done.returncode == 2
    assert done.stderr == f"rank 1 of 2 on {socket.gethostname()}: toy.py: z.json is bad\n"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_rank_behind_and_a_whole_checkpoint(tmp_path, kind):
    with subprocess.Popen(
        command(tmp_path, "-n", "2"), stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        for line in process.stdout:
            if line.startswith("generation 3"):
                break
        process.send_signal(kind)
        process.stdout.read()  # ends when the last rank has closed its end
        assert process.wait(timeout=10) != 0
    rows = history.load_history(tmp_path / "log/toy.cma.3.6.hist.json")
    done = run(tmp_path, "-n", "1", "--generations", str(len(rows) + 2))
    assert done.returncode == 0 and "continuing after generation" in done.stdout


def test_a_rank_that_is_told_to_end_twice_ends_the_others(tmp_path):
    # pkill reaches a rank, and mpirun, which passes the signal on to it
    start = command(tmp_path, "-n", "2")
    with subprocess.Popen(
        start, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        for line in process.stdout:
            if line.startswith("ranks, process@host:"):
                rank = int(line.split()[-1].split("@")[0])
            if line.startswith("generation 3"):
                break
        os.kill(rank, signal.SIGTERM)
        time.sleep(0.3)  # it waits for rank 0 to speak first
        os.kill(rank, signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=10) != 0


def test_ctrl_c_ends_a_rank_that_waits_for_another_to_start(tmp_path):
    code = (
        "import os, time\nfrom kit.command import cli, mpi\n"
        "print(os.getpid(), flush=True)\n"
        "if os.environ['PMI_RANK'] == '1': time.sleep(60)\n"  # Ctrl-C ends it with status 130
        "cli.run(lambda: mpi.ranks(2).__enter__())"
    )
    start = [MPIRUN, "-n", "2", sys.executable, "-c", code]
    with subprocess.Popen(
        start, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        numbers = [int(process.stdout.readline()) for _ in range(2)]
        time.sleep(1)  # one of them is inside MPI's start by now
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) != 0
    assert not any(Path(f"/proc/{number}").exists() for number in numbers)


def test_ranks_that_do_not_see_each_other_are_explained(tmp_path):
    # what the mpirun of another MPI looks like from inside
    done = run(tmp_path, OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="2", OMP_NUM_THREADS="1")
    assert done.returncode == 2
    assert "mpirun started 2 ranks, but each sees 1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_rank_loads_no_mpi(tmp_path):
    code = (
        "import sys\nfrom kit.command import mpi\n"
        "with mpi.ranks(1) as ranks: print(ranks.size, 'mpi4py' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1 False\n"


def test_ranks_share_the_cores(monkeypatch):
    monkeypatch.setattr(launch, "usable_cores", lambda: 8)
    for name in launch.THREADS:
        monkeypatch.delenv(name, raising=False)
    assert {launch._with_threads(3)[name] for name in launch.THREADS} == {"2"}
    assert launch._with_threads(100)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert launch._with_threads(3)["OMP_NUM_THREADS"] == "5"


def test_no_mpirun_is_a_sentence(monkeypatch):
    monkeypatch.setattr(launch.shutil, "which", lambda *_, **__: None)
    for name in launch.RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="-n 2 needs mpirun"), mpi.ranks(2):
        pass


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_a_reader_that_has_seen_enough_ends_it_without_a_word(tmp_path, ranks):
    """As in `train.py | head -1`."""
    with subprocess.Popen(
        command(tmp_path, "-n", ranks),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")


def test_closed_streams_are_no_fault(tmp_path):
    """As in `train.py <&- >&- 2>&-`; no file may get their numbers either."""
    ends = ("--generations", "2", "-n", "2")
    line = shlex.join(command(tmp_path, *ends))
    done = subprocess.run(["sh", "-c", f"exec {line} <&- >&- 2>&-"], env=environment())
    assert done.returncode == 0
    rows = history.load_history(tmp_path / "log/toy.cma.3.6.hist.json")
    assert len(rows) == 2


def test_shares_are_every_job_once():
    ranks = mpi.Ranks()
    ranks.size = 3
    parts = []
    for ranks.rank in range(3):
        parts.append(ranks.share(8).tolist())
    assert parts == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert np.concatenate(parts).size == 8
