"""The coefficients of Hermite series for many samples: each by itself, or interpolated in the variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import fft

from ..errors import QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array
from ..quadrature import HermiteSeries

TERMS = 1024
"""The most terms of a series."""

_FEWEST = 32
_DIGITS = 44.0
"""exp(-34) is 2e-15, and the declared strips are within a factor of 1.3 of what functions decay by."""

_ROUNDING = 4e-16
"""Of a share of E f^2."""

_FEW = 64
"""So many different variances are not interpolated."""

_NODES = (16, 32, 64, 128)
"""Of the interpolation in the logarithm of the standard deviation."""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The Hermite series of one function for many samples."""

    terms: Array
    """a_n, shape (samples, terms)."""
    square: Array
    """E f^2, shape (samples,)."""
    beyond: Array
    """What the terms leave of it, relative, in the same shape; at least what rounding leaves of a difference."""
    error: float
    """Of all of them, relative to the root of E f^2."""

    def __getitem__(self, index: NDArray[np.intp]) -> Coefficients:
        return Coefficients(self.terms[index], self.square[index], self.beyond[index], self.error)


def coefficients_of(f: ScalarFunction, sd: Array, tolerance: float) -> Coefficients:
    """Return the coefficients of a function for every standard deviation, shape (samples,)."""
    if not (sd > 0).all():
        return _with_zeros(f, sd, tolerance)
    distinct, which = np.unique(sd, return_inverse=True)
    direct = partial(_direct, f, count=_count(f, float(distinct[-1])))
    if distinct.size <= _FEW:
        return direct(distinct)[which]
    try:
        return _interpolated(direct, distinct, tolerance)[which]
    except QuadratureError:
        if f.strip is None:  # each sample by itself would take minutes
            raise
        return direct(distinct)[which]


def _with_zeros(f: ScalarFunction, sd: Array, tolerance: float) -> Coefficients:
    """Return the same where some samples have variance 0: there f is a constant."""
    some, value = sd > 0, float(f(0.0))
    found = coefficients_of(f, sd[some] if some.any() else np.ones(1), tolerance)
    terms, square, beyond = np.zeros((sd.size, found.terms.shape[1])), np.full(sd.size, value**2), np.zeros(sd.size)
    terms[:, 0] = value
    if some.any():
        terms[some], square[some], beyond[some] = found.terms, found.square, found.beyond
    return Coefficients(terms, square, beyond, found.error)


def _count(f: ScalarFunction, sd: float) -> int:
    """Return how many terms there may be: a_n^2 falls off as exp(-2 d sqrt(2 n)/s) in a strip of width d."""
    if f.strip is None:
        return TERMS // 2
    wanted = (_DIGITS * sd / f.strip) ** 2 / 8
    return int(min(max(_FEWEST, 16 * math.ceil(wanted / 16)), TERMS))


def _direct(f: ScalarFunction, sd: Array, *, count: int) -> Coefficients:
    series = HermiteSeries()._coefficients(f, sd, count)
    some = series.square > 0
    error = np.divide(series.error, np.sqrt(series.square), out=np.zeros_like(sd), where=some)
    seen = np.einsum("sn,sn->s", series.coefficients, series.coefficients)
    share = np.divide(seen, series.square, out=np.ones_like(sd), where=some)
    return Coefficients(series.coefficients, series.square, np.maximum(1 - share, _ROUNDING), float(error.max()))


def _interpolated(direct: partial[Coefficients], sd: Array, tolerance: float) -> Coefficients:
    """Return the same by polynomials in the logarithm of the standard deviation, in which it is analytic."""
    low, high = math.log(sd[0]), math.log(sd[-1])
    place = (2 * np.log(sd) - (low + high)) / (high - low)
    for count in _NODES:
        x = np.cos(math.pi * (np.arange(count) + 0.5) / count)
        found = direct(np.exp((low + high) / 2 + (high - low) / 2 * x))
        if not found.square.all():  # the function is 0
            return direct(sd)
        # relative to the root of E f^2, which may range over many orders of magnitude
        relative = np.column_stack([found.terms / np.sqrt(found.square)[:, None], np.log(found.square)])
        waves = fft.dct(relative, type=2, axis=0) / count
        waves[0] /= 2
        rest = 4 * float(np.sqrt((waves[-count // 4 :] ** 2).sum(axis=1)).max())
        if rest <= tolerance:
            values = chebyshev.chebvander(place, count - 1) @ waves
            square = np.exp(values[:, -1])
            terms = values[:, :-1] * np.sqrt(square)[:, None]
            return Coefficients(terms, square, np.full(sd.size, found.beyond.max()), found.error + rest)
    raise QuadratureError(
        f"the coefficients of the series are not smooth in the variance of the samples: {_NODES[-1]} nodes leave "
        f"{rest:.1e}. Declare the kinks and jumps of the function, or allow a larger error (tolerance=...)"
    )
