"""The automatic choice of a method: a list, printed and askable."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from ..errors import ParameterError
from ..functions import Activation, ScalarFunction
from ..gaussian import Array, GaussianPair
from .exact import Exact
from .method import QUANTITIES, Estimate, Method, Quantity, as_function
from .panels import Panels
from .trapezoid import Trapezoid


@dataclass(frozen=True)
class Auto(Method):
    """Take the first method of a list that accepts the integral.

    Parameters
    ----------
    methods : tuple of Method
        In the order of preference. The last should accept everything.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.AUTO
    Auto(methods=(Exact(), Trapezoid(tolerance=1e-13, largest=4000000), Panels(tolerance=1e-13, largest=4000000)))
    >>> mf.AUTO.choose(mf.relu, "overlap")
    Exact()
    >>> mf.AUTO.choose(mf.tanh, "overlap")
    Trapezoid(tolerance=1e-13, largest=4000000)
    """

    methods: tuple[Method, ...] = (Exact(), Trapezoid(), Panels())

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether any method of the list accepts."""
        return any(method.accepts(f, quantity, other) for method in self.methods)

    def choose(
        self, f: ScalarFunction | Activation, quantity: Quantity, *, other: ScalarFunction | Activation | None = None
    ) -> Method:
        """Return the method used for ``quantity``: "mean", "second_moment" or "overlap" (of f and ``other``).

        At covariance 0 the overlap is the product of two means, which may be known where the overlap is not.
        """
        if quantity not in QUANTITIES:
            raise ParameterError("quantity", "one of " + ", ".join(QUANTITIES), repr(quantity))
        function, partner = as_function(f), None if other is None else as_function(other)
        self._require_accepts(function, quantity, partner)
        return next(method for method in self.methods if method.accepts(function, quantity, partner))

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        return self.choose(f, quantity)._expect(f, variance, quantity)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        independent = pair.covariance == 0
        if not independent.any():
            return self.choose(f, "overlap", other=g)._expect_product(f, g, pair)
        # independent: exactly zero where a mean is known to be
        first = self._expect(f, pair.variance, "mean")
        second = (
            first
            if f is g and np.array_equal(pair.variance, pair.other_variance)
            else self._expect(g, pair.other_variance, "mean")
        )
        m, n, m_error, n_error = map(np.asarray, (first.value, second.value, first.error, second.error))
        product = Estimate(
            m * n, abs(m) * n_error + abs(n) * m_error + m_error * n_error, first.evaluations + second.evaluations
        )
        if independent.all():
            return product
        rest = self.choose(f, "overlap", other=g)._expect_product(f, g, pair)
        return Estimate(*(np.where(independent, x, y) for x, y in zip(astuple(product), astuple(rest), strict=True)))


AUTO = Auto()
"""Closed form, else the trapezoidal rule for smooth functions, else panels split at the kinks."""
