"""Closed forms, where the function brings them along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import require_number
from ..functions import Parity, ScalarFunction, Terms
from ..gaussian import Array, GaussianPair, compact
from .method import ROUNDING, Estimate, Method, Quantity

_BLOCK = 2**15
"""Entries that stay in cache."""


@dataclass(frozen=True)
class Exact(Method):
    """Evaluate the closed form that the function declares; the error is rounding alone.

    Parameters
    ----------
    tolerance : float
        Relative to the scale of the integral. Where the terms of a formula cancel so far that more is lost to their
        rounding, the formula is left.
    """

    tolerance: float = 1e-13

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", require_number("tolerance", self.tolerance, above=0))

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Whether the closed form is declared (for the overlap, of f with itself); an odd function has mean 0."""
        if quantity == "mean" and f.parity is Parity.ODD:
            return True
        return f.closed_form is not None and quantity in f.closed_form.known and (other is None or other is f)

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        if quantity == "mean" and f.parity is Parity.ODD:
            zero = np.zeros_like(variance)
            return Estimate(zero, zero, zero.astype(np.int64), zero)
        assert f.closed_form is not None  # accepts() has seen to it
        value, size = _sum(getattr(f.closed_form, quantity)(variance))
        square = _square(f, variance)
        scale = np.abs(value) if square is None else square if quantity == "second_moment" else np.sqrt(square)
        return Estimate(value, ROUNDING * size, np.zeros(value.shape, dtype=np.int64), scale)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        assert f.closed_form is not None
        assert f.closed_form.overlap is not None
        value = np.empty(pair.size)
        sizes = []
        for start in range(0, pair.size, _BLOCK):
            some = slice(start, start + _BLOCK)
            terms = f.closed_form.overlap(pair[some])
            value[some], size = _sum(terms)
            if isinstance(terms, tuple):
                sizes.append(size)
        square, other_square = _square(f, pair.variance), _square(f, pair.other_variance)
        scale = np.abs(value) if square is None or other_square is None else np.sqrt(square) * np.sqrt(other_square)
        error = ROUNDING * (np.maximum(np.concatenate(sizes), scale) if sizes else scale)
        estimate = Estimate(value, error, np.int64(0), scale)
        return estimate.broadcast(value.shape)


def _square(f: ScalarFunction, variance: Array) -> Array | None:
    """Return E f(u)^2, if it is known: rounding of an overlap near zero is relative to this."""
    formula = f.closed_form and f.closed_form.second_moment
    if not formula:
        return None
    return _sum(formula(compact(variance)))[0]


def _sum(terms: Terms) -> tuple[Array, Array]:
    """Return the sum of the terms of a formula, and the sum of their absolute values."""
    if not isinstance(terms, tuple):
        return np.asarray(terms), np.abs(terms)
    return np.asarray(sum(terms)), np.asarray(sum(np.abs(term) for term in terms))
