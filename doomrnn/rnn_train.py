"""Train M on the encoded episodes.

Identical twin in the other room; test.bash compares. What differs stands in world.py, held_out.py,
rnn_data.py and fast/lstm_gradient.py.

Reads series/series.npz (and tf_vae/vae.json for a picture). Writes tf_rnn/rnn.json, the weights
that did best on held-out episodes, tf_initial_z/initial_z.json, a checkpoint and the log
rnn.hist.json. Writes loss.png and dream.png: a held-out episode above M's dreams of it, with the
same actions, at three temperatures. Writes TensorBoard scalars and that picture in runs/rnn.

  python rnn_train.py --preset laptop      for two cores
  python rnn_train.py --preset paper       the reference's sizes
  python rnn_train.py --minutes 15         stop after 15 minutes

Started again it goes on from its last checkpoint; --restart begins anew.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np

from kit.command import locks, memory, progress
from kit.files import worlds
from kit.files.settings import save_settings
from kit.files.weights import save_initial_z
from kit.show import panels, pictures
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import graph_function, tf
from kit.tensors.training import SteppedTraining

from fast.lstm_gradient import (
    STEP_BYTES,
    Batch,
    file_variables,
    loss_and_gradients,
    make_batch,
    scales,
    training_variables,
)
from held_out import NAMES, HeldOut, describe, score, verdict
from rnn import MDNRNN, dream_on
from rnn_data import START, Series, passes
from world import DREAM_TEMPERATURES, NAME, RNN_DEFAULTS, RNN_PRESETS, Z_SIZE

INITIAL = 1000  # episodes whose first latents the dream starts from (reference series.py)
WARM_UP, EVERY, SHOWN = 60, 8, 12  # of dream.png: real frames before, steps between, pictures


def parse(argv=None):
    parser = cli.parser(__doc__, RNN_PRESETS)
    add = parser.add_argument
    add("--steps", type=cli.positive_int, help="optimiser steps in all")
    add("--minutes", type=cli.positive_float, help="end after so long, if that comes first")
    add("--batch", type=cli.positive_int, default=100, help="sequences side by side")  # reference
    add("--length", type=cli.positive_int, help="steps the gradient goes back")
    add("--learning_rate", type=cli.positive_float, default=1e-3, help="Adam's, to begin with")
    add("--flat", type=cli.fraction, default=0.5, help="part of the run before it decays")
    add("--final_rate", type=cli.positive_float, default=3e-5, help="where its decay ends")
    add("--clip", type=cli.positive_float, default=1.0, help="bound of a gradient's elements")
    add("--held_out", type=cli.positive_int, help="episodes kept for testing")
    add("--log_every", type=cli.positive_int, default=200, help="steps between held-out tests")
    add("--precision", choices=precision.CHOICES, default="auto", help="of the matrix products")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes weights, order and noise")
    add("--weights", type=cli.existing_file, help="an rnn.json to begin with, not at random")
    add("--restart", action="store_true", help="begin anew, over an earlier checkpoint")
    default = [Path("series/series.npz")]
    add("--series", type=Path, nargs="+", default=default, help="encoded episodes, all of these")
    add("--vae", type=Path, default=Path("tf_vae/vae.json"), help="V, to draw dream.png")
    add("--output", type=Path, default=Path("tf_rnn"), help="folder of the results")
    add("--initial_z", type=Path, default=Path("tf_initial_z/initial_z.json"), help="first latents")
    parser.set_defaults(**RNN_DEFAULTS)
    return cli.parse(parser, RNN_PRESETS, argv)


def learning_rate(part: float, args) -> float:
    """The first rate for the `flat` part of the run, then an exponential decay to the last."""
    decayed = max(0.0, part - args.flat) / max(1e-9, 1 - args.flat)
    return args.learning_rate * (args.final_rate / args.learning_rate) ** decayed


def train_step(variables, optimiser: Adam, clip: float, towers: int, dtype):
    """A tf.function (chunk, state, seed (2,), rate) -> (mean losses (L,), the last state)."""

    @graph_function
    def step(chunk, state, seed, rate):
        batch = make_batch(chunk, tf.random.stateless_normal(chunk["mu"].shape, seed))
        scale = scales(batch)
        count = batch.x.shape[1]
        sizes = [len(part) for part in np.array_split(np.arange(count), min(towers, count))]
        parts = zip(*(tf.split(v, sizes, axis=1) for v in batch), strict=True)
        states = zip(*(tf.split(v, sizes) for v in state), strict=True)
        values = [tf.identity(v) for v in variables]
        results = [
            loss_and_gradients(values, Batch(*part), part_state, scale, dtype)
            for part, part_state in zip(parts, states, strict=True)
        ]
        sums, gradients, states = zip(*results, strict=True)
        totals = (tf.add_n(part) for part in zip(*gradients, strict=True))
        optimiser.apply([tf.clip_by_value(total, -clip, clip) for total in totals], rate)
        state = [tf.concat(part, axis=0) for part in zip(*states, strict=True)]
        return tf.reshape(tf.add_n(sums) / tf.stack(scale), (-1,)), state

    return step


class Training(SteppedTraining):
    """M, its optimiser, its place in the data and its log, kept together in checkpoints."""

    SAVED = (*SteppedTraining.SAVED, "best")

    def __init__(self, args, towers: int, dtype):
        super().__init__(args.output, "rnn", START)
        self.args = args
        self.rnn = MDNRNN(seed=args.seed)
        if args.weights:
            self.rnn.load(args.weights)
        self.variables = [tf.Variable(v) for v in training_variables(self.rnn)]
        self.optimiser = Adam(self.variables)
        self.update = train_step(self.variables, self.optimiser, args.clip, towers, dtype)
        self.state = [tf.Variable(tf.zeros((args.batch, self.rnn.hidden))) for _ in range(2)]
        self.best = np.inf
        if not args.restart:
            self.go_on()

    def everything(self) -> list[tf.Variable]:
        return [*self.optimiser.state(), *self.state]

    def part(self) -> float:
        """How much of the run is done, by steps or by time, whichever is further."""
        minutes = self.args.minutes
        by_time = self.seconds / 60 / minutes if minutes else 0.0
        return max(self.step / self.args.steps, by_time)

    def finished(self) -> bool:
        return self.part() >= 1

    def advance(self, chunk: dict) -> tf.Tensor:
        """One optimiser step; the mean losses (L,)."""
        if self.position[-1] == 0:  # episodes begin
            for variable in self.state:
                variable.assign(tf.zeros_like(variable))
        seed = tf.constant([self.args.seed, self.step], tf.int32)
        rate = tf.constant(learning_rate(self.part(), self.args), tf.float32)
        losses, state = self.update(chunk, [tf.identity(v) for v in self.state], seed, rate)
        for variable, value in zip(self.state, state, strict=True):
            variable.assign(value)
        self.step += 1
        return losses

    def test(self, test: HeldOut, trained: np.ndarray, scalars) -> str:
        """Log the losses, keep the weights if they are the best; returns a line to print."""
        measured = test.run([tf.identity(v) for v in self.variables])
        self.note(dict(zip(NAMES, (*trained, *measured), strict=True)), 5, scalars)
        better = score(measured) < self.best
        if better:
            self.best = score(measured)
            self.rnn.variables = file_variables(self.rnn, self.variables)
            self.rnn.save(self.folder / "rnn.json")
        kept = ", kept" if better else ""
        losses = describe(trained, measured)
        return f"step {self.step}: {losses}, {self.seconds / 60:.1f} min{kept}"


def draw_dream(path, rnn: MDNRNN, vae, series: Series, episode: int, seed: int) -> np.ndarray:
    """Save and return a picture: an episode as V sees it, and M's dreams from the same start on.

    The dreams are given the same actions, at DREAM_TEMPERATURES; they begin after WARM_UP frames.
    """
    real, action = series.opening(episode, WARM_UP + EVERY * SHOWN)
    warm_up = min(WARM_UP, len(real) // 2)
    given = {"real, by V": real}
    for temperature in DREAM_TEMPERATURES:
        dream = dream_on(rnn, real, action, warm_up, temperature, seed)
        given[f"dream, {temperature:g}"] = dream
    rows = {name: pictures.to_uint8(vae.decode(z[warm_up::EVERY])) for name, z in given.items()}
    picture = panels.table(rows)
    pictures.save(path, picture)
    return picture


def finish(args, test: HeldOut, series: Series, episode: int, training, scalars) -> None:
    """Print the verdict on the weights that were kept, and draw the dream."""
    rnn = MDNRNN().load(args.output / "rnn.json")
    measured = test.run([tf.constant(v) for v in training_variables(rnn)])
    print(f"{args.output / 'rnn.json'}: {verdict(measured, test.persistence())}")
    if args.vae.is_file():
        from vae import VAE  # here, because only this picture needs V

        vae = VAE(Z_SIZE).load(args.vae)
        picture = draw_dream(args.output / "dream.png", rnn, vae, series, episode, args.seed)
        scalars.image("rnn/dream", picture, training.step)


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output):
        locks.sweep(args.initial_z.parent)
        for folder in (args.output, args.initial_z.parent):
            worlds.check(folder / worlds.FILE, NAME)
        train(args)


def train(args) -> None:
    """Train, while this process alone may write to `args.output`."""
    series = Series(*args.series)
    episodes, held_out = series.split(args.held_out, args.seed)
    towers = precision.use_towers()
    dtype = tf.as_dtype(precision.resolve(args.precision))
    work = STEP_BYTES * args.batch * args.length + 600_000_000  # what a step keeps for its gradient
    memory.require(work / 4, f"a batch of {args.batch} x {args.length}", "--batch or --length")
    print(
        f"{series.describe()}, "
        f"{len(held_out)} held out; {dtype.name}; "
        f"needs about {(series.memory() + work) / 1e9:.1f} GB of memory and 0.1 GB of disk"
    )
    for folder in (args.output, args.initial_z.parent):
        worlds.claim(folder, NAME)
    save_initial_z(args.initial_z, *series.first_latents(INITIAL))
    test = HeldOut(series, held_out, args, dtype)
    training = Training(args, towers, dtype)
    save_settings(args.output / "rnn.settings.json", args)
    scalars = progress.Scalars("runs/rnn", training.step)
    data = passes(series, episodes, args.batch, args.length, args.seed, training.position)
    bar = progress.bar(args.steps, "steps", "training M", training.step)
    training.run(bar, data, args.log_every, test, scalars)
    finish(args, test, series, series.longest(held_out), training, scalars)
    scalars.close()


if __name__ == "__main__":
    cli.run(main)
