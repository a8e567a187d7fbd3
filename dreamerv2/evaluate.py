"""Score a trained agent over test episodes, show it, or make a small file of it.

    python dreamerv2/evaluate.py ~/logdir/empty                       # 100 episodes
    python dreamerv2/evaluate.py dreamerv2/zoo/minigrid_empty.npz --gif agent.gif
    python dreamerv2/evaluate.py ~/logdir/empty --export empty.npz    # for others

The agent is a run's folder or such a file. Prints a line for each episode and their statistics;
seeds are test seeds, which no training and no evaluation during training has seen.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamerv2 import agents
from dreamerv2.dream import picture_key
from dreamerv2.driver import play_episodes
from dreamerv2.envs.batch import STRATEGIES
from kit.command import cli, seeds
from kit.files import scores
from kit.show import panels, viewer

SIDE = 384  # pixels of the shown picture
FPS = 15
HELD = 8  # frames that the last picture of an episode stays


def parse(argv: Sequence[str] | None = None):
    """The command line."""
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("agent", type=Path, help="a run's folder, or an agent's npz")
    add("--task", help="another task with the same observations and actions")
    add("--episodes", type=cli.positive_int, default=100, help="episodes, one for each test seed")
    add("--seed", type=cli.non_negative_int, default=0, help="the first test seed")
    add("--envs", type=cli.positive_int, default=8, help="environments side by side")
    add("--envs_parallel", choices=STRATEGIES, help="where they run, if not as in training")
    add("--csv", type=cli.file_in(".csv"), help="write the episodes there")
    add("--video", type=cli.file_in(".mp4"), help="write the first episodes as a video")
    add("--gif", type=cli.file_in(".gif"), help="the same, smaller")
    add("--shown", type=cli.positive_int, default=3, help="episodes in the video")
    add("--fps", type=cli.positive_float, default=FPS, help="actions a second in it")
    add("--export", type=cli.file_in(".npz"), help="write the agent as one small file, and end")
    return cli.parse(parser, argv=argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Load the agent and do what the flags say."""
    args = parse(argv)
    chosen = [int(seed) for seed in seeds.test_seeds(args.seed, args.episodes)]
    asked = {"task": args.task, "envs_parallel": args.envs_parallel}
    changed = {key: value for key, value in asked.items() if value is not None}
    trained = agents.load(args.agent, min(args.envs, args.episodes), **changed)
    try:
        if args.export:
            agents.export(args.export, trained)
            print(f"wrote {args.export}, {args.export.stat().st_size / 1e6:.1f} MB")
            return
        episodes = play_episodes(trained.envs, trained.policy, chosen)
    finally:
        trained.close()
    returns = [float(episode["reward"].sum()) for episode in episodes]
    lengths = [len(episode["reward"]) - 1 for episode in episodes]
    scores.print_trials(returns, lengths, args.seed)
    print(scores.summary(returns, args.seed))
    shares = {
        "above_0": np.mean(np.array(returns) > 0),
        "terminated": np.mean([episode["is_terminal"][-1] for episode in episodes]),
    }
    print(" ".join(f"{name} {share:.2f}" for name, share in shares.items()))
    if args.csv:
        scores.save_csv(args.csv, returns, lengths, args.seed)
    if args.video or args.gif:
        show(episodes[: args.shown], picture_key(trained), viewer.files(args), args.fps)


def show(
    episodes: Sequence[dict[str, np.ndarray]], key: str, paths: Sequence[Path], fps: float
) -> None:
    """Write what the agent saw, the pictures of `key`, as films."""
    with viewer.open_viewer("DreamerV2", fps, paths) as screen:
        for number, episode in enumerate(episodes):
            total = np.cumsum(episode["reward"])
            last = len(total) - 1
            for step in [*range(len(total)), *[last] * HELD]:
                texts = (f"episode {number}", f"step {step}", f"return {total[step]:.2f}")
                picture = panels.enlarge(panels.colour(episode[key][step]), SIDE)
                screen.show(panels.below(picture, panels.text_bar(texts, SIDE)))


if __name__ == "__main__":
    cli.run(main)
