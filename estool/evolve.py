"""The loop of C: ask for candidates, roll them out, tell their returns; log, keep, continue.

A room's train.py adds its flags to these, builds its rollouts and calls `run`:

    evolve.add_arguments(parser)
    args = cli.parse(parser, PRESETS)
    with mpi.ranks(args.num_worker) as ranks:
        evolve.run(args, ranks, "doomrnn", num_params, rollouts, settings={"temperature": 1.25})

where

    rollouts(params (K, P) float64, seeds (K,) int64, max_length int, test bool)
        -> returns (K,) float, lengths (K,) int

plays K episodes, row k with the controller params[k] and the seed seeds[k]; max_length -1 means
no other cap than the environment's own; test is true when the mean is evaluated. Every rank calls
it on its share. For a run to be the same on any number of ranks, a row must not depend on the
other rows.

Writes log/<game>.<optimizer>.<episodes>.<population>{.json, .best.json, .hist.json,
.hist_best.json, .log.json, .png, .settings.json}, checkpoint/<same>.pkl and runs/<same>/.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from estool import es, sizes, state
from estool.evaluator import Evaluator, Rollouts
from kit.command import cli, locks, seeds
from kit.command.errors import UserError
from kit.command.mpi import Ranks
from kit.command.progress import Scalars
from kit.files.atomic import atomic_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the loop; a room changes defaults with parser.set_defaults."""

    def add(*names, **options):
        parser.add_argument(*names, **options)

    def switch(name, default, text):
        add(name, type=int, choices=(0, 1), default=default, help=text)

    add("-o", "--optimizer", choices=list(es.STRATEGIES), default="cma", help="strategy")
    count = cli.positive_int
    text = "episodes a candidate plays in a generation"
    add("-e", "--num_episode", type=count, default=16, help=text)
    # The reference knows --num_worker_trial alone; beside --population it could contradict it.
    either = parser.add_mutually_exclusive_group().add_argument
    text = f"candidates in a generation (default: {sizes.POPULATION})"
    either("--population", type=count, help=text)
    text = "candidates of a rank: the population becomes this times the ranks"
    either("-t", "--num_worker_trial", type=count, help=text)
    text = "ranks, processes that share the work (default: one for each usable core)"
    add("-n", "--num_worker", type=count, help=text)
    text = "seconds that a rank may take for its part of the work; after that its traceback is "
    text += "shown and the run ends; 0: no limit"
    add("--rank_timeout", type=cli.non_negative_float, default=0.0, help=text)
    text = "generations from one evaluation of the mean to the next"
    add("--eval_steps", type=count, default=25, help=text)
    text = "selection episodes in an evaluation (default: population x episodes)"
    add("--eval_episodes", type=count, help=text)
    text = "generations whose means are averaged into the one that is evaluated and may be kept"
    add("--average", type=count, default=1, help=text)
    text = "generations in all; 0 goes on until Ctrl-C"
    add("--generations", type=cli.non_negative_int, default=0, help=text)
    add("--sigma_init", type=cli.positive_float, default=0.1, help="step size at the start")
    text = "ga, openes, pepg, ses: a generation multiplies the step size by this, down to its limit"
    add("--sigma_decay", type=cli.fraction, default=0.999, help=text)
    text = "c in fitness - c * mean(parameters^2) (default: 0.01 for cma, 0.005 for the others)"
    add("--weight_decay", type=cli.non_negative_float, help=text)
    text = "start from the mean in a .json, or from the strategy in one of your checkpoint/*.pkl"
    add("--init_opt", type=cli.existing_file, metavar="FILE", help=text)
    text = "fixes candidates and episodes of the whole run"
    add("-s", "--seed_start", type=cli.non_negative_int, default=111, help=text)
    text = "a candidate's fitness: the mean or the minimum of its returns"
    add("--batch_mode", choices=("mean", "min"), default="mean", help=text)
    text = "1: all candidates of a generation play the same episodes"
    switch("--common_seeds", 1, text)
    text = "1: openes mirrors half of its candidates, and with --common_seeds 0 the second half of "
    text += "the candidates gets the seeds of the first"
    switch("--antithetic", 1, text)
    text = "1: no episode longer than twice the mean length of the generation before"
    switch("--cap_time", 0, text)
    text = "1: back to the best mean after an evaluation that did not beat it"
    switch("--retrain", 0, text)
    text = "start afresh; files of the earlier run are kept in log/previous-<number>/"
    add("--restart", action="store_true", help=text)
    text = "folder that gets log/, checkpoint/ and runs/"
    add("--directory", type=Path, default=Path(), help=text)


