"""The laws against which functions of one variable are resolved, each in an x in which it is about Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from ..gaussian import Array
from .legendre import between, gauss

_REACH = 12.0
"""In x: exp(-12^2/2) = 5e-32."""


class Law(Protocol):
    """The law of u, written as u = coordinate(x) with a density of x that varies on the scale 1."""

    @property
    def sd(self) -> float:
        """The standard deviation of u; du/dx is nowhere more."""

    @property
    def end(self) -> float:
        """The largest x there is, or infinity."""

    def coordinate(self, x: Array) -> Array:
        """Return u at x."""

    def place(self, u: Array) -> Array:
        """Return the x of every u that there is."""

    def weigh(self, x: Array, lengths: Array) -> Array:
        """Return the probability that nodes x with these weights in x stand for."""


@dataclass(frozen=True)
class GaussianLaw:
    """N(0, sd^2): u = sd x."""

    sd: float
    end = math.inf

    def coordinate(self, x: Array) -> Array:
        """Return u at x."""
        return np.asarray(self.sd * x)

    def place(self, u: Array) -> Array:
        """Return x at u."""
        return np.asarray(u / self.sd)

    def weigh(self, x: Array, lengths: Array) -> Array:
        """Return the probability that nodes x with these weights in x stand for."""
        return np.asarray(lengths * (np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)))


@dataclass(frozen=True)
class SphereLaw:
    """One coordinate u of a uniform point on the sphere of radius sqrt(d) in R^d: variance 1 for every d >= 2.

    It is written as u = sqrt(d) sin(x/sqrt(d)), x/sqrt(d) the latitude, whose density is proportional to
    cos^(d-2)(x/sqrt(d)): smooth up to the poles for every d, constant for d = 2, and exp(-x^2/2) for large d.
    """

    dimension: int
    sd = 1.0

    @property
    def radius(self) -> float:
        """sqrt(d)."""
        return math.sqrt(self.dimension)

    @property
    def end(self) -> float:
        """The pole: the x at which u = sqrt(d)."""
        return math.pi / 2 * self.radius

    def coordinate(self, x: Array) -> Array:
        """Return u at x."""
        return np.asarray(self.radius * np.sin(x / self.radius))

    def place(self, u: Array) -> Array:
        """Return the x of every u that is inside the sphere."""
        u = u[np.abs(u) < self.radius]
        return np.asarray(self.radius * np.arcsin(u / self.radius))

    def density(self, x: Array) -> Array:
        """Return the density of x, up to a constant.

        cos^2 = 1/(1 + tan^2): without cancellation at the equator, where d makes the exponent large, and at the poles.
        """
        return np.asarray(np.exp(-(self.dimension - 2) / 2 * np.log1p(np.tan(x / self.radius) ** 2)))

    def weigh(self, x: Array, lengths: Array) -> Array:
        """Return the probability that nodes x with these weights in x stand for."""
        return np.asarray(lengths * self.density(x) / _total(self))


def regular(reach: float, longest: float) -> Array:
    """Return the edges of equal panels from -reach to reach, one of them at 0, of no more than this length."""
    return np.linspace(-reach, reach, 2 * math.ceil(reach / longest) + 1)


@cache
def _total(law: SphereLaw) -> float:
    """Return the integral of the density: by the rule itself, since log-gamma loses seven digits at d = 1e9."""
    x, lengths = gauss(between(regular(min(_REACH, law.end), 1.5)), 32)
    return float(np.vdot(lengths, law.density(x)))
