"""The config: four sections of typed keys in a json file, what is missing from config.json.dist.

An importable module, no command. A key that nobody knows, a value of another type or out of its
range is one sentence that names the key. No string of it is ever evaluated.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from kit.command.errors import UserError
from kit.files.atomic import read_json

DIST = Path(__file__).with_name("config.json.dist")
DEFAULT = Path("config.json")
SLICE = re.compile(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?)?")


@dataclass(frozen=True)
class Key:
    """What a key may be, and what it means."""

    accepts: Callable[[object], bool]
    expected: str
    meaning: str


def whole(least: int, most: int, meaning: str) -> Key:
    def accepts(value):
        return type(value) is int and least <= value <= most

    return Key(accepts, f"a whole number from {least} to {most}", meaning)


def number(least: float, most: float, meaning: str) -> Key:
    def accepts(value):
        return type(value) in (int, float) and least <= value <= most

    return Key(accepts, f"a number from {least:g} to {most:g}", meaning)


def choice(*names: str, meaning: str) -> Key:
    return Key(lambda value: value in names, "one of " + ", ".join(names), meaning)


def text(meaning: str) -> Key:
    return Key(lambda value: isinstance(value, str) and bool(value), "a text", meaning)


def flag(meaning: str) -> Key:
    return Key(lambda value: isinstance(value, bool), "true or false", meaning)


def _is_crop(value) -> bool:
    return isinstance(value, str) and parse_slices(value) is not None


def _is_squash(value) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(kind in SQUASHES for kind in kinds)


SQUASHES = ("scale", "positive")
SHAPES = ([64, 64, 3], [64, 64, 1])
AGENTS = ("random", "held", "car_racing", "agent")
INPUTS = ("z", "zh", "zch")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("auto", "float32", "bfloat16")
MOST = 10**9

KEYS: Mapping[str, Mapping[str, Key]] = {
    "general": {
        "game_name": text("a gymnasium id, or module:Id of an environment of your own"),
        "state_shape": Key(
            lambda value: value in SHAPES,
            "[64, 64, 3] or [64, 64, 1]",
            "of a frame; one channel is grey",
        ),
        "crop_range": Key(
            _is_crop, 'slices such as "[30:183, 28:131, :]"', "what is kept of a frame, by axis"
        ),
        "generating_agent": choice(*AGENTS, meaning="who plays while record_data records"),
        "agent_noise": number(0, 100, "agent: deviation of the noise on its weights, an episode"),
        "observation": choice(
            "auto", "pixels", "render", meaning="where frames come from; auto: pixels if it has any"
        ),
        "channels": choice(
            "colour", "history", meaning="history: the last three grey frames as the channels"
        ),
        "action_repeat": whole(1, 100, "steps of the environment that an action lasts"),
        "max_steps": whole(0, MOST, "of an episode, in steps of the environment; 0: its own limit"),
        "action_squash": Key(
            _is_squash,
            "scale or positive, or a list of them, one for each action",
            "Box: how an output fills the limits; positive: only above 0",
        ),
        "environment_arguments": Key(
            lambda value: isinstance(value, dict), "an object", "given to gymnasium.make"
        ),
        "seed": whole(0, 10**6, "fixes recordings, weights, order, noise and candidates"),
    },
    "vae_training": {
        "batch_size": whole(1, 100_000, "frames of a step"),
        "latent_space_dim": whole(1, 1024, "numbers in z"),
        "epochs": whole(1, MOST, "passes over the recordings, at most"),
        "more_epochs": whole(0, MOST, "the same where it goes on from weights; 0: as many"),
        "learning_rate": number(1e-9, 1, "Adam's"),
        "patience": whole(1, MOST, "epochs without a better held-out loss until the end"),
        "reconstruction_weight": number(1e-6, 1e6, "of the squared error beside the KL term"),
        "schedule": choice(*SCHEDULES, meaning="of the learning rate; cosine falls over `epochs`"),
        "precision": choice(*PRECISIONS, meaning="of the layers"),
        "ckpt_path": text("the best weights of V"),
        "logs_dir": text("folder of logs and pictures"),
    },
    "rnn_training": {
        "batch_size": whole(1, 100_000, "sequences side by side"),
        "sequence_len": whole(2, 10**6, "steps of a sequence"),
        "terminal_prob": number(0, 1, "that a part of a longer episode is its last one"),
        "dataset_fraction": number(1e-9, 1, "of the episodes that is used, the first ones"),
        "hidden_units": whole(1, 8192, "cells of the LSTM"),
        "n_gaussians": whole(1, 100, "mixtures of a latent"),
        "temperature": number(1e-3, 100, "of the dreams that are drawn"),
        "epochs": whole(1, MOST, "passes over the episodes, at most"),
        "more_epochs": whole(0, MOST, "the same where it goes on from weights; 0: as many"),
        "learning_rate": number(1e-9, 1, "Adam's"),
        "patience": whole(1, MOST, "epochs without a better held-out loss until the end"),
        "rend_n_rollouts": whole(1, 1000, "--render: frames of a dream that are drawn"),
        "rend_n_episodes": whole(1, 1000, "--render: episodes that are drawn"),
        "rend_step": whole(1, 10**5, "--render: every so many frames"),
        "reward": choice(
            "gaussian",
            "bernoulli",
            "none",
            meaning="what M predicts of rewards; two values: bernoulli; none: a dreamed step is 1",
        ),
        "end": flag("M predicts the end of an episode"),
        "gradient_steps": whole(1, 1000, "that the gradient goes back, at most"),
        "schedule": choice(*SCHEDULES, meaning="of the learning rate; cosine falls over `epochs`"),
        "precision": choice(*PRECISIONS, meaning="of the matrix products"),
        "ckpt_path": text("the best weights of M"),
        "logs_dir": text("folder of logs and pictures"),
    },
    "es_training": {
        "epochs": whole(1, MOST, "generations"),
        "popsize": whole(3, 10**6, "candidates of a generation"),
        "n_episodes": whole(1, 10**6, "episodes that a candidate plays"),
        "processes": Key(
            lambda value: type(value) is int and (value == -1 or 1 <= value <= 10_000),
            "-1 or a whole number from 1 to 10000",
            "that share the episodes; -1: one for each core",
        ),
        "l2_decay": number(0, 1e6, "times the mean of the squared weights is taken off"),
        "world": choice("game", "dream", meaning="where candidates play; dream: in M"),
        "temperature": number(1e-3, 100, "of the dream"),
        "inputs": choice(*INPUTS, meaning="what C sees of z, c and h"),
        "sigma": number(1e-6, 1e3, "step size at the start"),
        "average": whole(1, 10_000, "generations whose means are averaged into the one evaluated"),
        "eval_steps": whole(1, MOST, "generations between evaluations of the mean in the game"),
        "eval_episodes": whole(1, 100_000, "selection episodes of an evaluation"),
        "max_steps": whole(0, MOST, "of a training episode, in actions; 0: no other limit"),
        "batch": whole(1, 100_000, "games at once in a process"),
        "precision": choice(*PRECISIONS, meaning="of V and M while C trains"),
        "ckpt_path": text("checkpoint of the evolution, to go on from"),
        "mind_path": text("weights of C: _best and _mean are put before the suffix"),
        "logs_dir": text("folder of logs and pictures"),
    },
}


class Config(SimpleNamespace):
    """The four sections, each a namespace of its keys: `general`, `vae`, `rnn`, `es`.

    defaulted: {section: {key: value}} that came from config.json.dist
    """

    def values(self) -> dict:
        """All keys, {"section.key": value}."""
        sections = zip(KEYS, (self.general, self.vae, self.rnn, self.es), strict=True)
        return {
            f"{name}.{key}": v for name, section in sections for key, v in vars(section).items()
        }


def load(path: Path | None = None) -> Config:
    """The config in `path`; None: config.json if there is one, else only config.json.dist.

    Raises UserError naming the file and the key that is wrong.
    """
    name = path or DEFAULT
    given = read_json(name) if path is not None or DEFAULT.is_file() else {}
    if not isinstance(given, dict):
        raise UserError(f"{name}: expected an object of sections, found {_short(given)}")
    values, defaulted = read_json(DIST), {}
    for section in given:
        if section not in KEYS:
            raise UserError(f"{name}: {section} is no section{_nearest(section, KEYS)}")
        if not isinstance(given[section], dict):
            raise UserError(f"{name}: {section}: expected an object of keys")
        for key in given[section]:
            if key not in KEYS[section]:
                near = _nearest(key, KEYS[section])
                raise UserError(f"{name}: {section}.{key} is no key{near}")
    for section, keys in KEYS.items():
        own = given.get(section, {})
        defaulted[section] = {k: values[section][k] for k in keys if k not in own}
        values[section] |= own
        for key, kind in keys.items():
            value = values[section][key]
            if not kind.accepts(value):
                source = name if key in own else DIST.name
                raise UserError(
                    f"{source}: {section}.{key}: expected {kind.expected}, found {_short(value)}"
                )
    general, vae, rnn, es = (SimpleNamespace(**values[section]) for section in KEYS)
    if general.channels == "history" and general.state_shape[2] != 3:
        raise UserError(f"{name}: general.channels history needs state_shape [64, 64, 3]")
    return Config(general=general, vae=vae, rnn=rnn, es=es, defaulted=defaulted, name=str(name))


def parse_slices(words: str) -> tuple[slice, ...] | None:
    """The slices of "[30:183, 28:131, :]", at most three; None where it says anything else."""
    words = words.strip()
    if not (words.startswith("[") and words.endswith("]")):
        return None
    slices = []
    for part in words[1:-1].split(","):
        match = SLICE.fullmatch(part)
        if match is None or ":" not in part or match[3] == "0":
            return None
        try:
            slices.append(slice(*(int(v) if v else None for v in match.groups())))
        except ValueError:  # a lone minus
            return None
    return tuple(slices) if len(slices) <= 3 else None


def describe() -> str:
    """All keys with their meaning and default, for --help."""
    values = read_json(DIST)
    lines = []
    for section, keys in KEYS.items():
        lines.append(f"{section}:")
        for key, kind in keys.items():
            default = json.dumps(values[section][key])
            lines.append(f"  {key}: {kind.expected}; {kind.meaning} (default {default})")
    return "\n".join(lines)


def _nearest(word: str, known) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.0)
    return f"; the nearest is {near[0]}" if near else ""


def _short(value) -> str:
    words = json.dumps(value)
    return words if len(words) <= 60 else words[:57] + "..."
