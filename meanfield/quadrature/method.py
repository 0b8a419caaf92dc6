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
from ..gaussian import Array, GaussianPair, number, require_variance

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
    """How many values of the functions it took; 0 for a closed form."""

    def reshape(self, shape: tuple[int, ...]) -> Estimate:
        """Return the same in another shape; without dimensions, as plain numbers."""
        value, error, evaluations = (np.reshape(x, shape) for x in (self.value, self.error, self.evaluations))
        return Estimate(number(value), number(error), evaluations if shape else int(evaluations))


class Method(ABC):
    """A method of integration against one Gaussian, or a pair of them.

    Validation and broadcasting are done here: a subclass gets variances as an array of one dimension, or an array of
    pairs, and returns estimates of that shape.
    """

    @abstractmethod
    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the method is suited to this integral of f (for the overlap, of f and ``other``)."""

    @abstractmethod
    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        """E f(u), or E f(u)^2 for the second moment, at every variance."""

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
        flat = GaussianPair(*(np.ravel(x) for x in (pair.variance, pair.other_variance, pair.covariance)))
        return self._expect_product(f, g, flat).reshape(np.shape(pair.variance))

    def _one_gaussian(self, f: ScalarFunction, variance: ArrayLike, quantity: Quantity) -> Estimate:
        variances = require_variance("variance", variance)
        self._require_accepts(f, quantity, None)
        return self._expect(f, variances.ravel(), quantity).reshape(variances.shape)

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


def one_by_one(one: Callable[..., tuple[float, float, int]], *arguments: Array) -> Estimate:
    """Apply ``one`` to every entry of arrays of one dimension; it returns value, error and evaluations."""
    results = [one(*entry) for entry in zip(*(argument.tolist() for argument in arguments), strict=True)]
    columns = np.array(results, dtype=np.float64).reshape(-1, 3).T
    return Estimate(columns[0], columns[1], columns[2].astype(np.int64))
