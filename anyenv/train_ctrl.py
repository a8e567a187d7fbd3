"""train_ctrl: evolve C in the game, seen through V and M, or in M's dream.

An importable module; `python run.py train_ctrl` is the command. Processes share the episodes of a
generation. Writes es_training.ckpt_path, the checkpoint that the same command goes on from, and
after each generation C's weights: the mean of the search, and the mean that did best in the game on
selection episodes, which nothing else uses. Logs and the learning curve are those of estool.

The checkpoint is a pickle, for your own use; the weights are json that anybody may read.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

from estool import evolve, sizes, state
from kit.command import mpi
from kit.files.atomic import read_json
from kit.files.weights import save_controller

from config import Config

LOG = "ctrl"  # what the names of the logs begin with
DREAMS = 512  # dreams at once in a process
SETTINGS = ("world", "temperature", "inputs", "max_steps", "precision")


@dataclass
class Paths(state.Paths):
    """Where a run of a config writes: the names are those of es_training."""

    saved: Path
    logs: Path

    @property
    def log(self) -> Path:
        return self.logs / LOG

    @property
    def checkpoint(self) -> Path:
        return self.saved

    @property
    def scalars(self) -> Path:
        return self.logs / "ctrl_events"


def evolution_arguments(config: Config, args) -> argparse.Namespace:
    """The flags of estool's loop for a config."""
    parser = argparse.ArgumentParser()
    evolve.add_arguments(parser)
    es, values = config.es, parser.parse_args([])
    values.optimizer, values.population, values.num_episode = "cma", es.popsize, es.n_episodes
    values.num_worker = None if es.processes == -1 else es.processes
    values.generations, values.eval_steps = es.epochs, min(es.eval_steps, es.epochs)
    values.eval_episodes, values.sigma_init = es.eval_episodes, es.sigma
    values.weight_decay, values.average = es.l2_decay, min(es.average, es.epochs)
    values.seed_start, values.restart = config.general.seed, args.restart
    values.init_opt = args.init
    return values


def make_rollouts(config: Config, args):
    """The function that evolve calls to play episodes, the size of a controller, what closes."""
    # Here, because the process that only starts mpirun has no use for TensorFlow.
    from kit.batches.rollout import run_rollouts
    from kit.tensors import precision

    from agent import Controllers, RealWorld, WorldModel
    from dream import Dream
    from env import make

    es = config.es
    precision.use_threads(1)
    kind = precision.resolve(es.precision)
    env = make(config.general)
    env.close()
    actions = env.actions
    model = WorldModel.load(config, actions, args.vae_path, args.mdn_path, kind)
    worlds = {"game": RealWorld(model, config, kind)}
    if es.world == "dream":
        worlds["dream"] = Dream(model.memory, actions, es.temperature, es.max_steps, kind)

    def rollouts(params, seeds, max_length, test):
        world = "game" if test else es.world
        batch = DREAMS if world == "dream" else es.batch
        limit = max_length if max_length > 0 else 0 if test else es.max_steps
        controllers = Controllers(params, config, actions)
        return run_rollouts(worlds[world], controllers.act, seeds, limit, batch)

    return rollouts, Controllers.size(config, actions), worlds["game"].close


def model_hash(config: Config, args) -> str:
    """Changes with the weights of V and M, which a run may not change."""
    paths = args.vae_path or config.vae.ckpt_path, args.mdn_path or config.rnn.ckpt_path
    parts = b"".join(Path(p).read_bytes() for p in paths if Path(p).is_file())
    return hashlib.sha256(parts).hexdigest()[:12]


def next_round(config: Config, args, values: argparse.Namespace) -> None:
    """Set `restart` and `init_opt` where V or M are others than those of the run that is there."""
    from agent import mind_path

    path = Path(f"{Path(config.es.logs_dir) / LOG}.settings.json")
    if not path.exists():
        return
    before, best = read_json(path), mind_path(config, "_best")
    if before.get("models") == model_hash(config, args):
        values.init_opt = before.get("init_opt") and Path(before["init_opt"])
    else:
        values.restart, values.init_opt = True, best if best.exists() else None


def run(config: Config, args) -> None:
    """Evolve C of `config`."""
    from agent import ROW_BYTES, mind_path

    es = config.es
    values = evolution_arguments(config, args)
    if args.next_round:
        next_round(config, args, values)
    rows = min(es.batch, max(sizes.of_rank(values)))
    rank_bytes = 2 * mpi.TENSORFLOW_BYTES + rows * ROW_BYTES
    smaller = "es_training.processes or es_training.batch"
    with mpi.ranks(values.num_worker, 0.0, rank_bytes, smaller) as ranks:
        rollouts, size, close = make_rollouts(config, args)
        try:
            settings = {name: getattr(es, name) for name in SETTINGS}
            settings |= {"game": config.general.game_name, "models": model_hash(config, args)}
            name = config.general.game_name.replace("/", "-")
            paths = Paths(Path(), name, Path(es.ckpt_path), Path(es.logs_dir))

            def kept(now: state.State) -> None:
                save_controller(mind_path(config, "_mean"), now.strategy.current_param())
                if now.log.best_params is not None:
                    best = now.log.best_params, now.log.best_score
                    save_controller(mind_path(config, "_best"), *best)

            evolve.run(values, ranks, name, size, rollouts, settings, paths=paths, kept=kept)
        finally:
            close()
