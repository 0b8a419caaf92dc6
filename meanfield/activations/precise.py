"""The catalogue's functions at any precision: of numbers of mpmath instead of arrays.

A number of mpmath carries the functions that it can be put into, ``u.context``; so nothing here imports mpmath, and
the precision is the one at hand. Constants are those of the catalogue: the doubles, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Real = Any
"""A number of mpmath, which has no types."""


@dataclass(frozen=True)
class Ramp:
    """p u for u > 0, n u for u < 0."""

    p: float
    n: float

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        return (self.p if u > 0 else self.n) * u


@dataclass(frozen=True)
class Step:
    """p for u > 0, n for u <= 0."""

    p: float
    n: float

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        return u.context.mpf(self.p if u > 0 else self.n)


@dataclass(frozen=True)
class ExponentialUnit:
    """scale u for u > 0, scale alpha (e^u - 1) for u <= 0."""

    scale: float
    alpha: float

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        return self.scale * (u if u > 0 else self.alpha * u.context.expm1(u))


@dataclass(frozen=True)
class ExponentialUnitSlope:
    """scale for u > 0, scale alpha e^u for u <= 0."""

    scale: float
    alpha: float

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        return self.scale * (u.context.mpf(1) if u > 0 else self.alpha * u.context.exp(u))


@dataclass(frozen=True)
class Monomial:
    """factor u^n."""

    n: int
    factor: float = 1

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        return self.factor * u**self.n


@dataclass(frozen=True)
class Hermite:
    """factor He_n(u), He_n = u He_{n-1} - (n - 1) He_{n-2}; the slope of He_n is n He_{n-1}."""

    n: int
    factor: float = 1

    def __call__(self, u: Real) -> Real:
        """Evaluate at u."""
        below, value = u.context.mpf(0), u.context.mpf(1)
        for k in range(self.n):
            below, value = value, u * value - k * below
        return self.factor * value


def clip(u: Real) -> Real:
    """Return -1 below -1, 1 above 1, u between."""
    return min(max(u, u.context.mpf(-1)), u.context.mpf(1))


def clip_slope(u: Real) -> Real:
    """Return 1 between -1 and 1, else 0."""
    return u.context.mpf(1 if abs(u) < 1 else 0)


def erf(u: Real) -> Real:
    """Return the error function."""
    return u.context.erf(u)


def erf_slope(u: Real) -> Real:
    """Return 2/sqrt(pi) exp(-u^2)."""
    return 2 / u.context.sqrt(u.context.pi) * u.context.exp(-u * u)


def gelu(u: Real) -> Real:
    """Return u Phi(u)."""
    return u * u.context.ncdf(u)


def gelu_slope(u: Real) -> Real:
    """Return Phi(u) + u phi(u)."""
    return u.context.ncdf(u) + u * u.context.npdf(u)


def tanh(u: Real) -> Real:
    """Return the hyperbolic tangent."""
    return u.context.tanh(u)


def tanh_slope(u: Real) -> Real:
    """Return 1/cosh(u)^2."""
    return u.context.sech(u) ** 2


def sigmoid(u: Real) -> Real:
    """Return 1/(1 + exp(-u))."""
    return 1 / (1 + u.context.exp(-u))


def sigmoid_slope(u: Real) -> Real:
    """Return 1/(2 cosh(u/2))^2."""
    return (u.context.sech(u / 2) / 2) ** 2


def silu(u: Real) -> Real:
    """Return u sigmoid(u)."""
    return u * sigmoid(u)


def silu_slope(u: Real) -> Real:
    """Return sigmoid(u) + u sigmoid'(u)."""
    return sigmoid(u) + u * sigmoid_slope(u)


def softplus(u: Real) -> Real:
    """Return log(1 + e^u)."""
    return u.context.log1p(u.context.exp(-abs(u))) + max(u, 0)


def sine(u: Real) -> Real:
    """Return sin u."""
    return u.context.sin(u)


def cosine(u: Real) -> Real:
    """Return cos u."""
    return u.context.cos(u)


def cosine_slope(u: Real) -> Real:
    """Return -sin u."""
    return -u.context.sin(u)
