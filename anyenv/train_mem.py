"""train_mem: train M on encoded episodes.

An importable module; `python run.py train_mem data/mem.hdf5` is the command. Writes the weights
that did best on held-out episodes to rnn_training.ckpt_path, with the first latents of episodes
that dreams begin from, a checkpoint beside them, and logs. It ends after `patience` epochs without
a better held-out loss. An epoch is as many sequences as the episodes have steps.
"""

import time
from pathlib import Path

import numpy as np

from kit.command import interrupts, locks, memory, progress
from kit.command.errors import UserError
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import graph_function, tf

import data
import talk
from config import Config
from env import make
from fast.lstm_gradient import Batch, loss_and_gradients, losses
from fitting import SAVE_EVERY, Fit, mean_losses, noise_seed
from models import Memory, load_memory, save_memory, size_of
from rnn import MDNRNN
from rnn_data import Rewards, Series, sequences, whole

NAMES = ("z", "reward", "end", "held_out_z", "held_out_reward", "held_out_end")
CLIP = 1.0  # bound of a gradient's elements (reference carracing/rnn.py)
STEP_BYTES = 80  # that a step of a sequence keeps for the gradient, a cell
TEST_STEPS = 200  # of a sequence in tests


def find_file(path: Path) -> Path:
    """`path`, or where the seed's text says .npz and there is none, the HDF5 file of that name."""
    other = path.with_suffix(".hdf5")
    if path.suffix == ".npz" and not path.exists() and other.exists():
        talk.info(f"{path}: there is no such file, {other} is taken")
        return other
    return path


def make_batch(chunk, noise) -> Batch:
    """Of a Chunk and noise (2, T, B, Z); z is drawn anew each time."""
    z = chunk.mu + tf.exp(chunk.logvar / 2) * noise[0]
    following = chunk.next_mu + tf.exp(chunk.next_logvar / 2) * noise[1]
    ones = tf.ones_like(chunk.reward)
    x = tf.concat((z, chunk.action), axis=2)
    return Batch(x, chunk.fresh, following, chunk.reward, chunk.end, chunk.z_weight, ones)


def train_step(variables, optimiser: Adam, size, towers: int, dtype):
    """A tf.function (chunk, state, seed (2,), rate) -> (mean losses (3,), the last state)."""

    @graph_function
    def step(chunk, state, seed, rate):
        noise = tf.random.stateless_normal((2, *chunk.mu.shape), seed)
        batch = make_batch(chunk, noise)
        latents = tf.maximum(1.0, tf.reduce_sum(batch.z_weight)) * size.z_size
        scale = (latents, tf.reduce_sum(batch.weight))
        count = batch.x.shape[1]
        sizes = [len(part) for part in np.array_split(np.arange(count), min(towers, count))]
        parts = zip(*(tf.split(v, sizes, axis=1) for v in batch), strict=True)
        states = zip(*(tf.split(v, sizes) for v in state), strict=True)
        values = [tf.identity(v) for v in variables]
        results = [
            loss_and_gradients(values, Batch(*part), part_state, scale, size, dtype)
            for part, part_state in zip(parts, states, strict=True)
        ]
        sums, gradients, states = zip(*results, strict=True)
        totals = (tf.add_n(part) for part in zip(*gradients, strict=True))
        optimiser.apply([tf.clip_by_value(total, -CLIP, CLIP) for total in totals], rate)
        state = [tf.concat(part, axis=0) for part in zip(*states, strict=True)]
        return tf.add_n(sums) / tf.stack((scale[0], scale[1], scale[1])), state

    return step


class HeldOut:
    """Held-out episodes, with one noise for all tests."""

    def __init__(self, series: Series, episodes: np.ndarray, rewards: Rewards, size, dtype):
        rows, fresh = whole(series, episodes, TEST_STEPS)
        self._chunk = series.chunk(rows, fresh, rewards)
        shape = (2, *self._chunk.mu.shape)
        self._noise = np.random.default_rng(0).standard_normal(shape, np.float32)
        self._size, self.ends = size, float(self._chunk.end.sum())
        self._losses = graph_function(
            lambda variables, state, chunk, noise: losses(
                variables, make_batch(chunk, noise), state, size, dtype
            )
        )

    def run(self, variables) -> np.ndarray:
        """NLL of a latent, loss of a reward, of an end: (3,)."""
        rows = self._chunk.mu.shape[1]
        state = [tf.zeros((rows, self._size.hidden))] * 2
        sums, _, _ = self._losses(variables, state, self._chunk, self._noise)
        latents = max(1.0, float(self._chunk.z_weight.sum())) * self._size.z_size
        return sums.numpy() / (latents, self._chunk.reward.size, self._chunk.reward.size)

    def persistence(self) -> float:
        """NLL of the guess that each latent stays where it is, with the best deviation for each."""
        chunk, (now, later) = self._chunk, self._noise
        z = chunk.mu + np.exp(chunk.logvar / 2) * now
        following = chunk.next_mu + np.exp(chunk.next_logvar / 2) * later
        change = (following - z)[chunk.z_weight > 0].astype(np.float64)
        return float(0.5 * (np.log(2 * np.pi * (change**2).mean(axis=0)) + 1).mean())


