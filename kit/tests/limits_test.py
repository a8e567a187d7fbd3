"""What control groups and /dev/shm let a process have, and the sentences where it is too little."""

import os
import subprocess
import sys

import pytest

from kit.command import limits, memory, mpi
from kit.command.errors import UserError


def machine(root, groups, files):
    """A machine's files of control groups under `root`."""
    files = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{k}": v for k, v in files.items()}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MACHINES = {
    "a container, version 2": (
        "0::/\n",
        {"memory.max": "3000", "memory.current": "1000", "memory.stat": "a 1\ninactive_file 50"},
        {"cpu.max": "100000 100000"},
    ),
    "a job of a cluster, limited above": (
        "0::/slurm/job_7/step_0\n",
        {"slurm/job_7/step_0/memory.max": "max", "slurm/job_7/step_0/memory.current": "100"}
        | {"slurm/job_7/memory.max": "3000", "slurm/job_7/memory.current": "1000"}
        | {"slurm/job_7/memory.stat": "inactive_file 50"},
        {"slurm/job_7/cpu.max": "150000 100000", "slurm/job_7/step_0/cpu.max": "max 100000"},
    ),
    "version 1, its path as the machine sees it": (
        "5:cpu,cpuacct:/docker/8f\n4:memory:/docker/8f\n0::/\n",
        {"memory/memory.limit_in_bytes": "3000", "memory/memory.usage_in_bytes": "1000"}
        | {"memory/memory.stat": "total_inactive_file 50"},
        {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_nearest_limit_of_all_groups_counts(tmp_path, name, monkeypatch):
    groups, memory_files, cpu_files = MACHINES[name]
    root = machine(tmp_path, groups, memory_files | cpu_files)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert limits.memory_left(root) == 3000 - 1000 + 50
    assert limits.usable_cores(root) == 1


def test_without_limits_it_is_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    files = {"memory.max": "max", "memory.current": "7", "cpu.max": "max 100000"}
    files |= {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    for root in (machine(tmp_path, "0::/\n3:cpu:/\n", files), tmp_path / "no Linux"):
        assert limits.memory_left(root) == float("inf")
        assert limits.usable_cores(root) == 8


def test_the_command_line_counts_the_same_cores():
    code = "from kit.command.limits import usable_cores; print(usable_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{mpi.usable_cores()}\n"


def test_shared_memory_is_refused_with_what_there_is_before_anything_starts(monkeypatch):
    monkeypatch.setattr(limits, "shared_memory", lambda: (60_000_000, 64_000_000))
    memory.require_shared(60e6, "all of it", "-n")
    with pytest.raises(UserError) as caught:
        memory.require_shared(61e6, "more of it", "-n")
    assert str(caught.value) == (
        "more of it needs about 61 MB of shared memory, and /dev/shm has 60 MB free of 64 MB: give "
        "a smaller -n, or make it larger (docker run --shm-size=1g)"
    )
    memory.require_shared(61e6, "more of it", "-n", in_all=True)
    for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"^-n 64: the work needs about 70\.4 MB of shared"):
        mpi.ranks(64).__enter__()
    with pytest.raises(UserError, match=r"^-n 1: the work needs about 61 MB of shared"):
        mpi.ranks(1, shared_bytes=61e6).__enter__()
    monkeypatch.setattr(limits, "shared_memory", lambda: None)  # no Linux
    memory.require_shared(1e12, "anything", "-n")
