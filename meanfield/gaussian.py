"""The law of a pair of centred Gaussians, with its determinant and angle free of cancellation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ParameterError

Array = NDArray[np.float64]

_SMALLEST = 1e-150
"""Variances other than 0 lie between this and its inverse."""

_CLIP_ULPS = 4
"""A covariance above its limit by no more than this many units in the last place is rounding, and is clipped."""


@dataclass(frozen=True, eq=False)
class GaussianPair:
    r"""Centred Gaussians u, v with Var u = variance, Var v = other_variance, E uv = covariance.

    Or many such pairs: the three may be arrays, which are broadcast against each other.

    Parameters
    ----------
    variance, other_variance : float or array
        0, or between 1e-150 and 1e150, so that products neither vanish nor overflow.
    covariance : float or array
        At most ``sqrt(variance * other_variance)`` in absolute value; an excess of up to 4 ulp is taken for rounding.

    Raises
    ------
    ParameterError
        For a variance that is negative or not finite, or a covariance that no pair of Gaussians has.

    Examples
    --------
    >>> GaussianPair(2.0, 2.0, 1.0).determinant
    3.0
    >>> GaussianPair(2.0, 2.0, [1.0, 2.0]).determinant
    array([3., 0.])
    """

    variance: Any
    other_variance: Any
    covariance: Any

    def __post_init__(self) -> None:
        if self._is_plain():
            return
        a, other = require_variance("variance", self.variance), require_variance("other_variance", self.other_variance)
        try:
            np.broadcast_shapes(a.shape, other.shape)
        except ValueError as error:
            raise ParameterError("other_variance", f"of a shape that broadcasts with {a.shape}", other.shape) from error
        b = _floats("covariance", self.covariance, "a finite number")
        limit = number(np.where(a == other, a, np.sqrt(a) * np.sqrt(other)))
        try:
            shape = np.broadcast_shapes(np.shape(limit), b.shape)
        except ValueError as error:
            shapes = f"{np.shape(limit)} and {b.shape}"
            raise ParameterError("covariance", "of a shape that broadcasts with the variances", shapes) from error
        if not (np.abs(b) <= limit).all():
            b = _clipped(b, np.asarray(limit))
        b = b + 0.0  # of -0.0 the angle would be pi
        for name, array in (("variance", a), ("other_variance", other), ("covariance", b)):
            object.__setattr__(self, name, number(spread(array, shape)))

    def _is_plain(self) -> bool:
        """Whether this is one pair of Python floats well within their limits: the common case needs no arrays."""
        a, other, b = self.variance, self.other_variance, self.covariance
        return (
            type(a) is type(other) is type(b) is float
            and _SMALLEST <= a <= 1 / _SMALLEST
            and _SMALLEST <= other <= 1 / _SMALLEST
            and 0 < abs(b) < min(a, other)
        )

    @property
    def size(self) -> int:
        """How many pairs these are."""
        return int(np.size(self.variance))

    def ravel(self) -> GaussianPair:
        """Return the same pairs as arrays of one dimension."""
        flat = object.__new__(GaussianPair)  # they have been validated
        for name in ("variance", "other_variance", "covariance"):
            object.__setattr__(flat, name, np.reshape(getattr(self, name), -1))
        return flat

    def __getitem__(self, index: Any) -> GaussianPair:
        """Return some of the pairs of an array of them."""
        chosen = object.__new__(GaussianPair)
        for name in ("variance", "other_variance", "covariance"):
            object.__setattr__(chosen, name, getattr(self, name)[index])
        return chosen

    @cached_property
    def determinant(self) -> Any:
        """Var u Var v - (E uv)^2 of the given doubles; never formed from a rounded correlation."""
        a, other, b = compact(self.variance), compact(self.other_variance), self.covariance
        equal = (a - b) * (a + b)
        if np.all(a == other):
            return number(equal)
        product, product_error = _exact_product(a, other)
        square, square_error = _exact_product(b, b)
        unequal = np.maximum(0.0, (product - square) + (product_error - square_error))
        return number(np.where(a == other, equal, unequal))

    @cached_property
    def root(self) -> Any:
        """The root of the determinant."""
        return number(np.sqrt(self.determinant))

    @cached_property
    def angle(self) -> Any:
        """The angle arccos(correlation), in [0, pi]; accurate also where the correlation is close to 1 or -1.

        Where a variance is 0 it is pi/2, as for any pair without correlation.
        """
        angle = np.arctan2(self.root, self.covariance)
        if not (np.all(compact(self.variance)) and np.all(compact(self.other_variance))):
            angle = np.where(np.equal(self.covariance, 0), np.pi / 2, angle)
        return number(angle)

    @cached_property
    def noisy_root(self) -> Any:
        """The root of (1 + Var u)(1 + Var v) - (E uv)^2: that of u and v with standard normal noise of their own."""
        return self._root_with_noise(1.0)

    @cached_property
    def half_noisy_root(self) -> Any:
        """The same with noise of variance 1/2."""
        return self._root_with_noise(0.5)

    def _root_with_noise(self, noise: float) -> Any:
        square = np.asarray(noise * (noise + self.variance) + noise * self.other_variance + self.determinant)
        return number(np.sqrt(square, out=square))

    @cached_property
    def noisy_angle(self) -> Any:
        """Pi minus the angle of u and v with that noise: it grows with E uv."""
        return number(np.arctan2(self.noisy_root, -np.asarray(self.covariance)))

    @property
    def correlation(self) -> Any:
        """The correlation, in [-1, 1]; 0 where a variance is 0."""
        limit = np.sqrt(self.variance) * np.sqrt(self.other_variance)
        return number(np.clip(np.divide(self.covariance, limit, out=np.zeros_like(limit), where=limit > 0), -1, 1))

    @property
    def shared(self) -> Shared:
        """The same law as one shared Gaussian and two private ones."""
        a, other, b = self.variance, self.other_variance, self.covariance
        correlation = np.abs(self.correlation)
        # 1 - |correlation| = determinant / (a other (1 + |correlation|)), without cancellation
        rest = self.determinant / (1 + correlation)
        return Shared(
            loading=number(np.sqrt(a * correlation)),
            other_loading=number(np.copysign(np.sqrt(other * correlation), b)),
            private=number(np.sqrt(np.divide(rest, other, out=np.array(a, dtype=np.float64), where=other > 0))),
            other_private=number(np.sqrt(np.divide(rest, a, out=np.array(other, dtype=np.float64), where=a > 0))),
        )


@dataclass(frozen=True)
class Shared:
    """A pair as u = loading z + private y, v = other_loading z + other_private y', with z, y, y' standard normal."""

    loading: Any
    other_loading: Any
    private: Any
    other_private: Any


def number(value: ArrayLike) -> Any:
    """Return an array as it is, and an array of no dimension as a float."""
    array = np.asarray(value, dtype=np.float64)
    return array if array.ndim else float(array)


def spread(array: Any, shape: tuple[int, ...]) -> Any:
    """Return an array of this shape, broadcast without a copy where it has another."""
    return array if np.shape(array) == shape else np.broadcast_to(array, shape)


def compact(array: Any) -> Any:
    """Return the one number of an array that holds it many times by broadcasting, else the array."""
    return array[:1] if isinstance(array, np.ndarray) and array.strides == (0,) else array


def require_variance(parameter: str, value: ArrayLike) -> Array:
    """Return variances as an array of floats, if they are in range."""
    variance = _floats(parameter, value, "a finite number >= 0")
    _require(parameter, np.isfinite(variance) & (variance >= 0), variance, "a finite number >= 0")
    in_range = (variance == 0) | ((variance >= _SMALLEST) & (variance <= 1 / _SMALLEST))
    _require(parameter, in_range, variance, f"0, or between {_SMALLEST:g} and {1 / _SMALLEST:g}")
    return variance


def _floats(parameter: str, value: ArrayLike, expected: str) -> Array:
    try:
        raw = np.asarray(value)
        if raw.dtype == np.float64:
            return raw
        if raw.dtype.kind not in "iufO" or any(isinstance(item, str) for item in raw.ravel()[:1].tolist()):
            raise TypeError
        return raw.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(parameter, f"{expected}, or an array of them", f"{value!r:.100}") from None


def _clipped(b: Array, limit: Array) -> Array:
    """Return covariances with what is rounding above the limit cut off; refuse what is not."""
    _require("covariance", np.isfinite(b), b, "a finite number")
    b, limit = np.broadcast_arrays(b, limit)
    outside = np.abs(b) - limit > _CLIP_ULPS * np.spacing(limit)
    if outside.any():
        first = np.flatnonzero(outside.ravel())[0]
        expected = f"at most {float(limit.ravel()[first])!r} in absolute value (Cauchy-Schwarz)"
        raise ParameterError("covariance", expected, float(b.ravel()[first]))
    return np.clip(b, -limit, limit)


def _require(parameter: str, good: NDArray[np.bool_], array: Array, expected: str) -> None:
    if not good.all():
        raise ParameterError(parameter, expected, float(array[~good].ravel()[0]))


def _exact_product(x: Any, y: Any) -> tuple[Any, Any]:
    """Return the rounded product and its rounding error, by Veltkamp's splitting and Dekker's product."""
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    return product, x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)


def _split(x: Any) -> tuple[Any, Any]:
    scaled = 134217729.0 * x  # 2^27 + 1
    high = scaled - (scaled - x)
    return high, x - high
