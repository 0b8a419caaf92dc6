"""A function of one variable, resolved: its values on panels on which its Legendre series has converged.

Here is what is known once that is done: integrals of the function, and what every integral with it inherits of what is
left unresolved. How it is done is in ``resolve``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from ..functions import ScalarFunction
from ..gaussian import Array
from .law import Law

AnyLaw = TypeVar("AnyLaw", bound=Law)

_NEAR = 1.0
"""In x: how much further out than u the v may be that matter for E[g(v) | u]."""


@dataclass(frozen=True)
class Resolved(Generic[AnyLaw]):
    """A function on panels in x, and the probability measure on them."""

    f: ScalarFunction
    law: AnyLaw
    edges: Array
    """Shape (panels, 2), in increasing order."""
    breaks: Array
    """The x of every kink and jump, declared or found."""
    first: Array
    """The places at which panels were cut to begin with."""
    nodes: Array
    """The x of every node, shape (panels, ORDER)."""
    weights: Array
    """The probability of every node, in the same shape."""
    values: Array
    """Of f, in the same shape."""
    wrong: Array
    """By how much f may be wrong on each panel."""
    noise: Array
    """By how much rounding of x makes its mean over a panel wrong; in each at random."""
    beyond: float
    """At most this share of E f^2 is beyond the panels."""
    evaluations: int
    around: Resolved[AnyLaw] | None = None
    """The panels that closed in upon undeclared breaks: the true ones are only near those that were found."""

    def at(self, x: Array) -> Array:
        """Return f at x."""
        return self.f(self.law.coordinate(x))

    @cached_property
    def places(self) -> Array:
        """All edges, in increasing order, each once."""
        return np.append(self.edges[:, 0], self.edges[-1, 1])

    @cached_property
    def lengths(self) -> Array:
        """Of the panels, and infinity for what is beyond the last."""
        return np.append(np.diff(self.places), math.inf)

    @cached_property
    def features(self) -> Array:
        """The breaks, and the edges of panels that had to be made short."""
        return np.union1d(np.setdiff1d(self.places, self.first), self.breaks)

    @property
    def mean(self) -> float:
        """E f."""
        return float(np.vdot(self.weights, self.values))

    @cached_property
    def square(self) -> float:
        """E f^2."""
        return float(np.vdot(self.weights, self.values**2))

    @property
    def rms(self) -> float:
        """The root of E f^2."""
        return math.sqrt(self.square)

    @cached_property
    def largest(self) -> Array:
        """The largest absolute value on each panel."""
        return np.asarray(np.abs(self.values).max(axis=-1))

    @cached_property
    def mass(self) -> Array:
        """The probability of each panel."""
        return np.asarray(self.weights.sum(axis=-1))

    @property
    def uncertain(self) -> float:
        """By how much E f may be wrong."""
        around = 0.0 if self.around is None else self.around.uncertain
        return self._sum(1.0) + around + math.sqrt(self.beyond) * self.rms

    @property
    def uncertain_square(self) -> float:
        """By how much E f^2 may be wrong."""
        around = 0.0 if self.around is None else self.around.uncertain_square
        in_place = 2 * self._sum(self.largest) + around + self.beyond * self.square
        return min(in_place, 2 * self.lost(self))

    @property
    def reach(self) -> float:
        """The x at which the panels end."""
        return float(self.edges[-1, 1])

    def lost(self, other: Resolved[Any]) -> float:
        """Return by how much E f(u) g(v) may be wrong because f is, and because it is cut off; g is ``other``.

        On a large panel this is bounded by Cauchy-Schwarz, on a small one better by the size of g nearby.
        """
        size = felt(self.mass, other.rms, nearby(other.edges, other.largest, self.edges))
        around = 0.0 if self.around is None else self.around.lost(other)
        return self._sum(size) + around + math.sqrt(self.beyond) * self.rms * other.rms

    def _sum(self, size: Array | float) -> float:
        """Return what the means over all panels are wrong, times a size for each."""
        factor = self.mass * size
        with np.errstate(over="ignore"):
            return float((self.wrong * factor).sum() + np.linalg.norm(self.noise * factor))


def felt(mass: Array, rms: float, near: Array) -> Array:
    """Return what a mean over a panel is to be multiplied by, for a function of this rms and size nearby."""
    return np.minimum(np.maximum(rms, near), rms / np.sqrt(np.maximum(mass, 1e-300)))


def nearby(panels: Array, largest: Array, others: Array) -> Array:
    """Return the largest value on these panels at an abs(x) up to one more than that of the others.

    It bounds E[g(v) | u], for functions that are not rather bounded by their root mean square.
    """
    inner = np.abs(panels).min(axis=-1)
    order = inner.argsort()
    reached = inner[order].searchsorted(np.abs(others).max(axis=-1) + _NEAR, side="right")
    return np.asarray(np.maximum.accumulate(largest[order])[np.maximum(reached, 1) - 1])


def inherited(f: Resolved[Any], g: Resolved[Any]) -> float:
    """Return the error of E f(u) g(v) that no method can do anything about, since it is in f and g."""
    return 2 * f.lost(f) if f is g else f.lost(g) + g.lost(f)
