"""Train V on the recorded frames.

Identical twin in the other room; test.bash compares. What differs stands in world.py.

Reads record/*.npz in shuffled parts, never all of it. Writes tf_vae/vae.json, a checkpoint beside
it and the log vae.hist.json. Writes the pictures loss.png, reconstructions.png and a few early
reconstructions.<step>.png. Writes TensorBoard scalars and pictures in runs/vae.

  python vae_train.py --preset laptop      for two cores
  python vae_train.py --preset paper       the reference's sizes

Started again it goes on from its last checkpoint; --restart begins anew.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np

from kit.command import locks, progress
from kit.files import worlds
from kit.files.recordings import Recordings, add_folders
from kit.files.settings import save_settings
from kit.show import panels, pictures
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import graph_function, tf
from kit.tensors.training import SteppedTraining

from vae import VAE
from world import ACTION_SHAPE, NAME, VAE_FILES, VAE_HELD_OUT, VAE_PRESETS, Z_SIZE

FRAME_BYTES = 400_000  # memory of a frame in a batch; bfloat16 takes 0.5 MB, float32 0.9


def parse(argv=None):
    parser = cli.parser(__doc__, VAE_PRESETS)
    add = parser.add_argument
    add("--steps", type=cli.positive_int, default=7_000, help="optimiser steps in all")
    add("--batch", type=cli.positive_int, default=100, help="frames of a step")  # reference
    add("--learning_rate", type=cli.positive_float, default=1e-3, help="Adam's, at its highest")
    add("--final_rate", type=cli.positive_float, default=1e-5, help="where its cosine ends")
    add("--warmup", type=cli.positive_int, default=300, help="steps in which it rises from 0")
    add("--files", type=cli.positive_int, default=VAE_FILES, help="recordings shuffled together")
    add(
        "--max_files", type=cli.non_negative_int, default=10_000, help="recordings a folder, 0: all"
    )
    add(
        "--held_out",
        type=cli.positive_int,
        default=VAE_HELD_OUT,
        help="last recordings, kept for tests",
    )
    add("--log_every", type=cli.positive_int, default=500, help="steps between held-out tests")
    add("--precision", choices=precision.CHOICES, default="auto", help="of the layers")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes weights, order and noise")
    add("--weights", type=cli.existing_file, help="a vae.json to begin with, not at random")
    add("--restart", action="store_true", help="begin anew, over an earlier checkpoint")
    add_folders(parser)
    add("--output", type=Path, default=Path("tf_vae"), help="folder of the results")
    return cli.parse(parser, VAE_PRESETS, argv)


def learning_rate(step: int, args) -> float:
    """A straight rise for `warmup` steps, then half a cosine from the rate to the final one."""
    if step < args.warmup:
        return args.learning_rate * (step + 1) / args.warmup
    part = (step - args.warmup) / max(1, args.steps - args.warmup)
    return args.final_rate + (args.learning_rate - args.final_rate) * (1 + np.cos(np.pi * part)) / 2


def train_step(vae: VAE, optimiser: Adam, towers: int):
    """A tf.function (frames uint8 (B, 64, 64, 3), seed (2,), rate) -> (squared error, KL)."""

    @graph_function
    def step(frames, seed, rate):
        weights = vae.cast_variables()
        count = frames.shape[0]
        noise = tf.random.stateless_normal((count, vae.z_size), seed)
        sizes = [len(part) for part in np.array_split(np.arange(count), min(towers, count))]
        gradients, losses = [], []
        for part, noise_part in zip(tf.split(frames, sizes), tf.split(noise, sizes), strict=True):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                error, kl = (
                    tf.reduce_sum(v) / count for v in vae.losses(part, noise_part, weights)
                )
                loss = error + kl
            gradients.append(tape.gradient(loss, weights))
            losses.append(tf.stack([error, kl]))
        totals = [tf.cast(tf.add_n(parts), tf.float32) for parts in zip(*gradients, strict=True)]
        optimiser.apply(totals, rate)
        return tf.add_n(losses)

    return step


def held_out_losses(vae: VAE, frames: np.ndarray) -> tuple[float, float]:
    """Mean squared error and KL on frames that training never saw, with fixed noise."""
    noise = np.random.default_rng(0).standard_normal((len(frames), vae.z_size), np.float32)
    parts = range(0, len(frames), 100)
    losses = [vae.losses(frames[i : i + 100], noise[i : i + 100]) for i in parts]
    return tuple(float(np.mean(np.concatenate([part[i] for part in losses]))) for i in (0, 1))


class Training(SteppedTraining):
    """V, its optimiser, its place in the data and its log, kept together in checkpoints."""

    def __init__(self, args, towers: int):
        super().__init__(args.output, "vae", [0, 0, 0])
        self.args = args
        self.vae = VAE(Z_SIZE, precision.resolve(args.precision), args.seed)
        if args.weights:
            self.vae.load(args.weights)
        self.optimiser = Adam(self.vae.variables)
        self.update = train_step(self.vae, self.optimiser, towers)
        if not args.restart:
            self.go_on()

    def everything(self) -> list[tf.Variable]:
        return self.optimiser.state()

    def save(self) -> None:
        """Write vae.json, its log and the checkpoint."""
        self.vae.save(self.folder / "vae.json")
        super().save()

    def finished(self) -> bool:
        return self.step >= self.args.steps

    def advance(self, frames: np.ndarray) -> tf.Tensor:
        """One optimiser step on frames uint8 (B, 64, 64, 3): squared error and KL (2,)."""
        rate = tf.constant(learning_rate(self.step, self.args), tf.float32)
        noise_seed = tf.constant([self.args.seed, self.step], tf.int32)
        losses = self.update(tf.constant(frames), noise_seed, rate)
        self.step += 1
        return losses

    def test(self, frames: np.ndarray, train_losses, scalars) -> str:
        """Log losses and pictures; returns the line that was printed."""
        error, kl = held_out_losses(self.vae, frames)
        names = ("error", "kl", "held_out_error", "held_out_kl")
        self.note(dict(zip(names, (*train_losses, error, kl), strict=True)), 4, scalars)
        self.draw(frames, scalars)
        return (
            f"step {self.step}: squared error {train_losses[0]:.2f} KL {train_losses[1]:.2f}, "
            f"held out {error:.2f} + {kl:.2f}, {self.seconds / 60:.1f} min"
        )

    def draw(self, frames: np.ndarray, scalars) -> None:
        """Save originals over reconstructions: the newest, and those after 0, 1, 2, 4 ... tests."""
        shown = frames[:: max(1, len(frames) // 12)][:12]
        rows = {"original": shown, f"step {self.step}": self.reconstruct(shown)}
        picture = panels.table(rows)
        tests = self.step / self.args.log_every
        keep = tests.is_integer() and int(tests) & (int(tests) - 1) <= 0
        names = ["reconstructions.png", f"reconstructions.{self.step}.png"]
        for name in names if keep else names[:1]:
            pictures.save(self.folder / name, picture)
        scalars.image("vae/reconstructions", picture, self.step)

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        return pictures.to_uint8(self.vae.decode(self.vae.encode(frames)[0]))


def main(argv=None):
    args = parse(argv)
    with locks.only_one(args.output):
        train(args)


def train(args) -> None:
    """Train, while this process alone may write to `args.output`."""
    worlds.check(args.output / worlds.FILE, NAME)
    recordings = Recordings(args.record, ACTION_SHAPE, args.max_files, NAME)
    about = recordings.describe(args.files, args.held_out, FRAME_BYTES * args.batch)
    training_paths, held_out = recordings.split(args.held_out, 2000, args.seed)
    print(f"{about}; {len(held_out)} frames held out")
    training = Training(args, precision.use_towers())
    worlds.claim(args.output, NAME)
    save_settings(args.output / "vae.settings.json", args)
    scalars = progress.Scalars("runs/vae", training.step)
    if training.step == 0:
        training.draw(held_out, scalars)
    data = recordings.batches(training_paths, args.batch, args.files, args.seed, training.position)
    bar = progress.bar(args.steps, "steps", "training V", training.step)
    training.run(bar, data, args.log_every, held_out, scalars)
    scalars.close()
    print(f"{args.output / 'vae.json'}: {args.steps} steps in {training.seconds / 60:.1f} min")


if __name__ == "__main__":
    cli.run(main)
