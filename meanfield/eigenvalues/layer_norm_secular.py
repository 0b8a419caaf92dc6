"""The eigenvalues of a leading F* behind layer normalisation of given outputs, by a secular equation of size C - 1.

In coordinates orthogonal to (1, .., 1) the centred outputs of sample t are sqrt(C) sigma(t) n(t), n(t) a unit vector of
R^(C-1), and A(t) = I - n(t) n(t)' projects onto what is orthogonal to it. With ``contrast`` and ``cross`` X of F*, the
matrix of the blocks A(t) F*_tt' A(t')/(sigma(t) sigma(t')) is

    contrast diag(A(t)/sigma(t)^2) + B X B',    B the stack of the A(t)/sigma(t), of C - 1 columns,

so that lambda, not one of the poles contrast/sigma(t)^2, is an eigenvalue where 1 is one of

    X^(1/2) S(lambda) X^(1/2),    S(lambda) = sum_t A(t)/(sigma(t)^2 lambda - contrast).

In the theory X is a number times the identity; of one network it is not quite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError
from ..exchangeable import Exchangeable
from ..gaussian import Array
from ..normalization import OutputNormalization
from ..readout import checked_outputs

_EPS = float(np.finfo(np.float64).eps)

_AT_ONCE = 1 << 22
"""Numbers in one array of weights: 32 MiB."""


@dataclass(frozen=True, eq=False)
class Secular:
    """The secular equation for the outputs of one network.

    Equations: (S.88)-(S.95)
    """

    contrast: float
    """same - cross >= 0 of F*."""
    cross: Array
    """X, positive definite, in the coordinates of n(t): shape (C-1, C-1)."""
    variances: Array
    """sigma(t)^2 > 0, increasing: shape (T,)."""
    directions: Array
    """n(t), in the same order: shape (T, C-1)."""

    @classmethod
    def of(
        cls,
        block: Exchangeable,
        outputs: ArrayLike,
        *,
        overlaps: Array | None = None,
        norms: Array | None = None,
    ) -> Secular:
        """Return the equation of a block F*(k, k) and outputs.

        Parameters
        ----------
        block : Exchangeable
            Of size T, ``cross`` > 0.
        outputs : array of shape (T, C)
            C >= 3.
        overlaps : array of shape (C, C), optional
            F*(k, k')_st for s != t, positive definite, in place of ``block.cross`` for k' = k and 0 for others.
        norms : array of shape (T,), optional
            F*_tt of each sample relative to the mean, > 0: F*_st has the factor sqrt(norms(s) norms(t)).
        """
        u = checked_outputs(outputs, OutputNormalization.LAYER)
        if len(u) != block.size:
            raise ParameterError("outputs", f"those of {block.size} samples", f"shape {u.shape}")
        x = _across(u)
        lengths = np.linalg.norm(x, axis=1)
        size = x.shape[1]
        variances = lengths**2 / (size + 1) / (1.0 if norms is None else norms)
        order = np.argsort(variances)
        # the rows of ``basis`` are the coordinates of the unit vectors of R^C
        basis = _across(np.eye(size + 1))
        cross = block.cross * np.eye(size) if overlaps is None else basis.T @ overlaps @ basis
        least = float(np.linalg.eigvalsh(cross)[0])
        if least <= 0:
            raise ParameterError("overlaps", "positive definite, as they are in wide networks", f"eigenvalue {least:g}")
        return cls(block.contrast, cross, variances[order], (x / lengths[:, None])[order])

    def largest(self) -> float:
        """Return lambda_max, to rounding.

        The largest eigenvalue f of X^(1/2) S X^(1/2) is the largest over v of a form of v, and 1/f the smallest of
        functions that are concave: Newton's method for 1/f = 1 rises to the root, quadratically, from any point between
        the first pole and the root. Such a one is the largest eigenvalue of the block with the smallest sigma.
        """
        n, variances = self.directions, self.variances
        root = np.linalg.cholesky(self.cross)
        first = np.eye(n.shape[1]) - np.outer(n[0], n[0])
        of_block = float(np.linalg.eigvalsh(first @ self.cross @ first)[-1])
        largest = (self.contrast + of_block) / float(variances[0])
        while True:
            weights = 1 / (variances * largest - self.contrast)
            values, vectors = np.linalg.eigh(root.T @ self._sum(weights) @ root)
            f, y = float(values[-1]), root @ vectors[:, -1]
            slope = float(-(weights**2 * variances) @ (y @ y - (n @ y) ** 2))
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
            unknown = np.flatnonzero((upper - lower > 2 * _EPS * upper) & (middle > lower) & (middle < upper))
            if not unknown.size:
                break
            is_above = self.above(middle[unknown]) >= ranks[unknown]
            lower[unknown[is_above]] = middle[unknown[is_above]]
            upper[unknown[~is_above]] = middle[unknown[~is_above]]
        found: Array = (lower + upper) / 2
        found[:1] = first
        return np.minimum.accumulate(found)

    def above(self, x: Array) -> NDArray[np.intp]:
        """Return how many eigenvalues are above each x >= 0: the poles there, and what is positive of S(x) - X^-1.

        Both by Sylvester's law of inertia. Beside a pole S(x) = w A(i) + R with a huge w, in whose rounding what S is
        along n(i) would be lost. But Z (S - X^-1) Z has as many positive eigenvalues for Z = |w|^(-1/2) A(i) +
        n(i) n(i)', and there w is gone.
        """
        samples, size = self.directions.shape
        chunk = max(1, _AT_ONCE // max(samples, size * size))
        return np.concatenate([self._above(x[i : i + chunk]) for i in range(0, x.size, chunk)])

    def _above(self, x: Array) -> NDArray[np.intp]:
        size = self.directions.shape[1]
        unit = float(np.trace(self.cross)) / size  # so that what is compared with w is of O(1)
        gaps = np.outer(x, self.variances) - self.contrast
        rows, nearest = np.arange(x.size), np.abs(gaps).argmin(axis=1)
        with np.errstate(divide="ignore"):
            weights = unit / gaps
        w = weights[rows, nearest]
        weights[rows, nearest] = 0.0
        rest = self._sum(weights) - np.linalg.inv(self.cross / unit)
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


def _across(u: Array) -> Array:
    """Return coordinates of the centred outputs in the C - 1 directions orthogonal to (1, .., 1), by a reflection."""
    centred = u - u.mean(axis=1, keepdims=True)
    coordinates: Array = centred[:, 1:] + centred[:, :1] / (math.sqrt(u.shape[1]) - 1)
    return coordinates
