"""Benchmark the room in one run: `python -m study.bench [--json]`, 1.5
minutes.

Reads and writes nothing; the weights are random. Ratios are between things timed in turns, so they
hold on a busy machine; rates hold for the machine they were measured on.
"""

from kit.command import cli

cli.begin(__name__)

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from estool.es import CMAES
from kit.command import launch
from kit.command.mpi import usable_cores
from kit.files.weights import save_initial_z
from kit.judge import timing
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
from study import keras_baseline as baseline
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
    few = tf.constant(frames[:batch])
    kind = precision.resolve("auto")
    fast, plain = VAE(Z_SIZE, kind), VAE(Z_SIZE)
    ours = vae_train_step(fast, Adam(fast.variables), towers)
    seed, rate = tf.constant([1, 2]), tf.constant(1e-4)
    steps = range(5)  # one after the other, as in a training
    training = timing.seconds(
        {
            "ours": lambda: [ours(few, seed, rate).numpy() for _ in steps],
            "keras": lambda: [other.call("vae") for _ in steps],
        }
    )
    encoding = timing.seconds(
        {
            "keras": lambda: other.call("encode"),
            "float32": lambda: encode_on_cores(plain, frames),
            kind: lambda: encode_on_cores(fast, frames),
        },
        6,
    )
    keras, our = (batch * len(steps) / training[name] for name in ("keras", "ours"))
    base = 256 / encoding["keras"]
    return [
        Row("V training, plain Keras layers", keras, "frames/s"),
        Row(f"V training, {kind}", our, "frames/s", our / keras, "Keras layers"),
        *(
            Row(
                f"V encoding, batch 256, {name}",
                256 / t,
                "frames/s",
                256 / t / base,
                "Keras layers",
            )
            for name, t in encoding.items()
        ),
    ]


def encode_on_cores(vae: VAE, frames: np.ndarray) -> None:
    """Encode a share of the frames on each core, as series.py does with episodes."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(vae.encode, np.array_split(frames, usable_cores())))


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
    measured = timing.seconds(
        {
            "ours": lambda: ours(chunk, state, seed, rate),
            "keras": lambda: other.call("rnn"),
        }
    )
    our, keras = (episodes * steps / measured[name] for name in ("ours", "keras"))
    return [
        Row("M training, plain Keras layers", keras, "timesteps/s"),
        Row(f"M training, {kind}", our, "timesteps/s", our / keras, "Keras layers"),
    ]


def plain_functions(batch: int = 100, steps: int = 100) -> dict:
    """V and M in plain Keras layers, for a process with TensorFlow's own choice of threads."""
    rng = np.random.default_rng(0)
    frames = tf.constant(rng.integers(0, 256, (256, 64, 64, 3), np.uint8))
    few = frames[:batch]
    vae, encoder = baseline.vae_step(Z_SIZE)
    encode = tf.function(lambda x: encoder(tf.cast(x, tf.float32) / 255)[0])
    rnn = baseline.rnn_step(HIDDEN, MDNRNN().output_size, mdn_loss)
    x, z = (
        tf.constant(rng.standard_normal((batch, steps, n), np.float32))
        for n in (MDNRNN().input_size, Z_SIZE)
    )
    return {"vae": lambda: vae(few), "encode": lambda: encode(frames), "rnn": lambda: rnn(x, z)}


def rank_rows(model: WorldModel) -> list[Row]:
    """train.py itself with one single-threaded rank and with two."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        model.vae.save(Path(folder) / "vae" / "vae.json")
        model.rnn.save(Path(folder) / "rnn" / "rnn.json")
        save_initial_z(Path(folder) / "initial_z" / "initial_z.json", *model.initial_z)
        for count in (1, 2):
            command = f"train.py -n {count} --models {folder} --directory {folder}/{count} "
            command += "--population 32 -e 2 --generations 3 --max_length 100"
            environment = os.environ | dict.fromkeys(launch.THREADS, "1")
            output = subprocess.run(
                [sys.executable, *command.split()],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            rates[count] = max(float(rate) for rate in re.findall(r"(\d+) steps/s", output))
    return [
        Row("train.py, 1 rank on 1 thread", rates[1], "steps/s"),
        Row("train.py, 2 ranks", rates[2], "steps/s", rates[2] / rates[1], "1 rank"),
    ]


def main(argv=None):
    parser = cli.parser(__doc__)
    parser.add_argument("--json", action="store_true", help="print json")
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    args = cli.parse(parser, argv=argv)
    if args.plain:
        timing.serve(plain_functions())
        return
    towers = precision.use_towers()
    model = WorldModel(VAE(Z_SIZE), MDNRNN(), (np.zeros((1, Z_SIZE), np.float32),) * 2)
    rows = [Row(f"sgemm, {usable_cores()} cores", timing.sgemm_gflops(), "GFLOP/s")]
    rows += env_rows() + rollout_rows(model) + dream_rows(model)
    other = timing.Other()
    rows += vae_rows(towers, other) + rnn_rows(towers, other)
    other.close()
    rows += rank_rows(model)
    timing.show(rows, args.json)


if __name__ == "__main__":
    cli.run(main)
