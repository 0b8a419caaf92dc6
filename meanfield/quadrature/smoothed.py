"""The overlap as an integral in one variable: E f(u) g(v) = E f(u) (T g)(u), with T g(u) = E[g(v) | u].

In standard deviations, x of u and y of v, y is c x + s w with w standard normal, c the correlation and s the noise: T g
is g smoothed. Where g is resolved on panels much longer than the noise, the trapezoidal rule in w takes a few dozen
points; elsewhere the noise is integrated on the panels of g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..gaussian import Array
from .law import GaussianLaw
from .legendre import between, bisected, counted, gauss, missed, shorter
from .resolve import REACH
from .resolved import Resolved, inherited

_NODES = 20
"""Of a Gauss rule: exact where a series of 32 terms has converged."""

_RANGE = 9.0
"""In units of the noise: exp(-9^2/2) = 3e-18. For a function that grows it widens as the panels of the function do."""

_LONG, _MIDDLING = 16.0, 2.2
"""Panels of g, in units of the noise, for which the trapezoidal rule takes 29 points, and 91."""

_FINE, _GRADED = 4.0, 6.0
"""Panels, in units of the noise, on which 20 nodes integrate its density, and T g where g has a kink or jump."""

_LAYER = np.array([-12.0, -6.0, 0.0, 6.0, 12.0])
"""Where T g is split around a kink or jump of g, in units of the noise."""

_LONGER = 2.01
"""How much longer than the panels of g those may be on which T g is integrated."""

_NOISE = 1e-14
"""Of the end of a series: rounding, times the degree."""

_NEGLIGIBLE = 5e-17
"""Of the scale: what a panel may miss."""

_ROWS = 128
"""Panels that are done at a time."""


@dataclass(frozen=True)
class Smoothed:
    """T g(x) = E g(c x + s w), w standard normal."""

    g: Resolved[GaussianLaw]
    correlation: float
    noise: float

    def __call__(self, x: Array, panels: Array) -> tuple[Array, int]:
        """Return T g at the nodes x of panels, shape (panels, nodes), and how many values of g it took."""
        centres = self.correlation * x
        if self.noise == 0:
            return self.g.at(centres), x.size
        room = self.room(panels)
        result = np.empty_like(x)
        evaluations = 0
        for points, chosen in ((29, room >= _LONG), (91, (room < _LONG) & (room >= _MIDDLING))):
            if chosen.any():
                w, weights = _trapezoid(points, self.range)
                result[chosen] = self.g.at(centres[chosen][..., None] + self.noise * w) @ weights
                evaluations += points * int(chosen.sum()) * x.shape[-1]
        hard = np.flatnonzero(room < _MIDDLING)
        for start in range(0, hard.size, _ROWS):
            rows = hard[start : start + _ROWS]
            result[rows], cost = self._on_panels(centres[rows])
            evaluations += cost
        return result, evaluations

    @property
    def range(self) -> float:
        """How far the noise matters, in its own units."""
        return _RANGE + max(0.0, self.g.reach - REACH)

    def room(self, panels: Array) -> Array:
        """Return the shortest panel of g that the noise reaches from each panel of x, in units of the noise.

        0 where it reaches a known kink or jump, infinity without noise.
        """
        if self.noise == 0:
            return np.full(len(panels), math.inf)
        ends = self.correlation * panels
        low, high = ends.min(axis=-1) - self.range * self.noise, ends.max(axis=-1) + self.range * self.noise
        g = self.g
        first, last = self._reached(low, high)
        shortest = np.minimum.reduceat(g.lengths, np.stack([first, last], axis=-1).ravel())[::2]
        broken = g.breaks.searchsorted(low) != g.breaks.searchsorted(high)
        return np.where(broken, 0.0, shortest / self.noise)

    def _on_panels(self, centres: Array) -> tuple[Array, int]:
        """Return T g at the centres of the noise, shape (rows, nodes): the panels of a row serve all of its nodes."""
        row, cut = self._cut(centres.min(axis=-1), centres.max(axis=-1))
        y, lengths = gauss(cut, _NODES)
        kernel = (centres / self.noise)[row][:, :, None] - (y / self.noise)[:, None, :]
        np.multiply(kernel, kernel, out=kernel)
        kernel *= -0.5
        np.exp(kernel, out=kernel)
        weighted = lengths * self.g.at(y) / (math.sqrt(2 * math.pi) * self.noise)
        parts = (kernel @ weighted[:, :, None])[:, :, 0]
        starts = np.searchsorted(row, np.arange(len(centres)))
        return np.add.reduceat(parts, starts, axis=0), y.size

    def _cut(self, low: Array, high: Array) -> tuple[NDArray[np.int64], Array]:
        """Return panels of y for every row, the panels of g that the noise reaches cut shorter; and whose they are."""
        low, high = low - self.range * self.noise, high + self.range * self.noise
        first, last = self._reached(low, high)
        row = np.repeat(np.arange(len(low)), last - first)
        panel = first[row] + counted(last - first)
        cuts = self.g.places[1:-1]
        left = np.maximum(low[row], np.concatenate([[-math.inf], cuts])[panel])
        right = np.minimum(high[row], np.concatenate([cuts, [math.inf]])[panel])
        panels, parts = shorter(left, right, _FINE * self.noise)
        return np.repeat(row, parts), panels

    def _reached(self, low: Array, high: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first panel of g between low and high, and the one after the last."""
        cuts = self.g.places[1:-1]
        return cuts.searchsorted(low, side="right"), cuts.searchsorted(high) + 1


