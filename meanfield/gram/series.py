r"""Overlaps of samples of any variances by power series in the correlation.

Mehler's formula: with h_n the normalised Hermite polynomials and a_n(s) = E f(s z) h_n(z),

    E f(u) f(v) = \sum_n a_n(s) a_n(t) c^n,        s^2 = Var u, t^2 = Var v, c the correlation.

The coefficients belong to one sample each, so that T samples need T series and not T^2 integrals; what is left is a
polynomial in c for each pair. What n terms leave is at most |c|^n times the product of what they leave of
E f(u)^2 and E f(v)^2, under the root: an error that is known for every pair before it is computed.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.polynomial import chebyshev
from scipy import fft
from scipy.linalg import get_blas_funcs

from ..errors import QuadratureError
from ..functions import Parity, ScalarFunction
from ..gaussian import Array
from ..quadrature import AUTO, HermiteSeries
from .pairs import TilePairs

TERMS = 1024
"""The most terms of a series."""

_FEWEST = 32
_DIGITS = 34.0
"""exp(-34) is 2e-15."""

_FEW = 64
"""So many different variances are not interpolated."""

_NODES = (16, 32, 64, 128)
"""Of the interpolation in the logarithm of the standard deviation."""

_GRID = 8
"""What is left of a series is known after every so many terms."""

MOST_ALONE = 20_000
"""Pairs of a matrix that may be integrated one by one."""


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
        coefficients, self.same, self.error = coefficients_of(f, sd, tolerance)
        starts = np.arange(0, coefficients.shape[1], _GRID)
        seen = np.cumsum(np.add.reduceat(coefficients**2, starts, axis=1), axis=1).T
        self._count = np.append(starts[1:], coefficients.shape[1])
        # what is left of E f^2 after so many terms, relative; differences of squares are known to 1e-16
        left = np.divide(seen, self.same, out=np.ones_like(seen), where=self.same > 0)
        self._left = np.sqrt(np.maximum(1 - left, 4e-16))
        self._start, self._step = {Parity.ODD: (1, 2), Parity.EVEN: (0, 2)}.get(f.parity, (0, 1))  # type: ignore[arg-type]
        self._terms = np.ascontiguousarray(coefficients.T[self._start :: self._step], dtype=dtype)
        self.alone = 0

    def __call__(self, pairs: TilePairs, rows: slice, columns: slice) -> Array:
        """Return the overlaps of a tile."""
        left, other = (self._left[:, some].max(axis=1) for some in (rows, columns))
        enough = np.flatnonzero(left * other * pairs.largest**self._count <= self.tolerance)
        terms = int(self._count[enough[0] if enough.size else -1])
        used = max(1, math.ceil((terms - self._start) / self._step))
        value = self._horner(pairs, self._terms[:used, rows], self._terms[:used, columns])
        if not enough.size:
            self._one_by_one(value, pairs, rows, columns)
        return value

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

    def _one_by_one(self, value: Array, pairs: TilePairs, rows: slice, columns: slice) -> None:
        """Integrate the pairs for which the series is not long enough."""
        left = np.multiply.outer(self._left[-1, rows], self._left[-1, columns])
        beyond = left * np.minimum(np.abs(pairs.correlation), 1.0) ** self._count[-1] > self.tolerance
        where = np.argwhere(beyond)
        self.alone += len(where)
        if self.alone > MOST_ALONE:
            raise QuadratureError(
                f"more than {MOST_ALONE} pairs of samples are so strongly correlated that a series of {TERMS} terms "
                f"does not give the overlaps of {self.f} to {self.tolerance:g}, and they would have to be integrated "
                "one by one; allow a larger error (tolerance=...), or declare the strip of a smooth function "
                "(ScalarFunction(f, strip=...)) or its closed form"
            )
        if len(where):
            a, b, other = np.array([pairs.one(s, t) for s, t in where.tolist()]).T
            value[tuple(where.T)] = AUTO.overlap(self.f, a, b, other).value


def coefficients_of(f: ScalarFunction, sd: Array, tolerance: float) -> tuple[Array, Array, float]:
    """Return the coefficients of a function for every standard deviation, E f^2, and a relative error of both.

    Shapes (samples, terms) and (samples,).
    """
    if not (sd > 0).all():
        return _with_zeros(f, sd, tolerance)
    distinct, which = np.unique(sd, return_inverse=True)
    count = _count(f, float(distinct[-1]))
    direct = partial(_direct, f, count=count)
    if distinct.size <= _FEW:
        coefficients, square, error = direct(distinct)
    else:
        coefficients, square, error = _interpolated(direct, distinct, tolerance)
    return coefficients[which], square[which], error


def _with_zeros(f: ScalarFunction, sd: Array, tolerance: float) -> tuple[Array, Array, float]:
    """Return the same where some samples have variance 0: there f is a constant."""
    some, value = sd > 0, float(f(0.0))
    found, square_found, error = coefficients_of(f, sd[some], tolerance) if some.any() else (np.zeros((0, 1)), [], 0.0)
    coefficients, square = np.zeros((sd.size, found.shape[1])), np.full(sd.size, value**2)
    coefficients[:, 0] = value
    coefficients[some], square[some] = found, square_found
    return coefficients, square, error


def _count(f: ScalarFunction, sd: float) -> int:
    """Return how many terms there may be: a_n^2 falls off as exp(-2 d sqrt(2 n)/s) in a strip of width d."""
    if f.strip is None:
        return TERMS // 2
    wanted = (_DIGITS * sd / f.strip) ** 2 / 8
    return int(min(max(_FEWEST, 16 * math.ceil(wanted / 16)), TERMS))


def _direct(f: ScalarFunction, sd: Array, *, count: int) -> tuple[Array, Array, float]:
    series = HermiteSeries()._coefficients(f, sd, count)
    error = np.divide(series.error, np.sqrt(series.square), out=np.zeros_like(sd), where=series.square > 0)
    return series.coefficients, series.square, float(error.max())


def _interpolated(
    direct: partial[tuple[Array, Array, float]], sd: Array, tolerance: float
) -> tuple[Array, Array, float]:
    """Return the same by polynomials in the logarithm of the standard deviation, in which it is analytic."""
    low, high = math.log(sd[0]), math.log(sd[-1])
    place = (2 * np.log(sd) - (low + high)) / (high - low)
    for count in _NODES:
        x = np.cos(math.pi * (np.arange(count) + 0.5) / count)
        coefficients, square, error = direct(np.exp((low + high) / 2 + (high - low) / 2 * x))
        size = np.sqrt(square)
        if not size.all():  # the function is 0
            return direct(sd)
        # relative to the root of E f^2, which may range over many orders of magnitude
        waves = fft.dct(np.column_stack([coefficients / size[:, None], np.log(square)]), type=2, axis=0) / count
        waves[0] /= 2
        rest = 4 * float(np.sqrt((waves[-count // 4 :] ** 2).sum(axis=1)).max())
        if rest <= tolerance:
            values = chebyshev.chebvander(place, count - 1) @ waves
            square = np.exp(values[:, -1])
            return values[:, :-1] * np.sqrt(square)[:, None], square, error + rest
    raise QuadratureError(
        f"the coefficients of the series are not smooth in the variance of the samples: {_NODES[-1]} nodes leave "
        f"{rest:.1e}. Declare the kinks and jumps of the function, or allow a larger error (tolerance=...)"
    )
