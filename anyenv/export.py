"""export: V's encoder, M and C as files of a megabyte or two, in half precision.

An importable module; `python run.py export agents/cartpole` is the command. The decoder, four
fifths of V, is left out: such an agent plays, but its dreams cannot be drawn.
"""

from pathlib import Path

from kit.command import locks
from kit.files.weights import save_controller

import talk
from agent import WorldModel, load_mind, mind_path
from config import Config
from env import make
from models import save_memory, save_vision


def run(config: Config, args) -> None:
    """Write vision.ckpt, memory.ckpt and mind.ckpt into `args.output`."""
    env = make(config.general)
    env.close()
    model = WorldModel.load(config, env.actions, args.vae_path, args.mdn_path)
    source = args.controller_path or mind_path(config, "_best")
    mind = load_mind(source, config, env.actions)
    with locks.only_one(args.output):
        names = [args.output / name for name in ("vision.ckpt", "memory.ckpt", "mind.ckpt")]
        variables = [v.numpy() for v in model.vae.variables]
        save_vision(names[0], variables, config, encoder_only=True, half=True)
        save_memory(names[1], model.memory, config, half=True)
        save_controller(names[2], mind)
        size = sum(Path(name).stat().st_size for name in names)
    talk.result(
        f"{args.output}: {', '.join(name.name for name in names)}, {size / 1e6:.2f} MB; play them "
        f"with eval -v {names[0]} -m {names[1]} -c {names[2]}"
    )
