"""The files of V and M: arrays in an npz with what they belong to, read with checks.

An importable module, no command. They are written whole or not at all. V's file may hold its
encoder alone, which is all that playing takes; `export` ships such files in half precision.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import atomic_path

from config import Config
from data import differing, made_with
from rnn import MDNRNN, Size
from rnn_data import Rewards
from vae import VAE, shapes

ENCODER = 12  # of V's 22 arrays: those before the decoder's
LARGEST = 1e30


class Vision(VAE):
    """V as it is read from a file.

    can_decode: whether the file held its decoder, without which it can only encode
    """

    can_decode = True


class Memory(NamedTuple):
    """M and what a dream of it needs."""

    rnn: MDNRNN
    rewards: Rewards
    first: tuple[np.ndarray, np.ndarray]  # mu and logvar (N, Z) of first frames
    longest: int  # steps of the longest episode that it has seen


def size_of(config: Config, action_size: int) -> Size:
    """The M of a config, for actions of that width."""
    rnn = config.rnn
    return Size(
        config.vae.latent_space_dim,
        action_size,
        rnn.hidden_units,
        rnn.n_gaussians,
        rnn.reward,
        rnn.end,
    )


def save_vision(path: Path, variables, config: Config, encoder_only=False, half=False) -> None:
    """Write V's variables, the 22 arrays in their order."""
    arrays = [np.asarray(v) for v in variables][: ENCODER if encoder_only else None]
    _save(path, arrays, {"kind": "vision", "made_with": made_with(config.general)}, half)


def load_vision(path: Path, config: Config, precision: str = "float32") -> Vision:
    """V of `path`; UserError where it is none, of another size or of another environment.

    Without a decoder in the file its variables are random, and `can_decode` is false.
    """
    arrays, _ = _load(path, "vision", config)
    expected = shapes(config.vae.latent_space_dim)
    found = [array.shape for array in arrays]
    if found not in (expected, expected[:ENCODER]):
        latents = found[8][1] if len(found) > 8 and len(found[8]) == 2 else "no"
        raise UserError(
            f"{path} holds a V of {latents} latents, vae_training.latent_space_dim is "
            f"{config.vae.latent_space_dim}"
        )
    vae = Vision(config.vae.latent_space_dim, precision)
    for variable, array in zip(vae.variables, arrays, strict=False):
        variable.assign(array)
    vae.can_decode = len(arrays) == len(expected)
    return vae


def save_memory(path: Path, memory: Memory, config: Config, half=False) -> None:
    """Write M's four variables and the first latents."""
    about = {
        "kind": "memory",
        "made_with": made_with(config.general),
        "size": memory.rnn.size._asdict(),
        "rewards": memory.rewards._asdict(),
        "longest": memory.longest,
    }
    _save(path, [*memory.rnn.variables, *memory.first], about, half)


def load_memory(path: Path, config: Config, action_size: int) -> Memory:
    """M of `path`; UserError where it is none, of another size or of another environment."""
    arrays, about = _load(path, "memory", config)
    size = size_of(config, action_size)
    if about.get("size") != size._asdict():
        found = ", ".join(f"{k} {v}" for k, v in dict(about.get("size") or {}).items())
        wanted = ", ".join(f"{k} {v}" for k, v in size._asdict().items())
        raise UserError(f"{path} holds an M of {found}; the config asks for {wanted}")
    try:
        *variables, mu, logvar = arrays
        rewards = Rewards(**{k: float(v) for k, v in about["rewards"].items()})
        longest = int(about["longest"])
        right = [v.shape for v in variables] == size.shapes and len(mu) > 0
        right = right and mu.shape == logvar.shape == (len(mu), size.z_size)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no complete file of M ({error})") from error
    if not right:
        raise UserError(f"{path} is no complete file of M: an array has another shape")
    rnn = MDNRNN(size)
    rnn.variables = variables
    return Memory(rnn, rewards, (mu, logvar), longest)


def _save(path: Path, arrays, about: dict, half: bool) -> None:
    dtype = np.float16 if half else np.float32
    named = {f"array_{index}": a.astype(dtype) for index, a in enumerate(arrays)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, about=json.dumps(about), **named)


def _load(path: Path, kind: str, config: Config) -> tuple[list[np.ndarray], dict]:
    stage = {"vision": "train_vae", "memory": "train_mem"}[kind]
    if not Path(path).exists():
        raise UserError(f"{path}: there is no such file: {stage} writes it")
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            names = [f"array_{index}" for index in range(len(file.files) - 1)]
            arrays = [file[name].astype(np.float32) for name in names]
            other = about.get("kind") != kind
    except Exception as error:  # a damaged zip can raise anything
        raise UserError(f"{path} is no file of {stage} ({error})") from error
    if other:
        raise UserError(f"{path} holds {about.get('kind')}, expected the {kind} of {stage}")
    if not all((np.abs(array) < LARGEST).all() for array in arrays):
        raise UserError(f"{path} holds NaN or infinity")
    found = differing(about.get("made_with") or {}, config.general)
    if found:
        raise UserError(f"{path} was trained for {found}")
    return arrays, about
