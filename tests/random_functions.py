"""Random functions whose Gaussian integrals are known by other means than the package's.

Sums of bumps, waves, ramps, steps and lines: the average over Gaussian noise of each is known in closed form. So a
mean is a formula, and an overlap E f(u) g(v) is one integral over u, of f(u) E[g(v) | u], by a dense Gauss rule on
panels around every place and width that the functions are made of. ``test_random_functions`` tests this with mpmath.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from hypothesis import strategies as st
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
        """What the rounding of values is relative to: parts may cancel."""
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


@dataclass(frozen=True)
class Case:
    """Two functions of a pair of Gaussians, and how much is declared of them."""

    f: RandomFunction
    g: RandomFunction
    variance: float
    other_variance: float
    covariance: float
    declared: bool
    scale: float | None = None

    @property
    def functions(self) -> tuple[mf.ScalarFunction, mf.ScalarFunction]:
        """Both as users would give them, and the same object twice if they are equal."""
        f = self.f.as_scalar_function(declared=self.declared, scale=self.scale)
        return f, f if self.g is self.f else self.g.as_scalar_function(declared=self.declared, scale=self.scale)

    @property
    def rounding(self) -> float:
        """Of an overlap, by that of values, arguments and the dense rule."""
        return self.f.rms_of_parts(self.variance) * self.g.rms_of_parts(self.other_variance)

    @property
    def truth(self) -> float:
        """E f(u) g(v)."""
        return expect_product(self.f, self.g, self.variance, self.other_variance, self.covariance)


NARROWEST = 0.01
"""In standard deviations: the width of bumps that are found although no scale is declared."""

FASTEST = 160.0
"""Radians of a wave in a standard deviation."""

places = st.one_of(st.floats(-4, 4), st.sampled_from([0.0, 0.75, -1.5, 1e-3, -1e-8, 3.0]))
factors = st.floats(1e-3, 1.0).flatmap(lambda size: st.sampled_from([size, -size]))


@st.composite
def random_parts(draw: st.DrawFn, sd: float, narrowest: float) -> Part:
    """One part, its place and width in units of the standard deviation."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    width = {
        "bump": st.floats(math.log(narrowest), 1.0).map(math.exp),
        "wave": st.floats(-2.3, math.log(FASTEST)).map(lambda x: math.exp(-x)),
    }.get(kind, st.just(0.0))
    factor = draw(factors) / (sd if kind in ("ramp", "line") else 1.0)
    return Part(kind, factor, draw(places) * sd, draw(width) * sd)


@st.composite
def random_functions(draw: st.DrawFn, sd: float, narrowest: float = NARROWEST) -> RandomFunction:
    """Up to three parts, of which kinks and jumps are no closer to each other than what is found."""
    parts: list[Part] = []
    for part in draw(st.lists(random_parts(sd, narrowest), min_size=1, max_size=3)):
        near = (other for other in parts if other.is_broken and part.is_broken)
        if all(abs(other.place - part.place) >= NARROWEST * sd for other in near):
            parts.append(part)
    return RandomFunction(tuple(parts))


def correlations() -> st.SearchStrategy[float]:
    """Correlations in [-1, 1], among them 0, 1, -1 and what is very close to these."""
    powers = st.floats(-15, -1).map(lambda x: 10.0**x)
    size = st.one_of(st.floats(0, 1), powers.map(lambda x: 1 - x), powers, st.sampled_from([0.0, 1.0]))
    return st.tuples(st.sampled_from([1.0, -1.0]), size).map(math.prod)


@st.composite
def cases(
    draw: st.DrawFn,
    variances: st.SearchStrategy[float],
    *,
    scaled: bool = False,
) -> Case:
    """One function and one variance, or two of each; ``scaled`` are narrower, and declare it."""
    a = draw(variances)
    narrowest = NARROWEST / 10 if scaled else NARROWEST
    f = draw(random_functions(math.sqrt(a), narrowest))
    g, other = f, a
    if draw(st.booleans()):
        other = draw(st.one_of(st.just(a), variances))
        g = draw(random_functions(math.sqrt(other), narrowest))
    limit = a if a == other else math.sqrt(a) * math.sqrt(other)
    scale = min([p.width for h in (f, g) for p in h.parts if p.width], default=None) if scaled else None
    return Case(f, g, a, other, draw(correlations()) * limit, draw(st.booleans()), scale)


ORDINARY = st.floats(-4, 4).map(lambda x: 10.0**x)
EXTREME = st.one_of(st.sampled_from([1e-8, 1e6, 1e-100, 1e100]), st.floats(-140, 140).map(lambda x: 10.0**x))


def seeded(seed: int, count: int, variances: tuple[float, float] = (-4, 4)) -> Iterator[Case]:
    """Yield cases by a generator of random numbers: faster than Hypothesis, for thousands."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        a = 10 ** rng.uniform(*variances)
        f = _draw(rng, math.sqrt(a))
        g, other = f, a
        if rng.random() < 0.5:
            other = a if rng.random() < 0.5 else 10 ** rng.uniform(*variances)
            g = _draw(rng, math.sqrt(other))
        small = 10 ** rng.uniform(-15, -1)
        c = rng.choice([rng.uniform(0, 1), 1 - small, small, 1.0]) * rng.choice([1, -1])
        limit = a if a == other else math.sqrt(a) * math.sqrt(other)
        yield Case(f, g, a, other, float(c * limit), bool(rng.random() < 0.3))


def _draw(rng: np.random.Generator, sd: float) -> RandomFunction:
    parts: list[Part] = []
    while len(parts) < rng.integers(1, 4):
        kind = str(rng.choice(["bump", "wave", "ramp", "step", "line", "bump", "ramp"]))
        width = {"bump": 10 ** rng.uniform(-2, 0.5), "wave": 10 ** rng.uniform(-2.2, 1)}.get(kind, 0.0)
        factor = float(rng.normal() * 10 ** rng.uniform(-3, 0)) / (sd if kind in ("ramp", "line") else 1.0)
        place = float(rng.normal() * rng.choice([1, 1, 2.5, 1e-3, 1e-8]))
        parts.append(Part(kind, factor, place * sd, float(width * sd)))
    return RandomFunction(tuple(parts))
