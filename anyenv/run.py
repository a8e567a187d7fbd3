"""A world model of any gymnasium environment, by a json config: V sees, M expects, C acts.

  python run.py record_data data/vae.hdf5                    play games and keep them
  python run.py train_vae data/vae.hdf5                      V
  python run.py convert_data data/vae.hdf5 data/mem.hdf5     frames as V's latents
  python run.py train_mem data/mem.hdf5                      M
  python run.py train_ctrl                                   C
  python run.py eval                                         the score of all three

Parameters stand in a json file of four sections: config.json where there is one, or the one of -c.
What it does not say is taken from config.json.dist. `python run.py keys` explains every key.
Each command goes on where it stopped when it is started again.
"""

from kit.command import cli

cli.begin(__name__)

import argparse
import contextlib
import json
import os
from importlib import import_module
from pathlib import Path

import config
import talk

DTYPES = ("uint8", "u1", "uint16", "int16", "int32", "float16", "float32", "float64")
COMMANDS = {  # name: the module whose `run(config, args)` it is, and what it does
    "record_data": ("record_data", "play games and keep them in an HDF5 file"),
    "train_vae": ("train_vae", "train V on the frames of an HDF5 file"),
    "convert_data": ("convert_data", "encode the frames of an HDF5 file with V into another one"),
    "train_mem": ("train_mem", "train M on the latents of an HDF5 file"),
    "train_ctrl": ("train_ctrl", "evolve C in the game, or in M's dream"),
    "eval": ("evaluate", "play games with V, M and C, and tell their returns"),
    "dream": ("show_dream", "watch C in M's dream, or play there"),
    "check": ("study.check", "say which stage is bad: V, M, the dream or C"),
    "export": ("export", "write V's encoder, M and C as small files"),
    "keys": ("keys", "explain every key of a config"),
}
SECTIONS = {  # of the config that a command reads, where it does not read all
    "record_data": ("general",),
    "train_vae": ("general", "vae_training"),
    "convert_data": ("general", "vae_training"),
    "train_mem": ("general", "vae_training", "rnn_training"),
}


def parser() -> argparse.ArgumentParser:
    """The parser of the script and of all its commands."""
    main = cli.parser(__doc__)
    add, switch = main.add_argument, argparse.BooleanOptionalAction
    text = "path to the json config (default: config.json, if there is one)"
    add("-c", "--config-path", type=cli.existing_file, metavar="JSON", help=text)
    add("--debug", action=switch, default=False, help="say more")
    add("--quiet", action=switch, default=False, help="say results and errors only")
    text = "draw pictures of what is recorded, reconstructed, dreamed or played"
    add("--render", action=switch, default=False, help=text)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, meaning) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=meaning,
            description=meaning,
            formatter_class=main.formatter_class,
            allow_abbrev=False,
        )
        _ARGUMENTS.get(name, lambda sub: None)(sub)
    return main


def _record_data(sub) -> None:
    sub.add_argument("path", type=Path, help="HDF5 file; one that is there is topped up")
    text = "games that the file holds in the end"
    sub.add_argument("-n", "--n_games", type=cli.positive_int, default=10_000, help=text)
    text = "frames of a piece of the file, the least that is read at once"
    sub.add_argument(
        "-c", "--chunk_size", type=cli.whole_number(1, 100_000), default=128, help=text
    )
    text = "numpy type of the frames"
    sub.add_argument("-t", "--state_dtype", choices=DTYPES, default="uint8", help=text)
    text = "processes that play (default: one for each core)"
    sub.add_argument("--processes", type=cli.positive_int, help=text)
    text = "general.generating_agent agent: its weights (default: es_training.mind_path, best)"
    sub.add_argument("--controller_path", type=Path, help=text)
    text = "who plays these games, in place of general.generating_agent"
    sub.add_argument("--agent", choices=config.AGENTS, help=text)


def _train_vae(sub) -> None:
    sub.add_argument("path", type=Path, help="HDF5 file of record_data")


def _convert_data(sub) -> None:
    sub.add_argument("path", type=Path, help="HDF5 file of record_data")
    sub.add_argument("output", type=Path, help="HDF5 file to write")
    _model_paths(sub, ("v",))


def _train_mem(sub) -> None:
    sub.add_argument("path", type=Path, help="HDF5 file of convert_data")
    _model_paths(sub, ("v",))


