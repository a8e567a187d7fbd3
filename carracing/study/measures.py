"""Measures for study/check.py: V, M, the dream and the agent on episodes no training has seen.

An importable module, no command. Shapes: E episodes, T frames of one, B frames, Z latents.
"""

from typing import NamedTuple

import numpy as np

from kit.batches.latents import density_nll
from kit.batches.mixtures import expected_z, sample_z
from kit.batches.rollout import run_rollouts
from kit.command import seeds

import extract
from agent import RealWorld
from env import make
from rnn import MDNRNN, FastStep, Rows
from world import MAX_STEPS

CAR = (..., slice(50, 60), slice(29, 35))  # rows, columns of a frame that the car takes up
HORIZON = 20  # steps that M is left alone for
WARM_UP = 60  # steps that it is led along reality before: the camera closes in for 50
STARTS = 100  # steps from one such comparison to the next


class Episodes(NamedTuple):
    """Fresh episodes of the recorded drivers, all of one length."""

    frames: np.ndarray  # uint8 (E, T, 64, 64, 3)
    actions: np.ndarray  # float32 (E, T, 3)


def record(kind: str, first: int, count: int, length: int, report=None) -> Episodes:
    """Drive `count` episodes as extract.py does, drawn by `kind`, with the check's own seeds."""
    args = extract.parse(["--policy", "both", "--max_frames", str(length)])
    env, driven = make(kind), []
    try:
        for seed in seeds.check_seeds(first, count):
            driven.append(extract.record_episode(env, int(seed), args))
            if report:
                report(1)
    finally:
        env.close()
    frames, actions = zip(*driven, strict=True)
    return Episodes(np.stack(frames), np.stack(actions).astype(np.float32))


