"""Overlaps of samples by the closed form of the function."""

from __future__ import annotations

import numpy as np

from ..functions import ScalarFunction
from ..gaussian import Array
from ..quadrature import AUTO
from ..quadrature.method import ROUNDING
from .alone import integrate_alone
from .pairs import TilePairs


class ClosedMap:
    """E f(u) f(v) for all pairs of samples.

    Parameters
    ----------
    f : ScalarFunction
        With a closed form of its overlap.
    sd : array
        The standard deviation of every sample, shape (T,).
    tolerance : float
        Where the terms of a formula cancel so far that more is lost to their rounding, the formula is left.

    Attributes
    ----------
    same : array
        E f(u)^2 of every sample, shape (T,).
    """

    def __init__(self, f: ScalarFunction, sd: Array, *, tolerance: float) -> None:
        assert f.closed_form is not None
        assert f.closed_form.overlap is not None
        self.f, self.tolerance, self._overlap = f, tolerance, f.closed_form.overlap
        self.same = np.asarray(AUTO.second_moment(f, sd * sd).value)
        self.error, self.alone = 0.0, 0

    def __call__(self, pairs: TilePairs, rows: slice, columns: slice) -> Array:
        """Return the overlaps of a tile."""
        terms = self._overlap(pairs)
        if not isinstance(terms, tuple):
            return np.asarray(np.broadcast_to(terms, pairs.covariance.shape))
        value = np.asarray(sum(terms[1:], start=terms[0]))
        if value.shape != pairs.covariance.shape:
            value = np.array(np.broadcast_to(value, pairs.covariance.shape))
        if len(terms) > 1 and value.dtype == np.float64:
            self._mend(value, terms, pairs, np.sqrt(self.same[rows]), np.sqrt(self.same[columns]))
        return value

    def _mend(self, value: Array, terms: tuple[Array, ...], pairs: TilePairs, scale: Array, other: Array) -> None:
        """Integrate the pairs for which the terms cancel."""
        largest = sum(max(float(term.max()), -float(term.min())) for term in terms)
        if ROUNDING * largest <= self.tolerance * scale.min() * other.min():
            return
        size = sum(np.abs(term) for term in terms)
        where = np.argwhere(ROUNDING * size > self.tolerance * np.multiply.outer(scale, other))
        self.alone += len(where)
        integrate_alone(self.f, value, pairs, where, so_far=self.alone, why="the terms of its closed form cancel")
