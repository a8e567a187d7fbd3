"""Record episodes of a random policy in the real game, for V and M to learn from.

Reads nothing; with --agent that controller and its V and M. Writes record/<seed>.npz, one file an
episode: `obs` uint8 (T, 64, 64, 3) and `action` float16 (T,), each frame before its action.
Episodes of 100 frames and less are dropped.

  python extract.py --episodes 200                       one process
  python extract.py --preset laptop --workers 2 --worker 0      what extract.bash starts, per core
  python extract.py --agent log/doomrnn.cma.16.64.best.json     a second round: what an agent meets

An agent is recorded as its neighbours, each episode with other weights near its own: what CMA-ES
will try when it goes on from there.

Two cores record 3 500 frames a second. Started again, it goes on where it
stopped: an episode whose file is there is not played again.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kit.command import cli, locks, memory, progress, seeds
from kit.command.errors import UserError
from kit.files import recordings
from kit.files.weights import load_controller

from doomreal import MAX_STEPS, DoomReal
from train import INPUTS

FRAME_BYTES = 64 * 64 * 3
BEATS = (20, 200)  # frames between two turns of a walk to and fro
PRESETS = {
    "smoke": {"episodes": 6, "max_frames": 300},
    "laptop": {"episodes": 9_000, "wander": 0.5},
    "paper": {"episodes": 12_800},  # reference extract.bash: 64 processes, 200 episodes each
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("--episodes", type=cli.positive_int, default=200, help="episodes to play, all workers")
    add(
        "--max_frames",
        type=cli.whole_number(1, MAX_STEPS),
        default=MAX_STEPS,
        help="frames of an episode",
    )
    add("--min_frames", type=cli.non_negative_int, default=100, help="drop episodes up to this")
    add("--max_repeat", type=cli.positive_int, default=10, help="an action is held 1 to this long")
    text = "part of the episodes that are walks to and fro"
    add("--wander", type=cli.fraction, default=0.0, help=text)
    add("--agent", type=cli.existing_file, metavar="JSON", help="a controller that plays instead")
    add("--inputs", choices=INPUTS, default="zch", help="what that controller sees")
    add("--noise", type=cli.non_negative_float, default=0.08, help="deviation of its weights")
    add("--models", type=Path, default=Path("tf_models"), help="folder of its V and M")
    add("--batch", type=cli.positive_int, default=32, help="its episodes played at once")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes all episodes")
    add("--workers", type=cli.positive_int, default=1, help="processes that share the episodes")
    add("--worker", type=cli.non_negative_int, default=0, help="which of them this one is")
    add("--output", type=Path, default=Path("record"), help="folder of the recordings")
    args = recordings.check_arguments(cli.parse(parser, PRESETS, argv))
    if args.min_frames >= args.max_frames:
        raise UserError(
            f"--min_frames {args.min_frames} drops every episode of --max_frames {args.max_frames}"
        )
    if args.agent:
        needed = args.batch * args.max_frames * FRAME_BYTES
        memory.require(needed, f"{args.batch} episodes of {args.max_frames} frames", "--batch")
    return args


def random_moves(seed: int, max_repeat: int, wander: float) -> Iterator[np.float16]:
    """The random policy's actions of the episode `seed`, without end.

    An action is uniform on (-1, 1) and held for 1 to `max_repeat` frames (reference extract.py). In
    the part `wander` of all episodes it walks to and fro and turns at random times, about a beat of
    the episode's own: it lives longer so, and V and M see what comes later in a game.
    """
    rng = np.random.default_rng(seed)
    style = np.random.default_rng([seed, 1])
    if style.random() >= wander:
        while True:
            yield from [np.float16(rng.uniform(-1, 1))] * rng.integers(1, max_repeat + 1)
    beat, move, part = rng.uniform(*BEATS), rng.choice([-1, 1]), rng.uniform(0, 1)
    while True:
        yield from [np.float16(move)] * int(beat * part)
        move, part = -move, rng.uniform(0.5, 1.5)


def record_episode(env: DoomReal, seed: int, args) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (T, 64, 64, 3) and actions float16 (T,) of one episode of the random policy."""
    observation, _ = env.reset(seed=seed)
    frames, actions, ended = [], [], False
    moves = random_moves(seed, args.max_repeat, args.wander)
    while not ended and len(frames) < args.max_frames:
        frames.append(observation)
        actions.append(next(moves))
        observation, _, died, capped, _ = env.step(actions[-1])
        ended = died or capped
    return np.stack(frames), np.array(actions, np.float16)


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output, f"worker-{args.worker}-of-{args.workers}"):
        record(args)


def record(args) -> None:
    """Play and save this worker's episodes that are not there yet."""
    episode_seeds = seeds.training_seeds(np.random.default_rng(args.seed), args.episodes)
    mine = episode_seeds[args.worker :: args.workers]
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
    env = DoomReal()
    try:
        for seed in episode_seeds:
            save(seed, *record_episode(env, seed, args))
    finally:
        env.close()


def record_agent(episode_seeds: list[int], save, args) -> None:
    """Hand episodes of --agent's neighbours to `save(seed, frames, actions)`."""
    # Here, because random play has no use for TensorFlow.
    from kit.batches.recorder import Recorder, neighbours
    from kit.tensors import precision

    from model import Controllers, RealWorld, WorldModel, simulate

    precision.use_threads(1)  # other cores have other workers
    agent = load_controller(args.agent, Controllers.size(args.inputs))
    world = RealWorld(WorldModel.load(args.models))
    controllers = Controllers(neighbours(agent, episode_seeds, args.noise), args.inputs)
    try:
        simulate(Recorder(world, save), controllers, episode_seeds, args.max_frames, args.batch)
    finally:
        world.close()


if __name__ == "__main__":
    cli.run(main)
