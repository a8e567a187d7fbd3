"""train_vae: train V on recorded frames.

An importable module; `python run.py train_vae data/vae.hdf5` is the command. Reads the file in
shuffled parts. Writes the weights that did best on held-out episodes to vae_training.ckpt_path, a
checkpoint beside them, and logs. It ends after `patience` epochs without a better held-out loss.
The loss is reconstruction_weight times the squared error, summed over pixels, and V's KL term.
"""

import contextlib
import time
from pathlib import Path

import numpy as np

from kit.command import interrupts, locks, memory, progress
from kit.show import panels, pictures
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import graph_function, tf

import data
import talk
from config import Config
from fitting import SAVE_EVERY, Fit, mean_losses, noise_seed
from frames import Frames
from models import load_vision, save_vision
from vae import VAE

FRAME_BYTES = 400_000  # memory of a frame in a batch; bfloat16 takes 0.5 MB, float32 0.9
SHOWN = 12  # frames of a picture
NAMES = ("error", "kl", "held_out_error", "held_out_kl")


def train_step(vae: VAE, optimiser: Adam, weight: float, towers: int):
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
                loss = weight * error + kl
            gradients.append(tape.gradient(loss, weights))
            losses.append(tf.stack([error, kl]))
        totals = [tf.cast(tf.add_n(parts), tf.float32) for parts in zip(*gradients, strict=True)]
        optimiser.apply(totals, rate)
        return tf.add_n(losses)

    return step


def held_out_losses(vae: VAE, frames: np.ndarray) -> tuple[float, float]:
    """Mean squared error and KL on frames that training never saw, with separate noise."""
    noise = np.random.default_rng(0).standard_normal((len(frames), vae.z_size), np.float32)
    parts = range(0, len(frames), 100)
    losses = [vae.losses(frames[i : i + 100], noise[i : i + 100]) for i in parts]
    return tuple(float(np.mean(np.concatenate([part[i] for part in losses]))) for i in (0, 1))


def run(config: Config, args) -> None:
    """Train V of `config` on the file `args.path`."""
    path, logs = Path(config.vae.ckpt_path), Path(config.vae.logs_dir)
    with (
        locks.only_one(path.parent, f"{path.name}-training"),
        data.open_file(args.path, config.general, latent=False) as source,
    ):
        logs.mkdir(parents=True, exist_ok=True)
        frames = Frames(source, config.vae.batch_size, config.general.seed)
        needed = frames.bytes + FRAME_BYTES * config.vae.batch_size
        memory.require(needed, f"{args.path}: training V", "vae_training.batch_size")
        talk.info(
            f"{args.path}: {source.count} frames of {source.games} games, {frames.training} to "
            f"train on; needs {needed / 1e9:.1f} GB of memory and 0.1 GB of disk"
        )
        _train(config, args, path, logs, frames)


def _train(config: Config, args, path: Path, logs: Path, frames: Frames) -> None:
    vae_config, seed = config.vae, config.general.seed
    towers = precision.use_towers()
    kind = precision.resolve(vae_config.precision)
    if path.exists():  # what there is already is where it goes on
        vae = load_vision(path, config, kind)
        talk.info(f"going on from the weights of {path}")
    else:
        vae = VAE(vae_config.latent_space_dim, kind, seed)
    optimiser = Adam(vae.variables)
    update = train_step(vae, optimiser, vae_config.reconstruction_weight, towers)
    about = [frames.source.games, frames.source.count]
    fit = Fit(path, "vae", optimiser.state(), vae_config, about)
    if fit.resume():
        talk.info(f"going on from epoch {fit.epoch}, step {fit.step} of {fit.path}")
    else:
        fit.save()
    held_out, test = frames.held_out(), _Test(vae, config, path)
    fit.open_log(config.values())
    recent, start, saved = [], time.monotonic() - fit.seconds, time.monotonic()
    bar = progress.bar(fit.epochs * frames.steps, "steps", "training V", fit.step)
    with bar, interrupts.deferred() as stop:
        while not fit.finished:
            batches = frames.batches(fit.epoch, fit.part)
            with contextlib.closing(batches):
                for batch in batches:
                    rate = fit.rate(frames.steps)
                    recent.append(update(tf.constant(batch), noise_seed(seed, fit.step), rate))
                    fit.step, fit.part = fit.step + 1, fit.part + 1
                    fit.seconds = time.monotonic() - start
                    bar.update()
                    if stop.requested or time.monotonic() > saved + SAVE_EVERY:
                        fit.save()
                        saved = time.monotonic()
                    if stop.requested:
                        raise KeyboardInterrupt
            fit.epoch, fit.part = fit.epoch + 1, 0
            if test.run(fit, held_out, mean_losses(recent)) and args.render:
                draw(logs / "vae_reconstructions.png", vae, held_out, fit)
            recent = []
            fit.save()
            saved = time.monotonic()
    fit.draw()
    fit.close_log()
    talk.result(
        f"{path}: held-out loss {fit.best:.2f}, {fit.step} steps in {fit.seconds / 60:.1f} min; "
        f"ended after {fit.why()}"
    )
    if args.render:
        draw(logs / "vae_reconstructions.png", load_vision(path, config), held_out, fit)


class _Test:
    """Tests of V, which keep the best weights."""

    def __init__(self, vae: VAE, config: Config, path: Path):
        self._vae, self._config, self._path = vae, config, path

    def run(self, fit: Fit, held_out: np.ndarray, trained: np.ndarray) -> bool:
        error, kl = held_out_losses(self._vae, held_out)
        weight = self._config.vae.reconstruction_weight
        losses = dict(zip(NAMES, (*trained, error, kl), strict=True))
        better = fit.tested(losses, weight * error + kl)
        if better:
            variables = [v.numpy() for v in self._vae.variables]
            save_vision(self._path, variables, self._config)
        return better


def draw(path: Path, vae: VAE, frames: np.ndarray, fit: Fit) -> None:
    """Held-out frames over V's reconstructions of them, evenly chosen."""
    shown = frames[np.linspace(0, len(frames) - 1, 2 * SHOWN).astype(int)]
    made = pictures.to_uint8(vae.decode(vae.encode(shown)[0]))
    rows = {}
    for half in (slice(0, SHOWN), slice(SHOWN, None)):
        rows |= {f"frames {half.start or 0}": shown[half], f"by V {half.start or 0}": made[half]}
    picture = panels.table(rows)
    pictures.save(path, picture)
    talk.info(f"{path}: frames and what V makes of them")
    if fit.scalars:
        with contextlib.suppress(ValueError):  # the log is closed at the end
            fit.scalars.image("vae/reconstructions", picture, fit.step)
