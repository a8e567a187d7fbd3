"""What check measures: V, M and the dream on games that no training has seen.

An importable module, no command. Shapes: E games of T steps each, B frames, Z latents, A actions.
"""

from typing import NamedTuple

import numpy as np

from kit.batches.mixtures import expected_z
from kit.batches.rollout import run_rollouts
from kit.command import progress, seeds

from agent import in_colour
from dream import Dream
from record_data import Recorder
from rnn import MDNRNN, FastStep, Rows, sigmoid
from world import Actions

HORIZON = 10  # steps that M is left alone for
LED = 10  # steps that it is led along the game before
APART = 20  # steps from one such comparison to the next
LONGEST = 1000  # steps of a game that is looked at


class Game(NamedTuple):
    """One game."""

    frames: np.ndarray  # uint8 (T, 64, 64, 3)
    actions: np.ndarray  # as recorded, (T, D)
    rewards: np.ndarray  # (T,)
    terminated: bool


class Seen(NamedTuple):
    """A game as V sees it, with what M is given and should say."""

    mu: np.ndarray  # (T, Z)
    z: np.ndarray  # (T, Z), sampled
    actions: np.ndarray  # (T, A)
    rewards: np.ndarray  # (T,)
    end: np.ndarray  # (T,)


def play(world, act, actions: Actions, first: int, count: int, title: str):
    """Games with the check's own seeds, and their whole returns (E,)."""
    games: dict[int, Game] = {}

    def save(seed, frames, stored, rewards, terminated):
        part = slice(0, LONGEST)
        ended = terminated and len(frames) <= LONGEST
        games[seed] = Game(in_colour(frames[part]), stored[part], rewards[part], ended)

    trial_seeds = seeds.check_seeds(first, count)
    with progress.bar(None, "steps", title) as bar:
        recorder = Recorder(world, actions, save)
        returns, _ = run_rollouts(recorder, act, trial_seeds, None, 4, bar.update)
    return [games[int(seed)] for seed in trial_seeds], returns


def encode(vae, frames: np.ndarray, batch: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """mu and logvar, float32 (B, Z) each."""
    parts = [vae.encode(frames[i : i + batch]) for i in range(0, len(frames), batch)]
    mu, logvar = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mu, logvar


def see(vae, games: list[Game], actions: Actions) -> list[Seen]:
    """The games through V."""
    rng, result = np.random.default_rng(0), []
    for game in games:
        mu, logvar = encode(vae, game.frames)
        z = mu + np.exp(logvar / 2) * rng.standard_normal(mu.shape, np.float32)
        end = np.zeros(len(mu))
        end[-1] = game.terminated
        result.append(Seen(mu, z, actions.encode(game.actions), game.rewards, end))
    return result


def squared_errors(frames: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Of frames uint8 (B, 64, 64, 3) and pictures in 0..1, summed over pixels: (B,)."""
    return ((frames / 255.0 - made) ** 2).sum(axis=(1, 2, 3))


class Foresight(NamedTuple):
    """How well M knows the next step, a number for each game."""

    nll: np.ndarray  # (E,) of a latent
    persistence: np.ndarray  # (E,) of the guess that it stays, with the best deviation
    rewards: np.ndarray | None  # (N, 2), what came and what M expected, of all steps
    ends: np.ndarray  # (N, 2), whether it ended and how likely M held that


def foresee(rnn: MDNRNN, games: list[Seen], offset: float, scale: float) -> Foresight:
    """Run M over the games."""
    change = np.concatenate([game.z[1:] - game.z[:-1] for game in games])
    variance = np.maximum((change.astype(np.float64) ** 2).mean(axis=0), 1e-12)
    nll, persistence, rewards, ends = [], [], [], []
    for game in games:
        rows, found = Rows(FastStep(rnn)), []
        rows.start(1)
        for t in range(len(game.z)):
            rows.advance(game.z[t : t + 1], game.actions[t : t + 1])
            expected = rows.predict()
            if t + 1 < len(game.z):
                found.append(_nll(expected.mixture[0], game.z[t + 1]))
            if expected.reward is not None:
                told = expected.reward[0]
                told = sigmoid(told) if rnn.size.reward == "bernoulli" else told
                rewards.append((game.rewards[t], offset + scale * told))
            if expected.end is not None:
                ends.append((game.end[t], sigmoid(expected.end[0])))
        if found:
            nll.append(np.mean(found))
            squares = (game.z[1:] - game.z[:-1]) ** 2 / variance
            persistence.append(0.5 * (np.log(2 * np.pi * variance) + squares).mean())
    pairs = [np.array(v) if v else np.empty((0, 2)) for v in (rewards, ends)]
    return Foresight(np.array(nll), np.array(persistence), *pairs)


def _nll(mixture: np.ndarray, z: np.ndarray) -> float:
    logmix, mean, logstd = mixture  # (K, Z) each
    logmix = logmix - np.logaddexp.reduce(logmix, axis=0)
    density = logmix - 0.5 * ((z - mean) * np.exp(-logstd)) ** 2 - logstd
    return float((0.5 * np.log(2 * np.pi) - np.logaddexp.reduce(density, axis=0)).mean())


def drift(rnn: MDNRNN, games: list[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors (N,) after HORIZON steps alone: of M's mean expectation, of staying put."""
    led, frozen = [], []
    for game in games:
        for start in range(LED, len(game.mu) - HORIZON, APART):
            rows, z = Rows(FastStep(rnn)), None
            rows.start(1)
            for t in range(start - LED, start + HORIZON):
                seen = game.mu[t : t + 1] if t <= start else z
                rows.advance(seen, game.actions[t : t + 1])
                z = expected_z(rows.predict().mixture)
            after = game.mu[start + HORIZON]
            led.append(((z[0] - after) ** 2).sum())
            frozen.append(((game.mu[start] - after) ** 2).sum())
    return np.array(led), np.array(frozen)


def spread(dream: Dream, act, trial_seeds: np.ndarray, games: list[Seen]) -> np.ndarray:
    """Deviation of each dreamed latent over that of the games', (Z,), the same player in both.

    Under recorded actions a dream of what is not stable would leave the game at once, and rightly.
    """
    dreamed = []

    def look(observation, rows):
        dreamed.append(observation[:, : dream.z_size].copy())
        return act(observation, rows)

    run_rollouts(dream, look, trial_seeds, LONGEST)
    real = np.concatenate([game.mu for game in games])
    return np.concatenate(dreamed).std(axis=0) / np.maximum(real.std(axis=0), 1e-6)
