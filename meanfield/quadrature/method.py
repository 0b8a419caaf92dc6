"""What every method of integration offers, and the estimate that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, QuadratureError
from ..functions import Activation, ScalarFunction
from ..gaussian import GaussianPair

Quantity = Literal["mean", "second_moment", "overlap"]
QUANTITIES: tuple[Quantity, ...] = ("mean", "second_moment", "overlap")

ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Relative to the natural scale of an integral, what rounding adds to every error estimate."""


@dataclass(frozen=True)
class Estimate:
    """An integral with an estimate of its error."""

    value: float | NDArray[np.float64]
    """The integral; an array where the variances were arrays."""
    error: float | NDArray[np.float64]
    """An estimate of abs(value - truth), meant to be an upper bound."""
    evaluations: int | NDArray[np.int64]
    """How many values of the functions the compared levels took; 0 for a closed form."""


class Method(ABC):
    """A method of integration against one Gaussian, or a pair of them.

    A subclass integrates for one variance at a time; validation and broadcasting are done here.
    """

    @abstractmethod
    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the method is suited to this integral of f (for the overlap, of f and ``other``)."""

    @abstractmethod
    def _expect(self, f: ScalarFunction, variance: float, quantity: Quantity) -> Estimate:
        """E f(u), or E f(u)^2 for the second moment, at one variance."""

    @abstractmethod
    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        """E f(u) g(v) for one pair of Gaussians."""

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
        self._require_accepts(f, "overlap", g)

        def one(a: float, b: float, other_a: float) -> Estimate:
            return self._expect_product(f, g, GaussianPair(a, other_a, b))

        return _elementwise(one, variance, covariance, variance if other_variance is None else other_variance)

    def _one_gaussian(self, f: ScalarFunction, variance: ArrayLike, quantity: Quantity) -> Estimate:
        self._require_accepts(f, quantity, None)

        def one(a: float) -> Estimate:
            return self._expect(f, GaussianPair(a, a, 0.0).variance, quantity)

        return _elementwise(one, variance)

    def _require_accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None) -> None:
        if not self.accepts(f, quantity, other):
            raise QuadratureError(f"{self} is not suited to the {quantity} of {f}; mf.AUTO chooses a method that is")


def as_function(f: ScalarFunction | Activation) -> ScalarFunction:
    """Return the function itself; for an activation, its value."""
    if isinstance(f, Activation):
        return f.value
    if isinstance(f, ScalarFunction):
        return f
    raise ParameterError("f", "a ScalarFunction or an Activation (wrap a callable: ScalarFunction(f))", repr(f))


def _elementwise(one: Callable[..., Estimate], *arguments: ArrayLike) -> Estimate:
    """Apply ``one`` to every entry of the arguments, broadcast against each other; scalars give a scalar."""
    try:
        arrays = np.broadcast_arrays(*(np.asarray(argument, dtype=np.float64) for argument in arguments))
    except (TypeError, ValueError) as error:
        expected = "real numbers, or arrays of them that broadcast against each other"
        raise ParameterError("variances and covariances", expected, f"{arguments!r:.100}") from error
    if arrays[0].ndim == 0:
        return one(*(float(array) for array in arrays))
    estimates = [one(*entry) for entry in zip(*(array.ravel().tolist() for array in arrays), strict=True)]
    shape = arrays[0].shape
    return Estimate(
        value=np.array([e.value for e in estimates], dtype=np.float64).reshape(shape),
        error=np.array([e.error for e in estimates], dtype=np.float64).reshape(shape),
        evaluations=np.array([e.evaluations for e in estimates], dtype=np.int64).reshape(shape),
    )
