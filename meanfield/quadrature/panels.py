"""Gauss-Legendre panels on which a function is resolved, for any function.

In two variables E f(u) g(v) = E f(u) T g(u), with T g(u) = E[g(v) | u]: on the panels of f, cut where T g needs it, and
around each of their nodes on those of g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from ..functions import ScalarFunction
from ..gaussian import Array, GaussianPair
from .law import GaussianLaw
from .method import ROUNDING, Estimate, Quantity, Refining, at_zero, one_by_one
from .resolve import resolve
from .resolved import Resolved
from .smoothed import Smoothed, expect_product


@dataclass(frozen=True)
class Panels(Refining):
    """Composite Gauss-Legendre quadrature on panels that resolve the function.

    Parameters
    ----------
    tolerance, largest
        As for :class:`~meanfield.quadrature.method.Refining`.

    Examples
    --------
    >>> import meanfield as mf
    >>> import numpy as np
    >>> ramp = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
    >>> round(mf.Panels().second_moment(ramp, 1.0).value, 13)
    0.5160585509617
    """

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Any function."""
        return True

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        return one_by_one(partial(self._one, f, quantity), variance)

    def _one(self, f: ScalarFunction, quantity: Quantity, variance: float) -> tuple[float, float, int, float]:
        if variance == 0:
            return at_zero(f, quantity)
        resolved = self._resolve(f, variance)
        if quantity == "mean":
            value, error, scale = resolved.mean, resolved.uncertain, resolved.rms
        else:
            value, error, scale = resolved.square, resolved.uncertain_square, resolved.square
        return value, error + 4 * ROUNDING * scale, resolved.evaluations, scale

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        return one_by_one(partial(self._one_product, f, g), pair.variance, pair.other_variance, pair.covariance)

    def _one_product(
        self, f: ScalarFunction, g: ScalarFunction, a: float, other: float, b: float
    ) -> tuple[float, float, int, float]:
        if a == 0 or other == 0:
            first, second = (Estimate(*self._one(h, "mean", variance)) for h, variance in ((f, a), (g, other)))
            product = first.times(second)
            return product.value, product.error, product.evaluations, product.scale
        pair = GaussianPair(a, other, b)
        seen = self._resolve(f, a)
        other_seen = seen if f is g and a == other else self._resolve(g, other)
        noise = pair.root / (math.sqrt(a) * math.sqrt(other))
        smoothed = Smoothed(other_seen, pair.correlation if noise else math.copysign(1.0, b), noise)
        value, error, evaluations = expect_product(seen, smoothed, largest=self.largest)
        scale = seen.rms * other_seen.rms
        evaluations += seen.evaluations + (0 if other_seen is seen else other_seen.evaluations)
        return value, error + 4 * ROUNDING * scale, evaluations, scale

    def _resolve(self, f: ScalarFunction, variance: float) -> Resolved[GaussianLaw]:
        return resolve(f, GaussianLaw(math.sqrt(variance)), tolerance=self.tolerance, largest=self.largest)
