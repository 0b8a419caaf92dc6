"""Random functions whose Gaussian integrals are known by other means than the package's.

Sums of bumps, waves, ramps, steps and lines: the average over Gaussian noise of each is known in closed form. So a
mean is a formula, and an overlap E f(u) g(v) is one integral over u, of f(u) E[g(v) | u], by a dense Gauss rule on
panels around every place and width that the functions are made of. ``test_random_functions`` tests this with mpmath.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

import meanfield as mf

Array = NDArray[np.float64]

REACH = 13.0
"""In standard deviations: exp(-13^2/2) = 2e-37, little also beside a function that is nothing up to 5."""


@dataclass(frozen=True)
class Part:
    """One of the functions of ``KINDS``, with the factor before it."""

    kind: str
    factor: float
    place: float = 0.0
    width: float = 0.0
    """Of a bump; of a wave, a radian."""

    @property
    def is_broken(self) -> bool:
        """Whether there is a kink or a jump at the place."""
        return self.kind in ("ramp", "step")

    def smoothed(self, m: Array, noise: float) -> Array:
        """E part(m + noise w), w standard normal."""
        return self.factor * KINDS[self.kind](m - self.place, self.width, noise)

    def edges(self, low: float, high: float, noise: float) -> Array:
        """Where to cut [low, high] so that the part, smoothed, is a polynomial of low degree on every piece."""
        if self.kind == "line":
            return np.empty(0)
        if self.kind == "wave":
            seen = (noise / self.width) ** 2 < 80
            return np.linspace(low, high, int((high - low) / (2 * self.width)) + 2) if seen else np.empty(0)
        width = noise if self.is_broken else math.hypot(self.width, math.sqrt(2) * noise)
        cuts = self.place + width * np.linspace(-10, 10, 41)
        return cuts[(cuts > low) & (cuts < high)]


def _bump(d: Array, width: float, noise: float) -> Array:
    total = width**2 + 2 * noise**2
    return np.asarray(width / math.sqrt(total) * np.exp(-(d**2) / total))


def _wave(d: Array, width: float, noise: float) -> Array:
    return np.asarray(np.cos(d / width) * math.exp(-0.5 * (noise / width) ** 2))


def _ramp(d: Array, width: float, noise: float) -> Array:
    if noise == 0:
        return np.maximum(d, 0)
    z = d / noise
    return np.asarray(noise * (z * ndtr(z) + np.exp(-z * z / 2) / math.sqrt(2 * math.pi)))


def _step(d: Array, width: float, noise: float) -> Array:
    return np.asarray(ndtr(d / noise) if noise else (d > 0) * 1.0)


def _line(d: Array, width: float, noise: float) -> Array:
    return d


KINDS = {"bump": _bump, "wave": _wave, "ramp": _ramp, "step": _step, "line": _line}
"""Functions of the distance from the place, averaged over noise."""


@dataclass(frozen=True)
class RandomFunction:
    """A sum of parts."""

    parts: tuple[Part, ...]

    def __call__(self, u: Array) -> Array:
        """Evaluate at every entry."""
        return self.smoothed(u, 0.0)

    def smoothed(self, m: Array, noise: float) -> Array:
        """E f(m + noise w), w standard normal."""
        return np.asarray(sum(part.smoothed(m, noise) for part in self.parts))

    def edges(self, low: float, high: float, noise: float) -> Array:
        """Where to cut [low, high], in no order."""
        return np.concatenate([part.edges(low, high, noise) for part in self.parts])

    @property
    def breaks(self) -> tuple[float, ...]:
        """The places of kinks and jumps."""
        return tuple(sorted({part.place for part in self.parts if part.is_broken}))

    def rms_of_parts(self, variance: float) -> float:
        """Return what the rounding of values is relative to: parts may cancel."""
        return sum(math.sqrt(expect_square(RandomFunction((part,)), variance)) for part in self.parts)

    def as_scalar_function(self, *, declared: bool, scale: float | None = None) -> mf.ScalarFunction:
        """Return the function as users would give it, with its kinks and jumps declared or not."""
        return mf.ScalarFunction(self, kinks=self.breaks if declared else (), scale=scale)


def expect(f: RandomFunction, variance: float) -> float:
    """E f(u): a formula."""
    return float(f.smoothed(np.zeros(1), math.sqrt(variance))[0])


def expect_square(f: RandomFunction, variance: float) -> float:
    """E f(u)^2."""
    return expect_product(f, f, variance, variance, variance)


def expect_product(f: RandomFunction, g: RandomFunction, a: float, other: float, b: float) -> float:
    """E f(u) g(v), Var u = a, Var v = other, E uv = b, of exactly these doubles."""
    determinant = max(Fraction(a) * Fraction(other) - Fraction(b) ** 2, Fraction(0))
    slope, noise = b / a, math.sqrt(float(determinant / Fraction(a)))
    sd = math.sqrt(a)
    end = REACH * sd
    edges = [np.linspace(-end, end, 53), f.edges(-end, end, 0.0)]
    if slope:
        edges.append(g.edges(-end * abs(slope), end * abs(slope), noise) / slope)
    u, weights = _dense(np.unique(np.concatenate(edges)))
    density = np.exp(-0.5 * (u / sd) ** 2) / (math.sqrt(2 * math.pi) * sd)
    return float((weights * density) @ (f(u) * g.smoothed(slope * u, noise)))


def _dense(edges: Array) -> tuple[Array, Array]:
    x, weights = _gauss()
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * weights).ravel()


@cache
def _gauss() -> tuple[Array, Array]:
    x, weights = np.polynomial.legendre.leggauss(24)
    return np.asarray(x), np.asarray(weights)
