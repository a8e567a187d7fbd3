"""What the room's speed is made of, measured in one run: `python -m study.bench [--json]`.

Plays real Boxing; the weights are random. Reads nothing, and writes only in a temporary folder.
Ratios are between things timed in turns, so they hold on a busy machine; rates hold for the machine
they were measured on. How fast V trains is in the other rooms' bench.py: it is their twin.
"""

from kit.command import cli

cli.begin(__name__)

import itertools
import tempfile
from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.judge import timing
from kit.judge.timing import Row
from kit.tensors import precision
from kit.tensors.adam import Adam
from kit.tensors.tf import tf

import config
import data
from agent import Controllers, RealWorld, WorldModel
from dream import Dream
from env import Games
from fast.lstm_gradient import Batch
from frames import Frames
from models import Memory, size_of
from rnn import MDNRNN, mdn_losses
from rnn_data import Chunk, Rewards
from train_mem import make_batch, train_step
from vae import VAE

GAMES, STEPS = 32, 100  # of a rollout
DREAMS = 512
STREAMS, LENGTH = 64, 50  # of a batch of M
FRAMES = 4096  # of a file that is read


def game_rows(values: config.Config, model: WorldModel) -> list[Row]:
    """Steps a second of the game alone, of one agent, and of many side by side."""
    games = Games(values.general)
    noop = np.zeros((1, 1), np.int64)

    def alone():
        games.keep(np.empty(0, np.int64))
        games.start([0])
        for _ in range(GAMES * STEPS // 4):
            games.step(noop)

    world = RealWorld(model, values)
    weights = np.random.default_rng(0).normal(0, 0.1, Controllers.size(values, model.actions))

    def start(seeds):
        games.keep(np.empty(0, np.int64))
        games.start([next(seeds)])

    new, used = itertools.count(1), itertools.repeat(0)

    def rollouts(count, batch):
        mind = Controllers(weights[None].repeat(count, 0), values, model.actions)
        return lambda: run_rollouts(world, mind.act, np.arange(count), STEPS, batch)

    few = GAMES // 4
    functions = {"alone": alone, "one": rollouts(few, 1), "many": rollouts(GAMES, GAMES)}
    functions |= {"start": lambda: start(new), "again": lambda: start(used)}
    found = timing.seconds(functions, 3)
    games.close(), world.close()
    one, many = few * STEPS / found["one"], GAMES * STEPS / found["many"]
    return [
        Row("Boxing, a start", found["start"] * 1e3, "ms"),
        Row(
            "Boxing, a start from a seed used before",
            found["again"] * 1e3,
            "ms",
            found["start"] / found["again"],
            "a new seed",
        ),
        Row("Boxing, frames of 64x64", GAMES * STEPS // 4 / found["alone"], "steps/s"),
        Row("Boxing by V, M and C, one game at a time", one, "steps/s"),
        Row(f"the same, {GAMES} games at once", many, "steps/s", many / one, "one at a time"),
    ]


def dream_rows(values: config.Config, model: WorldModel) -> list[Row]:
    """Steps a second of dreams."""
    mind = np.zeros((DREAMS, Controllers.size(values, model.actions)))
    act = Controllers(mind, values, model.actions).act

    def dreams(batch):
        dream = Dream(model.memory, model.actions, max_length=STEPS)
        return lambda: run_rollouts(dream, act, np.arange(batch), STEPS, batch)

    found = timing.seconds({"one": dreams(1), "many": dreams(DREAMS)}, 3)
    one, many = STEPS / found["one"], DREAMS * STEPS / found["many"]
    return [
        Row("dream, one at a time", one, "steps/s"),
        Row(f"dream, {DREAMS} at once", many, "steps/s", many / one, "one at a time"),
    ]


def memory_rows(size, towers: int) -> list[Row]:
    """Training steps of M: the gradient by hand, and by Keras' layer and differentiation."""
    rng = np.random.default_rng(0)
    shape = (LENGTH, STREAMS)
    z = [rng.standard_normal((*shape, size.z_size), np.float32) for _ in range(4)]
    action = np.eye(size.action_size, dtype=np.float32)[rng.integers(size.action_size, size=shape)]
    zeros, ones = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    chunk = Chunk(*z[:2], action, zeros[..., None], *z[2:], zeros, zeros, ones)
    variables = [tf.Variable(v) for v in MDNRNN(size).variables]
    ours = train_step(variables, Adam(variables), size, towers, tf.float32)
    state = [tf.zeros((STREAMS, size.hidden))] * 2
    seed, rate = tf.constant([0, 0]), tf.constant(1e-3)
    lstm = tf.keras.layers.LSTM(size.hidden, return_sequences=True)
    dense = tf.keras.layers.Dense(size.outputs)
    optimiser = tf.keras.optimizers.Adam(1e-3, clipvalue=1.0)

    @tf.function
    def plain(chunk):
        batch: Batch = make_batch(chunk, tf.random.normal((2, *chunk.mu.shape)))
        with tf.GradientTape() as tape:
            output = dense(lstm(tf.transpose(batch.x, (1, 0, 2))))
            output = tf.reshape(tf.transpose(output, (1, 0, 2)), (-1, size.outputs))
            flat = [tf.reshape(v, (-1, *v.shape[2:])) for v in batch[2:]]
            loss = tf.add_n(mdn_losses(output, *flat, size))
        weights = lstm.trainable_variables + dense.trainable_variables
        optimiser.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    functions = {"ours": lambda: ours(chunk, state, seed, rate)[0].numpy()}
    functions["keras"] = lambda: plain(chunk)
    found = timing.seconds(functions, 3)
    steps = {name: STREAMS * LENGTH / seconds for name, seconds in found.items()}
    ratio = steps["ours"] / steps["keras"]
    return [
        Row("training M, Keras", steps["keras"], "transitions/s"),
        Row("training M", steps["ours"], "transitions/s", ratio, "Keras"),
    ]


def file_rows(folder: Path) -> list[Row]:
    """Frames a second from a file: as V's training reads them, and one by one at random."""
    path, rng = folder / "frames.hdf5", np.random.default_rng(0)
    data.create(path, (64, 64, 3), "uint8", 1, np.int64, 128, {})
    blocks = rng.integers(0, 255, (FRAMES // 256, 256, 8, 8, 3), np.uint8)
    frames = (block.repeat(8, 1).repeat(8, 2) for block in blocks)
    actions, rewards = np.zeros((256, 1), np.int64), np.zeros(256, np.float32)
    data.append(path, ((part, actions, rewards, True) for part in frames))
    with data.open_file(path) as source:
        reader = Frames(source, 128, 0)
        rows = rng.integers(0, FRAMES, 64)
        functions = {
            "runs": lambda: sum(len(batch) for batch in reader.batches(0, 0)),
            "single": lambda: [source.read("states", i, i + 1) for i in rows],
        }
        found = timing.seconds(functions, 3)
    runs, single = reader.training / found["runs"], len(rows) / found["single"]
    return [
        Row("reading single frames at random", single, "frames/s"),
        Row("reading runs, shuffled together", runs, "frames/s", runs / single, "single frames"),
    ]


def main(argv=None):
    parser = cli.parser(__doc__)
    parser.add_argument("--json", action="store_true", help="print json")
    args = cli.parse(parser, argv=argv)
    towers = precision.use_towers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text('{"general": {"game_name": "ALE/Boxing-v5"}}')
        values = config.load(path)
        games = Games(values.general)
        actions = games.actions
        games.close()
        values.rnn.end = False  # random weights would end every dream at once
        size = size_of(values, actions.size)
        first = (np.zeros((1, size.z_size), np.float32),) * 2
        memory = Memory(MDNRNN(size), Rewards(0.0, 1.0), first, STEPS)
        model = WorldModel(VAE(size.z_size), memory, actions)
        rows = game_rows(values, model) + dream_rows(values, model)
        rows += memory_rows(size, towers) + file_rows(Path(folder))
    timing.show(rows, args.json)


if __name__ == "__main__":
    cli.run(main)
