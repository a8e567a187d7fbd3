"""A command that is given something bad: how it is run, and what is wrong with its answer."""

import dataclasses
import re
import resource
from collections.abc import Sequence
from pathlib import Path

from processes import Command, Ended

SAID = re.compile(r"\.py( [a-z_]+)?: ")  # a command's name, or a command's of run.py
ADDRESSES = 16 * 10**9  # bytes; TensorFlow alone takes four of them


@dataclasses.dataclass
class Outcome:
    """What was given (a line each), and what went wrong."""

    given: list[str]
    faults: list[str]


def run(arguments: Sequence[str], folder: Path, limit: float | None = None) -> Ended:
    """The command in a copy of this process; with `limit` it is told to end after so long.

    It gets no more than ADDRESSES: what takes too much shall not harm others.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, before[1]))
    try:
        command = Command(arguments, folder, forked=True)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    if limit and command.running_after(limit):
        command.process.terminate()
    return command.wait()


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files of `folder`, but for what the harness itself writes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {name: data for name, data in files.items() if name != "output.txt"}


def refused(ended: Ended, named: str) -> list[str]:
    """What is wrong with a refusal that has to be one sentence that names `named`."""
    faults = list(ended.faults)
    lines = [line for line in ended.output.splitlines() if line.strip()]
    if ended.status != 2:
        faults.append(f"status {ended.status} in place of 2")
    if not lines or named.lstrip("-") not in lines[-1]:
        faults.append(f"the last line does not name {named}")
    if sum(bool(SAID.search(line)) for line in lines) != 1:
        faults.append("not one sentence")
    return [f"{fault}\n{ended.output}" for fault in faults]
