"""What every method of integration offers, and the estimate that it returns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, QuadratureError, require_integer, require_number
from ..functions import Activation, ScalarFunction
from ..gaussian import Array, GaussianPair, compact, number, require_variance, spread

Quantity = Literal["mean", "second_moment", "overlap"]
QUANTITIES: tuple[Quantity, ...] = ("mean", "second_moment", "overlap")

ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Relative to the natural scale of an integral, what rounding adds to every error estimate."""


def rounding(terms: int) -> float:
    """Return, relative to the natural scale, what rounding adds to a sum of that many terms."""
    return ROUNDING + math.sqrt(terms) * float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True)
class Estimate:
    """An integral with an estimate of its error."""

    value: Any
    """The integral; an array where the variances were arrays."""
    error: Any
    """An estimate of abs(value - truth), meant to be an upper bound."""
    evaluations: Any
    """How many values of the functions it took; 0 for a closed form."""
    scale: Any
    """What errors are relative to: E f^2 for a second moment, its root for a mean, sqrt(E f(u)^2 E g(v)^2)."""

    def reshape(self, shape: tuple[int, ...]) -> Estimate:
        """Return the same in another shape; without dimensions, as plain numbers."""
        value, error, evaluations, scale = (
            np.reshape(x, shape) for x in (self.value, self.error, self.evaluations, self.scale)
        )
        return Estimate(number(value), number(error), evaluations if shape else int(evaluations), number(scale))

    def broadcast(self, shape: tuple[int, ...]) -> Estimate:
        """Return the same with numbers that hold for all entries of this shape spread over them, without copies."""
        return Estimate(*(spread(x, shape) for x in (self.value, self.error, self.evaluations, self.scale)))

    def times(self, other: Estimate) -> Estimate:
        """Return the product of two independent integrals."""
        error = np.abs(self.value) * other.error + np.abs(other.value) * self.error + self.error * other.error
        evaluations = self.evaluations + other.evaluations
        return Estimate(self.value * other.value, error, evaluations, self.scale * other.scale)


