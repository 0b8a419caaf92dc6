"""Matrices drawn from the Gaussian-equivalent model of given nodes, written as plainly as possible."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield.spectrum.drawn import DrawnModel

Array = NDArray[np.float64]


def dual_matrix(model: DrawnModel, rng: np.random.Generator) -> Array:
    """Return a dual Fisher information without the mean of the outputs, shape (C T, C T), with these nodes."""
    return dual_and_outputs(model, rng)[0]


def dual_and_outputs(model: DrawnModel, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return also the outputs sum_j zeta_j phi~_j/sqrt(M_{L-1}), shape (C, T)."""
    widths, samples, outputs = model.widths, model.samples, model.outputs
    phi = [rng.standard_normal((widths[0], samples))]
    weights, y, slope_noise = [], [], []
    for l, layer in enumerate(model.layers, start=1):
        n = layer.nodes
        weights.append(rng.standard_normal((widths[l], widths[l - 1])) * math.sqrt(layer.down / widths[l - 1]))
        y.append(weights[-1] @ phi[-1])
        noise = np.empty((2, widths[l], samples))
        for j in range(widths[l]):
            covariance = [
                [n.activity_noise[j], n.noise_covariance[j]],
                [n.noise_covariance[j], n.slope_noise[j]],
            ]
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0))
            noise[:, j] = root @ rng.standard_normal((2, samples))
        phi.append(n.response[:, None] * y[-1] + noise[0])
        slope_noise.append(noise[1])
    dual = np.kron(model.constant, np.eye(samples)) + np.kron(model.forward, phi[0].T @ phi[0]) / samples
    delta = np.zeros((0, outputs, samples))
    for l in reversed(range(1, len(widths))):
        layer, n = model.layers[l - 1], model.layers[l - 1].nodes
        dual += np.kron(layer.forward, phi[l].T @ phi[l]) / samples
        values, vectors = np.linalg.eigh(layer.excess)
        root = vectors * np.sqrt(np.maximum(values, 0))
        own = np.einsum("kc,jct->jkt", root, rng.standard_normal((widths[l], outputs, samples)))
        linear = n.curvature[:, None] * y[l - 1] + slope_noise[l - 1]
        here = layer.zeta[:, :, None] * linear[:, None, :] + np.sqrt(n.slope_variance)[:, None, None] * own
        if l < len(widths) - 1:
            from_above = np.einsum("ij,ikt->jkt", weights[l], delta) * math.sqrt(widths[l] / widths[l + 1])
            here += n.slope[:, None, None] * from_above
        delta = here
        flat = delta.reshape(widths[l], outputs * samples)
        dual += layer.backward * flat.T @ flat / samples
    return dual, model.layers[-1].zeta.T @ phi[-1] / math.sqrt(widths[-1])
