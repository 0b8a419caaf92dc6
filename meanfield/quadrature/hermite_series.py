"""The Hermite series (Mehler): one set of coefficients for every correlation.

With h_n = E f(u) He_n(u/sd)/sqrt(n!) and k_n those of g, E f(u) g(v) = sum_n h_n k_n c^n at correlation c. These
integrals have one variable only, and what the series leaves out after N terms is bounded rigorously (Bessel,
Cauchy-Schwarz):

    |rest| <= |c|^N sqrt(E f^2 - sum_{n<N} h_n^2) sqrt(E g^2 - sum_{n<N} k_n^2).

So it is at its best for moderate correlations, and for smooth functions at small variance, whose series ends soon. For
functions that declare their strip the coefficients are sums over a lattice, one matrix for all; others are resolved on
panels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError, require_integer
from ..functions import ScalarFunction
from ..gaussian import Array, GaussianPair
from .lattice import DIGITS, aliased, longest_step
from .law import GaussianLaw
from .legendre import gauss, shorter
from .method import ROUNDING, Estimate, Quantity, Refining, fill_in, rounding, unknown
from .resolve import ORDER, resolve

_REACH = 10.0
"""In standard deviations."""

_NEGLIGIBLE = 1e-17
"""Share of E f^2 that the outermost points may have; else the function reaches further than the lattice."""

_SHORTEST = 16
"""Lengths of series are this times powers of 2."""

_LARGEST_MATRIX = 2**18
"""Entries of the matrix from values to coefficients; beyond, other methods are faster."""

_LARGEST_LATTICE = 2e8
"""The same where there is no other method: 1.6 GB."""

_PHASE = 24.0
"""By how much a polynomial may turn on a panel: 32 nodes integrate it times what a series of 32 terms resolves."""

_BLOCK = 2**17
"""Entries of an array that stays in cache."""


@dataclass(frozen=True)
class HermiteSeries(Refining):
    """Overlaps by their power series in the correlation.

    Parameters
    ----------
    tolerance, largest
        As for :class:`~meanfield.quadrature.method.Refining`.
    terms : int
        The most terms, from 16 to 4096; with 256, correlations up to 0.86 are reached whatever the function.

    Examples
    --------
    >>> import meanfield as mf
    >>> estimate = mf.HermiteSeries().overlap(mf.tanh, 3.0, [-1.0, 0.5, 1.0])
    >>> estimate.value.round(12)
    array([-0.17064134,  0.08453367,  0.17064134])
    """

    terms: int = 256

    selective: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "terms", require_integer("terms", self.terms, at_least=_SHORTEST, at_most=4096))

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Overlaps of any functions."""
        return quantity == "overlap"

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        correlation = pair.correlation
        sd, other_sd = np.sqrt(pair.variance), np.sqrt(pair.other_variance)
        alike = f is g and bool((sd == other_sd).all())
        length = _length(f, sd) if alike else np.maximum(_length(f, sd), _length(g, other_sd))
        needed = np.minimum(_needed(correlation), length)
        terms = _SHORTEST * 2 ** np.ceil(np.log2(np.maximum(needed / _SHORTEST, 1.0)))
        points = _points(f, sd, terms) if alike else np.maximum(_points(f, sd, terms), _points(g, other_sd, terms))
        suited = (terms <= self.terms) & (np.minimum(sd, other_sd) > 0) & (terms * points <= _LARGEST_MATRIX)
        estimates = unknown(pair.size)
        for count in {int(number) for number in terms[suited].tolist()}:
            chosen = np.flatnonzero(suited & (terms == count))
            first = self._coefficients(f, sd[chosen], count)
            second = first if alike else self._coefficients(g, other_sd[chosen], count)
            fill_in(estimates, chosen, summed(first, second, correlation[chosen]))
        return estimates

    def _coefficients(self, f: ScalarFunction, sd: Array, count: int) -> _Series:
        """Return the coefficients at every standard deviation, each computed once."""
        scales, which = np.unique(sd, return_inverse=True) if sd.size > 1 else (sd, np.zeros(1, dtype=np.intp))
        if f.strip is None:
            return _joined([self._on_panels(f, scale, count) for scale in scales.tolist()])[which]
        parts = []
        step = _round_down(longest_step(f.strip / scales, order=count))
        points = 2 * _REACH / float(step.min())
        if points * count > _LARGEST_LATTICE:
            raise QuadratureError(
                f"{count} terms of a Hermite series would need {points:.1e} values of the function: it varies too fast "
                f"against a standard deviation of {scales.max():.6g}"
            )
        for size in sorted(set(step.tolist()), reverse=True):  # as the scales increase, the steps decrease
            parts.append(_on_lattice(f, scales[step == size], size, count))
        return _joined(parts)[which]

    def _on_panels(self, f: ScalarFunction, sd: float, count: int) -> _Series:
        resolved = resolve(f, GaussianLaw(sd), tolerance=self.tolerance, largest=self.largest)
        x, weighted, evaluations = resolved.nodes, resolved.weights * resolved.values, resolved.evaluations
        longest = _PHASE / math.sqrt(count)
        if resolved.lengths[:-1].max() > longest:
            panels, _ = shorter(resolved.places[:-1], resolved.places[1:], longest)
            x, lengths = gauss(panels, ORDER)
            weighted = resolved.law.weigh(x, lengths) * resolved.at(x)
            evaluations += x.size
        coefficients = _matrix(x.ravel(), count) @ weighted.ravel()
        return _Series(
            coefficients[None],
            np.array([resolved.square]),
            np.array([resolved.lost(resolved) / resolved.rms if resolved.square else 0.0]),
            np.array([evaluations]),
        )


