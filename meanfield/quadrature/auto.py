"""The automatic choice of a method: a list, printed and askable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, QuadratureError
from ..functions import Activation, ScalarFunction
from ..gaussian import Array, GaussianPair, compact
from .cosine_series import CosineSeries
from .exact import Exact
from .hermite_series import HermiteSeries
from .method import QUANTITIES, Estimate, Method, Quantity, as_function, fill_in, unknown
from .panels import Panels
from .trapezoid import Trapezoid

Indices = NDArray[np.intp] | slice


@dataclass(frozen=True)
class Auto(Method):
    """Let the methods of a list try in turn, each what those before it did not accept or did not reach.

    Parameters
    ----------
    methods : tuple of Method
        In the order of preference. The last should accept everything.

    Examples
    --------
    >>> import meanfield as mf
    >>> for method in mf.AUTO.methods:
    ...     print(method)
    Exact(tolerance=1e-13)
    CosineSeries(nodes=Trapezoid(tolerance=1e-13, largest=4000000), terms=2048)
    HermiteSeries(tolerance=1e-13, largest=4000000, terms=256)
    Trapezoid(tolerance=1e-13, largest=4000000)
    Panels(tolerance=1e-13, largest=4000000)
    >>> mf.AUTO.choose(mf.relu, "overlap")
    Exact(tolerance=1e-13)
    >>> mf.AUTO.choose(mf.tanh, "overlap")
    Trapezoid(tolerance=1e-13, largest=4000000)
    >>> mf.AUTO.choose(mf.tanh, "overlap", variance=1.0, covariance=0.3)
    HermiteSeries(tolerance=1e-13, largest=4000000, terms=256)
    """

    methods: tuple[Method, ...] = (Exact(), CosineSeries(), HermiteSeries(), Trapezoid(), Panels())

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether any method of the list accepts."""
        return any(method.accepts(f, quantity, other) for method in self.methods)

    def choose(
        self,
        f: ScalarFunction | Activation,
        quantity: Quantity,
        *,
        other: ScalarFunction | Activation | None = None,
        variance: float | None = None,
        covariance: float | None = None,
        other_variance: float | None = None,
    ) -> Method:
        """Return the method used for ``quantity``: "mean", "second_moment" or "overlap" (of f and ``other``).

        Without a variance, the first that takes every variance and covariance; with one (and, for the overlap, a
        covariance), the one that gives this integral. At covariance 0 the overlap is the product of two means, and this
        is the method of the first.
        """
        if quantity not in QUANTITIES:
            raise ParameterError("quantity", "one of " + ", ".join(QUANTITIES), repr(quantity))
        function, partner = as_function(f), None if other is None else as_function(other)
        self._require_accepts(function, quantity, partner)
        methods = [method for method in self.methods if method.accepts(function, quantity, partner)]
        if variance is None:
            return next((method for method in methods if not method.selective), methods[-1])
        if quantity == "overlap" and covariance is None:
            raise ParameterError("covariance", "given together with the variance", covariance)
        if quantity == "overlap" and covariance == 0:
            return self.choose(function, "mean", variance=variance)
        for method in methods[:-1]:
            with suppress(QuadratureError):
                if quantity == "overlap":
                    method.overlap(function, variance, cast(float, covariance), other_variance, other=partner)
                else:
                    getattr(method, quantity)(function, variance)
                return method
        return methods[-1]

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        def attempt(method: Method, left: Indices) -> Estimate:
            return method._expect(f, variance[left], quantity)

        methods = [method for method in self.methods if method.accepts(f, quantity)]
        return self._first_that_reaches(methods, variance.size, attempt, f.noise)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        apart = pair.covariance == 0
        if not apart.any():
            return self._dependent(f, g, pair)
        # independent: exactly zero where a mean is known to be
        first = self._expect(f, pair.variance[apart], "mean")
        alike = f is g and np.array_equal(pair.variance, pair.other_variance)
        product = first.times(first if alike else self._expect(g, pair.other_variance[apart], "mean"))
        estimates = unknown(pair.size)
        fill_in(estimates, apart, product)
        rest = np.flatnonzero(~self.methods[-1].reached(estimates, noise=max(f.noise, g.noise)))
        if rest.size:
            fill_in(estimates, rest, self._dependent(f, g, pair[rest]))
        return estimates

    def _dependent(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        def attempt(method: Method, left: Indices) -> Estimate:
            return method._expect_product(f, g, pair[left])

        methods = [method for method in self.methods if method.accepts(f, "overlap", g)]
        return self._first_that_reaches(methods, pair.size, attempt, max(f.noise, g.noise))

    def _first_that_reaches(
        self, methods: list[Method], size: int, attempt: Callable[[Method, Indices], Estimate], noise: float
    ) -> Estimate:
        """Let the methods try in turn, each what those before it did not reach."""
        estimates: Estimate | None = None
        left: Indices = slice(None)
        for method in methods:
            try:
                found = attempt(method, left)
            except QuadratureError:
                if method is methods[-1]:
                    raise
                continue
            missed = ~compact(method.reached(found, noise=noise))
            if estimates is None and not missed.any():
                return found
            estimates = estimates or unknown(size)
            fill_in(estimates, left, found)
            missing = np.arange(size)[left][np.broadcast_to(missed, np.shape(found.value))]
            if not missing.size:
                break
            left = missing
        assert estimates is not None  # the last method raises or returns
        return methods[-1].check(estimates, noise=noise)


AUTO = Auto()
"""Closed form; else series and lattices, for functions and pairs that suit them; else panels, for any."""
