"""The overlap as an integral in one variable: E f(u) g(v) = E f(u) (T g)(u), with T g(u) = E[g(v) | u].

Given u, v is slope u + noise w with w standard normal, so T g is g smoothed. Where g is resolved on panels much longer
than the noise, the trapezoidal rule in w takes a few dozen points; elsewhere the noise is integrated on the panels of g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..gaussian import Array
from .resolved import Resolved, bisected

_NODES = 16
"""Of a Gauss rule: exact where a series of 32 terms has converged."""

_RANGE = 9.0
"""In standard deviations of the noise: exp(-9^2/2) = 3e-18."""

_LONG, _MIDDLING = 16.0, 2.2
"""Panels of g, in units of the noise, for which the trapezoidal rule takes 29 points, and 91."""

_FINE, _GRADED = 3.0, 5.0
"""Panels, in units of the noise, on which 16 nodes integrate its density, and T g where g has a kink or jump."""

_LONGER = 2.01
"""How much longer than the panels of g those may be on which T g is integrated."""

_UNDERFLOW = 1e-300


@dataclass(frozen=True)
class Smoothed:
    """T g(u) = E g(slope u + noise w), w standard normal."""

    g: Resolved
    slope: float
    noise: float

    def __call__(self, u: Array, panels: Array) -> tuple[Array, int]:
        """Return T g at the nodes u of panels, shape (panels, nodes), and how many values of g it took."""
        centres = self.slope * u
        if self.noise == 0:
            return self.g.f(centres), u.size
        room = self.room(panels)
        result = np.empty_like(u)
        evaluations = 0
        for points, chosen in ((29, room >= _LONG), (91, (room < _LONG) & (room >= _MIDDLING))):
            w, weights = _trapezoid(points)
            result[chosen] = self.g.f(centres[chosen][..., None] + self.noise * w) @ weights
            evaluations += points * int(chosen.sum()) * u.shape[-1]
        for row in np.flatnonzero(room < _MIDDLING):
            result[row], cost = self._on_panels(centres[row])
            evaluations += cost
        return result, evaluations

    def room(self, panels: Array) -> Array:
        """Return the shortest panel of g that the noise reaches from each panel of u, in units of the noise.

        0 where it reaches a declared kink or jump, infinity without noise.
        """
        if self.noise == 0:
            return np.full(len(panels), math.inf)
        low, high = self._window(panels)
        edges = self.g.edges
        first = np.clip(np.searchsorted(edges[:, 1], low, side="right"), 0, len(edges) - 1)
        last = np.clip(np.searchsorted(edges[:, 0], high, side="left"), first + 1, len(edges))
        lengths = np.append(edges[:, 1] - edges[:, 0], math.inf)
        shortest = np.minimum.reduceat(lengths, np.stack([first, last], axis=-1).ravel())[::2]
        breaks = np.array(self.g.f.breaks)
        broken = np.searchsorted(breaks, low) != np.searchsorted(breaks, high)
        return np.where(broken, 0.0, shortest / self.noise)

    def _window(self, panels: Array) -> tuple[Array, Array]:
        ends = np.sort(self.slope * panels, axis=-1)
        return ends[..., 0] - _RANGE * self.noise, ends[..., 1] + _RANGE * self.noise

    def _on_panels(self, centres: Array) -> tuple[Array, int]:
        low, high = centres.min() - _RANGE * self.noise, centres.max() + _RANGE * self.noise
        regular = np.linspace(low, high, math.ceil((high - low) / (_FINE * self.noise)) + 1)
        edges = np.append(self.g.edges[:, 0], self.g.edges[-1, 1])
        edges = np.union1d(regular, edges[(edges > low) & (edges < high)])
        v, weights = gauss(np.stack([edges[:-1], edges[1:]], axis=-1), _NODES)
        v, weights = v.ravel(), weights.ravel() / (math.sqrt(2 * math.pi) * self.noise)
        kernel = np.exp(-0.5 * ((centres[:, None] - v) / self.noise) ** 2)
        return kernel @ (weights * self.g.f(v)), v.size


def expect_product(f: Resolved, smoothed: Smoothed, *, largest: int) -> tuple[float, float, int]:
    """Return E f(u) T g(u), its error, and how many values of the functions it took."""
    g = smoothed.g
    scale = math.sqrt(f.square * g.square)
    panels = _outer_panels(f, smoothed)
    value, error, evaluations = 0.0, 0.0, 0
    while len(panels):
        evaluations += _NODES * len(panels)
        u, weights = gauss(panels, _NODES)
        smooth, cost = smoothed(u, panels)
        evaluations += cost
        if evaluations > largest:
            raise QuadratureError(
                f"more than {largest} values of the functions would be needed; allow more values (largest=...)"
            )
        weights = weights * np.exp(-0.5 * (u / f.sd) ** 2) / (math.sqrt(2 * math.pi) * f.sd)
        integrand = weights * f.f(u) * smooth
        rest = _rest(integrand)
        good = (rest <= 1e-17 * scale) | (panels[:, 1] - panels[:, 0] <= 1e-13 * f.sd)
        lost = f.unresolved[np.searchsorted(f.edges[:, 1], panels.mean(axis=-1)).clip(max=len(f.edges) - 1)]
        lost = lost * weights.sum(axis=-1) * np.abs(smooth).max(axis=-1)
        value += float(integrand[good].sum())
        error += float((rest + lost)[good].sum())
        panels = bisected(panels[~good])
    return value, error + math.sqrt(f.square) * g.inherited, evaluations


def _outer_panels(f: Resolved, smoothed: Smoothed) -> Array:
    """Return the panels of f, cut shorter where the noise of T g meets a kink, a jump or short panels of g."""
    panels = f.edges
    if smoothed.noise == 0 and smoothed.slope:
        edges = np.append(smoothed.g.edges[:, 0], smoothed.g.edges[-1, 1]) / smoothed.slope
        inside = edges[(edges > panels[0, 0]) & (edges < panels[-1, 1])]
        edges = np.unique(np.concatenate([panels.ravel(), inside]))
        return np.stack([edges[:-1], edges[1:]], axis=-1)
    done = []
    while len(panels):
        length = np.abs(smoothed.slope) * (panels[:, 1] - panels[:, 0])
        room = smoothed.room(panels)
        fine = (length <= _GRADED * smoothed.noise) | (room >= _MIDDLING) & (length <= _LONGER * room * smoothed.noise)
        done.append(panels[fine])
        panels = bisected(panels[~fine])
    return np.concatenate(done)


def _rest(integrand: Array) -> Array:
    """Return what the Gauss rule with 16 nodes misses, from how fast its series of 16 terms falls off."""
    coefficients = np.abs(integrand @ _series())
    # not in comparison with the constant: on a short panel that would pass anything
    tail, size = coefficients[:, -3:].max(axis=-1), coefficients[:, 1:].max(axis=-1)
    return np.asarray(4 * tail * tail / np.maximum(size, _UNDERFLOW))


def gauss(panels: Array, nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights of the Gauss-Legendre rule on each panel, shape (panels, nodes)."""
    x, weights = _gauss(nodes)
    half = (panels[:, 1:] - panels[:, :1]) / 2
    return panels.mean(axis=-1, keepdims=True) + half * x, half * weights


@cache
def _gauss(nodes: int) -> tuple[Array, Array]:
    x, weights = legendre.leggauss(nodes)
    return np.asarray(x, dtype=np.float64), np.asarray(weights, dtype=np.float64)


@cache
def _series() -> NDArray[np.float64]:
    """From values times weights of the rule to coefficients of the Legendre series, in units of the integral."""
    x, _ = _gauss(_NODES)
    return legendre.legvander(x, _NODES - 1) * (2 * np.arange(_NODES) + 1)


@cache
def _trapezoid(points: int) -> tuple[Array, Array]:
    w = np.asarray(np.linspace(-_RANGE, _RANGE, points), dtype=np.float64)
    return w, np.exp(-0.5 * w * w) / math.sqrt(2 * math.pi) * (w[1] - w[0])
