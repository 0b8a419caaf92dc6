"""Panels in the latitudes of u and, at every u, of v: for any function, in any dimension.

Given u = sqrt(d) sin(y), v = sqrt(d) (c sin(y) + s cos(y) t), s = sqrt(1 - c^2), where sqrt(d - 1) t has the law of a
coordinate in one dimension less; for d = 2, t is 1 or -1. The inner integral G(y) = E[g(v) | u] is smooth but for the y
at which a kink or jump of g enters or leaves the range of v, which in latitudes ends at y + alpha and y - alpha,
alpha = arccos(c). There G may have a square root (d odd) or a jump (d = 2): the substitution y = y_k +- z^2 adapts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import QuadratureError
from ...functions import ScalarFunction
from ...gaussian import Array
from ..law import SphereLaw, regular
from ..legendre import bisected, missed, rule
from ..method import Estimate
from ..resolved import Resolved, inherited
from .method import SphereMethod

_NODES = 24
"""Of a panel, in either variable: exact where a series of 32 terms has converged."""

_LONGEST, _REACH = 1.5, 12.0
"""Of panels in the inner variable, and how far they reach: exp(-12^2/2) = 5e-32."""

_NARROW = 0.5
"""Up to this s, G has layers of width s around the breaks of g, which panels of length 1.5 may not see."""

_LAYER = np.array([-12.0, -4.5, -1.5, 0.0, 1.5, 4.5, 12.0])
"""Where such a layer is split, in units of its width."""

_NOISE = 1e-14
"""Of the end of a series: rounding, times the degree."""

_CHUNK = 1_000_000
"""Values of g that are held in memory at a time."""


@dataclass(frozen=True)
class SpherePanels(SphereMethod):
    """Gauss-Legendre panels split at the breaks of both functions, bisected where they have not converged.

    Parameters
    ----------
    tolerance, largest
        As for every method on the sphere.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.SpherePanels().overlap(mf.relu, dimension=3, cosine=-1 / 3).value, 13)  # J(-1/3)/2
    0.0847482940211
    """

    def accepts(
        self, f: ScalarFunction, *, dimension: float, cosine: float, other: ScalarFunction | None = None
    ) -> bool:
        """Any function."""
        return True

    def _overlap(self, f: Resolved[SphereLaw], g: Resolved[SphereLaw], cosine: float) -> Estimate:
        scale = f.rms * g.rms
        given = _Given(g, cosine)
        panels, graded = _ends(f.edges, given.singular(f.edges[-1, 1]), given.split())
        value, error = 0.0, 0.0
        evaluations = f.evaluations + (g.evaluations if g is not f else 0)
        while len(panels):
            x, lengths = _graded_gauss(panels, graded)
            smooth, uncertain, cost = given.at(x, self.largest - evaluations)
            evaluations += cost + x.size
            measure = f.law.weigh(x, lengths)
            integrand = measure * f.f(f.law.coordinate(x))
            noise = _NOISE * np.abs(integrand) @ np.ones(_NODES) * g.rms
            rest = missed(integrand * smooth, noise)
            good = (rest <= 1e-17 * scale) | (panels[:, 1] - panels[:, 0] <= 1e-15 * f.law.end)
            value += float((integrand * smooth)[good].sum())
            error += float(rest[good].sum() + (np.abs(integrand) * uncertain)[good].sum())
            panels, graded = _halves(panels[~good], graded[~good])
        return self._accept(value, error + inherited(f, g), scale, evaluations)


@dataclass(frozen=True)
class _Given:
    """G(x) = E[g(v) | u], u at latitude x/sqrt(d)."""

    g: Resolved[SphereLaw]
    cosine: float

    @property
    def sine(self) -> float:
        return math.sqrt((1 - self.cosine) * (1 + self.cosine))

    def singular(self, reach: float) -> Array:
        """Return the x at which a feature of g enters or leaves the range of v."""
        radius = self.g.law.radius
        angle = math.atan2(self.sine, self.cosine)
        latitudes = self.g.features / radius
        places = np.concatenate([latitudes, math.pi - latitudes])
        places = np.remainder(np.concatenate([places - angle, places + angle]) + math.pi, 2 * math.pi) - math.pi
        places = np.unique(radius * places)
        return np.asarray(places[np.abs(places) < reach])

    def split(self) -> Array:
        """Return the x around which G varies as fast as g, or as the width s of its layers."""
        if self.sine > _NARROW:
            return np.empty(0)
        radius = self.g.law.radius
        centres = math.copysign(1.0, self.cosine) * self.g.edges.ravel()
        layers = np.add.outer(self.g.features, _LAYER * self.sine).ravel()
        latitudes = np.sin(math.copysign(1.0, self.cosine) * layers / radius) / abs(self.cosine)
        inside = latitudes[np.abs(latitudes) < 1]
        return np.concatenate([centres, radius * np.arcsin(inside)])

    def at(self, x: Array, allowed: int) -> tuple[Array, Array, int]:
        """Return G at the nodes x, what is uncertain of it, and how many values of g it took."""
        law = self.g.law
        y = x.ravel() / law.radius
        centre, spread = self.cosine * np.sin(y), self.sine * np.cos(y)
        if self.sine == 0 or law.dimension == 2:
            both = law.radius * (centre + np.array([[1.0], [-1.0]]) * spread)
            return self.g.f(both).mean(axis=0).reshape(x.shape), np.zeros_like(x), 2 * y.size
        edges = self._edges()
        cost = y.size * _NODES * (len(edges) + len(self.g.edges))
        if cost > allowed:
            raise QuadratureError(
                f"nested panels would need {cost:.1e} values of the function: it has many features, or is 0 but for a "
                f"small part of the sphere. Where a method is given, allow more than {allowed} (largest=...)"
            )
        rows = max(1, _CHUNK * y.size // cost)
        parts = [self._inner(centre[i : i + rows], spread[i : i + rows], edges) for i in range(0, y.size, rows)]
        smooth, uncertain = (np.concatenate(part).reshape(x.shape) for part in zip(*parts, strict=True))
        return smooth, uncertain, cost

    def _edges(self) -> Array:
        """Return the edges of panels in the variable of t that resolve its density."""
        inner = SphereLaw(self.g.law.dimension - 1)
        return regular(min(_REACH, inner.end), _LONGEST)

    def _inner(self, centre: Array, spread: Array, edges: Array) -> tuple[Array, Array]:
        law, inner = self.g.law, SphereLaw(self.g.law.dimension - 1)
        places = self.g.places / law.radius
        t = np.clip((np.sin(places) - centre[:, None]) / spread[:, None], -1, 1)
        cuts = np.clip(inner.radius * np.arcsin(t), edges[0], edges[-1])
        cuts = np.sort(np.concatenate([np.broadcast_to(edges, (len(centre), len(edges))), cuts], axis=-1), axis=-1)
        nodes, weights = rule(_NODES)
        half = np.diff(cuts)[..., None] / 2
        w = (cuts[:, :-1] + cuts[:, 1:])[..., None] / 2 + half * nodes
        v = law.radius * (centre[:, None, None] + spread[:, None, None] * np.sin(w / inner.radius))
        integrand = inner.weigh(w, half * weights) * self.g.f(v)
        return integrand.sum(axis=(-2, -1)), missed(integrand, _NOISE * np.abs(integrand).sum(axis=-1)).sum(axis=-1)


def _ends(panels: Array, singular: Array, split: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return panels cut at singular places and splits, and which end is singular: 1 right, -1 left, 0 neither."""
    low, high = panels[0, 0], panels[-1, 1]
    places = np.concatenate([panels.ravel(), singular, split[(split > low) & (split < high)]])
    places = np.unique(places)
    cut = np.stack([places[:-1], places[1:]], axis=-1)
    at_left, at_right = np.isin(cut, singular).T
    both = at_left & at_right
    middle = cut[both].mean(axis=-1)
    halves = [np.stack([cut[both, 0], middle], -1), np.stack([middle, cut[both, 1]], -1)]
    graded = np.concatenate(
        [(at_right.astype(int) - at_left)[~both], -np.ones(both.sum(), int), np.ones(both.sum(), int)]
    )
    return np.concatenate([cut[~both], *halves]), graded


def _halves(panels: Array, graded: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    return bisected(panels), np.concatenate([np.minimum(graded, 0), np.maximum(graded, 0)])


def _graded_gauss(panels: Array, graded: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return nodes and weights on every panel, squeezed quadratically towards a singular end."""
    nodes, weights = rule(_NODES)
    z = (1 + nodes) / 2
    length = panels[:, 1:] - panels[:, :1]
    kind = graded[:, None]
    x = np.where(kind < 0, panels[:, :1] + length * z**2, panels[:, :1] + length * z)
    x = np.where(kind > 0, panels[:, 1:] - length * (1 - z) ** 2, x)
    slope = np.where(kind < 0, 2 * z, np.where(kind > 0, 2 * (1 - z), 1.0))
    return x, length * slope * weights / 2
