"""Which V, M and C a check judges: those named, else those trained here, else the shipped ones."""

import argparse
from pathlib import Path

from kit.command.errors import UserError


class Candidates:
    """The files to judge.

    vae, rnn, controller: None where there is none that belongs to the others
    shipped_vae, shipped: the shipped V, and the shipped (M, V), where others are judged
    """

    def __init__(self, args: argparse.Namespace, shipped_vae: Path, shipped_rnn: Path, world: str):
        """`args` has vae, rnn and controller, None where not named; agents lie in log/.

        Raises UserError where there is no V at all.
        """
        self.vae = args.vae or first_file(Path("tf_vae/vae.json"), shipped_vae)
        if self.vae is None:
            raise UserError(f"{shipped_vae} and tf_vae/vae.json: expected one of them, found none")
        own_vae = not same_file(self.vae, shipped_vae)
        # the shipped M speaks of the shipped V's latents and of no other's
        self.rnn = args.rnn or first_file(Path("tf_rnn/rnn.json"), None if own_vae else shipped_rnn)
        self.own_rnn = own_vae or not same_file(self.rnn, shipped_rnn)
        both = shipped_vae.is_file() and shipped_rnn.is_file()
        self.shipped_vae = shipped_vae if own_vae and both else None
        self.shipped = (shipped_rnn, shipped_vae) if self.own_rnn and both else None
        agents = sorted(Path("log").glob(f"{world}.*.best.json"), key=lambda p: p.stat().st_mtime)
        # train.py evolves with the V and M of --models: its agents belong to no others
        newest = agents[-1] if agents and not self.own_rnn else None
        self.controller = args.controller or newest


def first_file(*paths: Path | None) -> Path | None:
    """The first of `paths` that is a file."""
    return next((path for path in paths if path is not None and path.is_file()), None)


def same_file(one: Path | None, other: Path | None) -> bool:
    """Whether both files exist and are equal byte for byte."""
    if one is None or other is None or not (one.is_file() and other.is_file()):
        return False
    return one.read_bytes() == other.read_bytes()
