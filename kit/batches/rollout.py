"""Many rollouts in lockstep: finished rows leave the batch, and the next pairs take their place.

An importable module, no command. A `world` is a batch of episodes of one environment:

  world.start(seeds)        append a fresh episode for each seed, int64 (n,)
  world.observation         float32 (B, O), what the controllers see now
  world.step(actions)       advance every row: reward float (B,), done bool (B,)
  world.keep(rows)          row i becomes what was row rows[i], int64 (n <= B,); the others leave

A row's random numbers come from its seed, so a rollout does not depend on the other rows.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.command.errors import UserError


def run_rollouts(
    world,
    act: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seeds: np.ndarray,
    max_length: int | None = None,
    batch: int = 1024,
    report: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Run one episode for each of `seeds` (K,): returns (K,) float64 and lengths (K,) int64.

    `act(observation (B, O), pairs (B,)) -> actions (B, ...)` gets the index into `seeds` of every
    row, so that it can give each its own controller. At most `batch` rows run at once. Episodes
    end by themselves or after `max_length` steps (None or below 1: no such end).
    `report(n)` is told of every `n` steps made. UserError at an action that is not finite.
    """
    count = len(seeds)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    limit = max_length if max_length is not None and max_length > 0 else np.iinfo(np.int64).max
    pairs = np.empty(0, np.int64)
    started = 0
    while True:
        # Rows are refilled a sixteenth at a time: starting one by one costs more than it gains.
        room = min(batch - len(pairs), count - started)
        if room and (room >= batch // 16 or room == count - started):
            fresh = np.arange(started, started + room)
            world.start(np.asarray(seeds)[fresh])
            pairs = np.append(pairs, fresh)
            started += room
        if not len(pairs):
            return returns, lengths
        actions = act(world.observation, pairs)
        if not np.isfinite(actions).all():  # environments answer that with a traceback, or worse
            raise UserError(
                "an action is not a finite number: an observation is none either, or the weights "
                "of V, M or the policy are too large"
            )
        reward, done = world.step(actions)
        returns[pairs] += reward
        lengths[pairs] += 1
        if report:
            report(len(pairs))
        finished = done | (lengths[pairs] >= limit)
        if finished.any():
            rows = remaining_rows(finished)
            world.keep(rows)
            pairs = pairs[rows]


def run_parallel(worlds: Sequence, act, seeds, **options) -> tuple[np.ndarray, np.ndarray]:
    """`run_rollouts` with the pairs shared out over `worlds`, each in a separate thread.

    For one process with several cores: numpy and TensorFlow release the interpreter while they
    compute. `act` is called from all threads at once. Results do not depend on how many there are.
    """
    seeds = np.asarray(seeds)
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), np.int64)

    def run(index):
        share = np.arange(index, len(seeds), len(worlds))
        results = run_rollouts(
            worlds[index], lambda seen, pairs: act(seen, share[pairs]), seeds[share], **options
        )
        returns[share], lengths[share] = results

    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(run, range(len(worlds))))
    return returns, lengths


def remaining_rows(finished: np.ndarray) -> np.ndarray:
    """The rows that go on, int64, with the last ones moved into the holes of the finished."""
    left = len(finished) - np.count_nonzero(finished)
    rows = np.arange(left)
    rows[finished[:left]] = np.flatnonzero(~finished[left:]) + left
    return rows
