"""Several environments side by side: one after the other, in threads or in processes."""

import functools
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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
        workers = [functools.partial(_in_process, maker) for maker in makers]
        return AsyncVectorEnv(workers, copy=False, context="spawn", **manual)
    raise UserError(f"--envs_parallel: expected {', '.join(STRATEGIES)}, found {parallel!r}")


def _ahead(maker: Maker) -> gymnasium.Env:
    return _Ahead(maker())


def _in_process(maker: Maker) -> gymnasium.Env:
    """Ctrl-C reaches every process of a terminal; the one that trains closes the others."""
    if multiprocessing.parent_process() is not None:  # gymnasium also makes one here, for a look
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return maker()
