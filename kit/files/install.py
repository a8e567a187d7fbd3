"""Put trained weights where the room's other commands look for them.

  python -m kit.files.install tf_vae/vae.json tf_rnn/rnn.json --to tf_models

Copies each file, and the name of its world, whole or not at all. What it replaces is kept in
previous-<number>/ of that folder, and a line says so. With --keep a file that is there stays.
"""

from kit.command import cli

cli.begin(__name__)

import shutil
from pathlib import Path

from kit.command.errors import UserError
from kit.files import worlds
from kit.files.atomic import atomic_path


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("files", type=cli.existing_file, nargs="+", help="what to install")
    add("--to", type=Path, required=True, metavar="FOLDER", help="where to")
    add("--keep", action="store_true", help="leave files of these names that are there already")
    return cli.parse(parser, argv=argv)


def install(source: Path, folder: Path, kept: Path, keep: bool = False) -> None:
    """Copy `source` into `folder`, with its world's name; what it replaces gets into `kept`."""
    target = folder / source.name
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    if target.exists() and keep:
        print(f"{target} is left as it is; {source} is not installed")
        return
    if target.exists():
        kept.mkdir(exist_ok=True)
        shutil.copy2(target, kept / target.name)
        print(f"{target} is replaced; the earlier one is kept in {kept}")
    named = source.with_name(worlds.FILE)
    for path in (named, source) if named.is_file() else (source,):
        with atomic_path(folder / path.name) as temporary:
            shutil.copyfile(path, temporary)


def _free_folder(folder: Path) -> Path:
    number = 1
    while (kept := folder / f"previous-{number}").exists():
        number += 1
    return kept


def main(argv=None):
    args = parse(argv)
    names = [path.name for path in args.files]
    if len(set(names)) < len(names):
        raise UserError(f"expected files of different names, found {', '.join(names)}")
    kept = _free_folder(args.to)
    for path in args.files:
        install(path, args.to, kept, args.keep)


if __name__ == "__main__":
    cli.run(main)