def _train_ctrl(sub) -> None:
    _model_paths(sub, ("v", "m"))
    text = "weights of C to begin with, such as a mind_best.ckpt"
    sub.add_argument("--init", type=cli.existing_file, help=text)
    text = "where V or M have changed since, start afresh from the best C so far; else go on"
    sub.add_argument("--next_round", action="store_true", help=text)
    text = "start afresh; the files of the earlier run are kept in previous-<number>/"
    sub.add_argument("--restart", action="store_true", help=text)


def _eval(sub) -> None:
    sub.add_argument("-n", "--n_games", type=cli.positive_int, default=3, help="games to play")
    _model_paths(sub, ("v", "m", "c"))
    text = "who plays; the others than agent need no weights"
    players = ("agent", "random", "held", "car_racing")
    sub.add_argument("--policy", choices=players, default="agent", help=text)
    text = "processes that play (default: one for each core)"
    sub.add_argument("--processes", type=cli.positive_int, help=text)
    sub.add_argument("--seed", type=cli.non_negative_int, default=0, help="of the first game")
    text = "play in M's dream instead of the game"
    sub.add_argument("--dream", action="store_true", help=text)
    sub.add_argument("--csv", type=cli.file_in(".csv"), help="write the score of every game here")
    sub.add_argument("--gif", type=cli.file_in(".gif"), help="show one game in this .gif")


def _dream(sub) -> None:
    _model_paths(sub, ("v", "m", "c"))
    sub.add_argument("--play", action="store_true", help="let a person choose the actions")
    sub.add_argument("--temperature", type=cli.number(1e-3, 100), help="(default: es_training's)")
    sub.add_argument("--episodes", type=cli.positive_int, default=3, help="then it ends")
    sub.add_argument("--seed", type=cli.non_negative_int, default=0, help="of the first dream")
    sub.add_argument("--fps", type=cli.positive_int, default=30, help="steps a second")
    text = "write the dreams into this file, without a screen"
    sub.add_argument("--gif", type=cli.file_in(".gif"), help=text)
    sub.add_argument("--video", type=cli.file_in(".mp4"), help=text)


def _check(sub) -> None:
    _model_paths(sub, ("v", "m", "c"))
    sub.add_argument("--episodes", type=cli.positive_int, default=8, help="games to play")
    sub.add_argument("--frames", type=cli.positive_int, default=1000, help="that V is judged on")
    sub.add_argument("--output", type=Path, default=Path("check"), help="folder of the pictures")


def _export(sub) -> None:
    sub.add_argument("output", type=Path, help="folder of the small files")
    _model_paths(sub, ("v", "m", "c"))


def _model_paths(sub, letters) -> None:
    names = {"v": ("vae", "V"), "m": ("mdn", "M"), "c": ("controller", "C")}
    for letter in letters:
        name, part = names[letter]
        text = f"weights of {part} (default: those that the config names)"
        sub.add_argument(f"-{letter}", f"--{name}_path", type=Path, metavar="CKPT", help=text)


_ARGUMENTS = {
    "record_data": _record_data,
    "train_vae": _train_vae,
    "convert_data": _convert_data,
    "train_mem": _train_mem,
    "train_ctrl": _train_ctrl,
    "eval": _eval,
    "dream": _dream,
    "check": _check,
    "export": _export,
}


def main(argv=None) -> None:
    args = parser().parse_args(argv)
    talk.set_up(args.debug, args.quiet)
    with contextlib.ExitStack() as stack:
        if args.quiet:  # what the shared packages print is information too
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        if args.command == "keys":
            talk.result(config.describe())
            return
        values = config.load(args.config_path)
        tell_defaults(values, SECTIONS.get(args.command, tuple(values.defaulted)))
        if args.command != "dream":  # games are drawn into memory; only dreams may open a window
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        talk.debug(f"{values.name} and {config.DIST.name}: {json.dumps(values.values())}")
        import_module(COMMANDS[args.command][0]).run(values, args)


def tell_defaults(values: config.Config, sections: tuple[str, ...]) -> None:
    """Say what of `sections` came from config.json.dist, once for all processes of a command."""
    if any(name in os.environ for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK")):
        return
    for section, keys in values.defaulted.items():
        if keys and section in sections:
            words = ", ".join(f"{key} {json.dumps(value)}" for key, value in keys.items())
            talk.info(f"{config.DIST.name} gives {section}: {words}")


if __name__ == "__main__":
    cli.run(main)
