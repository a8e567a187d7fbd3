"""Encoder and decoder: which observations are seen, and which are reconstructed (nets.py)."""

import re
from collections.abc import Mapping

from dreamerv2.networks import Convolutions, Deconvolutions, Dense, Parameters, Stack, Tensors
from kit.command.errors import UserError
from kit.tensors.tf import tf


class Encoder:
    """Images through convolutions, vectors through dense layers, side by side: (N, E).

    Which keys, two regular expressions say.
    """

    def __init__(self, parameters: Parameters, observations: Mapping, config):
        self.image_keys, self.vector_keys = _keys(observations, config, "encoder")
        self.size = 0
        if self.image_keys:
            shape = _stacked_shape(observations, self.image_keys)
            self._images = Convolutions(parameters, "encoder", shape, config)
            self.size += self._images.size
        if self.vector_keys:
            inputs = sum(observations[key].shape[0] for key in self.vector_keys)
            units, act, norm = config.mlp_layers, config.act, config.norm
            self._vectors = Stack(parameters, "encoder", inputs, units, act, norm)
            self.size += self._vectors.size

    def __call__(self, p: Tensors, seen: Tensors, dtype: tf.DType) -> tf.Tensor:
        """seen: preprocessed rows (N, ...)."""
        parts = []
        if self.image_keys:
            images = tf.concat([seen[key] for key in self.image_keys], -1)
            parts.append(self._images(p, images))
        if self.vector_keys:
            vectors = [tf.cast(seen[key], dtype) for key in self.vector_keys]
            parts.append(self._vectors(p, tf.concat(vectors, -1)))
        return parts[0] if len(parts) == 1 else tf.concat(parts, -1)


class Decoder:
    """Features back to the means of images and vectors: key -> (N, ...)."""

    def __init__(self, parameters: Parameters, inputs: int, observations: Mapping, config):
        self.image_keys, self.vector_keys = _keys(observations, config, "decoder")
        if self.image_keys:
            shape = _stacked_shape(observations, self.image_keys)
            self._channels = [observations[key].shape[2] for key in self.image_keys]
            self._images = Deconvolutions(parameters, "decoder", inputs, shape, config)
        if self.vector_keys:
            units, act, norm = config.mlp_layers, config.act, config.norm
            self._vectors = Stack(parameters, "decoder", inputs, units, act, norm)
            self._outputs = {
                key: Dense(
                    parameters,
                    f"decoder/dense_{key}",
                    self._vectors.size,
                    observations[key].shape[0],
                )
                for key in self.vector_keys
            }

    def __call__(self, p: Tensors, *parts: tf.Tensor) -> Tensors:
        means = {}
        if self.image_keys:
            images = self._images(p, *parts)
            means |= zip(self.image_keys, tf.split(images, self._channels, -1), strict=True)
        if self.vector_keys:
            hidden = self._vectors(p, *parts)
            means |= {key: dense(p, hidden) for key, dense in self._outputs.items()}
        return means


def _keys(observations: Mapping, config, name: str) -> tuple[list[str], list[str]]:
    """Image keys and vector keys that the regular expressions of `config` choose."""

    def chosen(flag, dimensions):
        try:
            return [
                key
                for key, space in observations.items()
                if len(space.shape) == dimensions and re.match(config[flag], key)
            ]
        except re.error as error:
            raise UserError(f"--{name}.{flag}: no regular expression ({error})") from error

    images, vectors = chosen("cnn_keys", 3), chosen("mlp_keys", 1)
    if not images and not vectors:
        keys = ", ".join(observations)
        raise UserError(
            f"--{name}.cnn_keys and --{name}.mlp_keys choose no observation; there are: {keys}"
        )
    return images, vectors


def _stacked_shape(observations: Mapping, keys: list[str]) -> tuple[int, int, int]:
    """Of the images side by side in their channels."""
    sizes = {observations[key].shape[:2] for key in keys}
    if len(sizes) > 1:
        raise UserError(f"images {', '.join(keys)}: expected one size, found {sorted(sizes)}")
    return *sizes.pop(), sum(observations[key].shape[2] for key in keys)
