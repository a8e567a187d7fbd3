"""DreamerV2 on an environment of one's own: `import dreamerv2.api as dv2`.

    config = dv2.defaults.update({"logdir": "~/logdir/mine", "prefill": 1e5}).parse_flags()
    dv2.train(gymnasium.make("MiniGrid-DoorKey-6x6-v0"), config)

`defaults` are all settings, `configs` the named blocks: `defaults.update(configs["laptop"])`.
"""

from collections.abc import Callable, Sequence

import gymnasium

from dreamerv2 import config as settings
from dreamerv2 import limits, training
from dreamerv2.config import Config
from dreamerv2.envs.adapter import adapt
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import OWN
from dreamerv2.logger import JSONLOutput, Output, TensorBoardOutput, TerminalOutput
from kit.command.errors import UserError

__all__ = [
    "Config",
    "JSONLOutput",
    "TensorBoardOutput",
    "TerminalOutput",
    "configs",
    "defaults",
    "train",
]

defaults = settings.defaults()
configs = settings.configs()


def train(
    env: gymnasium.Env | Callable[[], gymnasium.Env],
    config: Config,
    outputs: Sequence[Output] | None = None,
) -> None:
    """Train an agent in any gymnasium environment; the same call goes on where it stopped.

    Args:
        env: one environment, with pictures, vectors or a dict of them, discrete or continuous
            actions; or a function that makes one, of which `config.envs` are made. One environment
            also serves the evaluations, between two episodes.
        config: `defaults` and what was changed in them.
        outputs: what is told of the run, in place of terminal, metrics.jsonl and TensorBoard.
    Raises UserError where the environment or the settings do not fit.
    """
    limits.check(config)
    if config.task == defaults.task:
        config = config.update({"task": OWN})
    if isinstance(env, gymnasium.Env):
        if config.envs != 1:
            raise UserError(
                f"envs: expected 1 with one environment, found {config.envs}; dv2.train also takes "
                "a function that makes environments"
            )
        training.train(config, make_batch([lambda: adapt(env, config)]), None, outputs, True)
        return
    batches = []
    try:
        for count in (config.envs, min(config.envs, config.eval_eps)):
            makers = [_Maker(env, config)] * count
            batches.append(make_batch(makers, config.envs_parallel))
        training.train(config, *batches, outputs, True)
    finally:
        for batch in batches:
            batch.close()


class _Maker:
    """Makes and adapts an environment, in whatever process."""

    def __init__(self, make: Callable[[], gymnasium.Env], config: Config):
        self._make, self._config = make, config

    def __call__(self) -> gymnasium.Env:
        return adapt(self._make(), self._config)
