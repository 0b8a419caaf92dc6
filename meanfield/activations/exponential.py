r"""Linear above 0 and exponential below: elu, and selu with its published constants.

phi(u) = lambda (u_+ + alpha e(u)), e(u) = exp(u) - 1 for u < 0. Every integral with exp(u), u < 0, is that of a tilted
Gaussian over a quadrant whose apex is no longer at the origin. Times the exponential, it is a sum of two wedges
W(h, x), see :func:`~meanfield.special.wedge`, and nothing overflows. With theta the angle between u and
v, and eta_u, eta_v that of u + v with either, for u, v < 0

    E exp(u)     = W(sd u, 0) + W(sd u, theta),
    E exp(u + v) = W(sd (u + v), eta_u) + W(sd (u + v), eta_v),

and E exp(v) for v < 0 < u is W(sd v, 0) - W(sd v, theta). Compare Tsuchida et al., "Avoiding kernel fixed points:
computing with ELU and GELU infinite networks", AAAI 2021. What is of the order of u is taken out of e(u) before
anything is evaluated, so that small variances lose no digits; only two variances of a ratio below 1e-4 do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, ScalarFunction
from ..gaussian import Array, GaussianPair
from ..special import erfcx_less_1, erfcx_rest, radial, ratio, wedge, wedge_rest, with_density
from . import precise

_SOURCE = "bivariate normal distribution, Tsuchida et al. (2021)"


@dataclass(frozen=True)
class _Elu:
    """lambda u for u > 0, lambda alpha (exp(u) - 1) for u < 0."""

    scale: float
    alpha: float

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.scale * np.where(u > 0, u, self.alpha * np.expm1(np.minimum(u, 0)))

    def mean(self, variance: Array) -> tuple[Array, ...]:
        linear = (1 - self.alpha) * np.sqrt(variance / (2 * math.pi))
        return self.scale * linear, self.scale * self.alpha / 2 * erfcx_rest(np.sqrt(variance / 2))

    def second_moment(self, variance: Array) -> tuple[Array, ...]:
        p, n = self.scale**2, (self.scale * self.alpha) ** 2
        once, twice = erfcx_rest(np.sqrt(variance / 2)), erfcx_rest(np.sqrt(2 * variance))
        return p * variance / 2, n / 2 * twice, -n * once

    def overlap(self, pair: GaussianPair) -> tuple[Array, ...]:
        a, other, b, det = pair.variance, pair.other_variance, pair.covariance, pair.determinant
        theta = np.arctan2(np.sqrt(det), b + 0.0)  # of -0 it would be pi
        sd, other_sd = np.sqrt(a), np.sqrt(other)
        both_above = (np.sqrt(det) / (2 * math.pi), (math.pi - theta) / (2 * math.pi) * b)
        either_above = (
            b * _between(other_sd, theta),
            b * _between(sd, theta),
            sd * erfcx_less_1(np.sqrt(ratio(det, 2 * a))) / math.sqrt(8 * math.pi),
            other_sd * erfcx_less_1(np.sqrt(ratio(det, 2 * other))) / math.sqrt(8 * math.pi),
        )
        both_below = (
            *(wedge_rest(h, angle) for h, angle in _of_sum(pair)),
            *(-wedge_rest(h, angle) for h in (sd, other_sd) for angle in (np.zeros_like(theta), theta)),
        )
        return (
            *(self.scale**2 * term for term in both_above),
            *(self.scale**2 * self.alpha * term for term in either_above),
            *(self.scale**2 * self.alpha**2 * term for term in both_below),
        )


@dataclass(frozen=True)
class _EluSlope:
    """lambda for u > 0, lambda alpha exp(u) for u <= 0. Its integrals at variance 0 are those of a small variance."""

    scale: float
    alpha: float

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.scale * np.where(u > 0, 1.0, self.alpha * np.exp(np.minimum(u, 0)))

    def mean(self, variance: Array) -> Array:
        return self.scale / 2 * (1 + self.alpha * special.erfcx(np.sqrt(variance / 2)))

    def second_moment(self, variance: Array) -> Array:
        return self.scale**2 / 2 * (1 + self.alpha**2 * special.erfcx(np.sqrt(2 * variance)))

    def overlap(self, pair: GaussianPair) -> tuple[Array, ...]:
        pair = with_density(pair)
        theta, p, n = pair.angle, self.scale, self.scale * self.alpha
        return (
            p**2 * (math.pi - theta) / (2 * math.pi),
            *(p * n * _between(np.sqrt(a), theta) for a in (pair.variance, pair.other_variance)),
            *(n**2 * wedge(radial, h, angle) for h, angle in _of_sum(pair)),
        )


def _between(sd: Array, theta: Array) -> Array:
    """Return E exp(v) for v < 0 < u."""
    return wedge(radial, sd, np.zeros_like(theta)) - wedge(radial, sd, theta)


def _of_sum(pair: GaussianPair) -> tuple[tuple[Array, Array], ...]:
    """Return the standard deviation of u + v with its angle to u, and with that to v."""
    a, other, b, root = pair.variance, pair.other_variance, pair.covariance, np.sqrt(pair.determinant)
    sd = np.sqrt(np.maximum((a + b) + (other + b), 0.0))
    # u + v = 0: of the sum that vanishes, half the angle of pi between u and v
    vanishes = (root == 0) & (a + b == 0) & (a > 0)
    return tuple((sd, np.where(vanishes, math.pi / 2, np.arctan2(root, x + b))) for x in (a, other))


def _elu(name: str, *, scale: float, alpha: float) -> Activation:
    value, slope = _Elu(scale, alpha), _EluSlope(scale, alpha)
    broken = (0.0,)
    return Activation(
        name,
        ScalarFunction(
            value,
            kinks=broken,
            closed_form=ClosedForm(_SOURCE, mean=value.mean, second_moment=value.second_moment, overlap=value.overlap),
            scale=1.0,
            precise=precise.ExponentialUnit(scale, alpha),
        ),
        ScalarFunction(
            slope,
            kinks=broken if alpha == 1 else (),
            jumps=broken if alpha != 1 else (),
            closed_form=ClosedForm(_SOURCE, mean=slope.mean, second_moment=slope.second_moment, overlap=slope.overlap),
            scale=1.0,
            nonnegative=True,
            precise=precise.ExponentialUnitSlope(scale, alpha),
        ),
    )


elu = _elu("elu", scale=1.0, alpha=1.0)
"""u above 0, exp(u) - 1 below."""

selu = _elu("selu", scale=1.0507009873554805, alpha=1.6732632423543772)
"""The self-normalising elu of Klambauer, Unterthiner, Mayr and Hochreiter (2017): fixed point 1 of the variance."""
