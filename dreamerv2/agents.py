"""Trained agents: out of a run's folder, or out of one small file.

A file, <name>.npz, holds what acts and dreams in float16 (world model and actor, not what only
training needs) and its settings as json; `python dreamerv2/evaluate.py LOGDIR --export <name>.npz`
writes it.
"""

import contextlib
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from dreamerv2 import checkpoints, limits
from dreamerv2 import config as settings
from dreamerv2.config import Config
from dreamerv2.envs.adapter import LOG
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make, strategy
from kit.command.errors import UserError
from kit.files import recordings

PARTS = ("model/", "task/actor/")  # of the variables, that acting and dreaming need
SETTINGS = "settings"


@dataclass
class Trained:
    """An agent, its settings, and environments of its task."""

    agent: object
    config: Config
    envs: VectorEnv

    def policy(self, observation, state):
        """Play as well as it can."""
        return self.agent.policy(observation, state, "eval")

    def close(self) -> None:
        self.envs.close()


def load(path: Path, count: int, mode: str = "eval", **changed) -> Trained:
    """The agent of a run's folder or file, and `count` environments of its task.

    Args: mode: "eval" or "train", as environments have it. changed: settings to replace.
    Raises UserError where there is no whole agent.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        config = Config.load(path / "config.yaml")
        weights = None
    else:
        config, weights = _read(path)
    config = settings.defaults().update(config).update(changed)
    limits.check(config)
    maker = functools.partial(make, config.task, mode, config)
    envs = make_batch([maker] * count, strategy(config))
    try:
        agent = make_agent(config, envs)
        if weights is None:
            if checkpoints.load(path, agent) is None:
                raise UserError(f"{path}: expected {checkpoints.NAME} in it; it is not trained yet")
        else:
            _assign(path, agent, weights)
    except BaseException:
        envs.close()
        raise
    return Trained(agent, config, envs)


def make_agent(config: Config, envs: VectorEnv):
    """An untrained agent for these environments.

    Here TensorFlow is loaded, and not above: the environments' processes never need it.
    """
    from dreamerv2.agent import Agent
    from kit.command.mpi import usable_cores
    from kit.tensors.precision import use_threads
    from kit.tensors.tf import tf

    with contextlib.suppress(RuntimeError):  # TensorFlow is at work already: as it is then
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        # two operations at a time: heads do not wait
        use_threads(config.threads or usable_cores(), 2)
    tf.config.run_functions_eagerly(not config.jit)
    return Agent(config, seen(envs), envs.single_action_space)


def seen(envs: VectorEnv) -> gymnasium.spaces.Dict:
    """What the agent sees: all keys but those that are only logged."""
    spaces = envs.single_observation_space.spaces
    return gymnasium.spaces.Dict(
        {key: space for key, space in spaces.items() if not key.startswith(LOG)}
    )


def export(path: Path, trained: Trained) -> None:
    """Write an agent's file."""
    variables = trained.agent.variables()
    weights = {
        name: variable.numpy().astype(np.float16)
        for name, variable in variables.items()
        if name.startswith(PARTS)
    }
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise UserError(f"{path} was not written: a weight is beyond float16")
    config = trained.config.update({"logdir": settings.defaults().logdir})
    recordings.save(path, settings=np.array(json.dumps(config)), **weights)


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name] for name in file.files}
        config = json.loads(weights.pop(SETTINGS).item())
        if not isinstance(config, dict):
            raise ValueError("no settings in it")
    except Exception as error:  # a damaged zip can raise anything
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: expected a run's folder or an agent's npz: {reason}") from error
    return config, weights


def _assign(path: Path, agent, weights: dict[str, np.ndarray]) -> None:
    variables = {name: value for name, value in agent.variables().items() if name.startswith(PARTS)}
    shapes = {name: tuple(value.shape) for name, value in variables.items()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise UserError(f"{path}: its weights are not those of an agent with its settings")
    for name, variable in variables.items():
        variable.assign(weights[name].astype(np.float32))
