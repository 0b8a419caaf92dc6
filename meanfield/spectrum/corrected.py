"""The number of eigenvalues above x with what the collective modes move, and where it has a given value."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..errors import QuadratureError
from ..gaussian import Array
from .collective import CollectiveModes
from .extremes import share_alone
from .limit_density import LimitDensity
from .limit_solver import solve

_OUTWARD = np.concatenate([[0.0], 0.02 * 1.7 ** np.arange(8)])
"""Of the place that the density alone has, relative: up to 0.8."""

_FARTHER = 6
"""How often one goes that far again: to 35 times the place."""

_INSIDE = np.linspace(0.0, 1.0, 9)[1:-1]
"""Of a bracket, in which these are looked at together."""

_NARROWINGS = 4
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

    def alone(self, x: float, count: float) -> float:
        """Return the share of the eigenvalues above x, count of them, that single units and modes make."""
        states = solve(self.limit.cavity, np.array([x]))
        alone = self.eigenvalues * self.limit.cavity.supercritical(states)
        if self.modes is not None:
            alone = alone + self.modes.moved(states).clip(0.0)
        return float(share_alone(alone, np.array([count]))[0])

    def place(self, count: float) -> float:
        """Return where N(x) = count, to 1e-5 of what the modes move it by, and 1e-7 of x at most.

        It is sought outwards from where the density alone has so many.
        """
        if self.modes is None:
            return self.limit.place(count / self.eigenvalues)
        low, high = self._bracket(count, self.limit.place(count / self.eigenvalues))
        for _ in range(_NARROWINGS):
            x = low[0] + _INSIDE * (high[0] - low[0])
            points = [low, *zip(x, self._logarithm(x, count), strict=True), high]
            low, high = next(pair for pair in pairwise(points) if pair[1][1] <= 0)
        return float(low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1]))

    def _bracket(self, count: float, start: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return two x beside the place, each with log(N/count): above 0, and not."""
        up = True
        for n in range(_FARTHER):
            x = start * (1 + _OUTWARD) if up else start / (1 + _OUTWARD)
            excess = self._logarithm(x, count)
            if n == 0 and excess[0] <= 0:
                up = False
                x = start / (1 + _OUTWARD)
                excess = self._logarithm(x, count)
            passed = np.flatnonzero((excess <= 0) if up else (excess > 0))
            if passed.size:
                beside = sorted((int(passed[0]) - 1, int(passed[0])), key=lambda i: x[i])
                low, high = ((float(x[i]), float(excess[i])) for i in beside)
                return low, high
            start = float(x[-1])
        raise QuadratureError(f"no place was found with {count:.4g} eigenvalues above it, up to x = {start:.6g}")

    def _logarithm(self, x: Array, count: float) -> Array:
        """Return log(N/count), bounded: the tail falls off exponentially."""
        logarithm: Array = np.log(np.maximum(self.above(x) / count, 1e-9))
        return logarithm
