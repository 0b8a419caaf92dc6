"""The trapezoidal rule, for smooth functions.

Against a Gaussian the rule with step h errs by about exp(-2 pi d/h), d the distance of the integrand's nearest complex
singularity: every refinement doubles the digits. See Trefethen and Weideman, "The exponentially convergent trapezoidal
rule", SIAM Review 56 (2014).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ..functions import ScalarFunction
from ..gaussian import GaussianPair
from .method import Estimate, Method, Quantity, refine

_RATIO = (1 + math.sqrt(5)) / 2 - 0.3
"""Each level divides the step by this. Irrational, so that no oscillation can look the same to two levels."""


@dataclass(frozen=True)
class Trapezoid(Method):
    """The trapezoidal rule in the standardised variables, refined until two levels agree.

    Parameters
    ----------
    tolerance : float
        Relative to the root mean square of the integrand: E f^2 for the mean and the second moment,
        sqrt(E f(u)^2 E g(v)^2) for the overlap.
    largest : int
        The most values of the function that one level may take.

    Examples
    --------
    >>> import meanfield as mf
    >>> estimate = Trapezoid().second_moment(mf.tanh, 3.0)
    >>> round(estimate.value, 13), estimate.error < 1e-13
    (0.5894390844781, True)
    """

    tolerance: float = 1e-13
    largest: int = 2_000_000

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Functions without kinks and jumps."""
        return not f.breaks and not (other is not None and other.breaks)

    def _expect(self, f: ScalarFunction, variance: float, quantity: Quantity) -> Estimate:
        sd = math.sqrt(variance)

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = _rule(sd, level)
                if z.size > self.largest:
                    return
                values = f(sd * z)
                second_moment = float(weights @ values**2)
                if quantity == "mean":
                    yield float(weights @ values), math.sqrt(second_moment), z.size
                else:
                    yield second_moment, second_moment, z.size

        return refine(levels(), self.tolerance, self)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        shared = pair.shared
        mirrored = f is g and pair.variance == pair.other_variance

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = _rule(max(shared.loading, abs(shared.other_loading)), level)
                y, y_weights = _rule(max(shared.private, shared.other_private), level)
                if z.size * y.size > self.largest:
                    return
                mean, square = _given(f, shared.loading * z, shared.private * y, y_weights)
                if mirrored:
                    # v sees -z where u sees z if the correlation is negative; the grid is symmetric
                    other_mean, other_square = (mean, square) if pair.covariance >= 0 else (mean[::-1], square)
                else:
                    other_mean, other_square = _given(g, shared.other_loading * z, shared.other_private * y, y_weights)
                scale = math.sqrt(float(weights @ square) * float(weights @ other_square))
                yield float(weights @ (mean * other_mean)), scale, z.size * y.size * (1 if mirrored else 2)

        return refine(levels(), self.tolerance, self)


def _given(
    f: ScalarFunction, centres: NDArray[np.float64], offsets: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E[f | z] and E[f^2 | z] at each centre."""
    values = f(centres[:, None] + offsets)
    return values @ weights, (values * values) @ weights


def _rule(sd: float, level: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for the standard normal; the step suits a function of unit scale seen through ``sd``."""
    if sd == 0:
        return np.zeros(1), np.ones(1)
    step = 0.5 / (1 + sd) / _RATIO**level
    reach = math.ceil((9 + 0.5 * level) / step)  # exp(-9^2/2) = 3e-18; it widens with the level for functions that grow
    z = step * np.arange(-reach, reach + 1, dtype=np.float64)
    return z, step / math.sqrt(2 * math.pi) * np.exp(-0.5 * z * z)
