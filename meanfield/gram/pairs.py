"""The pairs of a tile of a Gram matrix: what they share is computed once, and rounding is not taken for an angle."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..gaussian import Array, GaussianPair

_ROUNDINGS = 32
"""A correlation closer to 1 or -1 than that many roundings is that of inputs that are parallel."""


class TilePairs(GaussianPair):
    """The Gaussians of all rows with those of all columns.

    Variances are broadcast, and not spread; covariances come from a matrix product, so that 1 - |correlation| is only
    known up to some roundings. ``GaussianPair``, whose numbers are exact, would make an angle of 1e-8 of them: here it
    is 0, as for inputs that are equal or parallel.

    Parameters
    ----------
    rows, columns : array
        The standard deviations, shapes (r,) and (c,).
    covariance : array
        Shape (r, c).
    """

    rows: Array
    columns: Array

    def __init__(self, rows: Array, columns: Array, covariance: Array) -> None:
        for name, value in (
            ("rows", rows[:, None]),
            ("columns", columns),
            ("variance", (rows * rows)[:, None]),
            ("other_variance", columns * columns),
            ("covariance", covariance),
        ):
            object.__setattr__(self, name, value)

    @cached_property
    def determinant(self) -> Any:
        """Var u Var v - (E uv)^2, or 0 where it is rounding."""
        product = np.multiply(self.variance, self.other_variance)
        product -= self.covariance * self.covariance
        roundings = _ROUNDINGS * float(np.finfo(product.dtype).eps)
        if product.min() <= roundings * self.variance.max() * self.other_variance.max():
            product *= product > (roundings * self.variance) * self.other_variance
            product += 0.0  # of -0.0 the angle of opposite inputs would be -pi
        return product

    @cached_property
    def correlation(self) -> Any:
        """The correlation, within some roundings of [-1, 1]; 0 where a variance is 0."""
        # a reciprocal for each row and column, rather than a division for each pair
        inverse, other = (np.divide(1, x, out=np.zeros_like(x), where=x > 0) for x in (self.rows, self.columns))
        correlation = self.covariance * inverse
        correlation *= other
        return correlation

    @cached_property
    def square(self) -> Array:
        """The square of the correlation."""
        return np.asarray(self.correlation * self.correlation)

    @cached_property
    def largest(self) -> float:
        """The largest absolute correlation."""
        return min(1.0, float(max(self.correlation.max(), -self.correlation.min())))

    def one(self, s: int, t: int) -> tuple[float, float, float]:
        """Return variance, covariance and other variance of one pair, within Cauchy-Schwarz."""
        sd, other = float(self.rows[s, 0]), float(self.columns[t])
        limit = sd * other
        return sd * sd, min(max(float(self.covariance[s, t]), -limit), limit), other * other