class Method(ABC):
    """A method of integration against one Gaussian, or a pair of them.

    Validation and broadcasting are done here: a subclass gets variances as an array of one dimension, or an array of
    pairs, and returns estimates of that shape, reached or not.
    """

    tolerance: float = math.inf
    """Relative to the scale of the integral; a method that has one raises ``QuadratureError`` if it is not reached."""

    selective: ClassVar[bool] = False
    """Whether there are variances and covariances that the method leaves to others even if it accepts the function."""

    @abstractmethod
    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the method is suited to this integral of f (for the overlap, of f and ``other``)."""

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        """E f(u), or E f(u)^2 for the second moment, at every variance; of methods that accept these."""
        raise NotImplementedError

    @abstractmethod
    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        """E f(u) g(v) for every pair of Gaussians."""

    def mean(self, f: ScalarFunction | Activation, variance: ArrayLike) -> Estimate:
        """E f(u), u ~ N(0, variance), with an error estimate: see :func:`meanfield.mean`."""
        return self._one_gaussian(as_function(f), variance, "mean")

    def second_moment(self, f: ScalarFunction | Activation, variance: ArrayLike) -> Estimate:
        """E f(u)^2, u ~ N(0, variance), with an error estimate: see :func:`meanfield.second_moment`."""
        return self._one_gaussian(as_function(f), variance, "second_moment")

    def overlap(
        self,
        f: ScalarFunction | Activation,
        variance: ArrayLike,
        covariance: ArrayLike,
        other_variance: ArrayLike | None = None,
        *,
        other: ScalarFunction | Activation | None = None,
    ) -> Estimate:
        """E f(u) g(v) with an error estimate: see :func:`meanfield.overlap`."""
        f = as_function(f)
        g = f if other is None else as_function(other)
        pair = GaussianPair(variance, variance if other_variance is None else other_variance, covariance)
        self._require_accepts(f, "overlap", g)
        found = self._expect_product(f, g, pair.ravel())
        return self.check(found, noise=max(f.noise, g.noise)).reshape(np.shape(pair.variance))

    def _one_gaussian(self, f: ScalarFunction, variance: ArrayLike, quantity: Quantity) -> Estimate:
        variances = require_variance("variance", variance)
        self._require_accepts(f, quantity, None)
        return self.check(self._expect(f, variances.ravel(), quantity), noise=f.noise).reshape(variances.shape)

    def _require_accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None) -> None:
        if not self.accepts(f, quantity, other):
            raise QuadratureError(f"{self} is not suited to the {quantity} of {f}; mf.AUTO chooses a method that is")

    def check(self, estimate: Estimate, *, noise: float = 0.0) -> Estimate:
        """Return the estimate if all of it has reached the tolerance; else raise, and say what to try."""
        reached = self.reached(estimate, noise=noise)
        if np.all(reached):
            return estimate
        first = np.flatnonzero(~reached)[0]
        value, error, scale = (x[first] for x in (estimate.value, estimate.error, estimate.scale))
        raise QuadratureError(
            f"{self} did not reach its tolerance: got {value:.17g} with an estimated error of {error:.1e} at scale "
            f"{scale:.3g}. If the function has kinks or jumps that are not declared, declare them: ScalarFunction(f, "
            "kinks=..., jumps=...). Otherwise allow more values (largest=...) or a larger error (tolerance=...)"
        )

    def reached(self, estimate: Estimate, *, noise: float = 0.0) -> NDArray[np.bool_]:
        """Whether the errors are within the tolerance, or what the noise of the functions allows, on their scale."""
        if self.tolerance == math.inf:
            return np.ones(np.shape(estimate.error), dtype=bool)
        error, scale = compact(estimate.error), compact(estimate.scale)
        return np.asarray(
            spread((error <= max(self.tolerance, 10 * noise) * scale) | (error == 0), np.shape(estimate.error))
        )


@dataclass(frozen=True)
class Refining(Method):
    """A method that goes on until its estimates meet a tolerance, or it has become too much.

    Parameters
    ----------
    tolerance : float
        Above 1.5e-14. Relative to the root mean square of the integrand: E f^2 for the second moment, its root for the
        mean, sqrt(E f(u)^2 E g(v)^2) for the overlap.
    largest : int
        The most values that are taken of one function for one integral.
    """

    tolerance: float = 1e-13
    largest: int = 4_000_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", require_number("tolerance", self.tolerance, above=4 * ROUNDING))
        object.__setattr__(self, "largest", require_integer("largest", self.largest, at_least=1))


def require_method(method: Method) -> Method:
    """Return a method, if it is one."""
    if not isinstance(method, Method):
        raise ParameterError("method", "a method of integration such as mf.AUTO or mf.Panels()", repr(method))
    return method


def as_function(f: ScalarFunction | Activation) -> ScalarFunction:
    """Return the function itself; for an activation, its value."""
    if isinstance(f, Activation):
        return f.value
    if isinstance(f, ScalarFunction):
        return f
    raise ParameterError("f", "a ScalarFunction or an Activation (wrap a callable: ScalarFunction(f))", repr(f))


def one_by_one(one: Callable[..., tuple[float, float, int, float]], *arguments: Array) -> Estimate:
    """Apply ``one`` to every entry of arrays of one dimension; it returns what an estimate holds."""
    results = [one(*entry) for entry in zip(*(argument.tolist() for argument in arguments), strict=True)]
    value, error, evaluations, scale = np.array(results, dtype=np.float64).reshape(-1, 4).T
    return Estimate(value, error, evaluations.astype(np.int64), scale)


def at_zero(f: ScalarFunction, quantity: Quantity) -> tuple[float, float, int, float]:
    """Return what an estimate holds of an integral against N(0, 0): a value, without error."""
    value = float(f(0.0))
    return (value**2, 0.0, 1, value**2) if quantity == "second_moment" else (value, 0.0, 1, abs(value))


def unknown(size: int) -> Estimate:
    """Return estimates to be filled in: errors are infinite."""
    return Estimate(np.zeros(size), np.full(size, np.inf), np.zeros(size, dtype=np.int64), np.zeros(size))


def fill_in(estimates: Estimate, where: Any, found: Estimate) -> None:
    """Write estimates into some of the entries of others; the evaluations add up."""
    estimates.value[where] = found.value
    estimates.error[where] = found.error
    estimates.scale[where] = found.scale
    estimates.evaluations[where] += found.evaluations
