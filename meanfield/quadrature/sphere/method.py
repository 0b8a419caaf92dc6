"""What every method of integration over a sphere offers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ...errors import ParameterError, QuadratureError, require_count, require_integer, require_number
from ...functions import Activation, ScalarFunction
from ...gaussian import Array
from ..auto import AUTO
from ..law import SphereLaw
from ..method import ROUNDING, Estimate, as_function
from ..resolve import resolve
from ..resolved import Resolved

_ROUNDOFF = 4 * ROUNDING
"""Relative to the scale."""


@dataclass(frozen=True)
class SphereMethod(ABC):
    """Integrals over the uniform law on the sphere of radius sqrt(d) in R^d.

    u and v are the coordinates of its point along two unit vectors of a given cosine: E u^2 = 1 and E uv = cosine. In
    dimension 1 the sphere is the two points 1 and -1; in dimension ``math.inf`` u and v are Gaussian.

    Parameters
    ----------
    tolerance : float
        Above 1.5e-14. Relative to the root mean square of the integrand: E f^2 for the second moment, its root for the
        mean, sqrt(E f^2 E g^2) for the overlap.
    largest : int
        The most values that are taken of one function for one integral.
    """

    tolerance: float = 1e-13
    largest: int = 20_000_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", require_number("tolerance", self.tolerance, above=_ROUNDOFF))
        object.__setattr__(self, "largest", require_integer("largest", self.largest, at_least=1))

    @abstractmethod
    def accepts(
        self, f: ScalarFunction, *, dimension: float, cosine: float, other: ScalarFunction | None = None
    ) -> bool:
        """Whether the method is suited to this overlap; mean and second moment are the same by all."""

    @abstractmethod
    def _overlap(self, f: Resolved[SphereLaw], g: Resolved[SphereLaw], cosine: float) -> Estimate:
        """E f(u) g(v) in dimension 2 or more; g is f where the functions are the same."""

    def mean(self, f: ScalarFunction | Activation, *, dimension: float) -> Estimate:
        """E f(u), with an error estimate."""
        f, dimension = as_function(f), require_dimension(dimension)
        if dimension == math.inf:
            return AUTO.mean(f, 1.0)
        if dimension == 1:
            values = _at_poles(f)
            return _plain(values.mean(), 0.0, 2, math.sqrt((values**2).mean()))
        resolved = self._resolve(f, dimension)
        return self._accept(resolved.mean, resolved.uncertain, resolved.rms, resolved.evaluations)

    def second_moment(self, f: ScalarFunction | Activation, *, dimension: float) -> Estimate:
        """E f(u)^2, with an error estimate."""
        f, dimension = as_function(f), require_dimension(dimension)
        if dimension == math.inf:
            return AUTO.second_moment(f, 1.0)
        if dimension == 1:
            square = (_at_poles(f) ** 2).mean()
            return _plain(square, 0.0, 2, square)
        resolved = self._resolve(f, dimension)
        return self._accept(resolved.square, resolved.uncertain_square, resolved.square, resolved.evaluations)

    def overlap(
        self,
        f: ScalarFunction | Activation,
        *,
        dimension: float,
        cosine: float,
        other: ScalarFunction | Activation | None = None,
    ) -> Estimate:
        """E f(u) g(v), g = other or f, with an error estimate.

        Parameters
        ----------
        f : ScalarFunction or Activation
            For an activation, its value is meant.
        dimension : int
            d, at least 1, or ``math.inf``.
        cosine : float
            In [-1, 1]; in dimension 1 it is 1 or -1.
        other : ScalarFunction or Activation, optional
            The function of v, if it is not f.

        Raises
        ------
        ParameterError
            For a dimension or a cosine that does not exist.
        QuadratureError
            If the method is not suited, or the tolerance is not reached.
        """
        f = as_function(f)
        g = f if other is None else as_function(other)
        dimension = require_dimension(dimension)
        cosine = require_cosine(cosine, dimension)
        if dimension == math.inf:
            return AUTO.overlap(f, 1.0, cosine, other=g)
        if dimension == 1:
            values, others = _at_poles(f), _at_poles(g)[:: int(cosine)]
            scale = math.sqrt((values**2).mean() * (others**2).mean())
            return _plain((values * others).mean(), 0.0, 2 if f is g else 4, scale)
        if not self.accepts(f, dimension=dimension, cosine=cosine, other=g):
            raise QuadratureError(
                f"{self} is not suited to this overlap in dimension {dimension} at cosine {cosine:.6g}; mf.SPHERE "
                "chooses a method that is"
            )
        return self._product(f, g, dimension, cosine)

    def _product(self, f: ScalarFunction, g: ScalarFunction, dimension: float, cosine: float) -> Estimate:
        first = self._resolve(f, dimension)
        second = first if f is g else self._resolve(g, dimension)
        return self._overlap(first, second, cosine)

    def _resolve(self, f: ScalarFunction, dimension: float) -> Resolved[SphereLaw]:
        return resolve(f, SphereLaw(int(dimension)), tolerance=self.tolerance, largest=self.largest)

    def _accept(self, value: float, error: float, scale: float, evaluations: int) -> Estimate:
        error += _ROUNDOFF * scale
        if error <= self.tolerance * scale or scale == 0:
            return _plain(value, error, evaluations, scale)
        raise QuadratureError(
            f"{self} did not reach its tolerance: got {value:.17g} with an estimated error of {error:.1e} at scale "
            f"{scale:.3g}. If the function has kinks or jumps that are not declared, declare them: ScalarFunction(f, "
            "kinks=..., jumps=...). Otherwise allow a larger error (tolerance=...)"
        )


def require_dimension(dimension: float) -> float:
    """Return a dimension: an integer of at least 1, or infinity."""
    return require_count("dimension", dimension, at_least=1)


def require_cosine(cosine: float, dimension: float) -> float:
    """Return a cosine that two unit vectors of this dimension may have."""
    cosine = require_number("cosine", cosine)
    if abs(cosine) > 1:
        raise ParameterError("cosine", "between -1 and 1", cosine)
    if dimension == 1 and abs(cosine) != 1:
        raise ParameterError("cosine", "1 or -1 in dimension 1", cosine)
    return cosine


def _at_poles(f: ScalarFunction) -> Array:
    values = f(np.array([1.0, -1.0]))
    if not np.isfinite(values).all():
        raise QuadratureError("the function is not finite at 1 and -1; in dimension 1 these are all there is")
    return values


def _plain(value: float, error: float, evaluations: int, scale: float) -> Estimate:
    value = float(value)
    return Estimate(value, max(float(error), ROUNDING * abs(value)), int(evaluations), float(scale))