def expect_product(f: Resolved[GaussianLaw], smoothed: Smoothed, *, largest: int) -> tuple[float, float, int]:
    """Return E f(u) T g(u), its error, and how many values of the functions it took."""
    g = smoothed.g
    scale = f.rms * g.rms
    panels = _outer_panels(f, smoothed)
    value, error, evaluations = 0.0, 0.0, 0
    while len(panels):
        evaluations += _NODES * len(panels)
        x, lengths = gauss(panels, _NODES)
        smooth, cost = smoothed(x, panels)
        evaluations += cost
        if evaluations > largest:
            raise QuadratureError(
                f"more than {largest} values of the functions would be needed; allow more values (largest=...)"
            )
        seen = f.law.weigh(x, lengths) * f.at(x)
        integrand = seen * smooth
        rest = missed(integrand, _NOISE * np.abs(seen).sum(axis=-1) * g.rms)
        good = (rest <= _NEGLIGIBLE * scale) | (panels[:, 1] - panels[:, 0] <= 1e-13)
        value += float(integrand[good].sum())
        error += float(rest[good].sum())
        panels = bisected(panels[~good])
    return value, error + inherited(f, g), evaluations


def _outer_panels(f: Resolved[GaussianLaw], smoothed: Smoothed) -> Array:
    """Return the panels of f, cut shorter where the noise of T g meets a kink, a jump or short panels of g."""
    g, correlation, noise = smoothed.g, smoothed.correlation, smoothed.noise
    low, high = f.places[[0, -1]]
    if noise == 0:
        cuts = correlation * g.places  # 1 or -1
    elif _GRADED * noise < abs(correlation) * f.lengths[:-1].max():
        cuts = np.add.outer(g.breaks, noise * _LAYER).ravel() / correlation
    else:
        cuts = np.empty(0)
    panels = between(np.unique(np.append(f.places, cuts[(cuts > low) & (cuts < high)])))
    if noise == 0:
        return panels
    done = []
    while len(panels):
        length = abs(correlation) * (panels[:, 1] - panels[:, 0])
        room = smoothed.room(panels)
        fine = (length <= _GRADED * noise) | (room >= _MIDDLING) & (length <= _LONGER * room * noise)
        done.append(panels[fine])
        panels = bisected(panels[~fine])
    return np.concatenate(done)


@cache
def _trapezoid(points: int, reach: float) -> tuple[Array, Array]:
    half = round((points - 1) / 2 * reach / _RANGE)
    w = np.asarray(np.linspace(-reach, reach, 2 * half + 1), dtype=np.float64)
    return w, np.exp(-0.5 * w * w) / math.sqrt(2 * math.pi) * (w[1] - w[0])
