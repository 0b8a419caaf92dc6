"""Closed forms, where the function brings them along."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..functions import Parity, ScalarFunction, Terms
from ..gaussian import Array, GaussianPair
from .method import ROUNDING, Estimate, Method, Quantity


@dataclass(frozen=True)
class Exact(Method):
    """Evaluate the closed form that the function declares; the error is rounding alone.

    Where the terms of a formula cancel, the rounding of the terms is the error.
    """

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the closed form is declared (for the overlap, of f with itself); an odd function has mean 0."""
        if quantity == "mean" and f.parity is Parity.ODD:
            return True
        return f.closed_form is not None and quantity in f.closed_form.known and (other is None or other is f)

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        if quantity == "mean" and f.parity is Parity.ODD:
            return _estimate(np.zeros_like(variance))
        assert f.closed_form is not None  # accepts() has seen to it
        return _estimate(getattr(f.closed_form, quantity)(variance))

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        assert f.closed_form is not None
        assert f.closed_form.overlap is not None
        estimate = _estimate(f.closed_form.overlap(pair))
        second_moment = f.closed_form.second_moment
        if second_moment is None:
            return estimate
        # The scale of rounding is that of E f(u) f(u), from which an overlap near zero is a difference.
        moments = _sum(second_moment(pair.variance)) * _sum(second_moment(pair.other_variance))
        return replace(estimate, error=np.maximum(estimate.error, ROUNDING * np.sqrt(moments)))


def _estimate(terms: Terms) -> Estimate:
    value = _sum(terms)
    size = sum(np.abs(term) for term in terms) if isinstance(terms, tuple) else np.abs(value)
    return Estimate(value, ROUNDING * size, np.zeros(np.shape(value), dtype=np.int64))


def _sum(terms: Terms) -> Array:
    return np.asarray(sum(terms) if isinstance(terms, tuple) else terms)
