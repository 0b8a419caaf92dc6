"""Batch normalisation of real samples as it is written: draws, with the Jacobian by differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import meanfield as mf

Array = NDArray[np.float64]


def tangent_of(gram: mf.Gram) -> Array:
    """Return the tangent kernel, which was asked for."""
    assert gram.tangent is not None
    return gram.tangent


def a_covariance(samples: int, seed: int = 0) -> Array:
    """Return a covariance of samples of different sizes, with something in common."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((samples, samples + 3)) * rng.uniform(0.3, 2.0, (samples, 1)) + 0.7
    return np.asarray(factor @ factor.T / samples)


def drawn(phi: mf.Activation, sigma: Array, theta: Array, *, epsilon: float, draws: int, seed: int) -> list[Array]:
    """Return Q and the propagated Theta of many draws: batch normalisation as written, its Jacobian by differences."""
    rng, samples = np.random.default_rng(seed), len(sigma)
    u = rng.standard_normal((draws, samples)) @ np.linalg.cholesky(sigma).T

    def layer(u: Array) -> Array:
        centred = u - u.mean(axis=1, keepdims=True)
        return phi(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon))

    h, step = layer(u), 1e-6
    shifts = step * np.eye(samples)
    jacobian = np.stack([(layer(u + shift) - layer(u - shift)) / (2 * step) for shift in shifts], axis=-1)
    return [np.einsum("is,it->ist", h, h), np.einsum("isa,ab,itb->ist", jacobian, theta, jacobian, optimize=True)]
