"""The eigenvalues of the model in the limit: density, counts, quantiles and moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, QuadratureError, require_real
from ..gaussian import Array
from .limit import LimitModel
from .limit_cavity import Complex, LimitCavity
from .limit_solver import far, solve

_CHUNK = 400
"""Places that are solved for together."""

_POINTS = 12
"""Places at which a count is looked at together, when it is inverted."""

_ROOT = 1e-9
"""Relative accuracy of places."""

_CIRCLE = 64
"""Places on a circle around the spectrum, for its moments."""

_RADIUS = 40.0
"""Of the first of them, in units of the mean; the next are four times as wide."""

_WIDER = 8
"""How many of them are tried."""

_MOMENT = 1e-9
"""By how much two circles that enclose the spectrum may differ: the tail of the density beyond, and rounding."""

_LEAST = 1e-4
"""Of the mean: how close to 0 the density is looked at."""

_NEARLY = 1e-6
"""The share of the eigenvalues between a place and the edge, from where the edge is looked for."""

_VANISHES = 1e-10
"""A density, relative to 1/x, that is zero."""


class LimitDensity:
    """The density of eigenvalues of a model, and what follows from it. All of it lies right of r."""

    def __init__(self, model: LimitModel) -> None:
        self.model = model
        self.cavity = LimitCavity(model)

    def density(self, x: Array) -> Array:
        """Return the density at x > 0, shape (points,)."""
        return self._each(x, lambda state, _: np.maximum(state[:, 0].imag, 0.0) / np.pi)

    def above(self, x: Array) -> Array:
        """Return the share of the eigenvalues above x > 0, shape (points,), to about 1e-12."""
        return self._each(x, self._above)

    def supercritical(self, x: Array) -> Array:
        """Return how many hidden units stand alone at x, over T."""
        return self._each(x, lambda state, _: self.cavity.supercritical(state))

    @property
    def lowest(self) -> float:
        """Below it there is nothing: r, less what a semicircle of variance v reaches."""
        return self.model.constant - 2 * math.sqrt(max(self.model.disorder, 0.0))

    @cached_property
    def mean(self) -> float:
        """The mean eigenvalue: tot at g = 0."""
        state = np.zeros((1, self.cavity.size), dtype=np.complex128)
        return float((1 / self.cavity.map(state, np.zeros(1, dtype=np.complex128))[0, 0]).real)

    @cached_property
    def second_moment(self) -> float:
        """The mean square of the eigenvalues, by Cauchy's integral over a circle of the resolvent.

        Raises
        ------
        QuadratureError
            If no circle was found outside of which there is nothing.
        """
        radius = _RADIUS * self.mean
        known = self._second_moment(radius)
        for _ in range(_WIDER):
            radius *= 4
            moment = self._second_moment(radius)
            if abs(moment - known) <= _MOMENT * abs(moment):
                return moment
            known = moment
        raise QuadratureError(f"the second moment of the eigenvalues was not found: circles up to {radius:.3g} differ")

    def _second_moment(self, radius: float) -> float:
        angles = np.pi * (np.arange(_CIRCLE // 2) + 0.5) / (_CIRCLE // 2)
        x = radius * np.exp(1j * angles)
        g = far(self.cavity, x)[:, 0]
        # g = -sum_k m_k/x^(k+1); the lower half of the circle has the conjugates
        return float(-np.mean((g * x**3).real))

    def place(self, share: float) -> float:
        """Return the x with this share of the eigenvalues above it.

        Raises
        ------
        QuadratureError
            If no place has it, where the density has atoms.
        """
        low, high = self._bracket(share)
        while high - low > _ROOT * high:
            x = np.linspace(low, high, _POINTS)[1:-1] if high < 2 * low else np.geomspace(low, high, _POINTS)[1:-1]
            above = self.above(x)
            n = int(np.sum(above >= share))  # above falls
            inside, values = x[max(n - 1, 0) : n + 1], above[max(n - 1, 0) : n + 1]
            low, high = (x[n - 1] if n else low), (x[n] if n < x.size else high)
            if len(inside) == 2 and high - low < 0.05 * high and values[1] > 1e-13:
                return self._polish(share, low, high)
        return (low + high) / 2

    def _polish(self, share: float, low: float, high: float) -> float:
        """Solve for log(above) = log(share) between two places by Newton's method, with the density as its slope."""
        x = (low + high) / 2
        for _ in range(30):
            place = np.array([x])
            state = solve(self.cavity, place)
            above = float(self._above(state, place)[0])
            density = max(float(state[0, 0].imag), 0.0) / np.pi
            if above >= share:
                low = x
            else:
                high = x
            step = (above - share) / density if density > 0 else np.inf
            if above > 0 and density > 0:  # in the logarithm: the tail falls off exponentially
                step = np.log(above / share) * above / density
            x = x + step if low < x + step < high else (low + high) / 2
            if abs(step) <= _ROOT * x or high - low <= _ROOT * high:
                return float(x)
        raise QuadratureError(f"no place was found with a share of {share:.3g} of the eigenvalues above it")

    def _bracket(self, share: float) -> tuple[float, float]:
        low, high = max(self.lowest, _LEAST * self.mean), 2 * self.mean
        if self.lowest < 0 and self.above(np.array([low]))[0] < share:
            raise QuadratureError(
                f"no place above 0 has a share of {share:.3g} of the eigenvalues above it: samples differ by more than "
                "the theory, which is of first order in that, holds for"
            )
        for _ in range(60):
            if self.above(np.array([high]))[0] < share:
                return low, high
            low, high = high, 2 * high
        raise QuadratureError(f"the share of the eigenvalues above x = {high:.3g} is still more than {share:.3g}")

    def edge(self) -> float:
        """Return the right end of the density."""
        inside = self.place(_NEARLY)
        return self._end(inside, 1.05)

    def lower_edge(self) -> float:
        """Return the left end of the density, which is r or 0 where the density does not vanish before."""
        least = np.array([max(self.lowest * (1 + _ROOT), _LEAST * self.mean)])
        if not self._vanishes(least)[0]:
            return max(self.lowest, 0.0)
        return self._end(self.place(1 - _NEARLY), 1 / 1.05)

    def _end(self, inside: float, factor: float) -> float:
        """Bisect between a place of positive density and one further out, where it vanishes."""
        outside = inside * factor
        while not self._vanishes(np.array([outside]))[0]:
            inside, outside = outside, outside * factor
        while abs(outside - inside) > _ROOT * outside:
            x = np.linspace(inside, outside, _POINTS)
            n = int(np.argmax(self._vanishes(x)))
            inside, outside = (float(x[n - 1]), float(x[n])) if n else (inside, float(x[1]))
        return outside

    def _vanishes(self, x: Array) -> NDArray[np.bool_]:
        return np.asarray(self.density(x) * x < _VANISHES)

    def _above(self, state: Complex, x: Array) -> Array:
        share: Array = 1 + self.cavity.log_determinant(state, x.astype(np.complex128)).imag / np.pi
        return np.clip(share, 0.0, 1.0)

    def _each(self, x: Array, what: Callable[[Complex, Array], Array]) -> Array:
        parts = [x[n : n + _CHUNK] for n in range(0, x.size, _CHUNK)]
        return np.concatenate([what(solve(self.cavity, part), part) for part in parts]) if parts else np.zeros(0)


def at_places(x: ArrayLike, what: Callable[[Array], Array]) -> float | NDArray[np.float64]:
    """Return a function of places, shape (points,), at one or an array of them, all above 0."""
    places = require_real("x", x)
    if not np.all(np.isfinite(places) & (places > 0)):
        raise ParameterError("x", "finite numbers above 0", x)
    values: Array = what(places.ravel()).reshape(places.shape)
    return float(values) if places.ndim == 0 else values
