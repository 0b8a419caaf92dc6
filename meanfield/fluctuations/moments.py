"""Averages of products over up to four samples, of pre-activations, activities and slopes of one hidden layer.

Given the part z that they share the samples are independent, and a product over samples is the average over z of a
product of averages over each sample's own part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..functions import Activation
from ..gaussian import Array
from ..quadrature import common_part
from ..records import Pair
from .samples import PAIRS

Factor = Literal["u", "value", "slope"]
"""What one sample contributes: u, phi(u) or phi'(u)."""

FACTORS: tuple[Factor, ...] = ("u", "value", "slope")

Powers = tuple[int, int, int]
"""How often u, phi(u) and phi'(u) of one sample stand in a product."""


class LayerMoments:
    """The averages of one hidden layer, each computed when it is asked for.

    Parameters
    ----------
    activation : Activation
    variance : Pair of float
        q_t and q_st, 0 <= q_st < q_t.
    """

    def __init__(self, activation: Activation, variance: Pair[float]) -> None:
        self.variance = variance
        difference = variance.same - variance.cross
        self._common = common_part(
            [activation.value, activation.slope], covariance=variance.cross, difference=difference
        )
        u = self._common.u
        self._bases = {"u": u, "value": activation.value(u), "slope": activation.slope(u)}
        self._powers: dict[Powers, Array] = {(0, 0, 0): self._common.y_weights}
        self._given: dict[Powers, Array] = {}
        self._averages: dict[tuple[Powers, ...], float] = {}
        self._derivatives: dict[Factor, Array] = {}
        self._squares: dict[Factor, list[float]] = {}

    def expect(self, *, u: Iterable[int] = (), value: Iterable[int] = (), slope: Iterable[int] = ()) -> float:
        """Return E of the product of u(s), phi(u(s)) and phi'(u(s)) over the samples s that are listed for each.

        ``expect(value=(0, 1), slope=(0, 1))`` is E phi_s phi_t phi'_s phi'_t.
        """
        return self.average(_powers(u, value, slope))

    def average(self, powers: tuple[Powers, ...]) -> float:
        """Return the average of a product with these powers for each sample, in any order."""
        if powers not in self._averages:
            product = math.prod(self._of_sample(power) for power in powers) if powers else np.ones(1)
            self._averages[powers] = self._common.over(np.asarray(product))
        return self._averages[powers]

    def products(self, first: Factor, second: Factor) -> Array:
        """Return E f_a f_b g_c g_d for all pairs a, b (rows) and c, d (columns) of four samples, shape (10, 10)."""
        patterns, number = _patterns(first, second)
        table: Array = np.array([self.average(powers) for powers in patterns])[number]
        return table

    def pairs(self, factor: Factor) -> Array:
        """Return E f_a f_b for all pairs of four samples, shape (10,)."""
        same, cross = (self.average(_powers(**{factor: samples})) for samples in ((0, 0), (0, 1)))
        return np.array([same if a == b else cross for a, b in PAIRS])

    def derivatives(self, factor: Factor) -> Array:
        """Return E[f^(k) | z] for k = 0 .. 4, shape (5, nodes): E[f He_k(y) | z]/v^(k/2), of f itself."""
        if factor not in self._derivatives:
            common = self._common
            powers = _power_moments(self._bases[factor] * common.y_weights, common.y, 4)
            root = math.sqrt(common.difference)
            self._derivatives[factor] = np.stack([he / root**k for k, he in enumerate(_hermite(powers))])
        return self._derivatives[factor]

    def over(self, values: Array) -> float:
        """Return the average over z of values at its nodes."""
        return self._common.over(values)

    def square_derivative(self, factor: Factor, order: int) -> float:
        """Return the derivative of E f(u)^2 with respect to q_t, of order 1 or 2: E f^2 He_{2k}(x)/(2 q)^k."""
        if factor not in self._squares:
            x = self._common.u / math.sqrt(self.variance.same)
            powers = _power_moments(self._bases[factor] ** 2 * self._common.y_weights, x, 4)
            self._squares[factor] = [self.over(he) for he in _hermite(powers)]
        return self._squares[factor][2 * order] / (2 * self.variance.same) ** order

    def _of_sample(self, powers: Powers) -> Array:
        """Return E[u^k phi^p phi'^r | z]."""
        if powers not in self._given:
            less, factor = _one_less(powers)
            self._given[powers] = np.einsum("zy,zy->z", self._weighted(less), self._bases[factor])
        return self._given[powers]

    def _weighted(self, powers: Powers) -> Array:
        """Return u^k phi^p phi'^r times the weights of y, from that with one factor less."""
        if powers not in self._powers:
            less, factor = _one_less(powers)
            self._powers[powers] = self._weighted(less) * self._bases[factor]
        return self._powers[powers]


def _one_less(powers: Powers) -> tuple[Powers, Factor]:
    """Return the powers without the last factor, and this factor."""
    k, p, r = powers
    if r:
        return (k, p, r - 1), "slope"
    return ((k, p - 1, 0), "value") if p else ((k - 1, 0, 0), "u")


def _power_moments(weighted: Array, x: Array, highest: int) -> list[Array]:
    """Return the sums of x^k times weighted values over the second axis; the array is used up."""
    moments = [weighted.sum(axis=1)]
    for _ in range(highest):
        weighted *= x
        moments.append(weighted.sum(axis=1))
    return moments


def _hermite(powers: list[Array]) -> list[Array]:
    """Return averages of He_0 .. He_4 from those of the powers."""
    one, first, second, third, fourth = powers
    return [one, first, second - one, third - 3 * first, fourth - 6 * second + 3 * one]


def _powers(u: Iterable[int] = (), value: Iterable[int] = (), slope: Iterable[int] = ()) -> tuple[Powers, ...]:
    """Return the powers of every sample that is listed, sorted: samples are exchangeable."""
    counts = [Counter(samples) for samples in (u, value, slope)]
    return tuple(sorted((counts[0][s], counts[1][s], counts[2][s]) for s in set().union(*counts)))


@cache
def _patterns(first: Factor, second: Factor) -> tuple[list[tuple[Powers, ...]], NDArray[np.intp]]:
    """Return the different averages E f_a f_b g_c g_d, and which of them stands where."""
    found: dict[tuple[Powers, ...], int] = {}
    number = np.empty((len(PAIRS), len(PAIRS)), dtype=np.intp)
    for row, (a, b) in enumerate(PAIRS):
        for column, (c, d) in enumerate(PAIRS):
            samples: dict[str, tuple[int, ...]] = {"u": (), "value": (), "slope": ()}
            samples[first] = (a, b)
            samples[second] = (*samples[second], c, d)
            number[row, column] = found.setdefault(_powers(**samples), len(found))
    return list(found), number
