"""V and M in plain Keras layers and float32: the baseline of the rooms' study/bench.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.command.limits import usable_cores
from kit.judge import timing
from kit.judge.timing import Row
from kit.tensors import precision
from kit.tensors.tf import tf


def vae(z_size: int):
    """V in plain Keras layers: (encoder, decoder)."""
    layers = tf.keras.layers
    frame = tf.keras.Input((64, 64, 3))
    x = frame
    for filters in (32, 64, 128, 256):
        x = layers.Conv2D(filters, 4, 2, activation="relu")(x)
    x = layers.Flatten()(x)
    encoder = tf.keras.Model(frame, [layers.Dense(z_size)(x), layers.Dense(z_size)(x)])
    z = tf.keras.Input((z_size,))
    x = layers.Reshape((1, 1, 1024))(layers.Dense(1024)(z))
    for filters, side in ((128, 5), (64, 5), (32, 6)):
        x = layers.Conv2DTranspose(filters, side, 2, activation="relu")(x)
    x = layers.Conv2DTranspose(3, 6, 2, activation="sigmoid")(x)
    return encoder, tf.keras.Model(z, x)


def vae_step(z_size: int):
    """A training step of V on frames uint8 (B, 64, 64, 3), with Keras' Adam; and its encoder."""
    encoder, decoder = vae(z_size)
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimiser = tf.keras.optimizers.Adam(1e-4)

    @tf.function
    def step(frames):
        x = tf.cast(frames, tf.float32) / 255
        with tf.GradientTape() as tape:
            mu, logvar = encoder(x, training=True)
            z = mu + tf.exp(logvar / 2) * tf.random.normal(tf.shape(mu))
            error = tf.reduce_sum(tf.square(decoder(z, training=True) - x), (1, 2, 3))
            kl = -0.5 * tf.reduce_sum(1 + logvar - mu**2 - tf.exp(logvar), 1)
            loss = tf.reduce_mean(error) + tf.reduce_mean(tf.maximum(kl, 0.5 * z_size))
        optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step, encoder


def rnn_step(hidden: int, outputs: int, loss: Callable):
    """A training step of M: an LSTM, a dense layer and automatic differentiation.

    The step takes x (B, T, inputs) and z (B, T, Z); loss(output (N, outputs), z (N, Z)) a scalar.
    """
    lstm = tf.keras.layers.LSTM(hidden, return_sequences=True)
    dense = tf.keras.layers.Dense(outputs)
    optimiser = tf.keras.optimizers.Adam(1e-3, clipvalue=1.0)

    @tf.function
    def step(x, z):
        with tf.GradientTape() as tape:
            output = tf.reshape(dense(lstm(x)), (-1, outputs))
            value = loss(output, tf.reshape(z, (-1, z.shape[-1])))
        variables = lstm.trainable_variables + dense.trainable_variables
        optimiser.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return step


def functions(z_size: int, inputs: int, hidden: int, outputs: int, loss: Callable, steps: int):
    """What `timing.serve` runs, in a process with TensorFlow's own choice of threads.

    vae: a training step of V on 100 frames; encode: 256 frames in V; rnn: a training step of M on
    100 sequences of `steps`, its sizes and `loss` as of `rnn_step`.
    """
    rng = np.random.default_rng(0)
    frames = tf.constant(rng.integers(0, 256, (256, 64, 64, 3), np.uint8))
    few = frames[:100]
    vae, encoder = vae_step(z_size)
    encode = tf.function(lambda x: encoder(tf.cast(x, tf.float32) / 255)[0])
    rnn = rnn_step(hidden, outputs, loss)
    x, z = (tf.constant(rng.standard_normal((100, steps, n), np.float32)) for n in (inputs, z_size))
    return {"vae": lambda: vae(few), "encode": lambda: encode(frames), "rnn": lambda: rnn(x, z)}


def training_rows(what: str, size: int, unit: str, ours: Callable, keras: Callable) -> list[Row]:
    """Training of `what`, ours and that of Keras layers, in turns; a call is of `size` units."""
    kind = precision.resolve("auto")
    measured = timing.seconds({"ours": ours, "keras": keras})
    our, plain = (size / measured[name] for name in ("ours", "keras"))
    return [
        Row(f"{what} training, plain Keras layers", plain, f"{unit}/s"),
        Row(f"{what} training, {kind}", our, f"{unit}/s", our / plain, "Keras layers"),
    ]


def vae_training_rows(step: Callable, frames: np.ndarray, other: timing.Other) -> list[Row]:
    """Of V on frames uint8 (100, 64, 64, 3) by `step`, which vae_train.train_step has made."""
    few, seed, rate = tf.constant(frames), tf.constant([1, 2]), tf.constant(1e-4)
    steps = range(5)  # one after the other, as in a training
    return training_rows(
        "V",
        len(frames) * len(steps),
        "frames",
        lambda: [step(few, seed, rate).numpy() for _ in steps],
        lambda: [other.call("vae") for _ in steps],
    )


def encode_on_cores(vae, frames: np.ndarray) -> None:
    """Encode a share of the frames on each core, as series.py does with episodes."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(vae.encode, np.array_split(frames, usable_cores())))
