"""Tasks by name: `make("atari_pong", "train", config)`."""

import contextlib
import re

import gymnasium

from dreamerv2.envs import atari, control, rooms, survival
from dreamerv2.envs.adapter import adapt
from kit.command.errors import UserError

OWN = "own"  # the task of an environment that a script gives to dv2.train
TASKS = (
    "atari_<game>, dmc_<domain>_<task>, crafter_reward, minigrid_<name>, gym_<id>, carracing or "
    "takecover"
)


def make(task: str, mode: str, config) -> gymnasium.Env:
    """One environment, adapted for the agent.

    Args: mode: "train" or "eval"; they differ where training draws faster than the game that is
    scored. Raises UserError where there is no such task, or what it needs is not installed.
    """
    if task == OWN:
        raise UserError(
            "--task: this agent learned in an environment that a script gave to dv2.train; name a "
            "task with the same observations and actions"
        )
    if task == "carracing":
        env = rooms.carracing(stock=mode == "eval", repeat=config.action_repeat)
        return adapt(env, config, repeat=1)
    if task == "takecover":
        return adapt(rooms.takecover(), config)
    suite, _, name = task.partition("_")
    if suite == "atari" and name:
        return adapt(atari.make(name, config), config, repeat=1)  # its wrapper repeats
    if suite == "dmc" and name:
        return adapt(control.make(name, config, _wants_pictures(config)), config)
    if suite == "crafter" and name:
        return adapt(survival.make(name, config, mode == "eval"), config)
    if suite == "minigrid" and name:
        return adapt(_minigrid(name), config)
    if suite == "gym" and name:
        return adapt(_registered(name), config)
    raise UserError(f"--task: expected {TASKS}, found {task!r}")


def strategy(config) -> str:
    """How the environments of these settings run side by side: envs_parallel, but for one case.

    dm_control draws with OpenGL, whose LLVM crashes beside TensorFlow's in one process.
    """
    drawn = config.task.startswith("dmc_") and _wants_pictures(config)
    return "process" if drawn else config.envs_parallel


def _wants_pictures(config) -> bool:
    patterns = (config.encoder.cnn_keys, config.decoder.cnn_keys)
    return any(re.match(pattern, "image") for pattern in patterns)


def _minigrid(name: str) -> gymnasium.Env:
    """What the agent sees in front of it, in colour; "DoorKey-6x6" is MiniGrid-DoorKey-6x6-v0."""
    try:
        from minigrid.wrappers import RGBImgPartialObsWrapper
    except ImportError as error:
        raise UserError("task minigrid needs minigrid: pip install minigrid") from error
    return RGBImgPartialObsWrapper(_registered(f"MiniGrid-{name}-v0"))


def _registered(env_id: str) -> gymnasium.Env:
    """gymnasium's environment of that id; "module:id" imports a module that registers it."""
    with contextlib.suppress(ImportError):  # their ids are known once they are imported
        import minigrid  # noqa: F401
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"--task: gymnasium cannot make {env_id!r} ({error})") from error
