"""V and M in plain Keras layers and float32: the baseline of study/bench.py."""

from collections.abc import Callable

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
