"""Benchmark the room in one run: `python -m study.bench [--json]`, 1.5
minutes.

Reads and writes nothing; the weights are random. Ratios are between things timed in turns, so they
hold on a busy machine; rates hold for the machine they were measured on.
"""

from kit.command import cli

cli.begin(__name__)

import functools
import time
from pathlib import Path

import numpy as np

from estool.es import CMAES
from kit.command.mpi import usable_cores
from kit.files.weights import save_initial_z
from kit.judge import keras_baseline, timing
from kit.judge.timing import Row
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import tf

from agent import Controllers, RealWorld, WorldModel, simulate
from dream_env import Dream
from env import make
from fast.lstm_gradient import training_variables
from rnn import MDNRNN, FastStep, mdn_loss
from rnn_train import train_step as rnn_train_step
from vae import VAE
from vae_train import train_step as vae_train_step
from world import HIDDEN, SEES, Z_SIZE

M_SHAPES = MDNRNN().shapes
STEP_FLOPS = 2 * (np.prod(M_SHAPES[0]) + np.prod(M_SHAPES[2]))  # of a step of M
FULL_GAS = np.array([0.1, 0.5, 0], np.float32)


def env_rows(steps: int = 150) -> list[Row]:
    """One environment in one process, gymnasium's drawing and ours in turns."""
    runs = {}
    for kind in ("stock", "fast"):
        env = make(kind)
        env.reset(seed=1)
        runs[kind] = lambda env=env: [env.step(FULL_GAS) for _ in range(steps)]
    measured = timing.seconds(runs, 3)  # 600 steps: no episode ends
    stock, fast = (steps / measured[kind] for kind in ("stock", "fast"))
    return [
        Row("CarRacing-v3, stock", stock, "steps/s"),
        Row("CarRacing-v3, fast", fast, "steps/s", fast / stock, "stock"),
    ]


def rollout_rows(model: WorldModel, candidates: int = 32, steps: int = 60) -> list[Row]:
    """train.py's inner loop on one core beside a stock loop with a policy for a batch of one."""
    fast = WorldModel(
        VAE(Z_SIZE, precision.resolve("auto")), model.rnn, model.initial_z
    )  # the precision that train.py uses
    strategy = CMAES(Controllers.size(SEES), 64)
    controllers = Controllers(strategy.ask()[:candidates])
    batch, single = RealWorld(fast, "fast"), RealWorld(model, "stock")
    one = Controllers(controllers.parameters[:1])
    seeds = np.arange(candidates)
    runs = {
        "batch": lambda: simulate(batch, controllers, seeds, steps, candidates),
        "single": lambda: simulate(single, one, seeds[:1], steps, 1),
    }
    measured = timing.seconds(runs, 3)
    ours, theirs = candidates * steps / measured["batch"], steps / measured["single"]
    start = time.perf_counter()
    strategy.ask()
    strategy.tell(np.random.default_rng(0).standard_normal(64))
    asking = time.perf_counter() - start
    share = asking / (64 * 16 * 1000 / ours / usable_cores() + asking)
    return [
        Row("stock loop, a policy for one", theirs, "steps/s"),
        Row("train.py's inner loop", ours, "steps/s", ours / theirs, "stock loop"),
        Row("CMA-ES ask + tell", 100 * share, "% of a generation"),
    ]


