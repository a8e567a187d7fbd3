"""The name of the world that a folder of results belongs to, in a file beside its weights.

Two worlds may have weights of the same sizes. Then V or M of one would run on the other without an
error. A folder without a name, as the reference's are, belongs to any world.
"""

import os
from pathlib import Path

from kit.command.errors import UserError
from kit.files.atomic import read_json, write_json

FILE = "world.json"


def claim(folder: str | os.PathLike, world: str) -> None:
    """Write the name of `world` into a folder that this stage fills; UserError: it has another."""
    check(Path(folder) / FILE, world)
    if not (Path(folder) / FILE).exists():
        write_json(Path(folder) / FILE, {"world": world})


def check(path: str | os.PathLike, world: str) -> None:
    """UserError where the folder of the file `path` has the name of another world."""
    named = Path(path).parent / FILE
    if not named.is_file():
        return
    value = read_json(named)
    found = value.get("world") if isinstance(value, dict) else None
    if found != world:
        raise UserError(
            f"{named.parent} belongs to the world {found!r}, and this one is {world!r}: name "
            "another folder, or make its files anew"
        )
