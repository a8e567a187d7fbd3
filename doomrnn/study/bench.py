"""Benchmark the room in one run: `python -m study.bench [--json]`, a minute.

Reads and writes nothing; the weights are random. Ratios are between things timed in turns, so they
hold on a busy machine; rates hold for the machine they were measured on.
"""

from kit.command import cli

cli.begin(__name__)

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from estool.es import CMAES
from kit.batches.rollout import run_parallel, run_rollouts
from kit.command.mpi import usable_cores
from kit.files.weights import save_initial_z
from kit.judge import keras_baseline, timing
from kit.judge.timing import Row
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import tf

from agent import Controllers, WorldModel
from doomreal import DoomReal
from doomrnn import Dream
from fast.lstm_gradient import training_variables
from rnn import MDNRNN, FastStep, mdn_losses
from rnn_train import train_step as rnn_train_step
from vae import VAE
from vae_train import train_step as vae_train_step
from world import ROWS, SEES, Z_SIZE

M_SHAPES = MDNRNN().shapes
STEP_FLOPS = 2 * (np.prod(M_SHAPES[0]) + np.prod(M_SHAPES[2]))  # of a step of M


def never_ending(model: WorldModel) -> WorldModel:
    """The same with a restart logit that never ends a dream, so that batches keep their size."""
    model.rnn.variables[3][0] = -1e3
    return model


def dream_rows(model: WorldModel) -> list[Row]:
    """Steps a second at several batch sizes, a thread a core, beside what sgemm would allow."""
    bound = timing.sgemm_gflops() * 1e9 / STEP_FLOPS
    best = precision.resolve("auto")
    runs, sizes = {}, {}
    for kind in dict.fromkeys(("float32", best)):
        step = FastStep(model.rnn, kind)
        for batch in (1, 64, 256, 1024):
            name, count = f"dream, batch {batch}, {kind}", max(4, 400 // batch)
            runs[name] = stepper(step, model, batch, count)
            sizes[name] = batch * count
    measured = timing.seconds(runs, 4)
    rates = {name: sizes[name] / measured[name] for name in runs}
    rows = [Row("sgemm bound of a dream step, float32", bound, "steps/s")]
    for name, rate in rates.items():
        rows.append(Row(name, rate, "steps/s", rate / bound, "the sgemm bound"))
    single = rates["dream, batch 1, float32"]  # bfloat16 is slower there
    name = f"dream, batch 1024, {best}"
    rows.append(Row(name, rates[name], "steps/s", rates[name] / single, "batch 1 float32"))
    return rows


def stepper(step: FastStep, model: WorldModel, batch: int, count: int):
    """A function that makes `count` steps of `batch` dreams, shared out over the cores."""
    cores = min(usable_cores(), batch)
    shares = [len(share) for share in np.array_split(np.arange(batch), cores)]
    dreams = [Dream(step, model.initial_z, max_length=10**9) for _ in shares]
    for dream, share in zip(dreams, shares, strict=True):
        dream.start(np.arange(share))
    pool = ThreadPoolExecutor(cores)

    def run(dream):
        actions = np.zeros(len(dream.observation), np.float32)
        for _ in range(count):
            dream.step(actions)

    return lambda: list(pool.map(run, dreams))


def generation_rows(model: WorldModel, candidates: int = 64, episodes: int = 16) -> list[Row]:
    """A generation as train.py plays it, with ends, beside one dream at a time; and CMA-ES."""
    kind = precision.resolve("auto")
    rng = np.random.default_rng(0)
    strategy = CMAES(Controllers.size(SEES), candidates)
    asking = time.perf_counter()
    solutions = strategy.ask()
    asking = time.perf_counter() - asking
    pairs = Controllers(solutions.repeat(episodes, 0))
    # lengths as in a real generation: most rows end early, a few go on to the cap
    limits = np.minimum(2100, rng.exponential(700, candidates * episodes)).astype(int) + 1
    step = FastStep(model.rnn, kind)
    dreams = [LimitedDream(step, model.initial_z, limits) for _ in range(usable_cores())]

    def act(observation, rows):  # from several threads at once
        return Controllers(pairs.parameters[rows]).act(observation, np.arange(len(rows)))

    start = time.perf_counter()
    _, lengths = run_parallel(dreams, act, np.arange(len(limits)), batch=512)
    taken = time.perf_counter() - start
    single = Dream(FastStep(model.rnn), model.initial_z)
    one = timing.seconds(
        {"one": lambda: run_rollouts(single, pairs.act, [3], 300, batch=1)}, rounds=2
    )["one"]
    telling = time.perf_counter()
    strategy.tell(rng.standard_normal(candidates))
    asking += time.perf_counter() - telling
    rate = lengths.sum() / taken
    return [
        Row("rollouts one at a time", 300 / one, "steps/s"),
        Row(f"a generation's rollouts, {kind}", rate, "steps/s", rate * one / 300, "one at a time"),
        Row("CMA-ES ask + tell", 100 * asking / (asking + taken), "% of a generation"),
    ]


class LimitedDream(Dream):
    """A dream in which row i of a generation ends after limits[i] steps, whatever M says."""

    def __init__(self, step, initial_z, limits):
        super().__init__(step, initial_z)
        self._limits, self._row_limits = limits, np.empty(0, np.int64)

    def start(self, seeds):
        super().start(seeds)
        self._row_limits = np.append(self._row_limits, self._limits[np.asarray(seeds)])

    def step(self, actions):
        reward, _ = super().step(actions)
        return reward, self.age >= self._row_limits

    def keep(self, rows):
        super().keep(rows)
        self._row_limits = self._row_limits[rows]


def game_rows(steps: int = 300) -> list[Row]:
    """VizDoom at the size that agents see and at the size that people do."""
    rates = {}
    for rows in (480, ROWS):
        env = DoomReal(rows)
        env.reset(seed=1)

        def play(env=env):
            for _ in range(steps):
                if env.step([0.0])[2]:
                    env.reset(seed=1)

        rates[rows] = steps / timing.seconds({"play": play}, 2)["play"]
        env.close()
    return [
        Row("VizDoom 640x480", rates[480], "steps/s"),
        Row(
            "VizDoom 320x240",
            rates[ROWS],
            "steps/s",
            rates[ROWS] / rates[480],
            "640x480",
        ),
    ]


def vae_rows(towers: int, other: timing.Other, batch: int = 100) -> list[Row]:
    """Training and encoding of V, ours and plain Keras layers, in turns."""
    frames = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), np.uint8)
    kind = precision.resolve("auto")
    fast, plain = VAE(Z_SIZE, kind), VAE(Z_SIZE)
    ours = vae_train_step(fast, Adam(fast.variables), towers)
    rows = keras_baseline.vae_training_rows(ours, frames[:batch], other)
    encoding = timing.seconds(
        {
            "one": lambda: plain.encode(frames[:1]),
            "keras": lambda: other.call("encode"),
            "float32": lambda: keras_baseline.encode_on_cores(plain, frames),
            "best": lambda: keras_baseline.encode_on_cores(fast, frames),
        },
        6,
    )
    rows.append(Row("V encoding, batch 1, float32", 1 / encoding["one"], "frames/s"))
    base = 256 / encoding["keras"]
    rows.append(Row("V encoding, batch 256, plain Keras layers", base, "frames/s"))
    for name, label in (("float32", "float32"), ("best", kind)):
        value = 256 / encoding[name]
        rows.append(
            Row(f"V encoding, batch 256, {label}", value, "frames/s", value / base, "Keras layers")
        )
    return rows