def run(
    args: argparse.Namespace,
    ranks: Ranks,
    game: str,
    num_params: int,
    rollouts: Rollouts,
    settings: Mapping[str, object] | None = None,
    requirement: float | None = None,
    directions: Callable[[], np.ndarray] | None = None,
    weights: Mapping[str, Path] | None = None,
    paths: state.Paths | None = None,
    kept: Callable[[state.State], None] | None = None,
) -> None:
    """Evolve a controller of `num_params` parameters until `--generations` or Ctrl-C.

    `settings` are the room's own values that a continued run must share with its beginning;
    `requirement` is a line in the learning curve. `directions` returns (num_params, K) to search
    along (subspace.py); rank 0 calls it once, when a run begins, and the checkpoint keeps them.
    `weights` are the files of V and M that the controller sees through (kit/files/pairing.py).
    `paths`: where the run writes, if not under --directory. `kept` is called in rank 0 after each
    generation, once its checkpoint is written. All ranks call this with the same arguments.

    Raises UserError where the checkpoint is damaged or was made with other settings, and where
    the flags ask for more than there is (see sizes.py).
    """
    evaluator = Evaluator(ranks, rollouts)
    if ranks.rank > 0:
        evaluator.serve()
        return
    population = sizes.population(args, ranks.size)
    shared = dict(settings or {}) | _settings(args, population, num_params)
    name = f"{game}.{args.optimizer}.{args.num_episode}.{population}"
    sizes.require(args, name, population, num_params)
    paths = paths or state.Paths(args.directory, name)
    with locks.only_one(paths.checkpoint.parent, name):
        locks.sweep(paths.log.parent)
        now = state.begin(paths, shared, args.restart, directions)
        state.note(paths, vars(args) | shared, weights or {})
        print(f"{name}: {num_params} parameters, {ranks.size} ranks", flush=True)
        scalars = Scalars(paths.scalars, first_step=now.generation + 1)
        try:
            _go_on(args.generations, now, evaluator, paths, scalars, requirement, kept)
        finally:
            scalars.close()
    evaluator.stop()
    print(f"{name}: generation {now.generation}, results in {paths.log}.*", flush=True)


def _go_on(
    generations: int,
    now: state.State,
    evaluator: Evaluator,
    paths: state.Paths,
    scalars: Scalars,
    requirement: float | None,
    kept: Callable[[state.State], None] | None,
) -> None:
    """Evolve until `generations` (0: until Ctrl-C)."""
    start = time.monotonic() - now.seconds
    eval_steps = now.settings["eval_steps"]
    if now.generation and now.generation % eval_steps == 0:  # it may have been killed before this
        _draw(paths, scalars, now.generation, requirement)
    while not generations or now.generation < generations:
        _generation(now, evaluator, scalars, start)
        evaluate = now.generation % eval_steps == 0
        if evaluate:
            _evaluation(now, evaluator, scalars, start)
        now.seconds = time.monotonic() - start
        state.save(paths, now)
        if kept:
            kept(now)
        if evaluate:
            _draw(paths, scalars, now.generation, requirement)


def _settings(args: argparse.Namespace, population: int, num_params: int) -> dict:
    """The values that decide what a run does, and so may not change while it lasts."""
    names = ("optimizer", "num_episode", "eval_steps", "average", "sigma_init", "seed_start")
    names += ("batch_mode", "common_seeds", "antithetic", "cap_time", "retrain")
    recipe = es.STRATEGIES[args.optimizer]
    decay = recipe.weight_decay if args.weight_decay is None else args.weight_decay
    values = {
        "population": population,
        "num_params": num_params,
        "eval_episodes": sizes.evaluation(args, population),
        "weight_decay": decay,
        **{name: getattr(args, name) for name in names},
    }
    if recipe.decays:
        values["sigma_decay"] = args.sigma_decay
    if args.init_opt:
        values["init_opt"] = str(args.init_opt)
    return values


