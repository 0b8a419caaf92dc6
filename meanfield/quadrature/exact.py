"""Closed forms, where the function brings them along."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..functions import ScalarFunction
from ..gaussian import GaussianPair
from .method import ROUNDING, Estimate, Method, Quantity


@dataclass(frozen=True)
class Exact(Method):
    """Evaluate the closed form that the function declares; the error is rounding alone."""

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the closed form is declared (for the overlap, of f with itself)."""
        return f.closed_form is not None and quantity in f.closed_form.known and (other is None or other is f)

    def _expect(self, f: ScalarFunction, variance: float, quantity: Quantity) -> Estimate:
        assert f.closed_form is not None  # accepts() has seen to it
        formula = getattr(f.closed_form, quantity)
        value = formula(variance)
        return Estimate(value, ROUNDING * abs(value), 0)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        assert f.closed_form is not None
        assert f.closed_form.overlap is not None
        value = f.closed_form.overlap(pair)
        # The scale of rounding is that of E f(u) f(u), from which an overlap near zero is a difference.
        if f.closed_form.second_moment is None:
            return Estimate(value, ROUNDING * abs(value), 0)
        moments = f.closed_form.second_moment(pair.variance) * f.closed_form.second_moment(pair.other_variance)
        return Estimate(value, ROUNDING * math.sqrt(moments), 0)
