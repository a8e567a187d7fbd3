"""Several environments side by side: one after the other, in threads or in processes."""

import contextlib
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.async_vector_env import AsyncState, _async_worker
from gymnasium.vector.utils import iterate

from kit.command import interrupts
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


class ProcessVectorEnv(AsyncVectorEnv):
    """An AsyncVectorEnv whose processes leave Ctrl-C to the one that trains, and end with it."""

    def __init__(self, makers: Sequence[Maker], **options):
        with contextlib.ExitStack() as self._starting:
            self._starting.enter_context(interrupts.held())
            try:
                super().__init__(makers, context="spawn", worker=_play, **options)
            except BaseException:  # what it has made is gone before they are ready
                self.closed = True
                for process in getattr(self, "processes", ()):
                    process.kill()
                raise

    def _check_spaces(self) -> None:
        """All have been started; from here on, waiting for them can be interrupted."""
        self._starting.close()
        with _all_alive():
            super()._check_spaces()

    def reset(self, **options):
        with _all_alive():
            return super().reset(**options)

    def step(self, actions):
        with _all_alive():
            return super().step(actions)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        if self._state != AsyncState.DEFAULT:  # broken off: no answer is to be waited for
            self._state, terminate = AsyncState.DEFAULT, True
        try:
            super().close_extras(timeout, terminate)
        except (EOFError, ConnectionError):  # one has gone
            super().close_extras(timeout, terminate=True)


@contextlib.contextmanager
def _all_alive() -> Iterator[None]:
    """UserError where a process that plays has gone in the block."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise UserError(
            "a process of --envs_parallel process has ended, killed or out of memory; the same "
            "command goes on"
        ) from error


def _play(*arguments) -> None:
    """What a process does; where the one that trains is gone there is nobody to be told."""
    _hear_the_end()
    with contextlib.suppress(EOFError, ConnectionError):
        _async_worker(*arguments)


def _hear_the_end() -> None:
    """SIGTERM ends this process, that was started in a block that holds signals; Ctrl-C not."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def make_batch(makers: Sequence[Maker], parallel: str = "none") -> VectorEnv:
    """The environments of `makers`, which are reset by hand: `reset(options={"reset_mask": ...})`.

    `process` starts each in a separate process (spawned, since TensorFlow's threads do not
    survive a fork). Raises UserError for another strategy.
    """
    manual = {"autoreset_mode": AutoresetMode.DISABLED}
    if parallel == "none":
        return SyncVectorEnv(makers, copy=False, **manual)
    if parallel == "thread":
        return ThreadVectorEnv(makers, copy=False, **manual)
    if parallel == "process":
        workers = {id(maker): _InProcess(maker) for maker in makers}
        return ProcessVectorEnv([workers[id(maker)] for maker in makers], copy=False, **manual)
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
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_tell_spaces, args=(maker, theirs), daemon=True)
        with interrupts.held():
            process.start()
        theirs.close()
        try:
            with _all_alive():
                self._spaces, error = ours.recv()
        finally:
            process.kill()
        if error is not None:
            raise error

    def __call__(self) -> gymnasium.Env:
        if os.getpid() == self._home:
            env = gymnasium.Env()
            env.observation_space, env.action_space = self._spaces
            return env
        return self._maker()


def _tell_spaces(maker: Maker, pipe) -> None:
    """Send the spaces and None, or None and what went wrong."""
    _hear_the_end()
    spaces = error = None
    try:
        env = maker()
        spaces = env.observation_space, env.action_space
        env.close()
    except Exception as found:
        error = found
    with contextlib.suppress(ConnectionError):
        pipe.send((spaces, error))