def _generation(now: state.State, evaluator: Evaluator, scalars: Scalars, start: float) -> None:
    """Ask, evaluate, tell, log; `start` is when the run would have begun without a break."""
    began = time.perf_counter()
    settings, strategy = now.settings, now.strategy
    candidates = strategy.ask()
    asking = time.perf_counter() - began
    episode_seeds = _episode_seeds(now.rng, settings)
    returns, lengths = evaluator(candidates, episode_seeds, now.max_length, False)  # (N, E)
    fitness = returns.min(1) if settings["batch_mode"] == "min" else returns.mean(1)  # (N,)
    steps = lengths.mean(1)  # (N,)
    if not np.isfinite(fitness).all():
        raise UserError(
            "an episode's return is NaN or infinite: its environment rewards that, or controllers "
            "as large as --sigma_init makes them led it there"
        )
    telling = time.perf_counter()
    strategy.tell(fitness)
    now.means = [*now.means, strategy.current_param()][-settings["average"] :]
    asking += time.perf_counter() - telling

    now.generation += 1
    generation = now.generation
    seconds = time.monotonic() - start
    row = now.log.add_generation(generation, seconds, fitness, strategy.rms_stdev(), steps)
    if settings["cap_time"]:
        now.max_length = 2 * int(row[7])
    rate = evaluator.steps / evaluator.seconds
    share = asking / (time.perf_counter() - began)
    values = {
        "fitness/mean": row[2],
        "fitness/lowest": row[3],
        "fitness/highest": row[4],
        "fitness/stdev": row[5],
        "strategy/sigma": row[6],
        "steps/mean": row[7] - 1,
        "steps/longest_episode": lengths.max(),
        "speed/steps_per_second": rate,
        "speed/ask_tell_share": share,
    }
    for tag, value in values.items():
        scalars.scalar(tag, value, generation)
    print(
        f"generation {generation} {row[1]} s  fitness {row[2]:.2f} ({row[3]:.2f} to {row[4]:.2f}, "
        f"stdev {row[5]:.2f})  sigma {row[6]:.5f}  steps {row[7] - 1:.1f}, longest "
        f"{int(lengths.max())}  {rate:.0f} steps/s, ask+tell {share:.1%}",
        flush=True,
    )


def _episode_seeds(rng: np.random.Generator, settings: dict) -> np.ndarray:
    """Training seeds for a generation: int64 (N, E)."""
    population, episodes = settings["population"], settings["num_episode"]
    if settings["common_seeds"]:
        # Common random numbers: candidates differ by what they do, not by the luck of the draw.
        return np.tile(seeds.training_seeds(rng, episodes), (population, 1))
    own = seeds.training_seeds(rng, population * episodes).reshape(population, episodes)
    if settings["antithetic"]:
        half = (population + 1) // 2
        own[half:] = own[: population - half]
    return own


def _evaluation(now: state.State, evaluator: Evaluator, scalars: Scalars, start: float) -> None:
    """Score the mean, rounded as it is saved, on selection seeds; keep it if it is the best.

    Averaged over generations (Polyak & Juditsky 1992) it is free of the last steps' chance.
    """
    mean = np.mean(now.means, axis=0).round(4)
    episodes = seeds.selection_seeds(now.settings["eval_episodes"])[None]  # (1, E)
    returns, _ = evaluator(mean[None], episodes, -1, True)
    score = float(returns.mean())
    seconds = time.monotonic() - start
    better = now.log.add_evaluation(now.generation, seconds, score, mean.tolist())
    best = now.log.best_score
    if not better and now.settings["retrain"]:
        now.strategy.set_mu(np.array(now.log.best_params))
        now.means = []
    scalars.scalar("evaluation/mean", score, now.generation)
    scalars.scalar("evaluation/best", best, now.generation)
    error = returns.std(ddof=min(1, returns.size - 1)) / returns.size**0.5
    print(
        f"evaluation at generation {now.generation}: {score:.2f}, standard error {error:.2f}, "
        f"{returns.size} episodes; best {best:.2f}",
        flush=True,
    )


def _draw(paths: state.Paths, scalars: Scalars, generation: int, requirement: float | None) -> None:
    from matplotlib.image import imsave  # here, because only rank 0 needs to load matplotlib

    from estool.plot import learning_curves

    canvas = learning_curves(paths.log, requirement=requirement).canvas
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    with atomic_path(f"{paths.log}.png") as temporary:
        imsave(temporary, picture)
    scalars.image("learning_curve", picture, generation)
