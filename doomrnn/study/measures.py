"""Measures for study/check.py: V, M, the dream and the agent on episodes no training has seen.

An importable module, no command. Shapes: E episodes, T frames of one, B frames, Z latents.
"""

from typing import NamedTuple

import cv2
import numpy as np

from kit.batches.latents import density_nll
from kit.batches.rollout import run_rollouts
from kit.command import seeds

import extract
from doomreal import DoomReal
from rnn import MDNRNN, FastStep, Rows
from world import MAX_STEPS

BRIGHT = 160  # of 255: nothing but fire has so much red (walls end at 130)
FIREBALL = 8  # pixels: smaller ones are far away, and V may miss them
DRAWN = 140 / 255  # mean red of a fireball that V has drawn; the floor has .37
AGES = (0, 150, 300, 500, 750, 1000, 1400, MAX_STEPS)  # steps between which deaths are counted
EARLY = 10  # frames before a death in which an alarm is early rather than false
RECORDING = ["--preset", "laptop"]  # flags of extract.py: the player that V and M learned from


class Episodes(NamedTuple):
    """Fresh episodes of the recorded player."""

    frames: list[np.ndarray]  # uint8 (T, 64, 64, 3) each
    actions: list[np.ndarray]  # float16 (T,) each
    lengths: np.ndarray  # (all episodes,), also of those that are too short to be kept


def record(count: int, report=None) -> Episodes:
    """Play `count` episodes as extract.py does, with seeds that no other command uses."""
    args, game = extract.parse(RECORDING), DoomReal()
    played = []
    try:
        for seed in seeds.check_seeds(0, count):
            played.append(extract.record_episode(game, int(seed), args))
            if report:
                report(1)
    finally:
        game.close()
    lengths = np.array([len(frames) for frames, _ in played])
    kept = [episode for episode in played if len(episode[0]) > args.min_frames] or played
    return Episodes([frames for frames, _ in kept], [moves for _, moves in kept], lengths)


def sample_frames(episodes: Episodes, count: int) -> np.ndarray:
    """Up to `count` random frames: uint8 (B, 64, 64, 3)."""
    every = np.concatenate(episodes.frames)
    chosen = np.random.default_rng(0).permutation(len(every))[:count]
    return every[np.sort(chosen)]


def fireballs_drawn(frames: np.ndarray, reconstructed: np.ndarray) -> np.ndarray:
    """For each fireball of FIREBALL pixels and more in `frames`: did V draw it? bool (fireballs,).

    They are found by colour in the frames alone, so that every V is asked about the same ones.
    """
    drawn = []
    for frame, picture in zip(frames, reconstructed, strict=True):
        bright = (frame[..., 0] > BRIGHT).astype(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(bright)
        for index in range(1, count):
            if boxes[index, cv2.CC_STAT_AREA] >= FIREBALL:
                drawn.append(picture[labels == index][:, 0].mean() > DRAWN)
    return np.array(drawn, bool)


class Foresight(NamedTuple):
    """What M expected along real episodes, (E,) each, and its restart logits frame by frame."""

    nll: np.ndarray  # of a latent, in nats
    persistence: np.ndarray  # of the guess that it stays, with the best deviation for each latent
    logits: list[np.ndarray]  # (T,) each; the last one is asked for the death


def foresee(rnn: MDNRNN, latents: list[np.ndarray], actions: list[np.ndarray]) -> Foresight:
    """Lead M along episodes: z float32 (T, Z) each, and the moves -1, 0, 1 float32 (T,) each.

    It runs M as the dream does (FastStep), not as its training does.
    """
    order = np.argsort([-len(z) for z in latents])
    rows = Rows(FastStep(rnn))
    rows.start(len(order))
    nll, logits = np.zeros(len(order)), [np.zeros(len(z), np.float32) for z in latents]
    for t in range(len(latents[order[0]])):
        order = order[[len(latents[e]) > t for e in order]]
        if len(order) < len(rows):
            rows.keep(np.arange(len(order)))
        rows.advance(
            np.stack([latents[e][t] for e in order]), np.stack([actions[e][t] for e in order])
        )
        mixture, logit = rows.predict()
        for row, episode in enumerate(order):
            logits[episode][t] = logit[row]
        going = [len(latents[e]) > t + 1 for e in order]
        if any(going):
            count = sum(going)
            after = np.stack([latents[e][t + 1] for e in order[:count]])
            nll[order[:count]] += density_nll(mixture[:count], after)
    steps = np.array([len(z) - 1 for z in latents])
    return Foresight(nll / steps, persistence_nll(latents), logits)


def persistence_nll(latents: list[np.ndarray]) -> np.ndarray:
    """The same for a normal around the present z, one deviation a latent, the best for them all."""
    changes = [np.diff(z, axis=0).astype(np.float64) for z in latents]
    variance = np.mean(np.concatenate(changes) ** 2, axis=0)
    constant = 0.5 * np.log(2 * np.pi * variance)
    return np.array([(constant + 0.5 * change**2 / variance).mean() for change in changes])


class Alarms(NamedTuple):
    """Restart logits above 0, at which the dream ends."""

    foreseen: np.ndarray  # bool (deaths,): the alarm at a death's own frame
    false: np.ndarray  # (E,): alarms that no death follows within EARLY frames
    early: np.ndarray  # (E,): alarms in the EARLY frames before a death


def count_alarms(logits: list[np.ndarray], died: np.ndarray) -> Alarms:
    """`died` bool (E,): False for an episode that the clock ended."""
    foreseen, false, early = [], [], []
    for episode, dead in zip(logits, died, strict=True):
        alarm = episode > 0
        before = slice(-1 - EARLY, -1) if dead else slice(len(alarm), None)
        early.append(alarm[before].sum())
        false.append(alarm[: -1 if dead else None].sum() - early[-1])
        if dead:
            foreseen.append(alarm[-1])
    return Alarms(np.array(foreseen, bool), np.array(false), np.array(early))


def survival(world, act, count: int, report=None, batch: int = 32) -> np.ndarray:
    """Lengths int64 (count,) of `count` episodes in a world, real or dreamed."""
    trials = seeds.check_seeds(0, count)
    return run_rollouts(world, act, trials, batch=batch, report=report)[1]


def death_rates(lengths: np.ndarray) -> np.ndarray:
    """Deaths in 1000 steps at each age of AGES, (ages,), of episodes (N,); NaN where none got to.

    The game sends in more enemies by the minute. A dream in which an old agent is as safe as a
    young one has learned that too little: M saw few old ones.
    """
    edges = np.array(AGES)
    lived = (np.clip(lengths[:, None], edges[:-1], edges[1:]) - edges[:-1]).sum(0)
    dead = lengths[lengths < MAX_STEPS]  # the clock ended the others
    deaths = np.histogram(dead, edges + 0.5)[0]  # a death at an edge is of the age before it
    return 1000 * deaths / np.where(lived, lived, np.nan)
