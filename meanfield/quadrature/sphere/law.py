"""The law of one coordinate of a uniform point on a sphere, in the variable in which it is close to a Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import legendre

from ...gaussian import Array

LONGEST = 1.5
"""Of a panel in x: short enough for the density, which varies on the scale 1 for every d."""


@dataclass(frozen=True)
class Law:
    """One coordinate u of a uniform point on the sphere of radius sqrt(d) in R^d: variance 1 for every d >= 2.

    It is written as u = sqrt(d) sin(x/sqrt(d)), x/sqrt(d) the latitude, whose density is proportional to
    cos^(d-2)(x/sqrt(d)): smooth up to the poles for every d, constant for d = 2, and exp(-x^2/2) for large d.
    """

    dimension: int

    @property
    def radius(self) -> float:
        """sqrt(d)."""
        return math.sqrt(self.dimension)

    @property
    def pole(self) -> float:
        """The x at which u = sqrt(d)."""
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


@cache
def _total(law: Law) -> float:
    """Return the integral of the density: by the rule itself, since log-gamma loses seven digits at d = 1e9."""
    reach = min(12.0, law.pole)
    edges = np.linspace(-reach, reach, 2 * math.ceil(reach / LONGEST) + 1)
    x, lengths = gauss(np.stack([edges[:-1], edges[1:]], axis=-1), 32)
    return float(np.vdot(lengths, law.density(x)))


def gauss(panels: Array, nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights of the Gauss-Legendre rule on panels of shape (.., 2), in shape (.., nodes)."""
    t, weights = legendre_rule(nodes)
    half = (panels[..., 1:] - panels[..., :1]) / 2
    return panels.mean(axis=-1, keepdims=True) + half * t, half * weights


@cache
def legendre_rule(nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights on [-1, 1]; the weights of ``leggauss`` itself are off by up to 1e-13 at the ends."""
    return legendre.leggauss(nodes)[0], 2 * legendre_series(nodes)[:, 0]


@cache
def legendre_series(nodes: int) -> Array:
    """Return the matrix that takes values at the nodes to the coefficients of the Legendre series through them."""
    t, _ = legendre.leggauss(nodes)
    return np.ascontiguousarray(np.linalg.inv(legendre.legvander(t, nodes - 1)).T)
