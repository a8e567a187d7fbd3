"""Several environments side by side: one after the other, in threads or in processes."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import iterate

from kit.command.errors import UserError

STRATEGIES = ("none", "thread", "process")
Maker = Callable[[], gymnasium.Env]


class _Ahead(gymnasium.Wrapper):
    """An environment whose next step may already be under way in a thread."""

    _step: Future

    def begin(self, pool: ThreadPoolExecutor, action) -> None:
        self._step = pool.submit(self.env.step, action)

    def step(self, action):
        return self._step.result()


class ThreadVectorEnv(SyncVectorEnv):
    """A SyncVectorEnv whose environments step at the same time, a thread each."""

    def __init__(self, makers: Sequence[Maker], **options):
        super().__init__([functools.partial(_ahead, maker) for maker in makers], **options)
        self._pool = ThreadPoolExecutor(len(makers))

    def step(self, actions):
        for env, action in zip(self.envs, iterate(self.action_space, actions), strict=True):
            env.begin(self._pool, action)
        return super().step(actions)

    def close_extras(self, **options) -> None:
        self._pool.shutdown()
        super().close_extras(**options)


def make_batch(makers: Sequence[Maker], parallel: str = "none") -> VectorEnv:
    """The environments of `makers`, which are reset by hand: `reset(options={"reset_mask": ...})`.

    `process` starts each in a process of its own (spawned, since TensorFlow's threads do not
    survive a fork). Raises UserError for another strategy.
    """
    manual = {"autoreset_mode": AutoresetMode.DISABLED}
    if parallel == "none":
        return SyncVectorEnv(makers, copy=False, **manual)
    if parallel == "thread":
        return ThreadVectorEnv(makers, copy=False, **manual)
    if parallel == "process":
        workers = {id(maker): _InProcess(maker) for maker in makers}
        return AsyncVectorEnv(
            [workers[id(maker)] for maker in makers], copy=False, context="spawn", **manual
        )
    raise UserError(f"--envs_parallel: expected {', '.join(STRATEGIES)}, found {parallel!r}")


def _ahead(maker: Maker) -> gymnasium.Env:
    return _Ahead(maker())


class _InProcess:
    """Makes an environment in the process that steps it; here it only tells its spaces.

    gymnasium makes one environment where it starts the others, for a look at its spaces. Some must
    not be made beside TensorFlow.
    """

    def __init__(self, maker: Maker):
        self._maker, self._home = maker, os.getpid()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            self._spaces = pool.submit(_spaces, maker).result()

    def __call__(self) -> gymnasium.Env:
        if os.getpid() == self._home:
            env = gymnasium.Env()
            env.observation_space, env.action_space = self._spaces
            return env
        # Ctrl-C reaches every process of a terminal; the one that trains closes the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return self._maker()


def _spaces(maker: Maker) -> tuple[gymnasium.Space, gymnasium.Space]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    env = maker()
    try:
        return env.observation_space, env.action_space
    finally:
        env.close()
