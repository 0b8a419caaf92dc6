"""The number of eigenvalues above x with what the collective modes move, and where it has a given value."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ..errors import QuadratureError
from ..gaussian import Array
from .collective import CollectiveModes
from .extremes import count_at_mean, count_at_median, share_alone
from .limit_density import LimitDensity
from .limit_solver import solve

_RATIO = 1.5
"""From one x to the next of those that are looked at first, from the mean eigenvalue on."""

_TOGETHER = 12
"""Their number; then as many farther on, if need be."""

_FARTHER = 5
"""How often: 1.5^60 = 4e10 times the mean."""

_INSIDE = np.linspace(0.0, 1.0, 9)[1:-1]
"""Of a bracket, in which these are looked at together."""

_LEAST = 1e-9
"""Of a number of eigenvalues."""

_NARROW = 1e-4
"""Of a bracket, relative, in which log N is linear."""


_FEW_ALONE = 1e-3
"""Of the eigenvalues at lambda_max: fewer that stand alone move it by less than 1e-4."""

Point = tuple[float, float]


class CorrectedCount:
    """N(x) = T x share of the density above x + what the modes move."""

    def __init__(self, limit: LimitDensity, modes: CollectiveModes | None, eigenvalues: int) -> None:
        self.limit, self.modes, self.eigenvalues = limit, modes, eigenvalues
        self._known: dict[float, float] = {}
        """log N at what was looked at before: places of other counts are near."""

    def above(self, x: Array) -> Array:
        """Return N(x), shape (points,), for x > 0."""
        if self.modes is None:
            return self.eigenvalues * self.limit.above(x)
        states = solve(self.limit.cavity, x)
        share = 1 + self.limit.cavity.log_determinant(states, x.astype(np.complex128)).imag / np.pi
        above: Array = self.eigenvalues * share + self.modes.moved(states)
        return above

    def place(self, count: float) -> float:
        """Return the largest x with N(x) = count, to 1e-4 of itself where an eigenvalue stands alone, else to 1e-7."""
        if self.modes is None:
            return self.limit.place(count / self.eigenvalues)
        low, high = self._bracket(count)
        while high[0] - low[0] > _NARROW * high[0]:
            self._look(low[0] + _INSIDE * (high[0] - low[0]))
            low, high = self._bracket(count)
        share = (low[1] - math.log(count)) / (low[1] - high[1])
        return low[0] + share * (high[0] - low[0])

    def place_of_mean(self, k: int) -> float:
        """Return the mean of the k-th largest eigenvalue."""
        if k == 1 and self.alone < _FEW_ALONE:
            return self._at_edge
        return self.place(count_at_mean(k, self.alone))

    def place_of_median(self) -> float:
        """Return the median of the largest eigenvalue."""
        return self.place(count_at_median(self.alone))

    @cached_property
    def alone(self) -> float:
        """The share of the eigenvalues at lambda_max that single hidden units and modes make."""
        return self._alone(self._at_edge, count_at_mean(1, 0.0))

    @cached_property
    def _at_edge(self) -> float:
        """The mean of the largest, were the end of the density an edge."""
        return self.place(count_at_mean(1, 0.0))

    def _alone(self, x: float, count: float) -> float:
        """Return the share of the eigenvalues above x, count of them, that single units and modes make."""
        states = solve(self.limit.cavity, np.array([x]))
        alone = self.eigenvalues * self.limit.cavity.supercritical(states)
        if self.modes is not None:
            alone = alone + self.modes.moved(states).clip(0.0)
        return float(share_alone(alone, np.array([count]))[0])

    def _bracket(self, count: float) -> tuple[Point, Point]:
        """Return the known places next to the one that is sought, with their log N: above log(count), and not."""
        for n in range(_FARTHER):
            known = sorted(self._known.items())
            above = [i for i, (_, value) in enumerate(known) if value > math.log(count)]
            if above and above[-1] + 1 < len(known):
                return known[above[-1]], known[above[-1] + 1]
            first = n if above or not known else -n
            self._look(self.limit.mean * _RATIO ** (np.arange(float(_TOGETHER)) + first * (_TOGETHER - 1)))
        raise QuadratureError(f"no place was found with {count:.4g} eigenvalues above it")

    def _look(self, x: Array) -> None:
        """Keep log N, bounded from below: the tail falls off exponentially."""
        logarithms = np.log(np.maximum(self.above(x), _LEAST))
        self._known.update(zip(x.tolist(), logarithms.tolist(), strict=True))
