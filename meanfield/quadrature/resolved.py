"""A function of one variable, resolved: cut into panels on which its Legendre series has converged.

All that is difficult about a Gaussian integral is in the function, and a function of one variable is cheap to look at.
So this is done once, with care: panels start at the declared breaks, are bisected until the series has converged, and
are probed between their nodes. A kink or a jump that was not declared is closed in upon by bisection. What is left over
on each panel is the error that every integral of the function inherits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array

ORDER = 32
"""Nodes of a panel."""

_REACH, _WIDEST = 9.0, 37.0
"""In standard deviations: exp(-9^2/2) = 3e-18, and beyond 37 the density underflows."""

_NEGLIGIBLE = 1e-18
"""Share of E f^2 that the outermost nodes may have; else the function reaches further than the panels."""

_LONGEST = 1.5
"""In standard deviations: panels that also resolve the density."""

_GAP = 1 / 200
"""In standard deviations: between probes, where the function declares no scale."""

_GENERATIONS = 160
"""A double is exhausted by fewer bisections, also where they first close in on one break and then on another."""

_ENDS = np.outer([-1, 1], 1 - 10.0 ** np.arange(-9, -3)).ravel()
"""Probes between the outermost nodes of a panel and its ends."""

_BEYOND, _VISIBLE = 0.02, 1e-12
"""How far the series of neighbours are compared beyond their edge, and the relative difference that is not rounding."""


@dataclass(frozen=True)
class Resolved:
    """A function on panels, with the Gaussian measure on them."""

    f: ScalarFunction
    sd: float
    edges: Array
    """Shape (panels, 2), in increasing order."""
    nodes: Array
    """Shape (panels, ORDER)."""
    weights: Array
    """Of the Gaussian measure, in the same shape."""
    values: Array
    """Of f, in the same shape."""
    coefficients: Array
    """Of the Legendre series, in the same shape."""
    unresolved: Array
    """By how much the series of each panel may be wrong."""
    rounding: Array
    """Of the values on each panel; large where rounding of u matters to a steep function."""
    evaluations: int = 0

    @property
    def mass(self) -> Array:
        """The Gaussian measure of each panel."""
        return np.asarray(self.weights.sum(axis=-1))

    @property
    def largest(self) -> Array:
        """The largest absolute value on each panel."""
        return np.asarray(np.abs(self.values).max(axis=-1))

    @property
    def mean(self) -> float:
        """E f."""
        return float(np.vdot(self.weights, self.values))

    @property
    def square(self) -> float:
        """E f^2."""
        return float(np.vdot(self.weights, self.values**2))

    @property
    def inherited(self) -> float:
        """What an overlap with a function of unit size may lose; where f is large, so is the other in its own units."""
        rms = math.sqrt(self.square)
        return float(self.lost @ np.maximum(1.0, self.largest / rms)) if rms else 0.0

    @property
    def lost(self) -> Array:
        """Over each panel, the integral of what is unresolved."""
        return self.unresolved * self.mass


def resolve(f: ScalarFunction, sd: float, *, tolerance: float, largest: int) -> Resolved:
    """Resolve a function for integrals against N(0, sd^2), sd > 0.

    Panels are bisected until what is unresolved changes E f^2 by less than the tolerance; where rounding prevents that
    they are left as they are. Raises ``QuadratureError`` for a function that is not finite, reaches further than the
    Gaussian falls off, or would take more than ``largest`` values.
    """
    reach = _REACH
    while True:
        resolved = _resolve(f, sd, reach * sd, tolerance, largest)
        ends = (resolved.values**2 * resolved.weights).ravel()[[0, -1]]
        if ends.sum() <= _NEGLIGIBLE * resolved.square:
            return resolved
        if reach >= _WIDEST:
            raise QuadratureError(
                f"the function grows so fast that its integral against N(0, {sd * sd:.6g}) does not exist, or is not "
                "within the range of double precision"
            )
        reach = min(reach + 4, _WIDEST)


def _resolve(f: ScalarFunction, sd: float, reach: float, tolerance: float, largest: int) -> Resolved:
    done = _nothing(f, sd)
    new = _first_panels(f, sd, reach)
    evaluations = 0
    for generation in range(_GENERATIONS):
        probes = _probes(f, sd, float(np.max(new[:, 1] - new[:, 0])))
        evaluations += (ORDER + len(_ENDS) + probes) * len(new)
        if evaluations > largest:
            raise QuadratureError(
                f"more than {largest} values of the function would be needed: it varies too fast for a variance of "
                f"{sd * sd:.6g}. If it has kinks or jumps, declare them: ScalarFunction(f, kinks=..., jumps=...); if "
                "not, allow more values (largest=...)"
            )
        done = _joined(done, _panels(f, sd, new, probes))
        square = done.square
        allowed = tolerance / 200 * square / np.maximum(done.largest, math.sqrt(square)) if square else math.inf
        wrong = (done.unresolved > 2 * done.rounding) & (done.unresolved * done.mass > allowed)
        if not wrong.any():
            done = replace(done, unresolved=np.maximum(done.unresolved, _mismatch(done)))
            wrong = (done.unresolved > 2 * done.rounding) & (done.unresolved * done.mass > allowed)
        middle = done.edges.mean(axis=-1)
        wrong &= (middle > done.edges[:, 0]) & (middle < done.edges[:, 1])
        if not wrong.any() or generation == _GENERATIONS - 1:
            break
        new = bisected(done.edges[wrong])
        done = _some(done, ~wrong)
    return replace(done, evaluations=evaluations)


def _first_panels(f: ScalarFunction, sd: float, reach: float) -> Array:
    regular = np.linspace(-reach, reach, 2 * math.ceil(reach / sd / _LONGEST) + 1)
    places = np.unique(np.concatenate([regular, [k for k in f.breaks if -reach < k < reach]]))
    return np.stack([places[:-1], places[1:]], axis=-1)


def _panels(f: ScalarFunction, sd: float, edges: Array, probes: int) -> Resolved:
    x, x_weights, series = _legendre()
    half = (edges[:, 1:] - edges[:, :1]) / 2
    centre = edges.mean(axis=-1, keepdims=True)
    nodes = centre + half * x
    values = _finite(f(nodes), nodes)
    coefficients = values @ series
    at, interpolation = _probe(probes)
    points = centre + half * at
    size = np.abs(values).max(axis=-1)
    rest = np.abs(_finite(f(points), points) - values @ interpolation).max(axis=-1)
    rest = np.maximum(rest, 2 * np.abs(coefficients[:, -4:]).max(axis=-1))
    steepness = np.abs(np.diff(values) / np.maximum(np.diff(nodes), 1e-300)).max(axis=-1)
    rounding = (2e-15 + f.noise) * size + 3e-16 * np.abs(edges).max(axis=-1) * np.minimum(
        steepness, size / (1e-300 + half[:, 0])
    )
    weights = half * x_weights * np.exp(-0.5 * (nodes / sd) ** 2) / (math.sqrt(2 * math.pi) * sd)
    return Resolved(f, sd, edges, nodes, weights, values, coefficients, rest, rounding)


def _mismatch(panels: Resolved) -> Array:
    """Return by how much the series of neighbours disagree beyond their common edge, where no break is declared.

    A kink or jump on the very edge does not show in the series of either side.
    """
    edges, series = panels.edges, panels.coefficients
    half = (edges[:, 1] - edges[:, 0]) / 2
    step = _BEYOND * np.minimum(half[:-1], half[1:])
    left, right = step / half[:-1], step / half[1:]
    points = np.concatenate([1 + left, 1 - left, -1 + right, -1 - right])
    ahead, behind, right_ahead, right_behind = np.split(
        legendre.legval(points, np.concatenate([series[:-1]] * 2 + [series[1:]] * 2).T, tensor=False), 4
    )
    ahead, behind = np.abs(ahead - right_ahead), np.abs(behind - right_behind)
    jump = np.maximum(ahead, behind)
    size = np.abs(panels.values).max(axis=-1)
    visible = _VISIBLE * np.maximum(size[:-1], size[1:]) + 1000 * np.maximum(panels.rounding[:-1], panels.rounding[1:])
    jump = np.where((jump > visible) & ~np.isin(edges[1:, 0], panels.f.breaks), jump, 0.0)
    result = np.zeros(len(edges))
    result[:-1] = jump
    result[1:] = np.maximum(result[1:], jump)
    return result


def _finite(values: Array, at: Array) -> Array:
    if not np.isfinite(values).all():
        place = float(at[~np.isfinite(values)][0])
        raise QuadratureError(f"the function is not finite everywhere (at {place:.6g}), so its integral may not exist")
    return values


def _probes(f: ScalarFunction, sd: float, longest: float) -> int:
    """Return how many probes a panel needs to leave no gap in which the function could hide; the nodes may be enough."""
    gap = _GAP * sd if f.scale is None else f.scale / 2
    wanted = longest / gap
    return 0 if wanted <= ORDER / 4 else 2 ** min(math.ceil(math.log2(wanted)), 14)


def bisected(panels: Array) -> Array:
    """Return the two halves of every panel, given as pairs of edges."""
    middle = panels.mean(axis=-1)
    return np.concatenate([np.stack([panels[:, 0], middle], -1), np.stack([middle, panels[:, 1]], -1)])


_ARRAYS = ("edges", "nodes", "weights", "values", "coefficients", "unresolved", "rounding")


def _nothing(f: ScalarFunction, sd: float) -> Resolved:
    empty, rows = np.empty(0), np.empty((0, ORDER))
    return Resolved(f, sd, np.empty((0, 2)), rows, rows, rows, rows, empty, empty)


def _some(panels: Resolved, chosen: NDArray[np.bool_]) -> Resolved:
    return Resolved(panels.f, panels.sd, *(getattr(panels, name)[chosen] for name in _ARRAYS))


def _joined(first: Resolved, second: Resolved) -> Resolved:
    """Return the panels of both, in order."""
    order = np.argsort(np.concatenate([first.edges[:, 0], second.edges[:, 0]]))
    both: Any = (np.concatenate([getattr(first, name), getattr(second, name)])[order] for name in _ARRAYS)
    return Resolved(first.f, first.sd, *both)


@cache
def _legendre() -> tuple[Array, Array, Array]:
    """Return nodes and weights on [-1, 1], and the matrix that takes values there to coefficients of the series."""
    x, _ = legendre.leggauss(ORDER)
    series = np.ascontiguousarray(np.linalg.inv(legendre.legvander(x, ORDER - 1)).T)
    return x, 2 * series[:, 0], series  # the weights of leggauss are off by up to 1e-13 at the ends


@cache
def _probe(count: int) -> tuple[Array, Array]:
    """Return points in [-1, 1], and the matrix that takes values at the nodes to the series at these points.

    The points have no regularity that a function could be in step with.
    """
    jitter = np.modf(np.arange(count) * (math.sqrt(5) - 1) / 2)[0]
    at = np.append((2 * np.arange(count) + 0.5 + jitter) / max(count, 1) - 1, _ENDS)
    return at, _legendre()[2] @ legendre.legvander(at, ORDER - 1).T
