"""V against plain Keras layers and numpy, and its file."""

import numpy as np
import pytest

from kit.command.errors import UserError
from kit.files import atomic
from kit.tensors.tf import tf

from vae import VAE


@pytest.fixture(scope="module")
def vae():
    result = VAE(64)
    rng = np.random.default_rng(1)
    for variable in result.variables:
        if len(variable.shape) == 1:  # biases that are not zero
            variable.assign(rng.standard_normal(variable.shape) * 0.1)
    return result


def keras_encoder(vae):
    """mu of the same variables in plain Keras layers."""
    layers = [tf.keras.layers.Conv2D(n, 4, 2, activation="relu") for n in (32, 64, 128, 256)]
    model = tf.keras.Sequential(
        [tf.keras.Input((64, 64, 3)), *layers, tf.keras.layers.Flatten(), tf.keras.layers.Dense(64)]
    )
    model.set_weights([v.numpy() for v in vae.variables[:10]])
    return model


def keras_decoder(vae):
    """The decoder of the same variables in plain Keras layers, with all four deconvolutions."""
    sizes = ((128, 5, "relu"), (64, 5, "relu"), (32, 6, "relu"), (3, 6, "sigmoid"))
    model = tf.keras.Sequential(
        [
            tf.keras.Input((64,)),
            tf.keras.layers.Dense(1024),
            tf.keras.layers.Reshape((1, 1, 1024)),
            *(tf.keras.layers.Conv2DTranspose(n, k, 2, activation=a) for n, k, a in sizes),
        ]
    )
    model.set_weights([v.numpy() for v in vae.variables[12:]])
    return model


def test_encoder_equals_keras_layers(vae):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = keras_encoder(vae)(frames / 255.0).numpy()
    np.testing.assert_allclose(vae.encode(frames)[0], expected, atol=1e-5)


def test_decoder_with_dense_and_pixel_forms_equals_conv2dtranspose(vae):
    z = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    expected = keras_decoder(vae)(z).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(vae.decode(z), expected, atol=1e-5)


def test_gradients_of_v_equal_those_of_keras_layers(vae):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    noise = np.zeros((3, 64), np.float32)  # then z is mu, and log_var has no part in the error
    encoder, decoder = keras_encoder(vae), keras_decoder(vae)
    with tf.GradientTape() as tape:
        ours = tf.reduce_sum(vae.losses(frames, noise)[0])
    gradients = tape.gradient(ours, [*vae.variables[:10], *vae.variables[12:]])
    with tf.GradientTape() as tape:
        difference = decoder(encoder(frames / 255.0)) - frames / 255.0
        theirs = tf.reduce_sum(tf.square(difference))
    variables = encoder.trainable_variables + decoder.trainable_variables
    for gradient, expected in zip(gradients, tape.gradient(theirs, variables), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-4)


def test_vae_losses_against_numpy(vae):
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    noise = np.random.default_rng(1).standard_normal((2, 64)).astype(np.float32)
    mu, logvar = (v.astype(np.float64) for v in vae.encode(frames))
    error, kl = vae.losses(frames, noise)
    pixels = vae.decode(mu + np.exp(logvar / 2) * noise) - frames / 255.0
    np.testing.assert_allclose(error, (pixels**2).sum((1, 2, 3)), rtol=1e-4)
    divergence = -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum(1)
    np.testing.assert_allclose(kl, np.maximum(divergence, 32), rtol=1e-4)


def test_vae_json_round_trip_and_order(vae, tmp_path):
    vae.save(tmp_path / "vae.json")
    other = VAE(64, seed=5).load(tmp_path / "vae.json")
    for one, two in zip(vae.variables, other.variables, strict=True):
        np.testing.assert_allclose(one, two, atol=0.5e-4 + 1e-7)
    raw = atomic.read_json(tmp_path / "vae.json")
    assert [np.shape(a) for a in raw[:2]] == [(4, 4, 3, 32), (32,)]
    assert [np.shape(a) for a in raw[-2:]] == [(6, 6, 3, 32), (3,)]
    with pytest.raises(UserError, match=r"vae\.json"):
        VAE(32).load(tmp_path / "vae.json")
