"""The eigenvalues of an exchangeable F* behind layer normalisation of given outputs, by a secular equation of size C-1.

In coordinates orthogonal to (1, .., 1) the centred outputs of sample t are sqrt(C) sigma(t) n(t), n(t) a unit vector of
R^(C-1), and A(t) = I - n(t) n(t)' projects onto what is orthogonal to it. With ``contrast`` and ``cross`` of a block
F*(k, k), the matrix of the blocks A(t) A(t') F*_tt'/(sigma(t) sigma(t')) is

    contrast diag(A(t)/sigma(t)^2) + cross B B',    B the stack of the A(t)/sigma(t), of C - 1 columns,

so that lambda, not one of the poles contrast/sigma(t)^2, is an eigenvalue where 1 is one of

    S(lambda) = cross sum_t A(t)/(sigma(t)^2 lambda - contrast).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError
from ..fim import Exchangeable
from ..gaussian import Array

_EPS = float(np.finfo(np.float64).eps)

_NO_SPREAD = 2.0**-48
"""A spread of the outputs of a sample below this, relative to the largest, is rounding: no digit of it is left."""

_AT_ONCE = 1 << 22
"""Numbers in one array of weights: 32 MiB."""


@dataclass(frozen=True, eq=False)
class Secular:
    """The secular equation of one block and the outputs of one network.

    Equations: (S.88)-(S.93)
    """

    contrast: float
    """same - cross >= 0."""
    cross: float
    """cross > 0."""
    variances: Array
    """sigma(t)^2 > 0, increasing: shape (T,)."""
    directions: Array
    """n(t), in the same order: shape (T, C-1)."""

    @classmethod
    def of(cls, block: Exchangeable, outputs: ArrayLike) -> Secular:
        """Return the equation of a block of size T, ``cross`` > 0, and outputs of shape (T, C), C >= 3."""
        u = checked_outputs(outputs)
        if len(u) != block.size:
            raise ParameterError("outputs", f"those of {block.size} samples", f"shape {u.shape}")
        x = _across(u)
        lengths = np.linalg.norm(x, axis=1)
        flat = lengths <= _NO_SPREAD * np.abs(u).max(axis=1)
        if flat.any():
            expected = "not all the same for any sample: layer normalisation divides by their spread"
            raise ParameterError("outputs", expected, f"no spread at sample {int(np.flatnonzero(flat)[0])}")
        order = np.argsort(lengths)
        directions = x[order] / lengths[order, None]
        return cls(block.contrast, block.cross, lengths[order] ** 2 / u.shape[1], directions)

    def largest(self) -> float:
        """Return lambda_max, to rounding.

        The largest eigenvalue f of S is the largest over v of v' S v, and 1/f the smallest of functions that are
        concave: Newton's method for 1/f = 1 rises to the root, quadratically, from any point between the first pole
        and the root. There is one: (contrast + cross)/sigma^2 of the smallest sigma is an eigenvalue of one block.
        """
        n, variances = self.directions, self.variances
        largest = (self.contrast + self.cross) / float(variances[0])
        while True:
            weights = self.cross / (variances * largest - self.contrast)
            values, vectors = np.linalg.eigh(self._sum(weights))
            f, v = float(values[-1]), vectors[:, -1]
            slope = float(-(weights**2 * variances / self.cross) @ (1 - (n @ v) ** 2))
            step = f * (1 - f) / slope
            if not step > _EPS * largest:
                return largest
            largest += step

    def all(self, count: int) -> Array:
        """Return the ``count`` largest eigenvalues in decreasing order, of T (C-2), by bisection with ``above``.

        The k-th is at least the k-th pole, each of which counts C - 2 times, and at most the (k-C+1)-th.
        """
        size = self.directions.shape[1]
        poles = np.repeat(self.contrast / self.variances, size - 1)
        first = self.largest()
        lower = poles[:count].copy()
        upper = np.concatenate([np.full(size, first), poles])[:count]
        ranks = np.arange(1, count + 1)
        while True:
            middle = (lower + upper) / 2
            open_ = np.flatnonzero((upper - lower > 2 * _EPS * upper) & (middle > lower) & (middle < upper))
            if not open_.size:
                break
            is_above = self.above(middle[open_]) >= ranks[open_]
            lower[open_[is_above]] = middle[open_[is_above]]
            upper[open_[~is_above]] = middle[open_[~is_above]]
        found: Array = (lower + upper) / 2
        found[:1] = first
        return np.minimum.accumulate(found)

    def above(self, x: Array) -> NDArray[np.intp]:
        """Return how many eigenvalues are above each x >= 0: the poles above x, and the eigenvalues of S(x) above 1.

        Beside a pole S(x) = w A(i) + R with a huge w, in whose rounding the eigenvalue of S along n(i) would be lost.
        By Sylvester's law of inertia Z (S - 1) Z has as many positive eigenvalues for Z = |w|^(-1/2) A(i) + n(i) n(i)',
        and there w is gone.
        """
        samples, size = self.directions.shape
        chunk = max(1, _AT_ONCE // max(samples, size * size))
        counts = [self._above(x[i : i + chunk]) for i in range(0, x.size, chunk)]
        return np.concatenate(counts)

    def _above(self, x: Array) -> NDArray[np.intp]:
        size = self.directions.shape[1]
        gaps = np.outer(x, self.variances) - self.contrast
        rows, nearest = np.arange(x.size), np.abs(gaps).argmin(axis=1)
        with np.errstate(divide="ignore"):
            weights = self.cross / gaps
        w = weights[rows, nearest]
        weights[rows, nearest] = 0.0
        rest = self._sum(weights) - np.eye(size)
        n = self.directions[nearest]
        along = n[:, :, None] * n[:, None, :]
        shrink = (1 / np.sqrt(np.maximum(1.0, np.abs(w))))[:, None, None]
        z = shrink * np.eye(size) + (1 - shrink) * along
        scaled = z @ rest @ z + np.clip(w, -1.0, 1.0)[:, None, None] * (np.eye(size) - along)
        of_poles = (size - 1) * np.count_nonzero(gaps < 0, axis=1)
        counts: NDArray[np.intp] = of_poles + np.count_nonzero(np.linalg.eigvalsh(scaled) > 0, axis=1)
        return counts

    @cached_property
    def _squares(self) -> Array:
        """n(t) n(t)', flat: shape (T, (C-1)^2)."""
        squares: Array = (self.directions[:, :, None] * self.directions[:, None, :]).reshape(len(self.directions), -1)
        return squares

    def _sum(self, weights: Array) -> Array:
        """Return sum_t w(t) A(t) for weights of shape (.., T)."""
        size = self.directions.shape[1]
        along = (weights @ self._squares).reshape(*weights.shape[:-1], size, size)
        total: Array = weights.sum(axis=-1)[..., None, None] * np.eye(size) - along
        return total


def checked_outputs(outputs: ArrayLike) -> Array:
    """Return outputs as an array of shape (T, C), finite."""
    try:
        u = np.asarray(outputs, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError("outputs", "an array of real numbers of shape (T, C)", repr(outputs)) from None
    if u.ndim != 2 or not u.size:
        raise ParameterError("outputs", "an array of shape (T, C)", f"shape {u.shape}")
    if not np.isfinite(u).all():
        raise ParameterError("outputs", "finite", "inf or nan")
    return u


def _across(u: Array) -> Array:
    """Return coordinates of the centred outputs in the C - 1 directions orthogonal to (1, .., 1), by a reflection."""
    centred = u - u.mean(axis=1, keepdims=True)
    coordinates: Array = centred[:, 1:] + centred[:, :1] / (math.sqrt(u.shape[1]) - 1)
    return coordinates
