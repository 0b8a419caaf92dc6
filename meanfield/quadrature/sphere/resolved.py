"""A function of a coordinate on the sphere, resolved: cut into panels on which its Legendre series has converged.

A function of one variable is cheap to look at, so this is done once and with care: panels start at the declared breaks,
are bisected until the series has converged, and are probed between their nodes. A kink or jump that was not declared is
closed in upon by bisection; then the panels are made anew, with a break where it was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ...errors import QuadratureError
from ...functions import ScalarFunction
from ...gaussian import Array
from .law import LONGEST, Law, gauss, legendre_series

ORDER = 24
"""Nodes of a panel."""

_REACH, _WIDEST = 12.0, 37.0
"""In x: what a bounded function has beyond 12 is exp(-12^2/2) = 5e-32 of E f^2, and 37 is where exp underflows."""

_BEYOND = 1e-30
"""Share of E f^2 that may be beyond the range: by Cauchy-Schwarz it changes no overlap by more than its root."""

_GAP = 1 / 100
"""In x: between probes, where the function declares no scale."""

_GENERATIONS = 60
"""A double is exhausted by that many bisections."""

_HUGE = 1e150
"""What can still be squared."""

_ROUNDING = 4e-15
"""Of the end of a series of 32 terms, relative to the values."""

_BROKEN = 1e-6
"""The end of a series relative to its largest term, on a panel that is short and has not converged: a break."""


@dataclass(frozen=True)
class Resolved:
    """A function on panels in x, and the probability measure on them."""

    f: ScalarFunction
    law: Law
    edges: Array
    """Shape (panels, 2), in increasing order."""
    breaks: Array
    """The x of every kink and jump, declared or found."""
    features: Array
    """The breaks, and the edges of panels that had to be made short."""
    weights: Array
    """The probability of every node, shape (panels, ORDER)."""
    values: Array
    """In the same shape."""
    wrong: Array
    """By how much f may be wrong on each panel."""
    beyond: float
    """At most this share of E f^2 is beyond the range."""
    evaluations: int
    around: Resolved | None = None
    """The panels that closed in upon undeclared breaks: the true ones are only near those that were found."""

    @property
    def mean(self) -> float:
        """E f."""
        return float(np.vdot(self.weights, self.values))

    @property
    def square(self) -> float:
        """E f^2."""
        return float(np.vdot(self.weights, self.values**2))

    @property
    def largest(self) -> Array:
        """The largest absolute value on each panel."""
        return np.asarray(np.abs(self.values).max(axis=-1))

    @property
    def mass(self) -> Array:
        """The probability of each panel."""
        return np.asarray(self.weights.sum(axis=-1))

    def lost(self, other: Resolved) -> float:
        """Return by how much E f(u) g(v) may be wrong because f is, and because it is cut off; g is ``other``.

        What is wrong everywhere is bounded by Cauchy-Schwarz. What is wrong in one place, around a break that was not
        declared, is bounded better by the size of g, taken from latitudes up to three units further out.
        """
        rms = math.sqrt(other.square)
        everywhere = math.sqrt(float(self.wrong**2 @ self.mass)) * rms
        near = other.within(np.abs(self.edges).max(axis=-1) + 3)
        in_one_place = float(self.wrong * self.mass @ near)
        around = 0.0 if self.around is None else self.around.lost(other)
        return min(everywhere, in_one_place) + around + math.sqrt(self.beyond * self.square) * rms

    def within(self, distance: Array) -> Array:
        """Return the largest absolute value at latitudes of no more than ``distance``."""
        inner = np.abs(self.edges).min(axis=-1)
        order = np.argsort(inner)
        largest = np.maximum.accumulate(self.largest[order])
        return np.asarray(largest[np.searchsorted(inner[order], distance, side="right").clip(1) - 1])


def resolve(f: ScalarFunction, law: Law, *, tolerance: float, largest: int) -> Resolved:
    """Resolve a function for integrals over the sphere of dimension 2 or more.

    Panels are bisected until what is unresolved changes E f^2 by less than the tolerance; where rounding prevents that
    they are left as they are. Raises ``QuadratureError`` for a function that is not finite, or would take more than
    ``largest`` values.
    """
    breaks, reach = law.place(np.array(f.breaks)), _REACH
    while True:
        resolved, found = _resolve(f, law, breaks, min(reach, law.pole), tolerance, largest)
        if resolved.beyond <= _BEYOND:
            break
        if reach >= _WIDEST:
            raise QuadratureError(
                f"the function grows so fast that its integrals in dimension {law.dimension} exist only by values that "
                "double precision does not reach; no method helps, unless the function is scaled or bounded"
            )
        reach = min(reach + 5, _WIDEST)
    if not found.size:
        return resolved
    again, _ = _resolve(f, law, np.union1d(breaks, found), min(reach, law.pole), tolerance, largest)
    return replace(again, around=resolved)


def _resolve(
    f: ScalarFunction, law: Law, breaks: Array, reach: float, tolerance: float, largest: int
) -> tuple[Resolved, Array]:
    """Return the panels, and the undeclared breaks that were found."""
    new = first = _first(breaks, reach)
    done: list[_Panels] = []
    evaluations = 0
    for generation in range(_GENERATIONS + 1):
        probes = _probes(f, float(np.max(new[:, 1] - new[:, 0])))
        evaluations += (ORDER + probes) * len(new)
        if evaluations > largest:
            raise QuadratureError(
                f"more than {largest} values of the function would be needed: it varies too fast. If it has kinks or "
                "jumps, declare them: ScalarFunction(f, kinks=..., jumps=...); if not, allow more values (largest=...)"
            )
        panels = _panels(f, law, new, probes)
        square = panels.square.sum() + sum(part.square.sum() for part in done)
        allowed = tolerance / 200 * square / np.maximum(panels.largest, math.sqrt(square)) if square else 0.0
        middle = new.mean(axis=-1)
        good = (panels.unresolved <= panels.rounding + 2 * panels.steep) | (panels.unresolved * panels.mass <= allowed)
        good |= (middle <= new[:, 0]) | (middle >= new[:, 1]) | (generation == _GENERATIONS)
        done.append(panels.some(good))
        if good.all():
            break
        new = bisected(new[~good])
    return _together(f, law, done, breaks, first, evaluations)


def _first(breaks: Array, reach: float) -> Array:
    regular = np.linspace(-reach, reach, 2 * math.ceil(reach / LONGEST) + 1)
    places = np.union1d(regular, breaks[np.abs(breaks) < reach])
    return np.stack([places[:-1], places[1:]], axis=-1)


def bisected(panels: Array) -> Array:
    """Return both halves of every panel."""
    middle = panels.mean(axis=-1)
    return np.concatenate([np.stack([panels[:, 0], middle], -1), np.stack([middle, panels[:, 1]], -1)])


@dataclass(frozen=True)
class _Panels:
    edges: Array
    weights: Array
    values: Array
    unresolved: Array
    """By how much the series of a panel is wrong."""
    rounding: Array
    """Of the values."""
    steep: Array
    """What rounding of x does to the values."""
    broken: NDArray[np.bool_]
    """Whether the series does not converge at all."""

    @property
    def mass(self) -> Array:
        return np.asarray(self.weights.sum(axis=-1))

    @property
    def largest(self) -> Array:
        return np.asarray(np.abs(self.values).max(axis=-1))

    @property
    def square(self) -> Array:
        return np.asarray((self.weights * self.values**2).sum(axis=-1))

    def some(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> _Panels:
        return _Panels(*(array[chosen] for array in vars(self).values()))


def _panels(f: ScalarFunction, law: Law, edges: Array, probes: int) -> _Panels:
    x, lengths = gauss(edges, ORDER)
    values = _finite(f(law.coordinate(x)), law, x)
    coefficients = values @ legendre_series(ORDER)
    rest = 2 * np.abs(coefficients[:, -4:]).max(axis=-1)
    if probes:
        at, basis = _probe(probes)
        between = edges.mean(axis=-1, keepdims=True) + (edges[:, 1:] - edges[:, :1]) / 2 * at
        off = _finite(f(law.coordinate(between)), law, between) - coefficients @ basis
        rest = np.maximum(rest, np.abs(off).max(axis=-1))
    size = np.abs(values).max(axis=-1)
    slope = np.abs(np.diff(values) / np.maximum(np.diff(x), 1e-300)).max(axis=-1)
    steep = np.minimum(1.2e-16 * np.abs(edges).max(axis=-1) * slope, size)
    broken = (rest > _BROKEN * np.abs(coefficients[:, 1:]).max(axis=-1)) & (rest > 2 * _ROUNDING * size)
    rest = np.where(broken, ORDER * rest, rest)  # a series that falls off slowly is wrong by all that follows its end
    return _Panels(edges, law.weigh(x, lengths), values, rest, _ROUNDING * size, steep, broken)


def _finite(values: Array, law: Law, x: Array) -> Array:
    good = np.abs(values) < _HUGE
    if not good.all():
        place = float(law.coordinate(x[~good])[0])
        raise QuadratureError(
            f"the function is not finite everywhere, or exceeds {_HUGE:g} (at {place:.6g}), so its integrals may not "
            "exist; give a function that is finite on the whole sphere"
        )
    return values


def _probes(f: ScalarFunction, longest: float) -> int:
    """Return how many probes a panel needs to leave no gap in which a feature could hide; the nodes may be enough."""
    wanted = longest / (_GAP if f.scale is None else f.scale / 2)
    return 0 if wanted <= ORDER / 4 else 2 ** min(math.ceil(math.log2(wanted)), 14)


@cache
def _probe(count: int) -> tuple[Array, Array]:
    """Return points in [-1, 1] without regularity that a function could be in step with, and the polynomials there."""
    jitter = np.modf(np.arange(count) * (math.sqrt(5) - 1) / 2)[0]
    at = (2 * np.arange(count) + 0.5 + jitter) / count - 1
    return at, np.ascontiguousarray(legendre.legvander(at, ORDER - 1).T)


def _together(
    f: ScalarFunction, law: Law, done: list[_Panels], breaks: Array, first: Array, evaluations: int
) -> tuple[Resolved, Array]:
    joined = _Panels(*(np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in done), strict=True)))
    panels = joined.some(np.argsort(joined.edges[:, 0]))
    at_break = np.isin(panels.edges, breaks).any(axis=-1)
    found = np.union1d(panels.edges[panels.broken & ~at_break].mean(axis=-1), np.setdiff1d(_on_edges(panels), breaks))
    features = np.union1d(np.setdiff1d(panels.edges, first), breaks)
    # rounding of the values is in the error of every method; it does not make the function wrong
    wrong = np.maximum(np.where(panels.unresolved > panels.rounding, panels.unresolved, 0.0), panels.steep)
    ends = panels.square[[0, -1]].sum() if panels.edges[-1, 1] < law.pole else 0.0
    beyond = ends / panels.square.sum() if ends else 0.0
    whole = (panels.edges, breaks, features, panels.weights, panels.values, wrong, float(beyond), evaluations)
    return Resolved(f, law, *whole), found


def _on_edges(panels: _Panels) -> Array:
    """Return the edges at which value, slope or curvature differ between the sides: there a break lay on an edge."""
    k = np.arange(ORDER)
    series = panels.values @ legendre_series(ORDER)
    half = np.diff(panels.edges)[:, 0] / 2
    different = np.zeros(len(half) - 1, dtype=bool)
    at_end = np.ones(ORDER)  # of a derivative of the k-th polynomial at 1
    for order, tolerance in enumerate((1e-11, 1e-8, 1e-5)):
        left, right = series @ (at_end * (-1.0) ** (k + order)) / half**order, series @ at_end / half**order
        size = panels.largest / half**order
        different |= np.abs(left[1:] - right[:-1]) > tolerance * np.maximum(size[1:], size[:-1])
        at_end *= (k - order) * (k + order + 1) / (2 * order + 2)
    return panels.edges[1:, 0][different]
