"""What a gymnasium environment of one's own returns, looked at before anything is made of it.

An importable module, no command. Mistakes become one sentence that names the environment and what
it returned; without it they are tracebacks from inside libraries, or a training on nonsense.
"""

import inspect
import math
import traceback

import gymnasium
import numpy as np
from gymnasium.envs import registration

from kit.command.errors import UserError


def make(env_id: str, **given) -> gymnasium.Env:
    """gymnasium.make without its own checker, with `Checked` around what the id stands for.

    Raises UserError where gymnasium cannot make it, or it does not know the word render_mode. What
    else goes wrong in the code of the environment keeps its traceback.
    """
    try:
        env = gymnasium.make(env_id, disable_env_checker=True, **given)
    except TypeError as error:
        if "render_mode" not in given:
            raise UserError(f"{env_id}: gymnasium cannot make it ({error})") from error
        raise UserError(f"{env_id}: cannot draw itself ({error})") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        refused = isinstance(error, gymnasium.error.Error | ImportError)
        if refused or last == registration.__file__:
            raise UserError(f"{env_id}: gymnasium cannot make it ({error})") from error
        raise
    within = env
    while isinstance(within, gymnasium.Wrapper) and isinstance(within.env, gymnasium.Wrapper):
        within = within.env
    if not isinstance(within, gymnasium.Wrapper):
        return Checked(within, env_id)
    within.env = Checked(within.env, env_id)  # gymnasium's wrappers would already stumble
    return env


def finite(env: gymnasium.Env, observations: np.ndarray) -> None:
    """UserError where one of `observations` (..., O) of `env` is NaN or infinite."""
    if observations.dtype.kind == "f" and not np.isfinite(observations).all():
        rows = observations.reshape(-1, observations.shape[-1])
        row = rows[~np.isfinite(rows).all(1)][0]
        raise UserError(f"{name(env)}: expected finite observations, found {_short(row)}")


def name(env: gymnasium.Env) -> str:
    """The id it was made by, or its class."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__


class Checked(gymnasium.Wrapper):
    """An environment whose `reset` and `step` return what gymnasium says, or raise UserError.

    Whether observations are finite is left to `finite`, which looks at many at once.
    """

    def __init__(self, env: gymnasium.Env, env_id: str):
        super().__init__(env)
        self._id, self._shape = env_id, getattr(env.observation_space, "shape", None)
        parameters = inspect.signature(env.reset).parameters.values()
        if not any(one.name == "seed" or one.kind == one.VAR_KEYWORD for one in parameters):
            raise UserError(f"{env_id}: expected reset(seed=..., options=...), found no seed in it")

    def reset(self, *, seed=None, options=None):
        given = {} if options is None else {"options": options}
        result = self.env.reset(seed=seed, **given)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise self._wrong("reset", "(observation, info)", result)
        self._look("reset", result[0])
        return result

    def step(self, action):
        result = self.env.step(action)
        if not (isinstance(result, tuple) and len(result) == 5):
            expected = "(observation, reward, terminated, truncated, info)"
            raise self._wrong("step", expected, result)
        observation, reward, terminated, truncated, _ = result
        # Types first: a step of CartPole takes ten microseconds, and np.shape two of them.
        if type(observation) is not np.ndarray or observation.shape != self._shape:
            self._look("step", observation)
        if not (type(reward) is float and math.isfinite(reward)) and not _is_finite(reward):
            raise self._wrong("step", "a finite number as reward", reward)
        for flag in (terminated, truncated):
            if type(flag) is not bool and np.shape(flag) != ():
                raise self._wrong("step", "terminated and truncated as True or False", flag)
        return result

    def _look(self, method: str, observation) -> None:
        if np.shape(observation) != self._shape:
            expected = f"an observation of shape {self._shape}"
            raise self._wrong(method, expected, observation)

    def _wrong(self, method: str, expected: str, found) -> UserError:
        return UserError(f"{self._id}: {method} returned {_short(found)}, expected {expected}")


def _is_finite(reward) -> bool:
    try:
        return np.shape(reward) == () and math.isfinite(reward)
    except TypeError:
        return False


def _short(value) -> str:
    """`value` in a few words: an array by its shape, unless it is short."""
    if isinstance(value, tuple):
        parts = ", ".join(type(part).__name__ for part in value)
        return f"a tuple of {len(value)} ({parts})"
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) < 120 else f"a {type(value).__name__}"
