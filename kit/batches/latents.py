"""Latents: frames through V and back in batches, and what is measured of them.

An importable module, no command. `vae` has encode and decode as the rooms' vae.py. Shapes: B
frames, Z latents, K mixtures.
"""

import numpy as np


def encode(vae, frames: np.ndarray, batch: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """mu and logvar, float32 (B, Z) each, of frames uint8 (B, 64, 64, 3), so many at once."""
    parts = [vae.encode(frames[i : i + batch]) for i in range(0, len(frames), batch)]
    mu, logvar = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mu, logvar


def sample_latents(mu: np.ndarray, logvar: np.ndarray, seed: int) -> np.ndarray:
    """z float32 (B, Z), drawn once."""
    noise = np.random.default_rng(seed).standard_normal(mu.shape, np.float32)
    return mu + np.exp(logvar / 2) * noise


def reconstruct(vae, frames: np.ndarray, batch: int = 256) -> np.ndarray:
    """What V makes of frames through a sampled z, as M and C see it: float32 (B, 64, 64, 3)."""
    z = sample_latents(*encode(vae, frames, batch), seed=0)
    return np.concatenate([vae.decode(z[i : i + batch]) for i in range(0, len(z), batch)])


def squared_errors(frames: np.ndarray, reconstructed: np.ndarray) -> np.ndarray:
    """Per frame, summed over its pixels in 0..1, as vae_train.py logs it: (B,)."""
    return np.array(
        [((r - f / 255.0) ** 2).sum() for f, r in zip(frames, reconstructed, strict=True)]
    )


def density_nll(mixture: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Mean over latents of -log p(z), (B,), under mixtures (B, 3, K, Z) of log weights, means,
    log deviations (paper, appendix A.2)."""
    logits, mean, logstd = np.moveaxis(mixture, 1, 0).astype(np.float64)
    logits = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
    distance = (z[:, None] - mean) * np.exp(-logstd)
    density = logits - 0.5 * distance**2 - logstd - 0.5 * np.log(2 * np.pi)
    return -np.logaddexp.reduce(density, axis=1).mean(axis=1)
