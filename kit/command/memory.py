"""Memory: how much there is, and a sentence before the work where that is too little."""

from pathlib import Path

import psutil

from kit.command.errors import UserError

CGROUPS = (  # where a container finds its limit and what it uses: version 2, version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def available() -> int:
    """Bytes that this process can still have: of the machine, and of its container."""
    return min(psutil.virtual_memory().available, _left_in_container())


def require(needed: float, what: str, smaller: str) -> None:
    """UserError where `needed` bytes are more than there are.

    `what` needs them, and `smaller` are the flags that make it need less.
    """
    free = available()
    if needed > free:
        raise UserError(
            f"{what} needs about {needed / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are "
            f"free: give a smaller {smaller}"
        )


def _left_in_container() -> float:
    for limit, used in CGROUPS:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())  # "max": no limit
            lines = Path(used).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        counts = {name: int(value) for name, value in map(str.split, lines)}
        return left + counts.get("total_inactive_file", counts.get("inactive_file", 0))
    return float("inf")
