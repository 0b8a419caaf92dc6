"""The law of a pair of centred Gaussians, with its determinant and angle free of cancellation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ParameterError, require_number

_SMALLEST = 1e-150
"""Variances other than 0 lie between this and its inverse."""

_CLIP_ULPS = 4
"""A covariance above its limit by no more than this many units in the last place is rounding, and is clipped."""


@dataclass(frozen=True)
class GaussianPair:
    r"""Centred Gaussians u, v with Var u = variance, Var v = other_variance, E uv = covariance.

    Parameters
    ----------
    variance, other_variance : float
        0, or between 1e-150 and 1e150, so that products neither vanish nor overflow.
    covariance : float
        At most ``sqrt(variance * other_variance)`` in absolute value; an excess of up to 4 ulp is taken for rounding.

    Raises
    ------
    ParameterError
        For a variance that is negative or not finite, or a covariance that no pair of Gaussians has.

    Examples
    --------
    >>> GaussianPair(2.0, 2.0, 1.0).determinant
    3.0
    """

    variance: float
    other_variance: float
    covariance: float

    def __post_init__(self) -> None:
        a, other = _variance("variance", self.variance), _variance("other_variance", self.other_variance)
        b = require_number("covariance", self.covariance)
        limit = a if a == other else math.sqrt(a) * math.sqrt(other)
        if abs(b) > limit:
            if abs(b) - limit > _CLIP_ULPS * math.ulp(limit):
                raise ParameterError("covariance", f"at most {limit!r} in absolute value (Cauchy-Schwarz)", b)
            b = math.copysign(limit, b)
        object.__setattr__(self, "variance", a)
        object.__setattr__(self, "other_variance", other)
        object.__setattr__(self, "covariance", b)

    @property
    def determinant(self) -> float:
        """Var u Var v - (E uv)^2 of the given doubles; never formed from a rounded correlation."""
        a, other, b = self.variance, self.other_variance, abs(self.covariance)
        if a == other:
            return (a - b) * (a + b)
        product, product_error = _exact_product(a, other)
        square, square_error = _exact_product(b, b)
        return max(0.0, (product - square) + (product_error - square_error))

    @property
    def angle(self) -> float:
        """The angle arccos(correlation), in [0, pi]; accurate also where the correlation is close to 1 or -1."""
        return math.atan2(math.sqrt(self.determinant), self.covariance)

    @property
    def shared(self) -> Shared:
        """The same law as one shared Gaussian and two private ones."""
        a, other, b = self.variance, self.other_variance, self.covariance
        if b == 0:
            return Shared(0.0, 0.0, math.sqrt(a), math.sqrt(other))
        correlation = min(1.0, abs(b) / (math.sqrt(a) * math.sqrt(other)))
        # 1 - |correlation| = determinant / (a other (1 + |correlation|)), without cancellation
        rest = self.determinant / (1 + correlation)
        return Shared(
            loading=math.sqrt(a * correlation),
            other_loading=math.copysign(math.sqrt(other * correlation), b),
            private=math.sqrt(rest / other),
            other_private=math.sqrt(rest / a),
        )


@dataclass(frozen=True)
class Shared:
    """A pair as u = loading z + private y, v = other_loading z + other_private y', with z, y, y' standard normal."""

    loading: float
    other_loading: float
    private: float
    other_private: float


def _variance(parameter: str, value: float) -> float:
    variance = require_number(parameter, value, at_least=0)
    if variance and not _SMALLEST <= variance <= 1 / _SMALLEST:
        raise ParameterError(parameter, f"0, or between {_SMALLEST:g} and {1 / _SMALLEST:g}", variance)
    return variance


def _exact_product(x: float, y: float) -> tuple[float, float]:
    """Return the rounded product and its rounding error, by Veltkamp's splitting and Dekker's product."""
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    return product, x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)


def _split(x: float) -> tuple[float, float]:
    scaled = 134217729.0 * x  # 2^27 + 1
    high = scaled - (scaled - x)
    return high, x - high