def dream_rows(model: WorldModel) -> list[Row]:
    """Steps a second of the dream at several batch sizes, beside what sgemm would allow."""
    bound = timing.sgemm_gflops() * 1e9 / STEP_FLOPS
    runs, sizes = {}, {}
    for batch in (1, 64, 256, 1024):
        dream = Dream(FastStep(model.rnn), model.initial_z, max_length=10**9)
        dream.start(np.arange(batch))
        count, actions = max(4, 400 // batch), np.tile(FULL_GAS, (batch, 1))
        name = f"dream, batch {batch}, float32"
        runs[name] = lambda d=dream, n=count, a=actions: [d.step(a) for _ in range(n)]
        sizes[name] = batch * count
    measured = timing.seconds(runs, 4)
    rows = [Row("sgemm bound of a dream step, float32", bound, "steps/s")]
    for name, size in sizes.items():
        rate = size / measured[name]
        rows.append(Row(name, rate, "steps/s", rate / bound, "the sgemm bound"))
    return rows


def vae_rows(towers: int, other: timing.Other, batch: int = 100) -> list[Row]:
    """Training and encoding of V, ours and plain Keras layers, in turns."""
    frames = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), np.uint8)
    kind = precision.resolve("auto")
    fast, plain = VAE(Z_SIZE, kind), VAE(Z_SIZE)
    ours = vae_train_step(fast, Adam(fast.variables), towers)
    rows = keras_baseline.vae_training_rows(ours, frames[:batch], other)
    encoding = timing.seconds(
        {
            "keras": lambda: other.call("encode"),
            "float32": lambda: keras_baseline.encode_on_cores(plain, frames),
            kind: lambda: keras_baseline.encode_on_cores(fast, frames),
        },
        6,
    )
    base = 256 / encoding["keras"]
    for name, taken in encoding.items():
        rate, what = 256 / taken, f"V encoding, batch 256, {name}"
        rows.append(Row(what, rate, "frames/s", rate / base, "Keras layers"))
    return rows


def rnn_rows(towers: int, other: timing.Other, episodes: int = 100, steps: int = 100) -> list[Row]:
    """Training of M, ours and a Keras LSTM layer with automatic differentiation, in turns."""
    kind = precision.resolve("auto")
    variables = [tf.Variable(v) for v in training_variables(MDNRNN())]
    ours = rnn_train_step(variables, Adam(variables), 1.0, towers, tf.as_dtype(kind))
    rng = np.random.default_rng(0)
    shape = (steps + 1, episodes, Z_SIZE)
    chunk = {
        "mu": tf.constant(rng.standard_normal(shape, np.float32)),
        "logvar": tf.constant(np.full(shape, -1, np.float32)),
        "action": tf.zeros((steps, episodes, 3)),
    }
    state, seed = [tf.zeros((episodes, HIDDEN))] * 2, tf.constant([1, 2])
    rate = tf.constant(1e-3)
    return keras_baseline.training_rows(
        "M",
        episodes * steps,
        "timesteps",
        lambda: ours(chunk, state, seed, rate),
        lambda: other.call("rnn"),
    )


def save(model: WorldModel, folder: Path) -> None:
    """Write the weights that train.py reads."""
    model.vae.save(folder / "vae" / "vae.json")
    model.rnn.save(folder / "rnn" / "rnn.json")
    save_initial_z(folder / "initial_z" / "initial_z.json", *model.initial_z)


def main(argv=None):
    args = timing.parse(__doc__, argv)
    if args.plain:
        rnn = MDNRNN()
        sizes = Z_SIZE, rnn.input_size, rnn.hidden, rnn.output_size
        timing.serve(keras_baseline.functions(*sizes, mdn_loss, steps=100))
        return
    towers = precision.use_towers()
    model = WorldModel(VAE(Z_SIZE), MDNRNN(), (np.zeros((1, Z_SIZE), np.float32),) * 2)
    rows = [Row(f"sgemm, {usable_cores()} cores", timing.sgemm_gflops(), "GFLOP/s")]
    rows += env_rows() + rollout_rows(model) + dream_rows(model)
    other = timing.Other()
    rows += vae_rows(towers, other) + rnn_rows(towers, other)
    other.close()
    arguments = "--population 32 -e 2 --generations 3 --max_length 100"
    rows += timing.rank_rows(functools.partial(save, model), arguments)
    timing.show(rows, args.json)


if __name__ == "__main__":
    cli.run(main)
