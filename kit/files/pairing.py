"""Which weights an agent was evolved with: their digests in its settings, compared when it plays.

A controller reads the latents of one V and the states of one M. With others it plays badly, and
nothing else would tell. Settings of earlier versions have no digests and belong to any weights.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from kit.command import launch
from kit.command.errors import UserError, say
from kit.files.atomic import read_json

KEY = "evolved_with"  # in the settings: name of the part -> sha256 of its file


def digests(weights: Mapping[str, Path]) -> dict[str, str]:
    """The sha256 of each file; UserError where one cannot be read."""
    result = {}
    for name, path in weights.items():
        try:
            result[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    return result


def settings_beside(agent: Path) -> Path:
    """The settings of the training that wrote x.json or x.best.json: x.settings.json."""
    return agent.with_name(
        agent.name.removesuffix(".json").removesuffix(".best") + ".settings.json"
    )


def others(settings: Path, weights: Mapping[str, Path]) -> list[Path]:
    """The files of `weights` that are not those which `settings` were written with."""
    if not settings.is_file():
        return []
    saved = read_json(settings)
    known = saved.get(KEY) if isinstance(saved, dict) else None
    if not isinstance(known, dict):
        return []
    now = digests({name: path for name, path in weights.items() if name in known})
    return [weights[name] for name in now if now[name] != known[name]]


def mismatch(agent: Path, weights: Mapping[str, Path]) -> str | None:
    """A sentence where `agent` was evolved with other weights than these."""
    found = others(settings_beside(agent), weights)
    if not found:
        return None
    return (
        f"{agent} was evolved with other weights than {' and '.join(map(str, found))}: it was not "
        "made for these, and its score says nothing about them"
    )


def warn(agent: Path, weights: Mapping[str, Path]) -> None:
    """Say that sentence, where there is one, in the first of several processes."""
    said = mismatch(agent, weights)
    if said and launch.is_first():
        say(said)
