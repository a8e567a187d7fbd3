"""The flags of a run, resolved, and the versions that ran: saved beside its results."""

import argparse
import importlib.metadata
import os
import platform

from kit.files.atomic import write_json


def save_settings(path: str | os.PathLike, args: argparse.Namespace) -> None:
    """Write the resolved value of every flag, and the versions that ran, as json to `path`."""
    values = {key: _plain(value) for key, value in sorted(vars(args).items())}
    write_json(path, {**values, "versions": _versions()}, indent=2)


def _plain(value):
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    names = ("numpy", "tensorflow_cpu", "tensorflow", "keras", "gymnasium", "mujoco", "vizdoom")
    for name in (*names, "cma"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
