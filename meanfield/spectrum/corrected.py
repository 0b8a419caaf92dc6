"""The number of eigenvalues above x with what the collective modes move, and where it has a given value."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

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

_NARROWINGS = 5
"""Of a bracket, each by 8."""


class CorrectedCount:
    """N(x) = T x share of the density above x + what the modes move."""

    def __init__(self, limit: LimitDensity, modes: CollectiveModes | None, eigenvalues: int) -> None:
        self.limit, self.modes, self.eigenvalues = limit, modes, eigenvalues

    def above(self, x: Array) -> Array:
        """Return N(x), shape (points,), for x > 0."""
        if self.modes is None:
            return self.eigenvalues * self.limit.above(x)
        states = solve(self.limit.cavity, x)
        share = 1 + self.limit.cavity.log_determinant(states, x.astype(np.complex128)).imag / np.pi
        above: Array = self.eigenvalues * share + self.modes.moved(states)
        return above

    def place(self, count: float) -> float:
        """Return the largest x with N(x) = count, to 1e-5 of itself where an eigenvalue stands alone, else to 1e-8."""
        if self.modes is None:
            return self.limit.place(count / self.eigenvalues)
        low, high = self._bracket(count)
        for _ in range(_NARROWINGS):
            x = low[0] + _INSIDE * (high[0] - low[0])
            points = [low, *zip(x, self._logarithm(x, count), strict=True), high]
            low, high = [pair for pair in pairwise(points) if pair[0][1] > 0 >= pair[1][1]][-1]
        return float(low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1]))

    def place_of_mean(self, k: int) -> float:
        """Return the mean of the k-th largest eigenvalue."""
        return self.place(count_at_mean(k, self.alone))

    def place_of_median(self) -> float:
        """Return the median of the largest eigenvalue."""
        return self.place(count_at_median(self.alone))

    @cached_property
    def alone(self) -> float:
        """The share of the eigenvalues at lambda_max that single hidden units and modes make."""
        count = count_at_mean(1, 0.0)
        return self._alone(self.place(count), count)

    def _alone(self, x: float, count: float) -> float:
        """Return the share of the eigenvalues above x, count of them, that single units and modes make."""
        states = solve(self.limit.cavity, np.array([x]))
        alone = self.eigenvalues * self.limit.cavity.supercritical(states)
        if self.modes is not None:
            alone = alone + self.modes.moved(states).clip(0.0)
        return float(share_alone(alone, np.array([count]))[0])

    def _bracket(self, count: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return two x beside the place, each with log(N/count): above 0, and not."""
        steps = np.arange(float(_TOGETHER))
        for n in range(_FARTHER):
            for first in (n * (_TOGETHER - 1), -(n + 1) * (_TOGETHER - 1)):
                x = np.asarray(self.limit.mean * _RATIO ** (steps + first), dtype=np.float64)
                excess = self._logarithm(x, count)
                above = np.flatnonzero(excess > 0)
                if above.size and above[-1] + 1 < x.size:
                    low, high = ((float(x[i]), float(excess[i])) for i in (above[-1], above[-1] + 1))
                    return low, high
                if above.size:
                    break
        raise QuadratureError(f"no place was found with {count:.4g} eigenvalues above it, up to x = {x[-1]:.6g}")

    def _logarithm(self, x: Array, count: float) -> Array:
        """Return log(N/count), bounded: the tail falls off exponentially."""
        logarithm: Array = np.log(np.maximum(self.above(x) / count, 1e-9))
        return logarithm