def sample_frames(frames: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` random ones of frames (..., 64, 64, 3): uint8 (B, 64, 64, 3)."""
    every = frames.reshape(-1, *frames.shape[-3:])
    return every[np.sort(np.random.default_rng(0).permutation(len(every))[:count])]


def road_mask(frames: np.ndarray) -> np.ndarray:
    """Pixels that are grey, the car left out: bool (B, 64, 64) of frames uint8 (B, 64, 64, 3)."""
    red, green, blue = np.moveaxis(frames.astype(np.int16), -1, 0)
    grey = (abs(red - green) < 25) & (abs(green - blue) < 25) & (red > 70) & (red < 150)
    grey[CAR] = False
    return grey


def kerb_mask(frames: np.ndarray) -> np.ndarray:
    """Pixels of kerbs, red or white, the car left out: bool (B, 64, 64)."""
    red, green, blue = np.moveaxis(frames.astype(np.int16), -1, 0)
    kerb = (red - green > 60) | ((red > 190) & (green > 190) & (blue > 190))
    kerb[CAR] = False
    return kerb


def road_overlap(frames: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Of frames with a road, the overlap (intersection over union) with V's road: (frames,)."""
    real, drawn = road_mask(frames), road_mask(pictures)
    with_road = real.mean(axis=(1, 2)) > 0.02
    union = (real | drawn)[with_road].sum(axis=(1, 2))
    return (real & drawn)[with_road].sum(axis=(1, 2)) / union


def part_error(frames: np.ndarray, pictures: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference in the pixels of `mask` (B, 64, 64), in levels of 255; NaN where none are."""
    if not mask.any():
        return float("nan")
    return float(np.abs(frames[mask].astype(np.int16) - pictures[mask]).mean())


def car_mask(count: int) -> np.ndarray:
    """The car's pixels, which stand still in the picture: bool (count, 64, 64)."""
    mask = np.zeros((count, 64, 64), bool)
    mask[CAR] = True
    return mask


class Foresight(NamedTuple):
    """What M expected along real episodes, (E,) each, in nats of a latent."""

    nll: np.ndarray
    persistence: np.ndarray  # of the guess that it stays, with the best deviation for each latent


def foresee(rnn: MDNRNN, z: np.ndarray, actions: np.ndarray) -> Foresight:
    """Lead M along episodes: z (E, T, Z), actions (E, T, 3), float32.

    It runs M as the dream does (FastStep), not as its training does.
    """
    rows, nll, steps = Rows(FastStep(rnn)), 0.0, z.shape[1] - 1
    rows.start(len(z))
    for t in range(steps):
        rows.advance(z[:, t], actions[:, t])
        nll = nll + density_nll(rows.predict(), z[:, t + 1])
    return Foresight(nll / steps, persistence_nll(z))


def persistence_nll(z: np.ndarray) -> np.ndarray:
    """The same for a normal around the present z, one deviation a latent, the best for them all."""
    change = np.diff(z.astype(np.float64), axis=1)  # (E, T - 1, Z)
    variance = np.mean(change**2, axis=(0, 1))
    constant = 0.5 * np.log(2 * np.pi * variance)
    return (constant + 0.5 * change**2 / variance).mean(axis=(1, 2))


class Drift(NamedTuple):
    """Squared distance to the real mu, (HORIZON, starts), by steps after the start."""

    led: np.ndarray  # of M's mean expectation, led on by itself under the real actions
    frozen: np.ndarray  # of the start


def drift(rnn: MDNRNN, mu: np.ndarray, actions: np.ndarray) -> Drift:
    """Lead M along mu (E, T, Z) under actions (E, T, 3) up to a start, then leave it alone.

    There is a start every STARTS steps.
    """
    led, frozen = [], []
    for start in range(WARM_UP, mu.shape[1] - HORIZON, STARTS):
        rows = Rows(FastStep(rnn))
        rows.start(len(mu))
        for t in range(max(0, start - WARM_UP), start):
            rows.advance(mu[:, t], actions[:, t])
        z, errors = mu[:, start], []
        for t in range(start, start + HORIZON):
            rows.advance(z, actions[:, t])
            z = expected_z(rows.predict())
            errors.append(((z - mu[:, t + 1]) ** 2).sum(axis=1))
        led.append(errors)
        after = mu[:, start + 1 : start + HORIZON + 1]
        frozen.append(((after - mu[:, start : start + 1]) ** 2).sum(axis=2).T)
    return Drift(np.concatenate(led, axis=1), np.concatenate(frozen, axis=1))


def spread(rnn: MDNRNN, mu: np.ndarray, actions: np.ndarray, temperature: float) -> np.ndarray:
    """Deviation of each dreamed latent over that of the real one, (Z,), long after the start.

    Dreams every episode from its first latent on under its own actions; compares the second halves.
    """
    rng, rows = np.random.default_rng(0), Rows(FastStep(rnn))
    rows.start(len(mu))
    z, dreamed = mu[:, 0], []
    for t in range(mu.shape[1] - 1):
        rows.advance(z, actions[:, t])
        noise = rng.random(z.shape, np.float32), rng.standard_normal(z.shape, np.float32)
        z = sample_z(rows.predict(), *noise, temperature)
        dreamed.append(z)
    half = mu.shape[1] // 2
    return np.std(dreamed[half:], axis=(0, 1)) / mu[:, half:].std(axis=(0, 1))


class Drive(NamedTuple):
    """Episodes of the agent."""

    returns: np.ndarray  # (E,)
    laps: np.ndarray  # bool (E,)
    frames: np.ndarray  # uint8 (B, 64, 64, 3), some of what it saw


def drive(world: RealWorld, act, count: int, report=None, every: int = 25) -> Drive:
    """Let the agent drive `count` tracks in `world`."""
    trials, seen, steps = seeds.check_seeds(0, count), [], 0

    def look(steps_made):
        nonlocal steps
        steps += 1
        if steps % every == 0:
            seen.extend(world.frames)
        if report:
            report(steps_made)

    returns, _ = run_rollouts(world, act, trials, MAX_STEPS, report=look)
    return Drive(returns, np.isin(trials, list(world.goals)), np.array(seen, np.uint8))
