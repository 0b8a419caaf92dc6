"""Gauss-Legendre panels split at kinks and jumps, for functions that are smooth between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ..functions import ScalarFunction
from ..gaussian import GaussianPair
from .method import Estimate, Method, Quantity, refine

_ORDER = 16
"""Nodes of a panel."""

_SMOOTHED = np.array([-9.0, -4.5, -1.5, 0.0, 1.5, 4.5, 9.0])
"""Where E[f | z] is split around a kink, in units of the noise that smooths the kink."""


@dataclass(frozen=True)
class Panels(Method):
    """Composite Gauss-Legendre quadrature whose panels end at the kinks, made shorter until two levels agree.

    Parameters
    ----------
    tolerance : float
        Relative to the root mean square of the integrand, as for :class:`Trapezoid`.
    largest : int
        The most values of the function that one level may take.

    Examples
    --------
    >>> import meanfield as mf
    >>> ramp = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
    >>> round(Panels().second_moment(ramp, 1.0).value, 13)
    0.5160585509617
    """

    tolerance: float = 1e-13
    largest: int = 2_000_000

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Any function, if all its kinks and jumps are declared."""
        return True

    def _expect(self, f: ScalarFunction, variance: float, quantity: Quantity) -> Estimate:
        sd = math.sqrt(variance)

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = _rule(sd, level, _standardised(f.breaks, 0.0, sd))
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
        steep = np.concatenate(
            [
                _standardised(f.breaks, _SMOOTHED * shared.private, shared.loading),
                _standardised(g.breaks, _SMOOTHED * shared.other_private, shared.other_loading),
            ]
        )

        identical = f is g and pair.variance == pair.other_variance and pair.covariance >= 0

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = _rule(max(shared.loading, abs(shared.other_loading)), level, steep)
                first = _given(f, shared.loading * z, shared.private, level, self.largest)
                second = first
                if not identical:
                    second = _given(g, shared.other_loading * z, shared.other_private, level, self.largest)
                if first is None or second is None:
                    return
                (mean, square, cost), (other_mean, other_square, other_cost) = first, second
                scale = math.sqrt(float(weights @ square) * float(weights @ other_square))
                yield float(weights @ (mean * other_mean)), scale, cost if identical else cost + other_cost

        return refine(levels(), self.tolerance, self)


def _given(
    f: ScalarFunction, centres: NDArray[np.float64], sd: float, level: int, largest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int] | None:
    """E[f | z], E[f^2 | z] at each centre, and the cost; None where the cost would be above ``largest``."""
    breaks = np.array(f.breaks)
    y, weights = _rule(sd, level, (breaks - centres[:, None]) / sd if sd > 0 else np.empty((centres.size, 0)))
    if y.size > largest:
        return None
    values = f(centres[:, None] + sd * y)
    return np.sum(values * weights, axis=-1), np.sum(values**2 * weights, axis=-1), y.size


def _standardised(breaks: Sequence[float], offsets: NDArray[np.float64] | float, scale: float) -> NDArray[np.float64]:
    """Return the z at which scale * z + offset meets a break."""
    if scale == 0:
        return np.empty(0)
    return np.ravel((np.array(breaks)[:, None] + np.atleast_1d(offsets)) / scale)


def _rule(sd: float, level: int, breaks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for the standard normal on panels that end at ``breaks``, one rule for each row of breaks."""
    if sd == 0:
        shape = (*breaks.shape[:-1], 1)
        return np.zeros(shape), np.ones(shape)
    reach = 9 + 0.5 * level
    length = 4.5 / max(1.0, (1 + sd) / 3) / 1.6**level  # a dozen units of u: the nodes see whatever has unit scale
    panels = math.ceil(2 * reach / length)
    regular = np.linspace(-reach, reach, panels + 1)
    edges = np.concatenate(
        [np.broadcast_to(regular, (*breaks.shape[:-1], regular.size)), np.clip(breaks, -reach, reach)], axis=-1
    )
    edges.sort(axis=-1)
    left, right = edges[..., :-1, None], edges[..., 1:, None]
    x, x_weights = _legendre()
    half = (right - left) / 2
    z = ((left + right) / 2 + half * x).reshape(*breaks.shape[:-1], -1)
    weights = (half * x_weights).reshape(z.shape)
    density: NDArray[np.float64] = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return z, weights * density


@cache
def _legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, weights = np.polynomial.legendre.leggauss(_ORDER)
    return x, weights
