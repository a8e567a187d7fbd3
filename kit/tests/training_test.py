"""What trainings stand on: Adam, checkpoints, interruptions, rollouts in lockstep, scores."""

import os
import signal

import numpy as np
import pytest

from kit.batches.rollout import run_parallel, run_rollouts
from kit.command import interrupts
from kit.command.errors import UserError
from kit.files import checkpoint, scores
from kit.tensors.adam import Adam
from kit.tensors.tf import tf


def test_adam_makes_the_steps_of_keras_adam():
    start = [np.array([[1.0, -2.0]], np.float32), np.array([0.5], np.float32)]
    rng = np.random.default_rng(0)
    ours, theirs = ([tf.Variable(v) for v in start] for _ in range(2))
    adam, keras = Adam(ours), tf.keras.optimizers.Adam(0.01, epsilon=1e-8)
    for _ in range(20):
        gradients = [tf.constant(rng.standard_normal(v.shape), tf.float32) for v in start]
        adam.apply(gradients, 0.01)
        keras.apply_gradients(zip(gradients, theirs, strict=True))
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)


def test_checkpoint_round_trip_and_damage(tmp_path):
    path = tmp_path / "checkpoint.npz"
    assert checkpoint.load(path, [(2,)]) is None
    checkpoint.save(path, [np.array([1.5, 2.5], np.float32)], step=7, log=[[1, 2.5]])
    arrays, values = checkpoint.load(path, [(2,)])
    assert arrays[0].tolist() == [1.5, 2.5] and values == {"step": 7, "log": [[1, 2.5]]}
    with pytest.raises(UserError, match="another size"):
        checkpoint.load(path, [(3,)])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"checkpoint\.npz"):
        checkpoint.load(path, [(2,)])


def test_an_interruption_waits_for_the_step_and_a_second_one_does_not():
    with interrupts.deferred() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_interruption_waits_for_the_end_of_a_postponed_block():
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    try:
        interrupts.raise_on_signals()
        done = []
        with pytest.raises(KeyboardInterrupt), interrupts.postponed():
            with interrupts.postponed():  # the inner end is none
                signal.raise_signal(signal.SIGTERM)
            done.append("inner")
        assert done == ["inner"]
        with interrupts.postponed():  # what has arrived has gone
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Countdown:
    """A world in which a row with seed s ends after s steps and is rewarded with its action."""

    def __init__(self):
        self.observation = np.empty((0, 1), np.float32)

    def start(self, seeds):
        self.observation = np.concatenate((self.observation, np.float32(seeds)[:, None]))

    def step(self, actions):
        self.observation = self.observation - 1
        return actions, self.observation[:, 0] <= 0

    def keep(self, rows):
        self.observation = self.observation[rows]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rollouts_give_each_pair_its_own_controller_and_length(batch):
    lengths = np.random.default_rng(0).integers(1, 30, 50)
    returns, steps = run_rollouts(Countdown(), lambda _, pairs: pairs * 2.0, lengths, batch=batch)
    np.testing.assert_array_equal(steps, lengths)
    np.testing.assert_array_equal(returns, 2.0 * np.arange(50) * lengths)


def test_rollouts_end_at_the_cap_and_in_threads_alike():
    lengths = np.random.default_rng(0).integers(1, 30, 50)
    worlds = [Countdown(), Countdown()]
    returns, steps = run_parallel(
        worlds, lambda _, pairs: pairs * 2.0, lengths, max_length=7, batch=8
    )
    np.testing.assert_array_equal(steps, np.minimum(lengths, 7))
    np.testing.assert_array_equal(returns, 2.0 * np.arange(50) * steps)


def test_summary_of_scores():
    assert scores.summary([1, 2, 3, 6], 5) == (
        "seed 5 average_reward 3.00 stdev 1.87 stderr 0.94 median 2.50"
    )
