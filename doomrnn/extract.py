"""Record episodes of a random policy in the real game, for V and M to learn from.

Reads nothing; with --agent that controller and its V and M. Writes record/<seed>.npz, one file an
episode: `obs` uint8 (T, 64, 64, 3) and `action` float16 (T,), each frame before its action.
Episodes of 100 frames and less are dropped.

  python extract.py --episodes 200                       one process
  python extract.py --preset laptop --workers 2 --worker 0      what extract.bash starts, per core
  python extract.py --agent log/doomrnn.cma.16.64.best.json     a second round: what an agent meets

With --agent, each episode is played with other weights near the agent's, as CMA-ES will try them
when it goes on from there.

Started again, it goes on where it stopped: an episode whose file is there is not played again.
"""

from kit.command import cli

cli.begin(__name__)

import contextlib

import gymnasium
import numpy as np

from kit.command import locks, memory, progress
from kit.command.errors import UserError
from kit.files import recordings, worlds
from kit.files.weights import load_controller

from doomreal import DoomReal
from policies import PRESETS, add_arguments, recorded_moves
from world import BATCH, ENDLESS, INPUTS, MAX_STEPS, MODELS, NAME, SEES

FRAME_BYTES = 64 * 64 * 3


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("--episodes", type=cli.positive_int, default=200, help="episodes to play, all workers")
    most = cli.whole_number(1, MAX_STEPS)
    add("--max_frames", type=most, default=MAX_STEPS, help="frames of an episode")
    add("--min_frames", type=cli.non_negative_int, default=100, help="drop episodes up to this")
    add_arguments(parser)
    recordings.add_arguments(parser, INPUTS, SEES, MODELS, BATCH)
    args = recordings.check_arguments(cli.parse(parser, PRESETS, argv))
    if args.min_frames >= args.max_frames:
        raise UserError(
            f"--min_frames {args.min_frames} drops every episode of --max_frames {args.max_frames}"
        )
    if args.agent:
        needed = args.batch * args.max_frames * FRAME_BYTES
        memory.require(needed, f"{args.batch} episodes of {args.max_frames} frames", "--batch")
    return args


def record_episode(env: gymnasium.Env, seed: int, args) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (T, 64, 64, 3) and actions float16 (T, ...) of an episode of a random policy."""
    moves = recorded_moves(seed, args)
    observation, _ = env.reset(seed=seed)
    frames, actions, ended = [], [], False
    while (ENDLESS or not ended) and len(frames) < args.max_frames:
        frames.append(observation)
        actions.append(next(moves))
        observation, _, terminated, truncated, _ = env.step(actions[-1].astype(np.float32))
        ended = terminated or truncated
    return np.stack(frames), np.stack(actions)


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output, f"worker-{args.worker}-of-{args.workers}"):
        record(args)


def record(args) -> None:
    """Play and save this worker's episodes that are not there yet."""
    worlds.claim(args.output, NAME)
    mine = recordings.share(args)
    paths = {int(seed): args.output / f"{seed}.npz" for seed in mine}
    missing = [seed for seed, path in paths.items() if not path.exists()]
    with progress.bar(len(paths), "episodes", f"recording {args.worker}") as bar:
        bar.update(len(paths) - len(missing))

        def save(seed, frames, actions):
            if len(frames) > args.min_frames:
                recordings.save(paths[seed], obs=frames, action=actions)
            bar.update()

        (record_agent if args.agent else record_random)(missing, save, args)
    kept = sum(path.exists() for path in paths.values())
    print(f"{args.output}: {kept} of {len(mine)} episodes kept by worker {args.worker}")


def record_random(episode_seeds: list[int], save, args) -> None:
    """Hand episodes of the random policy to `save(seed, frames, actions)`."""
    with contextlib.closing(DoomReal()) as env:
        for seed in episode_seeds:
            save(seed, *record_episode(env, seed, args))


def record_agent(episode_seeds: list[int], save, args) -> None:
    """Hand episodes of --agent's neighbours to `save(seed, frames, actions)`."""
    # Here, because random play has no use for TensorFlow.
    from kit.batches.recorder import Recorder, neighbours
    from kit.tensors import precision

    from agent import Controllers, RealWorld, WorldModel, simulate

    precision.use_threads(1)  # other cores have other workers
    agent = load_controller(args.agent, Controllers.size(args.inputs))
    controllers = Controllers(neighbours(agent, episode_seeds, args.noise), args.inputs)
    with contextlib.closing(RealWorld(WorldModel.load(args.models))) as world:
        recorder = Recorder(world, save, ENDLESS)
        simulate(recorder, controllers, episode_seeds, args.max_frames, args.batch)


if __name__ == "__main__":
    cli.run(main)
