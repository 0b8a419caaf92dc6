"""How a function of one variable is resolved: panels, probes, and undeclared breaks that are closed in upon.

All that is difficult about an integral is in the function, and a function of one variable is cheap to look at. So it is
done once, with care: panels start at the declared breaks, are bisected until the series has converged, and are probed
between their nodes. A kink or jump that was not declared is closed in upon by bisection; then the panels are made anew,
with a break where it was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array
from .law import regular
from .legendre import between, bisected, continued, gauss, series
from .resolved import AnyLaw, Resolved, felt, nearby

ORDER = 32
"""Nodes of a panel."""

LONGEST = 2.5
"""In x: panels that also resolve the density."""

REACH, _WIDEST = 12.5, 37.0
"""In x: of a bounded function 1e-34 of E f^2 is beyond 12.5, and 37 is where the density underflows."""

_BEYOND = 1e-30
"""Share of E f^2 that may be beyond the range: by Cauchy-Schwarz it changes no overlap by more than its root."""

GAP = 1 / 200
"""In x: between probes, where the function declares no scale."""

_MOST_PROBES = 4096
"""On a panel; if more are needed, panels are shorter to begin with."""

_ENDS = np.outer([-1, 1], 1 - 10.0 ** np.arange(-14, -3)).ravel()
"""Probes between the outermost nodes of a panel and its ends: a break may be close to another that was declared."""

_AWAY = 1e-15
"""How near to an edge a probe may be, relative to it."""

_GENERATIONS = 160
"""A double is exhausted by fewer bisections, also where they first close in on one break and then on another."""

_HUGE = 1e150
"""What can still be squared."""

_ROUNDING, _PLACE = 4e-15, 1.2e-16
"""Of the end of a series of 32 terms, relative to the values; and of x, relative to the edges."""

_AVERAGED = 0.25
"""What is left of the rounding of x in a mean over the nodes of a panel."""

_BROKEN, _SHORT = 1e-6, 1e-2
"""The end of a series relative to its largest term, on a panel so short (in x) that has not converged: a break."""

_POINT, _CONCENTRATED = 1e-9, 1e-3
"""A share of E f^2 on panels so short (in x) is that of a singularity."""

_STEP, _VISIBLE = 0.02, 3e-12
"""How far the series of neighbours are compared beyond their edge, and the relative difference that is not rounding."""


def resolve(f: ScalarFunction, law: AnyLaw, *, tolerance: float, largest: int) -> Resolved[AnyLaw]:
    """Resolve a function for integrals against a law.

    Panels are bisected until what is unresolved changes E f^2 by less than the tolerance; where rounding prevents that
    they are left as they are. Raises ``QuadratureError`` for a function that is not finite, reaches further than the
    law falls off, or would take more than ``largest`` values.
    """
    breaks, reach = law.place(np.array(f.breaks)), REACH
    while True:
        resolved, found = _Search(f, law, breaks, min(reach, law.end), tolerance, largest).run()
        if resolved.beyond <= _BEYOND:
            break
        if reach >= _WIDEST:
            raise QuadratureError(
                f"the function grows so fast that its integrals against {law} do not exist, or only by values that "
                "double precision does not reach; no method helps, unless the function is scaled or bounded"
            )
        reach = min(reach + 5, _WIDEST)
    if not found.size:
        return resolved
    search = _Search(f, law, np.union1d(breaks, found), min(reach, law.end), tolerance, largest, ends=False)
    again, _ = search.run()
    evaluations = resolved.evaluations + again.evaluations
    if abs(again.square - resolved.square) > tolerance * resolved.square:  # only the first have seen all there is
        return replace(resolved, evaluations=evaluations)
    return replace(again, around=resolved, evaluations=evaluations)


@dataclass(frozen=True)
class _Panels:
    edges: Array
    nodes: Array
    weights: Array
    values: Array
    largest: Array
    """The largest absolute value on each."""
    square: Array
    """E f^2 on each."""
    unresolved: Array
    """By how much the series of a panel is wrong."""
    rounding: Array
    """Of the values."""
    steep: Array
    """What rounding of x does to the values."""
    broken: NDArray[np.bool_]
    """Whether the series does not converge at all."""

    def some(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> _Panels:
        return _Panels(*(array[chosen] for array in vars(self).values()))

    def negligible(self, square: float, tolerance: float, first: _Panels) -> NDArray[np.bool_]:
        """Whether bisecting a panel changes nothing, or nothing that matters to E f^2."""
        if not square:  # zero at every node; if not at every probe, there is something to be found
            return np.asarray(self.unresolved == 0)
        mass = self.weights.sum(axis=-1)
        other = felt(mass, math.sqrt(square), nearby(first.edges, first.largest, self.edges))
        negligible = self.unresolved * mass * other <= tolerance / 200 * square
        negligible |= self.unresolved <= self.rounding + 2 * self.steep
        middle = self.edges.mean(axis=-1)
        return np.asarray(negligible | (middle <= self.edges[:, 0]) | (middle >= self.edges[:, 1]))


def _joined(parts: list[_Panels]) -> _Panels:
    """Return all panels, in order."""
    if len(parts) == 1:
        return parts[0]
    joined = _Panels(*(np.concatenate(arrays) for arrays in zip(*(vars(part).values() for part in parts), strict=True)))
    return joined.some(np.argsort(joined.edges[:, 0]))


@dataclass(frozen=True)
class _Search(Generic[AnyLaw]):
    f: ScalarFunction
    law: AnyLaw
    breaks: Array
    reach: float
    tolerance: float
    largest: int
    ends: bool = True
    """Whether breaks are still to be found: then the ends of panels are probed, and panels need not be few."""

    def run(self) -> tuple[Resolved[AnyLaw], Array]:
        """Return the panels, and the undeclared breaks that were found."""
        self._afford(int(min(2 * self.reach / self._gap, 1e18)))
        longest = min(LONGEST, _MOST_PROBES * self._gap)
        first = np.unique(np.append(regular(self.reach, longest), self.breaks[np.abs(self.breaks) < self.reach]))
        done: list[_Panels] = []
        new = between(first)
        begun: _Panels | None = None
        evaluations = 0
        for generation in range(_GENERATIONS + 1):
            probes = self._probes(float((new[:, 1] - new[:, 0]).max()))
            evaluations += (ORDER + probes + len(_ENDS) * self._looks_at_ends) * len(new)
            self._afford(evaluations)
            panels = self._panels(new, probes)
            begun = begun or panels
            square = float(panels.square.sum() + sum(part.square.sum() for part in done))
            if square == 0 and panels.largest.any():
                raise QuadratureError("the squares of the function vanish in double precision; scale it up")
            good = panels.negligible(square, self.tolerance, begun) | (generation == _GENERATIONS)
            if not good.all():
                done.append(panels.some(good))
                new = self._cut(new[~good], panels.broken[~good])
                continue
            # a break on the very edge does not show on either side of it
            done.append(panels)
            panels, disagree = self._compared(_joined(done))
            if not disagree.any():
                break
            good = panels.negligible(square, self.tolerance, begun) | (generation == _GENERATIONS)
            if good.all():
                break
            done = [panels.some(good)]
            new = bisected(panels.edges[~good])
        return self._resolved(panels, first, evaluations), self._found(panels, disagree)

    def _cut(self, edges: Array, broken: NDArray[np.bool_]) -> Array:
        """Return shorter panels: quarters where they close in upon an undeclared break, else halves."""
        quick = broken & self.ends
        quick[quick] &= ~np.isin(edges[quick], self.breaks).any(axis=-1)
        new = np.concatenate([bisected(edges[~quick]), bisected(bisected(edges[quick]))])
        return new[new[:, 1] > new[:, 0]]  # where double precision is exhausted

    @property
    def _gap(self) -> float:
        """The largest gap between probes."""
        return GAP if self.f.scale is None else self.f.scale / self.law.sd / 2

    @property
    def _looks_at_ends(self) -> bool:
        return self.ends and self.f.scale is None

    def _probes(self, longest: float) -> int:
        """Return how many probes leave no gap in which a feature could hide; the nodes may be enough."""
        wanted = longest / self._gap
        return 0 if wanted <= ORDER / 4 else 2 ** math.ceil(math.log2(wanted))

    def _afford(self, evaluations: int) -> None:
        if evaluations > self.largest:
            raise QuadratureError(
                f"more than {self.largest} values of the function would be needed: it varies too fast against "
                f"{self.law}. If it has kinks or jumps, declare them: ScalarFunction(f, kinks=..., jumps=...); if not, "
                "allow more values (largest=...)"
            )

    def _panels(self, edges: Array, probes: int) -> _Panels:
        x, lengths = gauss(edges, ORDER)
        values, size = self._values(x)
        coefficients = np.abs(values @ series(ORDER))
        rest = 2 * coefficients[:, -4:].max(axis=-1)
        if probes or self._looks_at_ends:
            at, interpolation = _probe(probes, self._looks_at_ends)
            left, right = edges[:, :1], edges[:, 1:]
            points = (left + right) / 2 + (right - left) / 2 * at
            off = self._values(points)[0] - values @ interpolation
            if self._looks_at_ends:  # no nearer to a break than it is known where it is
                near = points[:, probes:]
                off[:, probes:][(near - left < _AWAY * np.abs(left)) | (right - near < _AWAY * np.abs(right))] = 0.0
            rest = np.maximum(rest, np.maximum(off.max(axis=-1), -off.min(axis=-1)))
        weights = self.law.weigh(x, lengths)
        slope = np.abs(np.diff(values) / np.maximum(np.diff(x), 1e-300)).max(axis=-1)
        steep = np.minimum(_PLACE * np.abs(edges).max(axis=-1) * slope, size)
        rounding = (_ROUNDING + self.f.noise) * size
        broken = (rest > _BROKEN * coefficients[:, 1:].max(axis=-1)) & (rest > 2 * rounding)
        rest = np.where(broken, ORDER * rest, rest)  # a series that falls off slowly is wrong by all that follows
        square = (weights * values**2).sum(axis=-1)
        return _Panels(edges, x, weights, values, size, square, rest, rounding, steep, broken)

    def _values(self, x: Array) -> tuple[Array, Array]:
        """Return f at x, and the largest absolute values in each row."""
        values = self.f(self.law.coordinate(x))
        size = np.maximum(values.max(axis=-1), -values.min(axis=-1))
        if not size.max() < _HUGE:
            place = float(self.law.coordinate(x[~(np.abs(values) < _HUGE)])[0])
            raise QuadratureError(
                f"the function is not finite everywhere, or exceeds {_HUGE:g} (at {place:.6g}), so its integral may "
                "not exist; give a function that is finite"
            )
        return values, size

    def _compared(self, panels: _Panels) -> tuple[_Panels, NDArray[np.bool_]]:
        """Compare the series of neighbours beyond their edges, and return which disagree.

        By as much as they disagree either may be wrong; where a break is known, they are meant to disagree.
        """
        edges, values = panels.edges, panels.values
        half = (edges[:, 1] - edges[:, 0]) / 2
        step = _STEP * np.minimum(half[:-1], half[1:])
        left, right = step / half[:-1], step / half[1:]
        lefts = continued(np.concatenate([values[:-1]] * 2), np.concatenate([1 + left, 1 - left]))
        rights = continued(np.concatenate([values[1:]] * 2), np.concatenate([right - 1, -right - 1]))
        difference = np.abs(lefts - rights).reshape(2, -1).max(axis=0)
        noise = _VISIBLE / _ROUNDING * panels.rounding + 2500 * panels.steep
        disagree = difference > np.maximum(noise[1:], noise[:-1])
        disagree &= ~np.isin(edges[1:, 0], self.breaks)
        if not disagree.any():
            return panels, disagree
        unresolved = panels.unresolved.copy()
        difference = np.where(disagree, difference, 0.0)
        unresolved[:-1] = np.maximum(unresolved[:-1], difference)
        unresolved[1:] = np.maximum(unresolved[1:], difference)
        return replace(panels, unresolved=unresolved), disagree

    def _found(self, panels: _Panels, disagree: NDArray[np.bool_]) -> Array:
        """Return the undeclared breaks: panels closed in upon them, or they are on edges."""
        short = panels.edges[:, 1] - panels.edges[:, 0] < _SHORT
        inside = short & panels.broken
        on_edge = short[1:] & short[:-1] & disagree
        if not (inside.any() or on_edge.any()):
            return np.empty(0)
        inside &= ~np.isin(panels.edges, self.breaks).any(axis=-1)
        return np.union1d(panels.edges[inside].mean(axis=-1), panels.edges[1:, 0][on_edge])

    def _resolved(self, panels: _Panels, first: Array, evaluations: int) -> Resolved[AnyLaw]:
        # rounding of the values is in the error of every method; it does not make the function wrong
        noise = panels.rounding + 2 * panels.steep
        wrong = np.where(panels.unresolved > noise, panels.unresolved, self.f.noise * panels.largest)
        beyond = 0.0
        square = panels.square.sum()
        point = panels.edges[:, 1] - panels.edges[:, 0] < _POINT
        if panels.square[point].sum() > _CONCENTRATED * square:
            place = float(self.law.coordinate(panels.nodes[point].mean()))
            raise QuadratureError(f"the function is so large near {place:.6g} that E f^2 seems infinite")
        if panels.edges[-1, 1] < self.law.end and square:
            x, values = panels.nodes[[0, -1], [0, -1]], panels.values[[0, -1], [0, -1]]
            beyond = float(self.law.weigh(x, np.ones(2)) @ values**2 / square)
        whole = (panels.nodes, panels.weights, panels.values, wrong, _AVERAGED * panels.steep, beyond, evaluations)
        return Resolved(self.f, self.law, panels.edges, self.breaks, first, *whole)


@lru_cache(maxsize=32)
def _probe(count: int, ends: bool) -> tuple[Array, Array]:
    """Return points in [-1, 1], and the matrix that takes values at the nodes to the series at these points.

    The points have no regularity that a function could be in step with.
    """
    jitter = np.modf(np.arange(count) * (math.sqrt(5) - 1) / 2)[0]
    at = np.append((2 * np.arange(count) + 0.5 + jitter) / max(count, 1) - 1, _ENDS if ends else [])
    return at, series(ORDER) @ legendre.legvander(at, ORDER - 1).T