@dataclass(frozen=True)
class _Series:
    """The coefficients of one function at several standard deviations."""

    coefficients: Array
    """Shape (standard deviations, terms)."""
    square: Array
    """E f^2."""
    error: Array
    """What an overlap with a function of unit size inherits."""
    evaluations: NDArray[np.int64]

    def __getitem__(self, index: NDArray[np.intp]) -> _Series:
        return _Series(self.coefficients[index], self.square[index], self.error[index], self.evaluations[index])

    @property
    def rest(self) -> Array:
        """The root of what the coefficients leave of E f^2."""
        left = self.square - np.einsum("mn,mn->m", self.coefficients, self.coefficients)
        return np.asarray(np.sqrt(np.maximum(left, 0.0) + ROUNDING * self.square))


def _joined(parts: list[_Series]) -> _Series:
    if len(parts) == 1:
        return parts[0]
    names = ("coefficients", "square", "error", "evaluations")
    return _Series(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def summed(first: _Series, second: _Series, correlation: Array) -> Estimate:
    """Return the sum over n of h_n k_n c^n, for every correlation c."""
    count = first.coefficients.shape[1]
    powers = np.empty(first.coefficients.shape)
    powers[:, 0] = 1.0
    np.cumprod(np.broadcast_to(correlation[:, None], (correlation.size, count - 1)), axis=1, out=powers[:, 1:])
    value = np.einsum("mn,mn,mn->m", first.coefficients, second.coefficients, powers)
    rms, other_rms = np.sqrt(first.square), np.sqrt(second.square)
    scale = rms * other_rms
    rest = np.abs(powers[:, -1] * correlation) * first.rest * second.rest
    points = int(max(first.evaluations.max(), second.evaluations.max()))
    error = rest + first.error * other_rms + second.error * rms + rounding(points) * scale
    evaluations = first.evaluations if second is first else first.evaluations + second.evaluations
    return Estimate(value, error, evaluations, scale)


def _on_lattice(f: ScalarFunction, sd: Array, step: float, count: int) -> _Series:
    z, weights, matrix = _lattice(step, count)
    coefficients, square, error = np.empty((sd.size, count)), np.empty(sd.size), np.empty(sd.size)
    block = max(1, _BLOCK // z.size)
    for start in range(0, sd.size, block):
        some = slice(start, start + block)
        values = f(sd[some, None] * z)
        coefficients[some] = values @ matrix
        squares = values * values * weights
        square[some] = squares.sum(axis=1)
        beyond = squares[:, 0] + squares[:, -1] > _NEGLIGIBLE * square[some]
        size = np.maximum(square[some], np.finfo(np.float64).tiny)
        error[some] = np.where(beyond, np.inf, aliased(squares, size) / np.sqrt(size))
    return _Series(coefficients, square, error, np.full(sd.size, z.size))


def _needed(correlation: Array) -> Array:
    """Return after how many terms nothing is left of a function of unit size."""
    with np.errstate(divide="ignore"):
        return np.asarray(DIGITS / -np.log(np.abs(correlation)))


def _length(f: ScalarFunction, sd: Array) -> Array:
    """Return after how many terms h_n^2 is negligible: it falls off as exp(-2 d sqrt(2 n)/sd) in a strip of width d."""
    if f.strip is None:
        return np.full(sd.shape, np.inf)
    return np.asarray((DIGITS * sd / f.strip) ** 2 / 8)


def _points(f: ScalarFunction, sd: Array, count: Array) -> Array:
    """Return how many points a lattice would have."""
    return np.zeros(sd.shape) if f.strip is None else 2 * _REACH / longest_step(f.strip / sd, order=count)


def _round_down(step: Array) -> Array:
    """Return steps of which there are few."""
    return np.asarray(2 ** (np.floor(2 * np.log2(step)) / 2))


@lru_cache(maxsize=64)
def _lattice(step: float, count: int) -> tuple[Array, Array, Array]:
    """Return z, the weights of the Gaussian, and the matrix from values to coefficients."""
    points = math.ceil(_REACH / step)
    z = np.asarray(step * np.arange(-points, points + 1), dtype=np.float64)
    weights = step / math.sqrt(2 * math.pi) * np.exp(-0.5 * z * z)
    return z, weights, np.ascontiguousarray((_matrix(z, count) * weights).T)


def _matrix(z: Array, count: int) -> Array:
    """Return He_n(z)/sqrt(n!), n = 0 .. count - 1, shape (count, points)."""
    matrix = np.empty((count, z.size))
    matrix[0], matrix[1] = 1.0, z
    root = np.sqrt(np.arange(count)).tolist()
    for n in range(1, count - 1):
        # root_{n+1} h_{n+1} = z h_n - root_n h_{n-1}
        row = np.multiply(z, matrix[n], out=matrix[n + 1])
        row -= root[n] * matrix[n - 1]
        row *= 1 / root[n + 1]
    return matrix
