"""Gauss-Legendre panels split at kinks and jumps, for functions that are smooth between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..functions import ScalarFunction
from ..gaussian import Array
from .method import Quantity
from .refined import POINT, Refined, TooManyNodes

_ORDER = 16
"""Nodes of a panel."""


@dataclass(frozen=True)
class Panels(Refined):
    """Composite Gauss-Legendre quadrature whose panels end at the kinks, made shorter until two levels agree.

    Parameters
    ----------
    tolerance, largest
        As for :class:`~meanfield.quadrature.refined.Refined`.

    Examples
    --------
    >>> import meanfield as mf
    >>> ramp = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
    >>> round(mf.Panels().second_moment(ramp, 1.0).value, 13)
    0.5160585509617
    """

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Any function, if all its kinks and jumps are declared."""
        return True

    def _rule(self, sd: float, level: int, breaks: Array) -> tuple[Array, Array]:
        if sd == 0:
            return POINT
        rows = breaks.shape[:-1]
        reach = 9 + 0.5 * level  # exp(-9^2/2) = 3e-18; it widens with the level for functions that grow
        length = 6 / (1 + sd) / 1.6**level  # at most 6 units of u: the nodes see whatever has unit scale
        panels = math.ceil(2 * reach / length)
        if _ORDER * (panels + breaks.shape[-1]) * math.prod(rows) > self.largest:
            raise TooManyNodes
        regular = np.linspace(-reach, reach, panels + 1)
        regular = np.broadcast_to(regular, (*rows, regular.size))
        edges = np.sort(np.concatenate([regular, np.clip(breaks, -reach, reach)], axis=-1), axis=-1)
        left, right = edges[..., :-1, None], edges[..., 1:, None]
        x, x_weights = _legendre()
        half = (right - left) / 2
        z = ((left + right) / 2 + half * x).reshape(*rows, -1)
        weights = (half * x_weights).reshape(z.shape)
        return z, weights * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@cache
def _legendre() -> tuple[Array, Array]:
    x, weights = np.polynomial.legendre.leggauss(_ORDER)
    return x, weights
