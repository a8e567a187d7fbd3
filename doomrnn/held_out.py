"""Test M on episodes that its training never sees: the losses to log, the weights to keep.

An importable module, no command; for rnn_train.py. Shapes: B streams, T steps, Z latents.
"""

import numpy as np

from kit.tensors.tf import graph_function, tf

from fast.lstm_gradient import losses, make_batch
from rnn_data import Series, streams

NAMES = ("z", "restart", "held_out_z", "held_out_restart", "recall", "false_alarms")  # logged
RECALL_GATE = 0.8  # below it the dream is too kind: deaths of the real game do not happen in it


class HeldOut:
    """Held-out episodes as streams, with one noise for all tests."""

    def __init__(self, series: Series, episodes: np.ndarray, args, dtype):
        frames = series.frames(episodes)
        count = min(args.batch, max(1, len(frames) // 500))
        steps = min(64, len(frames) // count - 1)
        self.parts = streams(frames, count, steps, f"the held-out part of {series.path}")
        self.series, self.steps, self.count = series, steps, count
        self._losses = graph_function(
            lambda chunk, noise, variables, state: self._measure(
                chunk, noise, variables, state, dtype
            )
        )

    @staticmethod
    def _measure(chunk, noise, variables, state, dtype):
        batch = make_batch(chunk, noise)
        sums, logit, state = losses(variables, batch, state, dtype)
        alarm = tf.cast(logit > 0, tf.float32)
        weight = batch.end_weight
        death = batch.restart * weight
        counts = [tf.reduce_sum(v) for v in (death, death * alarm, weight - death)]
        false = tf.reduce_sum((weight - death) * alarm)
        z_sum = tf.reduce_sum(batch.z_weight) * batch.z.shape[2]
        return tf.stack([sums[0], z_sum, sums[1], tf.reduce_sum(weight), *counts, false]), state

    def _chunks(self):
        rng = np.random.default_rng(0)
        for start in range(0, len(self.parts) - 1, self.steps):
            chunk = self.series.chunk(self.parts[start : start + self.steps + 1])
            yield chunk, rng.standard_normal(chunk["mu"].shape, np.float32)

    def run(self, variables) -> np.ndarray:
        """NLL of a latent, restart loss, recall of deaths, false alarms in 1000 steps."""
        hidden = variables[0].shape[1] // 4
        state = [tf.zeros((self.count, hidden))] * 2
        total = 0
        for chunk, noise in self._chunks():
            sums, state = self._losses(chunk, noise, variables, state)
            total = total + sums.numpy().astype(np.float64)
        z, latents, end, steps, deaths, hits, others, false = total
        return np.array([z / latents, end / steps, hits / max(1, deaths), 1000 * false / others])

    def persistence(self) -> float:
        """NLL of the guess that each latent stays where it is, with the best deviation for each."""
        squares, count = 0, 0
        for chunk, noise in self._chunks():
            z = chunk["mu"] + np.exp(chunk["logvar"] / 2) * noise
            change = (z[1:] - z[:-1])[chunk["restart"] == 0].astype(np.float64)
            squares, count = squares + (change**2).sum(axis=0), count + len(change)
        return float(0.5 * (np.log(2 * np.pi * squares / count) + 1).mean())


def score(measured: np.ndarray) -> float:
    """The value by which weights are chosen, of those of `HeldOut.run`; the least is best."""
    return float(measured[0] + measured[1])


def describe(trained: np.ndarray, measured: np.ndarray) -> str:
    """One line of the losses in training and of held-out episodes."""
    z, end, recall, false = measured
    return (
        f"z {trained[0]:.4f} restart {trained[1]:.4f}, held out {z:.4f} + {end:.4f}, deaths "
        f"foreseen {recall:.2f}, false alarms {false:.1f} in 1000 steps"
    )


def verdict(measured: np.ndarray, persistence: float) -> str:
    """One line about the weights that were kept."""
    z, end, recall, false = measured
    passed = "passed" if recall >= RECALL_GATE else "NOT passed: record more episodes"
    return (
        f"held out z {z:.4f} (a latent that stays: {persistence:.4f}), restart {end:.4f}, false "
        f"alarms {false:.1f} in 1000 steps\n"
        f"deaths foreseen {recall:.2f}, gate {RECALL_GATE}: {passed}"
    )
