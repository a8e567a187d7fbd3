"""eval: the returns of V, M and C together over some games, on test seeds.

An importable module; `python run.py eval` is the command. Everything is computed in float32, so
that scores agree between machines. `--render` or `--gif` shows the first game.
"""

from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.command import mpi, seeds
from kit.files import scores

import talk
from config import Config

GIF = "eval.gif"  # of --render, in es_training.logs_dir


def run(config: Config, args) -> None:
    """Play `args.n_games` games and say what came out."""
    trial_seeds = seeds.test_seeds(args.seed, args.n_games)
    count = min(args.processes or mpi.usable_cores(), args.n_games)
    needed = 2 * mpi.TENSORFLOW_BYTES
    with mpi.ranks(count, rank_bytes=needed, smaller="--processes") as ranks:
        part = score(config, args, trial_seeds[ranks.share(args.n_games)])
        rows = ranks.collect(part, args.n_games)
        if ranks.rank:
            return
        returns, lengths = rows.T
        for trial, (value, length) in enumerate(zip(returns, lengths, strict=True)):
            seed = args.seed + trial
            talk.info(f"game {trial} seed {seed} return {value:.2f} steps {int(length)}")
        if args.csv:
            scores.save_csv(args.csv, returns, lengths.astype(int), args.seed)
        talk.result(f"{args.n_games} games, {scores.summary(returns, args.seed)}")
    if args.render or args.gif:
        import show_game  # here, because scoring needs no pictures

        world, act = players(config, args, np.array([args.seed]))
        show_game.save(world, act, args.seed, args.gif or Path(config.es.logs_dir) / GIF)


def score(config: Config, args, trial_seeds: np.ndarray) -> np.ndarray:
    """Return and length of games with those seeds: float64 (n, 2)."""
    if not len(trial_seeds):
        return np.empty((0, 2))
    world, act = players(config, args, trial_seeds)
    try:
        batch = config.es.batch if not args.dream else 512
        return np.stack(run_rollouts(world, act, trial_seeds, None, batch), axis=1)
    finally:
        world.close()


def players(config: Config, args, trial_seeds: np.ndarray):
    """The world of those games and the `act` that plays in it."""
    from env import Games

    if args.policy != "agent":
        from policies import player

        world = Games(config.general)
        return world, player(args.policy, world.actions, trial_seeds)
    from kit.tensors import precision

    from agent import Controllers, RealWorld, WorldModel, load_mind, mind_path
    from dream import Dream
    from env import make

    precision.use_threads(1)
    env = make(config.general)
    env.close()
    model = WorldModel.load(config, env.actions, args.vae_path, args.mdn_path)
    path = args.controller_path or mind_path(config, "_best")
    mind = load_mind(path, config, env.actions)[None].repeat(len(trial_seeds), axis=0)
    if args.dream:
        es = config.es
        world = Dream(model.memory, env.actions, es.temperature, es.max_steps)
    else:
        world = RealWorld(model, config)
    return world, Controllers(mind, config, env.actions).act
