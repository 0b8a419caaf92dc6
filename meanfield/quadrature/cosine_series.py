"""Many correlations at one variance: the overlap as a cosine series in the angle of the pair.

E f(u) g(v) with v = u cos(angle) + w sin(angle) is an even, periodic function of the angle arccos(correlation), and
analytic for smooth f and g: its cosine series, in other words its Chebyshev series in the correlation, converges
geometrically, and a few hundred overlaps give all others. They are read off polynomials of low degree on short cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial, chebyshev
from scipy import fft

from ..errors import QuadratureError, require_integer
from ..functions import ScalarFunction
from ..gaussian import Array, GaussianPair
from .method import ROUNDING, Estimate, Method, Quantity, unknown
from .trapezoid import Trapezoid

_FEWEST, _TERMS = 64, 55
"""Terms of the first series that is tried: of this many for each width of the strip in a standard deviation."""

_DEGREE, _CELLS_PER_TERM = 5, 12
"""Of the polynomials, and how short their cells are: half a wave of the last term spans twelve of them."""

_PAYS = 4
"""How many overlaps for each term of the first series must be asked for."""

_BLOCK = 2**15
"""Entries that stay in cache."""


@dataclass(frozen=True)
class CosineSeries(Method):
    """Overlaps at one variance and many correlations, for smooth functions.

    Parameters
    ----------
    nodes : Trapezoid
        How the overlaps at the nodes are integrated.
    terms : int
        The most terms.

    Examples
    --------
    >>> import meanfield as mf
    >>> correlation = np.linspace(-1, 1, 10_001)
    >>> estimate = mf.CosineSeries().overlap(mf.tanh, 3.0, 3.0 * correlation)
    >>> bool(abs(estimate.value[-1] - mf.second_moment(mf.tanh, 3.0)) < estimate.error[-1])
    True
    """

    nodes: Trapezoid = field(default_factory=Trapezoid)
    terms: int = 2048

    selective: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", require_integer("terms", self.terms, at_least=_FEWEST, at_most=2**16))

    @property
    def tolerance(self) -> float:  # type: ignore[override]
        """That of the overlaps at the nodes."""
        return self.nodes.tolerance

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Overlaps of functions without kinks and jumps."""
        return quantity == "overlap" and self.nodes.accepts(f, quantity, other)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        if pair.size < _PAYS * _FEWEST or np.ptp(pair.variance) or np.ptp(pair.other_variance):
            raise QuadratureError(
                f"{self} is for {_PAYS * _FEWEST} pairs or more of one variance, got {pair.size} pairs"
            )
        a, other = float(pair.variance[0]), float(pair.other_variance[0])
        limit = math.sqrt(a) * math.sqrt(other) if a != other else a
        count = max(_first_count(f, a), _first_count(g, other))
        while count <= min(self.terms, pair.size / _PAYS) and limit > 0:
            nodes = GaussianPair(a, other, limit * np.cos(math.pi * (np.arange(count) + 0.5) / count)).ravel()
            found = self.nodes._expect_product(f, g, nodes)
            if not self.nodes.reached(found, noise=max(f.noise, g.noise)).all():
                break
            series = fft.dct(found.value, type=2) / count
            series[0] /= 2
            scale = float(found.scale.max())
            rest = float(np.abs(series[-count // 8 :]).sum())
            if rest <= self.tolerance / 10 * scale:
                error = float(found.error.max()) + rest + ROUNDING * scale
                cost = math.ceil(int(found.evaluations.sum()) / pair.size)
                values = _read_off(_cells(series), pair.covariance, limit)
                return Estimate(values, np.float64(error), np.int64(cost), np.float64(scale)).broadcast(values.shape)
            count += count // 64 * 32
        return unknown(pair.size)


def _first_count(f: ScalarFunction, variance: float) -> int:
    """Return how many terms are tried first: as many as a function takes whose strip is as declared."""
    wanted = _FEWEST if f.strip is None else max(_FEWEST, _TERMS * math.sqrt(variance) / f.strip)
    return 32 * math.ceil(wanted / 32)


def _cells(series: Array) -> Array:
    """Return polynomials that interpolate the series on equal cells of [0, pi]: shape (degree + 1, cells)."""
    count = _CELLS_PER_TERM * len(series)
    x = np.cos(math.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    # the same place of every cell: equispaced, so that one transform gives the values there
    order = np.arange(len(series))
    turned = np.zeros((x.size, 2 * count), dtype=np.complex128)
    turned[:, : len(series)] = series * np.exp(1j * math.pi / count * np.outer((x + 1) / 2, order))
    values = fft.ifft(turned, norm="forward").real[:, :count]
    waves = np.linalg.inv(chebyshev.chebvander(x, _DEGREE)) @ values
    waves[np.abs(waves) < 3e-16 * np.abs(series).max()] = 0  # rounding, which powers of x would magnify
    # in powers of the place within the cell, from 0 to 1
    powers = np.zeros((x.size, x.size))
    for degree, polynomial in enumerate(np.eye(x.size)):
        coefficients = Chebyshev(polynomial, domain=[0, 1]).convert(kind=Polynomial).coef
        powers[: coefficients.size, degree] = coefficients
    return np.asarray(powers @ waves)


def _read_off(cells: Array, covariance: Array, limit: float) -> Array:
    """Evaluate the polynomials at the angles arccos(covariance / limit)."""
    result = np.empty(covariance.size)
    count = cells.shape[1]
    for start in range(0, covariance.size, _BLOCK):
        correlation = covariance[start : start + _BLOCK] / limit  # at most 1, as the covariance is at most the limit
        x = np.arccos(correlation, out=correlation)
        x *= count / math.pi
        index = x.astype(np.intp)
        np.minimum(index, count - 1, out=index)
        x -= index
        value = result[start : start + _BLOCK]
        cells[_DEGREE].take(index, out=value, mode="clip")
        term = np.empty_like(value)
        for coefficients in cells[_DEGREE - 1 :: -1]:
            value *= x
            value += coefficients.take(index, out=term, mode="clip")
    return result
