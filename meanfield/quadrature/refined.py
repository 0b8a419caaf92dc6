"""What the trapezoidal rule and the panels share: levels of refinement, in one variable and in two."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, pairwise

import numpy as np

from ..errors import QuadratureError, require_integer, require_number
from ..functions import ScalarFunction
from ..gaussian import Array, GaussianPair
from .method import ROUNDING, Estimate, Method, Quantity, one_by_one

_ROUNDOFF = 4 * ROUNDING
"""Relative to the scale: also for what rounding of the argument does to a steep function."""

_NEGLIGIBLE = 1e-13
"""Share of E f^2 that the outermost nodes may have: a function beyond it reaches out of the range of integration."""

_CONVERGING = 1e-7
"""Relative to the scale: the difference of two levels from which the next may be believed."""

_STARTING, _STEPS = 1e-3, 12
"""From differences of 1e-3 of the scale a smooth function needs some seven more levels, one with a kink dozens."""

_NOWHERE = np.empty(0)

POINT = np.zeros(1), np.ones(1)
"""The rule for a variable through which nothing is seen."""

_SMOOTHED = np.array([-9.0, -4.5, -1.5, 0.0, 1.5, 4.5, 9.0])
"""Around a kink of f, E[f | z] is steep: where it is split, in units of the noise that smooths the kink."""


class TooManyNodes(Exception):
    """A rule would have more nodes than a level may take; raised before it is made."""


@dataclass(frozen=True)
class Refined(Method):
    """A rule for the standard normal that is refined until its levels agree.

    The rules see features of a function down to a width of about 0.1 at unit variance, and 1 at large variance; what is
    narrower may fall between the nodes of all levels. The range of integration starts at 9 standard deviations.

    Parameters
    ----------
    tolerance : float
        Above 1.5e-14. Relative to the root mean square of the integrand: E f^2 for the second moment, its root for the
        mean, sqrt(E f(u)^2 E g(v)^2) for the overlap.
    largest : int
        The most values of each function that one level may take.
    """

    tolerance: float = 1e-13
    largest: int = 4_000_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", require_number("tolerance", self.tolerance, above=_ROUNDOFF))
        object.__setattr__(self, "largest", require_integer("largest", self.largest, at_least=1))

    @abstractmethod
    def _rule(self, sd: float, level: int, breaks: Array) -> tuple[Array, Array]:
        """Nodes and weights for the standard normal, for a function of unit scale that is seen through ``sd``.

        ``breaks`` are where the function of z has kinks; for an array of shape (rows, k) there is one rule a row.
        Raises ``TooManyNodes`` for more than ``largest`` of them.
        """

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        return one_by_one(partial(self._one, f, quantity), np.sqrt(variance))

    def _one(self, f: ScalarFunction, quantity: Quantity, sd: float) -> tuple[float, float, int]:
        breaks = _scaled(np.array(f.breaks), sd)

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = self._rule(sd, level, breaks)
                values = f(sd * z)
                squares = weights * values * values
                square = float(squares.sum())
                if z.size > 1 and squares[0] + squares[-1] > _NEGLIGIBLE * square:
                    continue  # it grows so fast that the range must widen first
                if quantity == "second_moment":
                    yield square, square, z.size
                else:
                    yield float(weights @ values), math.sqrt(square), z.size

        return self._refine(levels())

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        return one_by_one(partial(self._one_product, f, g), pair.variance, pair.other_variance, pair.covariance)

    def _one_product(
        self, f: ScalarFunction, g: ScalarFunction, a: float, other: float, b: float
    ) -> tuple[float, float, int]:
        # E f(u) g(v) = E_z E[f | z] E[g | z]
        pair = GaussianPair(a, other, b)
        shared = pair.shared
        # then v sees z as u does, or -z if the correlation is negative; and the nodes are symmetric
        mirrored = f is g and pair.variance == pair.other_variance
        loading = max(shared.loading, abs(shared.other_loading))
        steep = [
            _scaled(np.add.outer(function.breaks, _SMOOTHED * private).ravel(), through)
            for function, private, through in (
                (f, shared.private, shared.loading),
                (g, shared.other_private, shared.other_loading),
            )
            if function.breaks
        ]
        breaks = np.concatenate(steep) if steep else _NOWHERE

        def levels() -> Iterator[tuple[float, float, int]]:
            for level in count():
                z, weights = self._rule(loading, level, breaks)
                first = self._given(f, shared.loading * z, shared.private, weights, level)
                if not mirrored:
                    second = self._given(g, shared.other_loading * z, shared.other_private, weights, level)
                else:
                    second = first if pair.covariance >= 0 else first.reversed()
                if first.inside and second.inside:  # else as in one variable
                    scale = math.sqrt(first.square * second.square)
                    cost = first.cost if mirrored else first.cost + second.cost
                    yield float(weights @ (first.mean * second.mean)), scale, cost

        return self._refine(levels())

    def _given(self, f: ScalarFunction, centres: Array, private: float, outer: Array, level: int) -> _Given:
        """Integrate over what is private to u, at every z; ``outer`` are the weights of z."""
        breaks = _scaled(np.array(f.breaks) - centres[:, None], private) if f.breaks else _NOWHERE
        y, inner = self._rule(private, level, breaks)
        cost = centres.size * y.shape[-1]
        if cost > self.largest:
            raise TooManyNodes
        values = f(centres[:, None] + private * y)
        weighted = inner * values
        square = np.vecdot(weighted, values)
        total = float(outer @ square)
        edges = 0.0
        if values.shape[1] > 1:
            edges += float(outer @ (weighted[:, 0] * values[:, 0] + weighted[:, -1] * values[:, -1]))
        if len(outer) > 1:
            edges += float(outer[0] * square[0] + outer[-1] * square[-1])
        return _Given(weighted.sum(axis=-1), total, not edges > _NEGLIGIBLE * total, cost)

    def _refine(self, levels: Iterator[tuple[float, float, int]]) -> tuple[float, float, int]:
        """Go through (value, scale, cost) of ever finer levels until they agree.

        The difference of two levels is the error of the coarser one, so it is a pessimistic estimate for the finer.
        Convergence is geometric in the digits, so the difference before must have been small already: two levels that
        agree after two that did not agree by accident. For the same reason it may not take many levels.
        """
        evaluations, best, before = 0, "three levels would take more values than that", math.inf
        steps = 0
        with suppress(TooManyNodes):
            for (coarse, _, cost), (value, scale, finer_cost) in pairwise(levels):
                evaluations = (evaluations or cost) + finer_cost
                if not (math.isfinite(value) and math.isfinite(scale)):
                    message = "the function is not finite everywhere, or its integral does not exist"
                    raise QuadratureError(f"{self}: {message}")
                difference = abs(value - coarse)
                error = difference + _ROUNDOFF * scale
                if error <= self.tolerance * scale and before <= _CONVERGING * scale:
                    return value, error, evaluations
                steps += steps > 0 or difference <= _STARTING * scale
                if steps > _STEPS:  # so slow that levels would agree by accident before they are right
                    break
                best = f"got {value:.17g} with an estimated error of {error:.1e} at scale {scale:.3g}"
                before = difference
        raise QuadratureError(
            f"{self} did not reach its tolerance: {best}. If the function has kinks or jumps that are not declared, "
            "declare them: ScalarFunction(f, kinks=..., jumps=...). Otherwise allow more values (largest=...) or a "
            "larger error (tolerance=...)"
        )


@dataclass(frozen=True)
class _Given:
    """One function of a pair, given z."""

    mean: Array
    """E[f | z] at every z."""
    square: float
    """E f^2."""
    inside: bool
    """Whether the outermost nodes, of z or of what is private, have no share in E f^2."""
    cost: int
    """How many values of f it took."""

    def reversed(self) -> _Given:
        """Return the same at -z."""
        return replace(self, mean=self.mean[::-1])


def _scaled(places: Array, scale: float) -> Array:
    """Return the z at which ``scale * z`` is at the places; there are none if it does not move."""
    return places / scale if scale else _NOWHERE
