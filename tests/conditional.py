"""Overlaps at 30 digits by another route: E f(u) f(v) = E[f(u) E[f(v) | u]], with E[f(v) | u] elementary.

Given u, v is N(m, s^2): a closed form of one variable is enough, and one numerical integral over u remains, split where
either factor is steep. Independent of every formula of the catalogue for two variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

DIGITS = 30

Real = Any  # mpmath has no types


@dataclass(frozen=True)
class Conditional:
    """A function with its Gaussian mean: f(u), and E f(m + s y) for s > 0."""

    value: Callable[[Real], Real]
    given: Callable[[Real, Real], Real]
    breaks: tuple[float, ...] = ()


def _ramp(m: Real, s: Real) -> Real:
    """E max(m + s y, 0)."""
    return m * mp.ncdf(m / s) + s * mp.npdf(m / s)


def _exponential_below(m: Real, s: Real) -> Real:
    """E exp(v) for v = m + s y < 0."""
    return mp.exp(m + s * s / 2) * mp.ncdf(-m / s - s)


def _elu(scale: float, alpha: float) -> tuple[Conditional, Conditional]:
    p, n = mpf(scale), mpf(scale) * mpf(alpha)
    return (
        Conditional(
            lambda u: p * u if u > 0 else n * mp.expm1(u),
            lambda m, s: p * _ramp(m, s) + n * (_exponential_below(m, s) - mp.ncdf(-m / s)),
            (0.0,),
        ),
        Conditional(
            lambda u: p if u > 0 else n * mp.exp(u),
            lambda m, s: p * mp.ncdf(m / s) + n * _exponential_below(m, s),
            (0.0,),
        ),
    )


def _gelu(m: Real, s: Real) -> Real:
    t = mp.sqrt(1 + s * s)
    return m * mp.ncdf(m / t) + s * s / t * mp.npdf(m / t)


def _gelu_slope(m: Real, s: Real) -> Real:
    t = mp.sqrt(1 + s * s)
    return mp.ncdf(m / t) + m / t**3 * mp.npdf(m / t)


FUNCTIONS: dict[str, tuple[Conditional, Conditional]] = {
    "hard_tanh": (
        Conditional(
            lambda u: min(max(u, mpf(-1)), mpf(1)), lambda m, s: -1 + _ramp(m + 1, s) - _ramp(m - 1, s), (-1.0, 1.0)
        ),
        Conditional(lambda u: mpf(abs(u) < 1), lambda m, s: mp.ncdf((1 - m) / s) - mp.ncdf((-1 - m) / s), (-1.0, 1.0)),
    ),
    "gelu": (
        Conditional(lambda u: u * mp.ncdf(u), _gelu),
        Conditional(lambda u: mp.ncdf(u) + u * mp.npdf(u), _gelu_slope),
    ),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(1.0507009873554805, 1.6732632423543772),
}


def mean(name: str, part: int, a: float) -> Real:
    """E f(u), from the same formula at m = 0."""
    f = FUNCTIONS[name][part]
    with mp.workdps(DIGITS + 15):
        return f.given(mpf(0), mp.sqrt(mpf(a))) if a else f.value(mpf(0))


def overlap(name: str, part: int, a: float, b: float, other: float) -> Real:
    """E f(u) f(v); ``part`` 0 is the value of the activation, 1 its slope. A jump at 0 counts half at variance 0."""
    f = FUNCTIONS[name][part]
    with mp.workdps(DIGITS + 10):
        a, b, other = mpf(a), mpf(b), mpf(other)
        if not a or not other:
            return f.value(mpf(0)) * mean(name, part, float(a or other))
        loading = b / a
        noise = mp.sqrt(max(other - loading * b, 0)) if b * b != a * other else mpf(0)
        if noise:
            product = lambda u: f.value(u) * f.given(loading * u, noise)  # noqa: E731
        else:
            product = lambda u: f.value(u) * f.value(loading * u)  # noqa: E731
        sd = mp.sqrt(a)
        places = {z * sd for z in (-13, -8, -4, -2, -1, 0, 1, 2, 4, 8, 13)}
        places |= {mpf(k) for k in f.breaks} | {mpf(s * x) for s in (-1, 1) for x in (1, 4, 16, 64)}
        if loading:
            # where v may be at a break, or of unit size
            places |= {(k + x * noise) / loading for k in f.breaks or (0,) for x in (-9, -3, -1, 0, 1, 3, 9)}
            places |= {x / loading for x in (-16, -4, -1, 1, 4, 16)}
        inside = sorted(x for x in places if abs(x) <= 13 * sd)
        density = lambda u: mp.npdf(u, 0, sd)  # noqa: E731
        pieces = [x for i, x in enumerate(inside) if i == 0 or x - inside[i - 1] > sd * mpf(10) ** -DIGITS]
        # degree 4 of Gauss and Legendre: 48 nodes on every piece
        return mp.quad(lambda u: product(u) * density(u), pieces, method="gauss-legendre", maxdegree=4)
