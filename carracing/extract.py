"""Record episodes of a random policy in the real game, for V and M to learn from.

Reads nothing. Writes record/<seed>.npz, one file an episode: `obs` uint8 (T, 64, 64, 3) and
`action` float16 (T, 3), each frame before its action. T is 1000 for every episode: recording goes
on after the game's own end (reference extract.py).

  python extract.py --episodes 200                       one process
  python extract.py --preset laptop --workers 2 --worker 0      what extract.bash starts, per core

A core steps the fast drawing 5400 times a second and stock's 140 times (bench.py). V is to know
both, so one episode in ten is stock's, which takes most of the time. Started again, it goes on
where it stopped: an episode whose file is there is not played again.
"""

from pathlib import Path

import gymnasium
import numpy as np

from estool import cli, locks, progress, recordings, seeds

from env import KINDS, MAX_STEPS, POLICIES, make

PRESETS = {
    "smoke": {"episodes": 6, "max_frames": 60, "stock_every": 2},
    "laptop": {"episodes": 1_500, "policy": "both"},
    # reference extract.bash: 64 processes, 200 episodes each
    "paper": {"episodes": 12_800, "renderer": "stock"},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("--episodes", type=cli.positive_int, default=200, help="episodes to play, all workers")
    add("--max_frames", type=cli.positive_int, default=MAX_STEPS, help="frames of an episode")
    text = "who drives; both: each of them drives half of the episodes"
    add("--policy", choices=(*POLICIES, "both"), default="reference", help=text)
    text = "what draws the frames; both: stock the episodes that --stock_every says, fast the rest"
    add("--renderer", choices=(*KINDS, "both"), default="both", help=text)
    text = "with --renderer both, one in so many episodes is stock's"
    add("--stock_every", type=cli.positive_int, default=10, help=text)
    add("--seed", type=cli.non_negative_int, default=0, help="fixes all episodes")
    add("--workers", type=cli.positive_int, default=1, help="processes that share the episodes")
    add("--worker", type=cli.non_negative_int, default=0, help="which of them this one is")
    add("--output", type=Path, default=Path("record"), help="folder of the recordings")
    return recordings.check_arguments(cli.parse(parser, PRESETS, argv))


def renderer_of(seed: int, args) -> str:
    """The kind of environment that draws the episode `seed`, stock or fast."""
    if args.renderer != "both":
        return args.renderer
    return "fast" if seed % args.stock_every else "stock"


def record_episode(env: gymnasium.Env, seed: int, args) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (T, 64, 64, 3) and actions float16 (T, 3) of one episode of a random policy."""
    rng = np.random.default_rng(seed)
    names = list(POLICIES) if args.policy == "both" else [args.policy]
    policy = POLICIES[names[rng.integers(len(names))]](seed)
    observation, _ = env.reset(seed=seed)
    frames, actions = [], []
    while len(frames) < args.max_frames:
        action = policy().astype(np.float16)
        frames.append(observation)
        actions.append(action)
        observation, *_ = env.step(action.astype(np.float32))
    return np.stack(frames), np.stack(actions)


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output, f"worker-{args.worker}-of-{args.workers}"):
        record(args)


def record(args) -> None:
    """Play and save this worker's episodes that are not there yet."""
    episode_seeds = seeds.training_seeds(np.random.default_rng(args.seed), args.episodes)
    mine = episode_seeds[args.worker :: args.workers]
    envs = {kind: make(kind) for kind in KINDS}
    kept = 0
    try:
        with progress.bar(len(mine), "episodes", f"recording {args.worker}") as bar:
            for seed in mine:
                path = args.output / f"{seed}.npz"
                if not path.exists():
                    env = envs[renderer_of(seed, args)]
                    frames, actions = record_episode(env, int(seed), args)
                    recordings.save(path, obs=frames, action=actions)
                kept += 1
                bar.update()
    finally:
        for env in envs.values():
            env.close()
    print(f"{args.output}: {kept} of {len(mine)} episodes kept by worker {args.worker}")


if __name__ == "__main__":
    cli.run(main)
