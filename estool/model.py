"""Replay an agent: watch it play, or score it.

  python model.py CartPoleSwingUp-v0 zoo/CartPoleSwingUp-v0.json       watch 5 episodes
  python model.py BipedalWalker-v3 log/x.best.json 3 --video x.mp4     without a screen
  python model.py BipedalWalker-v3 log/x.best.json 0 --norender        score 100 episodes

Reads the agent, and the sizes of its network from x.settings.json beside it where that is there
and flags do not say otherwise. Without an agent a random one plays. Scores are a line an episode
and their statistics.
"""

from kit.command import cli

cli.begin(__name__)

import os
from pathlib import Path

import numpy as np

from estool import agents
from estool.policy import Controllers
from kit.batches import checked
from kit.command import mpi, seeds
from kit.command.errors import UserError
from kit.files import scores
from kit.files.pairing import settings_beside
from kit.files.weights import load_controller
from kit.show import viewer


def parse(argv=None):
    parser = cli.parser(__doc__)
    agents.add_arguments(parser)
    add = parser.add_argument
    add("agent", nargs="?", type=cli.existing_file, help="json; without it a random one plays")
    add("seed", nargs="?", type=cli.non_negative_int, default=721, help="of the first episode")
    add("--episodes", type=cli.positive_int, help="how many (default: watch 5, score 100)")
    add("--norender", action="store_true", help="score instead of watching")
    add("--csv", type=Path, help="write the scores of all episodes here")
    add("--video", type=Path, help="show into this .mp4 or .gif, without a screen")
    text = "processes that share the episodes of a score (default: one for each core)"
    add("-n", "--num_worker", type=cli.positive_int, help=text)
    args = cli.parse(parser, argv=argv)
    if args.norender and args.video:
        raise UserError("--video needs pictures, found --norender")
    if args.csv and not args.norender:
        raise UserError("--csv needs scores: give --norender")
    return args


def load(args) -> tuple:
    """The game and the agent's parameters (P,)."""
    saved = settings_beside(args.agent) if args.agent else None
    game = agents.chosen_game(args, saved)
    size = game.policy().num_params
    if args.agent:
        return game, load_controller(args.agent, size)
    return game, agents.random_parameters(size, args.seed)


def watch(args) -> None:
    """Play and show --episodes episodes, with a line of their scores each."""
    if not args.video:
        viewer.require_screen(viewer.WATCH)
    if not any(map(os.environ.get, viewer.SCREENS)):
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo draws without a screen, if told so early
    game, parameters = load(args)
    env = game.make(render_mode="rgb_array")
    if "rgb_array" not in env.metadata.get("render_modes", ()):
        raise UserError(f"{game.env_id} draws no pictures: score it with --norender")
    fps, videos = env.metadata.get("render_fps", 50), [args.video] if args.video else []
    try:
        with viewer.open_viewer(game.env_id, fps, videos) as screen:
            for seed in seeds.test_seeds(args.seed, args.episodes or 5):
                total, steps, going = show(
                    game, env, parameters, int(seed), screen, args.max_length
                )
                print(f"seed {seed} reward {total:.2f} steps {steps}")
                if not going:
                    return
    finally:
        env.close()


def show(game, env, parameters, seed: int, screen, limit: int) -> tuple[float, int, bool]:
    """Show one episode: its return and length, and whether the person wants to see more."""
    controllers = Controllers(game.policy(), parameters[None])
    row, total, steps = np.zeros(1, np.int64), 0.0, 0
    seen, going, done = env.reset(seed=seed)[0], True, False
    while going and not done and (limit < 1 or steps < limit):
        going = screen.show(picture(env))
        observation = np.asarray(seen, np.float64)[None]
        checked.finite(env, observation)
        if game.time_factor > 0:
            observation = np.column_stack((observation, [steps / game.time_factor]))
        seen, reward, terminated, truncated, _ = env.step(controllers.act(observation, row)[0])
        total, steps, done = total + float(reward), steps + 1, terminated or truncated
    return total, steps, going


def picture(env) -> np.ndarray:
    """What `env` looks like now, uint8 (H, W, 3); UserError where this machine cannot draw it."""
    try:
        return np.asarray(env.render())
    except Exception as error:  # drivers raise anything
        raise UserError(
            f"{env.spec.id} cannot be drawn here ({error}): score it with --norender"
        ) from error


def score(args) -> None:
    """Print the scores of --episodes episodes, played by all ranks."""
    episodes = args.episodes or 100
    chosen = seeds.test_seeds(args.seed, episodes)
    with mpi.ranks(min(args.num_worker or mpi.usable_cores(), episodes)) as ranks:
        game, parameters = load(args)
        rollouts = agents.Rollouts(game, args.batch, args.max_length)
        mine = chosen[ranks.share(episodes)]
        part = np.zeros((len(mine), 2))
        if len(mine):
            part.T[:] = rollouts(parameters[None].repeat(len(mine), 0), mine, test=True)
        rollouts.close()
        rows = ranks.collect(part, episodes)
        if ranks.rank:
            return
        scores.report(*rows.T, args.seed, args.csv)


def main(argv=None):
    args = parse(argv)
    score(args) if args.norender else watch(args)


if __name__ == "__main__":
    cli.run(main)
