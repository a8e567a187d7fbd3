"""Memory: how much is available, and an error before the work where it is too little."""

from kit.command import limits
from kit.command.errors import UserError


def available() -> int:
    """Bytes that this process can still have: of the machine, and of its container or job."""
    import psutil  # here, because it cannot be loaded before cli.begin has seen to the encoding

    return min(psutil.virtual_memory().available, limits.memory_left())


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


def require_shared(needed: float, what: str, smaller: str, in_all: bool = False) -> None:
    """UserError where `needed` bytes are more than /dev/shm has free, or `in_all`.

    Processes talk through it; whoever writes beyond its end is ended by a signal.
    """
    found = limits.shared_memory()
    if found and needed > found[in_all]:
        free, size = (f"{count / 1e6:.3g} MB" for count in found)
        raise UserError(
            f"{what} needs about {needed / 1e6:.3g} MB of shared memory, and {limits.SHARED} has "
            f"{free} free of {size}: give a smaller {smaller}, or make it larger (docker run "
            "--shm-size=1g)"
        )
