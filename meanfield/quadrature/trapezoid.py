"""The trapezoidal rule, for smooth functions.

Against a Gaussian the rule with step h errs by about exp(-2 pi d/h), d the distance of the integrand's nearest complex
singularity: every refinement doubles the digits. See Trefethen and Weideman, "The exponentially convergent trapezoidal
rule", SIAM Review 56 (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..functions import ScalarFunction
from ..gaussian import Array
from .method import Quantity
from .refined import POINT, Refined, TooManyNodes

_RATIO = (1 + math.sqrt(5)) / 2 - 0.37
"""Each level divides the step by this. Irrational: what is in resonance with one level is not so with the next."""


@dataclass(frozen=True)
class Trapezoid(Refined):
    """The trapezoidal rule in the standardised variables, refined until two levels agree.

    Parameters
    ----------
    tolerance, largest
        As for :class:`~meanfield.quadrature.refined.Refined`.

    Examples
    --------
    >>> import meanfield as mf
    >>> estimate = mf.Trapezoid().second_moment(mf.tanh, 3.0)
    >>> round(estimate.value, 13), estimate.error < 1e-13
    (0.5894390844781, True)
    """

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Functions without kinks and jumps."""
        return not f.breaks and not (other is not None and other.breaks)

    def _rule(self, sd: float, level: int, breaks: Array) -> tuple[Array, Array]:
        step = 0.66 / (1 + sd) / _RATIO**level
        # exp(-9^2/2) = 3e-18; the range widens with the level for functions that grow
        reach = (9 + 0.5 * level) / step if sd else 0.0
        if 2 * reach + 1 > self.largest:
            raise TooManyNodes
        return _uniform(step, math.ceil(reach)) if sd else POINT


@lru_cache(maxsize=64)  # value and slope of an activation are integrated at the same variance
def _uniform(step: float, reach: int) -> tuple[Array, Array]:
    z = step * np.arange(-reach, reach + 1, dtype=np.float64)
    weights = step / math.sqrt(2 * math.pi) * np.exp(-0.5 * z * z)
    z.setflags(write=False)
    weights.setflags(write=False)
    return z, weights
