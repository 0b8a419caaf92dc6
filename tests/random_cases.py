"""Pairs of random functions and Gaussians, drawn by Hypothesis, and faster by a generator of random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from random_functions import KINDS, Part, RandomFunction, expect_product

import meanfield as mf


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