def rnn_rows(towers: int, other: timing.Other, streams: int = 100, steps: int = 64) -> list[Row]:
    """Training of M, ours and a Keras LSTM layer with automatic differentiation, in turns."""
    kind = precision.resolve("auto")
    rnn = MDNRNN()
    variables = [tf.Variable(v) for v in training_variables(rnn)]
    ours = rnn_train_step(variables, Adam(variables), 1.0, towers, tf.as_dtype(kind))
    rng = np.random.default_rng(0)
    shape = (steps + 1, streams, Z_SIZE)
    chunk = {
        "mu": rng.standard_normal(shape, np.float32),
        "logvar": np.full(shape, -1, np.float32),
        **{name: np.zeros(shape[:2], np.float32)[:-1] for name in ("action", "fresh", "restart")},
        "known": np.ones((steps, streams), np.float32),
    }
    chunk = {name: tf.constant(value) for name, value in chunk.items()}
    state, seed = [tf.zeros((streams, rnn.hidden))] * 2, tf.constant([1, 2])
    rate = tf.constant(1e-3)
    return keras_baseline.training_rows(
        "M",
        streams * steps,
        "timesteps",
        lambda: ours(chunk, state, seed, rate),
        lambda: other.call("rnn"),
    )


def keras_loss(output, z):
    """M's loss for steps that never end."""
    rows = tf.zeros(len(output))
    return sum(mdn_losses(output, z, rows, rows + 1))


def save(model: WorldModel, folder: Path) -> None:
    """Write the weights that train.py reads."""
    model.vae.save(folder / "vae.json")
    model.rnn.save(folder / "rnn.json")
    save_initial_z(folder / "initial_z.json", *model.initial_z)


def main(argv=None):
    args = timing.parse(__doc__, argv)
    if args.plain:
        rnn = MDNRNN()
        sizes = Z_SIZE, rnn.input_size, rnn.hidden, rnn.output_size
        timing.serve(keras_baseline.functions(*sizes, keras_loss, steps=64))
        return
    towers = precision.use_towers()
    model = never_ending(
        WorldModel(VAE(Z_SIZE), MDNRNN(), (np.zeros((1, Z_SIZE), np.float32),) * 2)
    )
    rows = [Row(f"sgemm, {usable_cores()} cores", timing.sgemm_gflops(), "GFLOP/s")]
    rows += dream_rows(model) + generation_rows(model) + game_rows()
    other = timing.Other()
    rows += vae_rows(towers, other) + rnn_rows(towers, other)
    other.close()
    arguments = "--population 32 --generations 4 --max_length 100"
    rows += timing.rank_rows(functools.partial(save, model), arguments)
    timing.show(rows, args.json)


if __name__ == "__main__":
    cli.run(main)
