"""The trapezoidal rule, for smooth functions.

Against a Gaussian of variance s^2 the rule with step h errs by exp(-2 pi y/h + y^2/2 s^2) for every y up to the
distance of the integrand's nearest complex singularity: see Trefethen and Weideman, "The exponentially convergent
trapezoidal rule", SIAM Review 56 (2014). A function that declares its strip has its step from there; for others the
lattice starts fine enough to find what is hidden, and is refined until the spectrum of the function ends within it.

In two variables both functions see a shared Gaussian z through noise of their own, E f(u) g(v) = E_z E[f | z] E[g | z].
On a lattice the smoothing is a convolution, exact in Fourier space whatever the noise: one transform of f serves every
variance and correlation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array, GaussianPair
from .lattice import Lattice, OnLattice, aliased, gaussian, longest_step
from .method import Estimate, Quantity, Refining, at_zero, fill_in, one_by_one, rounding, unknown
from .resolve import GAP

_REACH, _WIDEST = 9.0, 37.0
"""In standard deviations: exp(-9^2/2) = 3e-18, and beyond 37 the density underflows."""

_NEGLIGIBLE = 1e-18
"""Share of E f^2 that may lie at the ends; else the function reaches further than the lattice."""

_GRIDS = [(z, gaussian(z, 1.0)) for z in (np.linspace(-r, r, 101) for r in np.arange(_REACH, _WIDEST, 4.0))]
"""Where a function is looked at to see how far it reaches."""

_GUESS = 1 / 12
"""In standard deviations: the longest step without a declared strip; then the spectrum of f also tells that of f^2."""

_REFINEMENT, _LEVELS = 1.9, 6
"""Of a step that turned out too long."""

_HOPELESS = 0.03
"""An error that falls by less with the step is that of a function which is not smooth."""

_BLOCK = 2**17
"""Entries of an array that stays in cache."""


@dataclass(frozen=True)
class Trapezoid(Refining):
    """The trapezoidal rule on a lattice; for pairs, with the smoothing done by fast Fourier transforms.

    Parameters
    ----------
    tolerance, largest
        As for :class:`~meanfield.quadrature.method.Refining`.

    Examples
    --------
    >>> import meanfield as mf
    >>> estimate = mf.Trapezoid().second_moment(mf.tanh, 3.0)
    >>> round(estimate.value, 13), estimate.error < 1e-13
    (0.5894390844781, True)
    """

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Functions without kinks and jumps."""
        return not f.breaks and not (other is not None and other.breaks)

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        return one_by_one(partial(self._one, f, quantity), np.sqrt(variance))

    def _one(self, f: ScalarFunction, quantity: Quantity, sd: float) -> tuple[float, float, int, float]:
        if sd == 0:
            return at_zero(f, quantity)
        value, error, scale, evaluations = 0.0, math.inf, 0.0, 0
        last = before = math.inf
        reach = self._reach(f, sd)
        for level in range(_LEVELS):
            lattice = Lattice(float(_first_step(f, sd)) / _REFINEMENT**level, reach)
            if lattice.exceeds(self.largest):
                break
            evaluations += lattice.size
            if f.strip is not None:
                value, error, scale = _by_strip(lattice, f, quantity, sd)
            else:
                value, error, scale = _by_spectrum(lattice, f, quantity, sd)
                error += abs(value - last)  # a wave in step with one lattice is not so with the next
            if error <= self.tolerance * scale or (level and error > _HOPELESS * before):
                break
            last, before = value, error
        return value, error, evaluations, scale

    def _reach(self, f: ScalarFunction, sd: float) -> float:
        """Return how far from zero the function matters."""
        for z, density in _GRIDS:
            with np.errstate(over="ignore"):
                squares = f(sd * z) ** 2 * density
            total = float(squares.sum())
            if not math.isfinite(total):
                raise QuadratureError(f"{self}: the function is not finite everywhere, so its integral may not exist")
            if squares[0] + squares[-1] <= _NEGLIGIBLE * total:
                return float(z[-1] * sd)
        raise QuadratureError(
            f"{self}: the function grows too fast for N(0, {sd * sd:.6g}), or its integral is infinite"
        )

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        estimates = unknown(pair.size)
        apart = pair.covariance == 0
        if apart.any():
            first = self._expect(f, pair.variance[apart], "mean")
            fill_in(estimates, apart, first.times(self._expect(g, pair.other_variance[apart], "mean")))
        for alike in _alike(f, g, pair, np.flatnonzero(~apart)):
            before, last = math.inf, np.full(alike.size, np.inf)
            for level in range(_LEVELS):
                found = self._on_lattice(f, g, pair[alike], _REFINEMENT**level)
                if found is None:
                    break
                if f.strip is None or g.strip is None:  # as in one variable
                    found, last = replace(found, error=found.error + np.abs(found.value - last)), found.value
                fill_in(estimates, alike, found)
                worst = float(np.max(found.error / found.scale, initial=0.0, where=found.scale > 0))
                if worst <= self.tolerance or (level and worst > _HOPELESS * before):
                    break
                before = worst
        return estimates

    def _on_lattice(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair, finer: float) -> Estimate | None:
        """E f(u) g(v) of pairs that share a lattice; None if it would have too many points."""
        shared = pair.shared
        stretch = abs(float(shared.other_loading[0] / shared.loading[0]))  # v sees z as u does, but stretched
        same = f is g and stretch == 1
        loading, sd = float(shared.loading.min()), math.sqrt(pair.variance.max())
        step, reach = float(_first_step(f, loading)), self._reach(f, sd)
        if not same:
            step = min(step, float(_first_step(g, stretch * loading)) / stretch)
            reach = max(reach, self._reach(g, math.sqrt(pair.other_variance.max())) / stretch)
        lattice = Lattice(step / finer, reach)
        if lattice.exceeds(self.largest):
            return None
        other_lattice = lattice.stretched(stretch)
        first = OnLattice(lattice, f(lattice.u))
        second = first if same else OnLattice(other_lattice, g(other_lattice.u))

        rms = _rms(first, pair.variance)
        other_rms = rms if same else _rms(second, pair.other_variance)
        value = np.empty(pair.size)
        rows = max(1, _BLOCK // lattice.size)
        for start in range(0, pair.size, rows):
            some = slice(start, start + rows)
            given = first.smoothed(shared.private[some])
            other_given = given if same else second.smoothed(shared.other_private[some])
            mirrored = shared.other_loading[some] < 0
            if mirrored.any():
                other_given = np.where(mirrored[:, None], other_given[:, ::-1], other_given)
            value[some] = lattice.expect(given * other_given, shared.loading[some])
        unseen = first.unseen * other_rms + second.unseen * rms
        if f.strip and g.strip:  # what is unseen of one function meets only what is unseen of the other
            unseen = np.full(pair.size, 4 * first.unseen * second.unseen)
        # that of the transforms is relative to the largest value
        rounded = rounding(lattice.size) * (rms * other_rms + (first.largest * other_rms + second.largest * rms) / 8)
        cost = np.full(pair.size, lattice.size if same else 2 * lattice.size)
        return Estimate(value, unseen + rounded, cost, rms * other_rms)


def _by_strip(lattice: Lattice, f: ScalarFunction, quantity: Quantity, sd: float) -> tuple[float, float, float]:
    """Return value, error and scale of one integral, at the points j h."""
    half = lattice.size // 2
    u = np.asarray(lattice.step * np.arange(-half, half + 1), dtype=np.float64)
    terms, scale = _terms(f(u), u, lattice.step, quantity, sd)
    error = float(aliased(terms, scale)) if scale else 0.0
    return float(terms.sum()), error + rounding(terms.size) * scale, scale


def _by_spectrum(lattice: Lattice, f: ScalarFunction, quantity: Quantity, sd: float) -> tuple[float, float, float]:
    """Return the same for a function that may not be smooth."""
    values = f(lattice.u)
    terms, scale = _terms(values, lattice.u, lattice.step, quantity, sd)
    rms = math.sqrt(scale) if quantity == "second_moment" else scale
    unseen = 4 * OnLattice(lattice, values).unseen * (rms if quantity == "second_moment" else 1.0)
    return float(terms.sum()), unseen + rounding(terms.size) * scale, scale


def _terms(values: Array, u: Array, step: float, quantity: Quantity, sd: float) -> tuple[Array, float]:
    """Return what an integral is the sum of, and its scale."""
    weighted = values * gaussian(u, sd) * step
    squares = weighted * values
    square = float(squares.sum())
    return (squares, square) if quantity == "second_moment" else (weighted, math.sqrt(square))


def _rms(f: OnLattice, variance: Array) -> Array:
    """Return the root of E f^2 for every variance."""
    different, which = np.unique(variance, return_inverse=True)
    rows = max(1, _BLOCK // f.lattice.size)
    parts = [
        f.lattice.expect(f.values**2, np.sqrt(different[start : start + rows]))
        for start in range(0, different.size, rows)
    ]
    return np.asarray(np.sqrt(np.concatenate(parts))[which])


def _first_step(f: ScalarFunction, sd: float | Array) -> Array:
    """Return the step for Gaussians of these standard deviations: from the strip, or fine enough to find the scale."""
    if f.strip is not None:
        return np.asarray(sd * longest_step(f.strip / sd))
    return np.asarray(np.minimum(sd * _GUESS, sd * GAP if f.scale is None else f.scale / 2))


def _alike(
    f: ScalarFunction, g: ScalarFunction, pair: GaussianPair, indices: NDArray[np.intp]
) -> Iterator[NDArray[np.intp]]:
    """Yield the indices of pairs that can share a lattice: of similar reach and similar steps."""
    some = pair[indices]
    if len(indices) < 2 or f is not g or (some.variance != some.other_variance).any():
        yield from indices[:, None]
        return
    steps = _first_step(f, np.sqrt(np.abs(some.covariance)))
    key = 1000 * np.round(np.log2(some.variance) / 2) + np.round(np.log2(steps))
    order = np.argsort(key, kind="stable")
    ends = [0, *(np.flatnonzero(np.diff(key[order])) + 1).tolist(), len(indices)]
    yield from (indices[order[start:end]] for start, end in pairwise(ends))
