"""Train DreamerV2 on a task.

    python dreamerv2/train.py --logdir ~/logdir/pong --configs atari --task atari_pong
    python dreamerv2/train.py --logdir ~/logdir/empty --configs laptop --task minigrid_Empty-6x6

The same command goes on where it stopped, after Ctrl-C and after kill -9. The logdir gets episodes,
metrics.jsonl, TensorBoard's events and the agent. Every setting is a flag: `--key value`,
`--key=value`, `--rssm.deter 200`, and `--.*\\.norm layer` for all keys that a regular expression
matches.
"""

import functools
from collections.abc import Sequence

from dreamerv2 import config as settings
from dreamerv2 import limits
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make, strategy
from dreamerv2.training import train
from kit.command import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, make the environments, train."""
    config = settings.from_command_line(argv, __doc__)
    limits.check(config)
    batches = []
    try:
        for mode, count in (("train", config.envs), ("eval", min(config.envs, config.eval_eps))):
            maker = functools.partial(make, config.task, mode, config)
            batches.append(make_batch([maker] * count, strategy(config)))
        train(config, *batches)
    finally:
        for batch in batches:
            batch.close()


if __name__ == "__main__":
    cli.run(main)