def run(config: Config, args) -> None:
    """Train M of `config` on the file `args.path`."""
    path, logs = Path(config.rnn.ckpt_path), Path(config.rnn.logs_dir)
    env = make(config.general)
    env.close()
    with locks.only_one(path.parent, f"{path.name}-training"):
        logs.mkdir(parents=True, exist_ok=True)
        with data.open_file(find_file(args.path), config.general, latent=True) as source:
            if source.latent_dim != config.vae.latent_space_dim:
                raise UserError(
                    f"{source.path} holds {source.latent_dim} latents, "
                    f"vae_training.latent_space_dim is {config.vae.latent_space_dim}"
                )
            if not source.tells_ends:
                talk.info(f"{source.path} does not tell ends from time limits: all count as ends")
            series = Series(source, env.actions, config.rnn.dataset_fraction)
        _train(config, args, path, logs, series)


class Shape:
    """How many sequences of how many steps lie side by side, and how they are cut."""

    def __init__(self, config: Config, steps: int):
        """`steps`: of all training episodes together."""
        self.length = min(config.rnn.sequence_len, max(2, steps))
        self.count = min(config.rnn.batch_size, max(1, steps // self.length))
        self.cut = min(config.rnn.gradient_steps, self.length)
        self.chunks = self.length // self.cut
        self.batches = max(1, steps // (self.count * self.length))  # of an epoch


def _train(config: Config, args, path: Path, logs: Path, series: Series) -> None:
    rnn_config, seed = config.rnn, config.general.seed
    episodes, tested = series.split(seed)
    shape = Shape(config, int(series.lengths[episodes].sum()))
    size = size_of(config, series.actions.size)
    needed = STEP_BYTES * shape.count * shape.cut * size.hidden + 600_000_000
    memory.require(needed, f"{series.path}: training M", "rnn_training.batch_size")
    towers = precision.use_towers()
    dtype = tf.as_dtype(precision.resolve(rnn_config.precision))
    rewards = Rewards.of(series.rewards, rnn_config.reward, series.path)
    rnn = MDNRNN(size, seed)
    if path.exists():  # what there is already is where it goes on
        rnn = load_memory(path, config, size.action_size).rnn
        talk.info(f"going on from the weights of {path}")
    variables = [tf.Variable(v) for v in rnn.variables]
    optimiser = Adam(variables)
    update = train_step(variables, optimiser, size, towers, dtype)
    about = [len(series.mu), len(series.lengths), float(np.abs(series.mu[-1]).sum())]
    fit = Fit(path, "mem", optimiser.state(), rnn_config, about)
    if fit.resume():
        talk.info(f"going on from epoch {fit.epoch}, step {fit.step} of {fit.path}")
    else:
        fit.save()
    test = HeldOut(series, tested, rewards, size, dtype)
    talk.info(
        f"{series.path}: {len(series.mu)} transitions of {len(series.lengths)} games, "
        f"{len(tested)} held out; {shape.count} sequences of {shape.length} steps; {dtype.name}; "
        f"needs about {needed / 1e9:.1f} GB of memory"
    )
    fit.open_log(config.values())
    recent, start, saved = [], time.monotonic() - fit.seconds, time.monotonic()
    steps = shape.batches * shape.chunks  # of an epoch
    bar = progress.bar(fit.epochs * steps, "steps", "training M", fit.step)
    with bar, interrupts.deferred() as stop:
        while not fit.finished:
            while fit.part < shape.batches:
                rng = np.random.default_rng([seed, 1, fit.epoch, fit.part])
                prob = rnn_config.terminal_prob
                rows, fresh = sequences(series, episodes, shape.count, shape.length, prob, rng)
                state = [tf.zeros((shape.count, size.hidden))] * 2
                for k in range(shape.chunks):
                    part = slice(k * shape.cut, (k + 1) * shape.cut)
                    chunk = series.chunk(rows[part], fresh[part], rewards)
                    noise = noise_seed(seed, fit.step)
                    found, state = update(chunk, state, noise, fit.rate(steps))
                    recent.append(found)
                    fit.step += 1
                    bar.update()
                fit.part += 1
                fit.seconds = time.monotonic() - start
                if stop.requested or time.monotonic() > saved + SAVE_EVERY:
                    fit.save()
                    saved = time.monotonic()
                if stop.requested:
                    raise KeyboardInterrupt
            fit.epoch, fit.part = fit.epoch + 1, 0
            measured = test.run([tf.identity(v) for v in variables])
            trained = mean_losses(recent) if recent else measured
            recent = []
            if fit.tested(dict(zip(NAMES, (*trained, *measured), strict=True)), measured.sum()):
                rnn.variables = [v.numpy() for v in variables]
                longest = int(series.lengths.max())
                save_memory(path, Memory(rnn, rewards, series.first(), longest), config)
            fit.save()
            saved = time.monotonic()
    fit.draw()
    fit.close_log()
    _finish(config, args, path, logs, fit, test, series, tested)


def _finish(config, args, path, logs, fit, test, series, tested) -> None:
    """Say how good the weights are that were kept, and draw dreams of them."""
    saved = load_memory(path, config, series.actions.size)
    z, reward, end = test.run([tf.constant(v) for v in saved.rnn.variables])
    talk.result(
        f"{path}: held out z {z:.4f} (a latent that stays: {test.persistence():.4f}), reward "
        f"{reward:.4f}, end {end:.4f}, {fit.step} steps in {fit.seconds / 60:.1f} min; ended after "
        f"{fit.why()}"
    )
    if args.render:
        import draw_dreams  # here, because training needs no pictures

        draw_dreams.draw(logs / "mem_dreams.png", config, args, saved, series, tested)
