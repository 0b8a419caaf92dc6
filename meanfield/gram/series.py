r"""Overlaps of samples of any variances by power series in the correlation.

Mehler's formula: with h_n the normalised Hermite polynomials and a_n(s) = E f(s z) h_n(z),

    E f(u) f(v) = \sum_n a_n(s) a_n(t) c^n,        s^2 = Var u, t^2 = Var v, c the correlation.

The coefficients belong to one sample each, so that T samples need T series and not T^2 integrals; what is left is a
polynomial in c for each pair. What n terms leave is at most |c|^n times the product of what they leave of
E f(u)^2 and E f(v)^2, under the root: an error that is known for every pair before it is computed. The most correlated
pairs of a tile need the most terms, and are evaluated by themselves where that pays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from ..functions import Parity, ScalarFunction
from ..gaussian import Array
from .alone import integrate_alone
from .coefficients import TERMS, coefficients_of
from .pairs import TilePairs

_GRID = 8
"""What is left of a series is known after every so many terms."""

_SCATTERED = 8.0
"""How many times as long a term takes for a pair by itself."""

_LOOKED_AT = 2048
"""So many correlations of a tile tell how many of them are large."""

_CHUNK = 2**20
"""Entries of an array of terms of scattered pairs."""


class SeriesMap:
    """E f(u) f(v) for all pairs of samples.

    Parameters
    ----------
    f : ScalarFunction
    sd : array
        The standard deviation of every sample, shape (T,).
    tolerance : float
        Of the overlaps, relative to their scale.
    dtype : float64 or float32
        Of the overlaps.

    Attributes
    ----------
    same : array
        E f(u)^2 of every sample, shape (T,).
    """

    def __init__(self, f: ScalarFunction, sd: Array, *, tolerance: float, dtype: np.dtype[np.floating]) -> None:
        self.f, self.tolerance = f, tolerance
        series = coefficients_of(f, sd, tolerance)
        self.same, self.error = series.square, series.error + tolerance
        starts = np.arange(0, series.terms.shape[1], _GRID)
        self._count = np.append(starts[1:], series.terms.shape[1])
        # what is left of E f^2 after so many terms, relative: the sum of what follows
        parts = np.add.reduceat(series.terms**2, starts, axis=1)
        follows = np.cumsum(parts[:, :0:-1], axis=1)[:, ::-1]
        share = np.divide(follows.T, self.same, out=np.zeros(follows.T.shape), where=self.same > 0)
        self._left = np.sqrt(np.concatenate([share, np.zeros((1, sd.size))]) + series.beyond)
        self._start, self._step = (0, 1) if f.parity is None else (1 if f.parity is Parity.ODD else 0, 2)
        self._terms = np.ascontiguousarray(series.terms.T[self._start :: self._step], dtype=dtype)
        self.alone = 0

    def __call__(self, pairs: TilePairs, rows: slice, columns: slice) -> Array:
        """Return the overlaps of a tile."""
        left, other = (self._left[:, some].max(axis=1) for some in (rows, columns))
        # up to which correlation so many terms are enough
        reach = np.minimum(self.tolerance / (left * other), 1.0) ** (1 / self._count)
        reach[left * other <= self.tolerance] = np.inf
        few, all_of_them = self._choose(reach, pairs)
        value = self._horner(pairs, self._used(few, rows), self._used(few, columns))
        if reach[few] < pairs.largest:
            where = np.nonzero(np.abs(pairs.correlation) > reach[few])
            self._scattered(value, pairs, where, self._used(all_of_them, rows), self._used(all_of_them, columns))
            if reach[all_of_them] < pairs.largest:
                self._one_by_one(value, pairs, rows, columns)
        return value

    def _choose(self, reach: Array, pairs: TilePairs) -> tuple[int, int]:
        """Return how many terms all pairs get, and how many the most correlated ones, as indices of the counts."""
        enough = np.flatnonzero(reach >= pairs.largest)
        last = int(enough[0]) if enough.size else len(reach) - 1
        correlation = pairs.correlation.ravel()
        some = np.sort(np.abs(correlation[:: max(1, correlation.size // _LOOKED_AT)]))
        beyond = 1 - np.searchsorted(some, reach[: last + 1], side="right") / some.size
        cost = self._count[: last + 1] + _SCATTERED * beyond * self._count[last]
        cost[last] = self._count[last]
        return int(cost.argmin()), last

    def _used(self, index: int, samples: slice) -> Array:
        """Return the coefficients that so many terms take, those that vanish by parity left out: (terms, samples)."""
        used = max(1, -((self._start - int(self._count[index])) // self._step))
        return self._terms[:used, samples]

    def _horner(self, pairs: TilePairs, a: Array, b: Array) -> Array:
        x = pairs.correlation if self._step == 1 else pairs.square
        total = np.multiply.outer(a[-1], b[-1])
        (add_outer,) = get_blas_funcs(("ger",), (total,))  # in one pass, where NumPy would take two
        for n in range(len(a) - 2, -1, -1):
            total *= x
            add_outer(1.0, b[n], a[n], a=total.T, overwrite_x=0, overwrite_y=0, overwrite_a=1)
        if self._start:
            total *= pairs.correlation
        return np.asarray(total)

    def _scattered(
        self, value: Array, pairs: TilePairs, where: tuple[NDArray[np.intp], ...], a: Array, b: Array
    ) -> None:
        """Evaluate some pairs again, with more terms."""
        chunk = max(1, _CHUNK // len(a))
        for start in range(0, where[0].size, chunk):
            s, t = (index[start : start + chunk] for index in where)
            correlation = pairs.correlation[s, t]
            x = correlation if self._step == 1 else correlation * correlation
            terms = a[:, s]
            terms *= b[:, t]
            total = terms[-1].copy()
            for term in terms[-2::-1]:
                total *= x
                total += term
            value[s, t] = total * correlation if self._start else total

    def _one_by_one(self, value: Array, pairs: TilePairs, rows: slice, columns: slice) -> None:
        """Integrate the pairs for which the series is not long enough."""
        left = np.multiply.outer(self._left[-1, rows], self._left[-1, columns])
        beyond = left * np.minimum(np.abs(pairs.correlation), 1.0) ** self._count[-1] > self.tolerance
        where = np.argwhere(beyond)
        self.alone += len(where)
        why = f"they are so strongly correlated that {TERMS} terms of a series do not reach {self.tolerance:g}"
        integrate_alone(self.f, value, pairs, where, so_far=self.alone, why=why)
