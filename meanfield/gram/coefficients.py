"""The coefficients of Hermite series for many samples: each by itself, or interpolated in the variance."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.polynomial import chebyshev
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

_FEW = 64
"""So many different variances are not interpolated."""

_NODES = (16, 32, 64, 128)
"""Of the interpolation in the logarithm of the standard deviation."""


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
