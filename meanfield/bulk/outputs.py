"""The largest eigenvalue of one surrogate, with batch normalisation of the outputs or without."""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from ..gaussian import Array
from .surrogate import Surrogate


def largest_of(
    dual: Array, overlap: Array, surrogate: Surrogate, variance: float | None, rng: np.random.Generator
) -> float:
    """Return lambda_max.

    Parameters
    ----------
    dual : array, shape (C (T-1), C (T-1))
    overlap : array, shape (T-1, T-1)
        Of the activities of the last hidden layer, of mean 1: the outputs are Gaussian with it.
    variance : float, optional
        Of the outputs on the contrasts, if they are batch-normalised: then the block of two outputs is projected
        orthogonal to them and divided by their standard deviations.
    """
    if variance is not None:
        freedom, samples = len(overlap), surrogate.chain.samples
        u = math.sqrt(variance) * np.linalg.cholesky(overlap) @ rng.standard_normal((freedom, surrogate.outputs))
        lengths = np.linalg.norm(u, axis=0)
        blocks = [
            (np.eye(freedom) - np.outer(v, v)) * math.sqrt(samples) / length
            for v, length in zip((u / lengths).T, lengths, strict=True)
        ]
        projector = linalg.block_diag(*blocks)
        dual = projector @ dual @ projector
    size = len(dual)
    return float(linalg.eigh(dual, eigvals_only=True, subset_by_index=[size - 1, size - 1])[0])
