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

AnyLaw = TypeVar("AnyLaw", bound=Law, covariant=True)

_NEAR = 3.0
"""In x: how much further out than v the u may be that matters for E[f(u) | v]."""


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
        return float(self.wrong @ self.mass) + around + math.sqrt(self.beyond) * self.rms

    def lost(self, other: Resolved[Any]) -> float:
        """Return by how much E f(u) g(v) may be wrong because f is, and because it is cut off; g is ``other``.

        What is wrong everywhere is bounded by Cauchy-Schwarz. What is wrong in one place, around a break that was not
        declared, is bounded better by the size of g, taken from x up to three units further out.
        """
        everywhere = math.sqrt(float(self.wrong**2 @ self.mass)) * other.rms
        near = np.maximum(other.rms, other.within(np.abs(self.edges).max(axis=-1) + _NEAR))
        in_one_place = float(self.wrong * self.mass @ near)
        around = 0.0 if self.around is None else self.around.lost(other)
        return min(everywhere, in_one_place) + around + math.sqrt(self.beyond) * self.rms * other.rms

    def within(self, distance: Array) -> Array:
        """Return the largest absolute value at x of no more than ``distance``."""
        inner = np.abs(self.edges).min(axis=-1)
        order = np.argsort(inner)
        largest = np.maximum.accumulate(self.largest[order])
        return np.asarray(largest[np.searchsorted(inner[order], distance, side="right").clip(1) - 1])


def inherited(f: Resolved[Any], g: Resolved[Any]) -> float:
    """Return the error of E f(u) g(v) that no method can do anything about, since it is in f and g."""
    return 2 * f.lost(f) if f is g else f.lost(g) + g.lost(f)
