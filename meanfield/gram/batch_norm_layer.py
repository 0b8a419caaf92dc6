r"""What a batch-normalised layer does to a covariance of T samples: the pieces that both ways of averaging share.

A unit sees u ~ N(0, Sigma) over the T samples, and gives phi(n) with n = G u/s, G = I - 11'/T,
s^2 = |G u|^2/T + epsilon, whose Jacobian is D P/s, D = diag phi'(n), P = G - n n'/T. Hence, for a tangent kernel Theta
of the pre-activations,

    Q = E phi(n) phi(n)',        Theta <- E[s^-2 D P Theta P D].

Only G Sigma G and G Theta G enter: what the samples have in common drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ..errors import AssumptionError, ParameterError
from ..gaussian import Array

RANK = 3
"""From this rank of the covariance on, E 1/sigma^2 is finite; its variance from rank 5 on."""

_ROUNDINGS = 8.0
"""Eigenvalues of a T x T covariance below so many times T roundings of its diagonal are 0."""


@dataclass(frozen=True)
class Averages:
    """Q and the propagated Theta, shape (T, T); the second is None where it was not asked for."""

    activity: Array
    tangent: Array | None
    error: float = 0.0
    """Estimated, of integration, relative to the diagonal."""
    ranks: tuple[tuple[int, int], ...] = ()
    """Of batch-normalised layers on the way: the layer, and in how many directions samples differ there."""


@dataclass(frozen=True)
class Spread:
    """The covariance of centred pre-activations in its own axes."""

    variances: Array
    """Shape (T,), from the largest; exactly 0 from the rank on."""
    axes: Array
    """Shape (T, T), an axis in each column."""

    @property
    def rank(self) -> int:
        """In how many directions the samples differ."""
        return int(np.count_nonzero(self.variances))

    @property
    def samples(self) -> int:
        """T."""
        return int(self.variances.size)


def centred(matrix: Array) -> Array:
    """Return G A G of a symmetric matrix A."""
    rows = matrix.mean(axis=1)
    return np.asarray(matrix - rows[:, None] - rows + rows.mean())


def spread_of(covariance: Array, *, layer: int, epsilon: float, tangent: bool) -> Spread:
    """Return the axes of G Sigma G; refuse where nothing is left to divide by, or E 1/sigma^2 is infinite."""
    variances, axes = linalg.eigh(centred(covariance))
    variances, axes = variances[::-1], np.ascontiguousarray(axes[:, ::-1])
    rounding = _ROUNDINGS * covariance.shape[0] * float(np.finfo(float).eps)
    spread = Spread(np.where(variances > rounding * np.diagonal(covariance).max(), variances, 0.0), axes)
    if spread.rank == 0:
        expected = "samples that differ: batch normalisation takes away what they have in common"
        raise ParameterError("inputs", expected, f"samples that are all alike at hidden layer {layer}")
    if tangent and epsilon == 0 and spread.rank < RANK:
        nothing = "; at T = 2 every gradient through it is exactly 0" if spread.samples == 2 else ""
        raise AssumptionError(
            f"the pre-activations of hidden layer {layer} differ in {spread.rank} directions, T - 1 or as many as the "
            "inputs have. Then the mean of 1/sigma^2, by which batch normalisation multiplies squared gradients, is "
            f"infinite, and networks do not settle down with their width{nothing}. Take at least {RANK + 1} samples "
            f"that differ in {RANK} directions, epsilon > 0, or the covariance alone (tangent=False)"
        )
    return spread
