"""What a container or a batch system lets this process have: its control groups' limits.

A job of a cluster, a container and a systemd scope are groups with groups above them, of which
each may have a limit. Files of version 2 of Linux's control groups, and of version 1.
"""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
SHARED = "/dev/shm"


def usable_cores(root: Path = ROOT) -> int:
    """The number of cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for folder in _groups(root, "cpu"):
        quota, period = _words(folder, "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")
        if quota and period and quota > 0:
            cores = min(cores, int(quota / period))
    return max(1, cores)


def memory_left(root: Path = ROOT) -> float:
    """Bytes until the nearest limit of a group, not counting what the kernel can give back."""
    left = float("inf")
    for folder in _groups(root, "memory"):
        limit, _ = _words(folder, "memory.max", "memory.limit_in_bytes")
        used, _ = _words(folder, "memory.current", "memory.usage_in_bytes")
        if limit is not None and used is not None:
            left = min(left, limit - used + _inactive(folder))
    return left


def shared_memory(folder: str = SHARED) -> tuple[int, int] | None:
    """Bytes of the file system in memory that processes share: free, in all. None: there is none.

    Docker's containers have 64 MB of it unless they are given more.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups and of those above."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = os.fsdecode((root / "proc/self/cgroup").read_bytes()).splitlines()
    except OSError:
        return  # no Linux
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0":
            top = mounted
        elif controller in names.split(","):
            top = mounted / controller
        else:
            continue
        folder = top / path.strip("/")
        # A container may see the path that the machine has for it, and its own group as the top.
        yield from (one for one in (folder, *folder.parents) if one == top or top in one.parents)


def _words(folder: Path, version_2: str, *version_1: str) -> tuple[int | None, int | None]:
    """The first two numbers of a file of version 2, or of the files of version 1."""
    words = []
    for name in (version_2, *version_1):
        try:
            words += (folder / name).read_text().split()
        except OSError:
            continue
    numbers = [int(word) if word.lstrip("-").isdigit() else None for word in words]  # "max": none
    return (*numbers, None, None)[:2]


def _inactive(folder: Path) -> int:
    """Bytes of files that the kernel keeps in memory while nobody needs it."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    counts = {name: int(value) for name, value in map(str.split, lines)}
    return counts.get("total_inactive_file", counts.get("inactive_file", 0))
