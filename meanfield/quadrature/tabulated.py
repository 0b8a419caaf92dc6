r"""Overlaps at very many variances and correlations, read off a table.

As a function of the standard deviation s and of the angle arcsin c of a pair of correlation c, E f(u) f(v) is smooth
for smooth f: even in s, and even about the angles +-pi/2. Splines of degree five on a grid that is even at these ends
too need no condition there. The grid has equal steps in arsinh(s) and in the angle, and is filled by Mehler's formula,

    E f(u) f(v) = \sum_n a_n(s)^2 c^n,        a_n(s) = E f(s z) h_n(z),

with h_n the normalised Hermite polynomials. Where f(0) = 0 the table holds the overlap divided by s^2, and for an odd f
that divided by c: small overlaps keep their digits relative to themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ParameterError, QuadratureError, require_number
from ..functions import Parity, ScalarFunction
from ..gaussian import Array
from .auto import AUTO
from .hermite_series import HermiteSeries

_EDGE = np.array([1.0, 237.0, 1682.0]) / 1920
"""Splines of degree five half-way between coefficients that are even about this place."""

_MARGIN = 24
"""Rows of the grid beyond the largest s: what is wrong at the end of a spline of degree five dies out as 0.43^n."""

_GRIDS = ((1 / 32, 64), (1 / 64, 128), (1 / 64, 256), (1 / 128, 512), (1 / 256, 1024))
"""The step in arsinh(s) and the number of angles, from coarse to fine."""

_FEWEST, _MOST, _DIGITS = 16, 4096, 44.0
"""Terms of the series; a_n^2 falls off as exp(-2 d sqrt(2 n)/s) in a strip of width d, which is declared on the safe
side: a quarter of the terms that are wanted will do."""

_PROBES = 72
"""Places off the grid at which a table is compared with ``AUTO``."""


@dataclass(frozen=True, eq=False)
class Tabulated:
    """E f(u) f(v) of one function for standard deviations up to a largest one; made by :func:`tabulate`."""

    function: ScalarFunction
    largest: float
    """Of the standard deviations."""
    error: float
    """The largest that was seen off the grid, relative to E f(u)^2 (for an odd f, to c E f(u)^2)."""
    step: float
    """Of the grid, in arsinh(s)."""
    splines: Array
    """Coefficients of splines, shape (standard deviations, angles)."""

    def overlap(self, sd: Array, correlation: Array) -> Array:
        """Return E f(u) f(v) for arrays of one dimension: sd up to ``largest``, and correlations from -1 to 1."""
        from scipy import ndimage

        angles = self.splines.shape[1]
        places = np.stack([np.arcsinh(sd) / self.step, np.arcsin(correlation) * (angles / math.pi) + angles / 2])
        places -= 0.5
        value = ndimage.map_coordinates(self.splines, places, order=5, mode="reflect", prefilter=False)
        return np.asarray(value * self._unit(sd, correlation))

    def second_moment(self, sd: Array) -> Array:
        """Return E f(u)^2, the same as ``overlap`` at a correlation of 1."""
        from scipy import ndimage

        edge = self.splines[:, -3:] @ _EDGE
        value = ndimage.map_coordinates(
            edge, np.arcsinh(sd)[None] / self.step - 0.5, order=5, mode="reflect", prefilter=False
        )
        return np.asarray(value * self._unit(sd, 1.0))

    def _unit(self, sd: Array, correlation: Array | float) -> Array | float:
        """Return what the table is divided by."""
        if float(self.function(0.0)) != 0:
            return 1.0
        return np.asarray(sd * sd * (correlation if self.function.parity is Parity.ODD else 1.0))


def tabulate(f: ScalarFunction, largest: float, *, tolerance: float = 3e-12) -> Tabulated:
    """Return a table of the overlaps of a smooth function, refined until it agrees with ``AUTO`` off the grid.

    Parameters
    ----------
    f : ScalarFunction
        With a declared strip in which it is analytic, and so without kinks and jumps.
    largest : float
        Up to which standard deviation.
    tolerance : float
        Relative to E f(u)^2; for an odd function to c E f(u)^2. Not below 1e-12.

    Raises
    ------
    ParameterError
        For a function without a strip.
    QuadratureError
        If the tolerance is not reached: the function varies too fast for its largest standard deviation.

    Examples
    --------
    >>> import meanfield as mf
    >>> table = tabulate(mf.tanh.value, 2.0)
    >>> sd, correlation = np.array([0.5, 1.7]), np.array([0.9, 0.1])
    >>> bool(np.allclose(table.overlap(sd, correlation), mf.overlap(mf.tanh, sd**2, correlation * sd**2), rtol=1e-10))
    True
    """
    largest = require_number("largest", largest, above=0)
    tolerance = require_number("tolerance", tolerance, at_least=1e-12)
    if f.strip is None:
        raise ParameterError("f", "a function with a strip in which it is analytic", repr(f))
    error = math.inf
    for step, angles in _GRIDS:
        sd = np.sinh((np.arange(math.ceil(math.asinh(largest) / step) + _MARGIN) + 0.5) * step)
        if (terms := _terms(f, largest)) > 4 * _MOST:
            raise QuadratureError(
                f"a table of {f} up to the standard deviation {largest:.3g} takes a series of {terms:.2g} terms, more "
                f"than {4 * _MOST}; integrals one by one have no such limit"
            )
        found = _filled(f, largest, step, angles, sd)
        error = _error(found)
        if error <= max(tolerance, 10 * f.noise):
            return Tabulated(f, largest, error, step, found.splines)
    raise QuadratureError(f"a table of {f} up to {largest:.3g} is off by {error:.1e}, more than {tolerance:.0e}")


def _terms(f: ScalarFunction, sd: float) -> int:
    """Return how many terms there are to be: a power of two."""
    assert f.strip is not None  # tabulate() has seen to it
    wanted = (_DIGITS * sd / f.strip) ** 2 / 8
    return int(_FEWEST * 2 ** max(0, math.ceil(math.log2(max(wanted, 1e-300) / _FEWEST))))


def _filled(f: ScalarFunction, largest: float, step: float, angles: int, sd: Array) -> Tabulated:
    from scipy import ndimage

    correlation = np.sin(((np.arange(angles) + 0.5) / angles - 0.5) * math.pi)
    if f.parity is not None:  # what is left of the overlap is even in c
        correlation = correlation[angles // 2 :]
    first, stride = (0, 1) if f.parity is None else (int(f.parity is Parity.ODD), 2)
    values = np.empty((sd.size, correlation.size))
    most = min(_terms(f, 1.1 * largest), _MOST)  # in the margin beyond, digits do not matter
    counts = np.array([min(_terms(f, scale), most) for scale in sd.tolist()])
    for count in sorted(set(counts.tolist())):  # of a small s the terms far out are nothing but rounding
        some = counts == count
        series = HermiteSeries()._coefficients(f, sd[some], count)
        terms = series.coefficients[:, first::stride] ** 2
        rest = np.maximum(series.square - terms.sum(axis=1), 0.0)  # which belongs to still higher powers
        powers = np.empty((terms.shape[1] + 1, correlation.size))
        powers[0], powers[1:] = 1.0, correlation**stride
        values[some] = np.column_stack([terms, rest]) @ np.cumprod(powers, axis=0, out=powers)
    if f.parity is not None:
        values = np.concatenate([values[:, ::-1], values], axis=1)
    if float(f(0.0)) == 0:
        values /= (sd * sd)[:, None]
    return Tabulated(f, largest, math.inf, step, ndimage.spline_filter(values, order=5, mode="reflect"))


def _error(table: Tabulated) -> float:
    """Return the largest difference from ``AUTO`` at places off the grid, some of them near a correlation of 1."""
    rng = np.random.default_rng(0)
    part = _PROBES // 3  # anywhere, near a correlation of 1, and there
    distance = np.concatenate([rng.uniform(0, math.pi, part), 10 ** rng.uniform(-5, 0, part), np.zeros(part)])
    sd = table.largest * np.tile(np.append(1.0, rng.uniform(0, 1, part - 1)), 3)
    correlation = np.cos(distance)
    f = table.function
    truth = np.asarray(AUTO.overlap(f, sd * sd, sd * sd * correlation).value)
    scale = np.asarray(AUTO.second_moment(f, sd * sd).value) * (
        np.abs(correlation) if f.parity is Parity.ODD else np.ones(sd.size)
    )
    some = scale > 0
    return float((np.abs(table.overlap(sd, correlation) - truth)[some] / scale[some]).max(initial=0.0))
