"""The state of an evolution: checkpointed in every generation, and continued from there."""

import argparse
import dataclasses
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from estool import es
from estool.history import SUFFIXES, Log
from estool.subspace import Subspace
from kit.command.errors import UserError
from kit.files import pairing
from kit.files.atomic import atomic_path
from kit.files.settings import save_settings
from kit.files.weights import load_controller


@dataclasses.dataclass
class State:
    """All that a run needs to continue: what its checkpoint holds."""

    settings: dict
    strategy: es.Strategy
    rng: np.random.Generator
    log: Log = dataclasses.field(default_factory=Log)
    generation: int = 0
    seconds: float = 0.0
    max_length: int = -1
    means: list[np.ndarray] = dataclasses.field(default_factory=list)  # of the last generations


@dataclasses.dataclass
class Paths:
    """Where a run writes."""

    directory: Path
    name: str

    @property
    def log(self) -> Path:
        return self.directory / "log" / self.name

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoint" / f"{self.name}.pkl"

    @property
    def scalars(self) -> Path:
        return self.directory / "runs" / self.name

    def written(self) -> list[Path]:
        """The files of a run that are there."""
        suffixes = (*SUFFIXES, ".png", ".settings.json")
        files = [Path(f"{self.log}{suffix}") for suffix in suffixes]
        return [file for file in (*files, self.checkpoint) if file.exists()]


def begin(
    paths: Paths,
    settings: dict,
    restart: bool,
    directions: Callable[[], np.ndarray] | None = None,
) -> State:
    """The state to continue from, or a fresh one; files of another run are moved aside.

    `directions`, where given, is called for a fresh one: see evolve.run.
    """
    if paths.checkpoint.exists() and not restart:
        state = _load(paths.checkpoint, advice=": give --restart to start afresh")
        for key in settings | state.settings:
            then, now = state.settings.get(key), settings.get(key)
            if then != now:
                raise UserError(
                    f"{paths.checkpoint} was made with {key} {then}, and now it is {now}: "
                    "give the same settings to continue, or --restart to start afresh"
                )
        state.log.write(paths.log, state.strategy.current_param())
        print(f"continuing after generation {state.generation}")
        return state
    strategy_seed, episode_seed = np.random.SeedSequence(settings["seed_start"]).spawn(2)
    seed = int(strategy_seed.generate_state(1)[0])
    strategy = _first_strategy(settings, seed, directions() if directions else None)
    _move_aside(paths)
    return State(settings, strategy, np.random.default_rng(episode_seed))


def note(paths: Paths, settings: dict, weights: Mapping[str, Path]) -> None:
    """Write the run's settings beside its results, with the digests of the `weights` of V and M.

    UserError where a continued run began with others.
    """
    path = Path(f"{paths.log}.settings.json")
    if paths.checkpoint.exists() and (found := pairing.others(path, weights)):
        raise UserError(
            f"{paths.checkpoint} began with another {found[0]}: put that back to continue, give "
            "other --models, or --restart to start afresh"
        )
    known = {pairing.KEY: pairing.digests(weights)} if weights else {}
    save_settings(path, argparse.Namespace(**settings, **known))


def _first_strategy(settings: dict, seed: int, directions: np.ndarray | None) -> es.Strategy:
    """A fresh strategy, or what --init_opt names; along `directions` (P, K), where given."""
    num_params = settings["num_params"]
    strategy = es.make(
        settings["optimizer"],
        num_params if directions is None else directions.shape[1],
        settings["population"],
        settings["sigma_init"],
        settings["weight_decay"],
        seed,
        settings.get("sigma_decay", 1.0),
        bool(settings["antithetic"]),
    )
    if directions is not None:
        strategy = Subspace(strategy, directions)
    source = Path(settings.get("init_opt", ""))
    if source.suffix == ".pkl":
        other = _load(source, "--init_opt ").strategy
        if str(other) != str(strategy):
            raise UserError(f"--init_opt {source}: expected {strategy}, found {other}")
        return other
    if source.name:
        strategy.set_mu(load_controller(source, num_params))
    return strategy


def _load(path: Path, flag: str = "", advice: str = "") -> State:
    """The state in a checkpoint, which `flag` has named; UserError, with `advice`, without one."""
    try:
        with path.open("rb") as file:
            state = pickle.load(file)
        found = f"a {type(state).__name__}"
    except Exception as error:  # a damaged pickle can raise anything
        state, found = None, f"a damaged file ({error or type(error).__name__})"
    if not isinstance(state, State):
        raise UserError(
            f"{flag}{path}: expected the checkpoint of an evolution, found {found}{advice}"
        )
    return state


def _move_aside(paths: Paths) -> None:
    """Keep the files of an earlier run of this name, which may have taken days."""
    files = paths.written()
    if not files:
        return
    number = 1
    while (folder := paths.log.parent / f"previous-{number}").exists():
        number += 1
    folder.mkdir(parents=True)
    for file in files:
        file.rename(folder / file.name)
    print(f"{paths.log}.* of an earlier run are now in {folder}")


def save(paths: Paths, state: State) -> None:
    """Checkpoint first: the logs can be written again from it, but not the other way round."""
    with atomic_path(paths.checkpoint) as temporary, temporary.open("wb") as file:
        pickle.dump(state, file, protocol=pickle.HIGHEST_PROTOCOL)
    state.log.write(paths.log, state.strategy.current_param())
