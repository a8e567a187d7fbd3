"""Rollouts of policies in a game, for train.py and model.py."""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from estool import games
from estool.policy import ACTIVATIONS, OUTPUTS, Controllers
from kit.batches.lockstep import LONG, GymWorld
from kit.batches.rollout import run_rollouts
from kit.command import cli, launch, memory
from kit.command.errors import UserError, say

BATCH = 32  # episodes at once in a rank
ENVIRONMENT_BYTES = 1e6  # of one, about; BipedalWalker has 0.4 million, MuJoCo's have 1.2
POLICY = ("layers", "activation", "output", "time_factor", "output_noise", "noise_bias")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the game and the flags of its policy, whose defaults are the game's own."""
    add = parser.add_argument
    known = ", ".join(games.ALIASES)
    add("game", help=f"a gymnasium id such as BipedalWalker-v3, or one of {known}")
    text = "sizes of the hidden layers; without a number a linear policy (default: the game's)"
    add("--layers", type=cli.positive_int, nargs="*", help=text)
    add(
        "--activation", choices=list(ACTIVATIONS), help="of the hidden layers (default: the game's)"
    )
    text = "activation of the outputs; sample draws a discrete action (default: the game's)"
    add("--output", choices=OUTPUTS, help=text)
    text = "above 0 the policy also sees its step number divided by this (default: the game's)"
    add("--time_factor", type=cli.non_negative_float, help=text)
    text = "1: the outputs have Gaussian noise of a learned size while training"
    add("--output_noise", type=int, choices=(0, 1), help=text + " (default: the game's)")
    text = "added to half its log-variance (default: the game's)"
    add("--noise_bias", type=cli.number(-20, 20), help=text)
    text = "end episodes after this many steps; -1, 0: only where the environment ends them"
    add("--max_length", type=cli.whole_number(-1), default=-1, help=text)
    add("--batch", type=cli.positive_int, default=BATCH, help="episodes at once in a rank")


def chosen_game(args: argparse.Namespace, saved: Path | None = None) -> games.Game:
    """The game with the policy of the flags, or else of the settings `saved` beside an agent."""
    game = games.find(args.game)
    values = {}
    if saved and saved.is_file():
        try:
            settings = json.loads(saved.read_text(encoding="utf-8"))
            values = {name: settings[name] for name in POLICY}
            values["layers"] = [int(size) for size in settings["layers"].split()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{saved}: expected the settings of a training ({error!r})") from error
    given = {name: getattr(args, name) for name in POLICY}
    values |= {name: value for name, value in given.items() if value is not None}
    if "layers" in values:
        values["layers"] = tuple(values["layers"])
    if "output_noise" in values:
        values["output_noise"] = bool(values["output_noise"])
    return dataclasses.replace(game, **values)


def settings(game: games.Game) -> dict:
    """What a continued run, and whoever replays its agent, must share with its beginning."""
    values = {name: getattr(game, name) for name in POLICY}
    return values | {"layers": " ".join(map(str, game.layers))}


class Rollouts:
    """Episodes of many policies in one process: the `rollouts` of evolve.py."""

    def __init__(self, game: games.Game, batch: int = BATCH, max_length: int = -1, shaped=False):
        """`shaped` training episodes have the game's shaping, test episodes never have."""
        self.policy = game.policy()
        self._game, self._batch, self._max_length = game, batch, max_length
        self._shaped = bool(shaped and game.shaping)
        self._worlds: dict[bool, GymWorld] = {}

    def __call__(
        self, params: np.ndarray, seeds: np.ndarray, max_length: int = -1, test: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Episode k is that of params[k], (K, P), with seeds[k]: returns (K,) and lengths (K,).

        In tests the policy draws no random numbers.
        """
        limits = [limit for limit in (max_length, self._max_length) if limit > 0]
        controllers = Controllers(self.policy, params, None if test else seeds)
        world = self._world(self._shaped and not test, min(self._batch, len(seeds)))
        rows = world.env.num_envs
        return run_rollouts(world, controllers.act, seeds, min(limits, default=None), rows)

    def _world(self, shaped: bool, count: int) -> GymWorld:
        world = self._worlds.get(shaped)
        if world is None or world.env.num_envs < count:
            if world:
                world.close()
            if not self._game.vector:
                what = f"{count} environments at once"
                memory.require(ENVIRONMENT_BYTES * count, what, "--batch")
            env = self._game.make_batch(count, shaped)
            if self._max_length < 1 and launch.is_first():
                env.long = _say_long
            world = self._worlds[shaped] = GymWorld(env, self._game.time_factor)
        return world

    def close(self) -> None:
        for world in self._worlds.values():
            world.close()


def _say_long(name: str) -> None:
    say(
        f"{name}: an episode has lasted {LONG} steps and goes on; if the environment never ends "
        "one, give --max_length"
    )


def random_parameters(num_params: int, seed: int) -> np.ndarray:
    """An agent nobody trained, (P,): normal weights of a random spread, as reference model.py."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(num_params) * rng.uniform(0, 0.01)
