"""Mixtures of normals, one for each latent of each row: drawn from, and their means.

An importable module, no command. Shapes: B rows, K normals of a mixture, Z latents. A mixture
(B, 3, K, Z) holds log weights, means and log deviations, as `Rows.predict` of the rooms' M gives.
"""

import numpy as np

BLOCK = 256  # rows whose numbers stay in the cache while they are sampled


def sample_z(mixture, uniform, normal, temperature=1.0) -> np.ndarray:
    """Draw the next latents, float32 (B, Z), by inverse CDF over the mixture, then one normal.

    mixture (B, 3, K, Z) from `Rows.predict`, uniform and normal (B, Z), one number a latent.
    Temperature divides the log weights and multiplies the variance (paper, appendix A.2).
    """
    z = np.empty_like(uniform)
    for start in range(0, len(z), BLOCK):
        rows = slice(start, start + BLOCK)
        _sample_block(mixture[rows], uniform[rows], normal[rows], temperature, z[rows])
    return z


def _sample_block(mixture, uniform, normal, temperature, z):
    rows, _, mixtures, z_size = mixture.shape
    logmix = mixture[:, 0]  # (B, K, Z)
    weight = np.empty((mixtures, rows, z_size), np.float32)
    np.subtract(logmix.transpose(1, 0, 2), logmix.max(axis=1), out=weight)
    weight *= np.float32(1 / temperature)
    np.exp(weight, out=weight)
    for k in range(1, mixtures):
        weight[k] += weight[k - 1]
    threshold = uniform * weight[-1]
    chosen = np.zeros((rows, z_size), np.intp)
    for k in range(mixtures - 1):
        chosen += threshold >= weight[k]
    # Gathering is twice as fast as copying where a mask is true, which no processor can foresee.
    at = np.arange(rows)[:, None], chosen, np.arange(z_size)
    np.exp(mixture[:, 2][at], out=z)
    z *= normal
    z *= np.float32(np.sqrt(temperature))
    z += mixture[:, 1][at]


def expected_z(mixture) -> np.ndarray:
    """The mean of mixtures (B, 3, K, Z) from `Rows.predict`, float32 (B, Z)."""
    weight = np.exp(mixture[:, 0] - mixture[:, 0].max(axis=1, keepdims=True))
    return (weight * mixture[:, 1]).sum(axis=1) / weight.sum(axis=1)
