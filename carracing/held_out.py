"""Test M on episodes that its training never sees: the losses to log, the weights to keep.

An importable module, no command; for rnn_train.py. Shapes: B episodes, T steps, Z latents.
"""

import numpy as np

from kit.tensors.tf import graph_function, tf

from fast.lstm_gradient import losses, make_batch
from rnn_data import Series

NAMES = ("z", "held_out_z")  # logged


class HeldOut:
    """Held-out episodes, with one noise for all tests."""

    def __init__(self, series: Series, episodes: np.ndarray, args, dtype):
        self.series, self.episodes, self.steps = series, episodes, min(args.length, 111)
        self._losses = graph_function(
            lambda chunk, noise, variables, state: losses(
                variables, make_batch(chunk, noise), state, dtype
            )
        )

    def _chunks(self):
        rng = np.random.default_rng(0)
        for index in range(self.series.chunks(self.steps)):
            chunk = self.series.chunk(self.episodes, index * self.steps, self.steps)
            yield chunk, rng.standard_normal(chunk["mu"].shape, np.float32)

    def run(self, variables) -> np.ndarray:
        """NLL of a latent, (1,)."""
        hidden = variables[0].shape[1] // 4
        state = [tf.zeros((len(self.episodes), hidden))] * 2
        total, count = 0.0, 0
        for chunk, noise in self._chunks():
            z_sum, state = self._losses(chunk, noise, variables, state)
            total, count = total + float(z_sum), count + noise[1:].size
        return np.array([total / count])

    def persistence(self) -> float:
        """NLL of the guess that each latent stays where it is, with the best deviation for each."""
        squares, count = 0, 0
        for chunk, noise in self._chunks():
            z = chunk["mu"] + np.exp(chunk["logvar"] / 2) * noise
            change = (z[1:] - z[:-1]).reshape(-1, z.shape[2]).astype(np.float64)
            squares, count = squares + (change**2).sum(axis=0), count + len(change)
        return float(0.5 * (np.log(2 * np.pi * squares / count) + 1).mean())


def score(measured: np.ndarray) -> float:
    """The value by which weights are chosen, of those of `HeldOut.run`; the least is best."""
    return float(measured[0])


def describe(trained: np.ndarray, measured: np.ndarray) -> str:
    """One line of the losses in training and of held-out episodes."""
    return f"z {trained[0]:.4f}, held out {measured[0]:.4f}"


def verdict(measured: np.ndarray, persistence: float) -> str:
    """One line about the weights that were kept."""
    return f"held out z {measured[0]:.4f} (a latent that stays: {persistence:.4f})"
