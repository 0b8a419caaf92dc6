"""The series of Gegenbauer polynomials: E f(u) g(v) = sum_n f_n g_n P_n(cosine), by the theorem of Funk and Hecke.

f_n = E f(u) p_n(u) are the coefficients in the polynomials that are orthonormal under the law of u (Chebyshev for
d = 2, Legendre for d = 3, Hermite in the limit), and P_n is the same polynomial, normalised to P_n(1) = 1. By
Cauchy-Schwarz what is left out beyond N terms is at most max_{n >= N} |P_n(c)| sqrt(tail_f tail_g), with
tail_f = E f^2 - sum_{n < N} f_n^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...functions import ScalarFunction
from ...gaussian import Array
from ..law import SphereLaw
from ..legendre import gauss, shorter
from ..method import Estimate
from ..resolve import ORDER
from ..resolved import Resolved, inherited
from .method import SphereMethod

_LEVELS = (32, 96, 256)
"""Numbers of terms that are tried, one after the other."""

_PHASE = 16.0
"""By how much a polynomial may turn on a panel: 32 nodes integrate it times what a series of 32 terms resolves."""


@dataclass(frozen=True)
class Gegenbauer(SphereMethod):
    """The Gegenbauer series, up to 256 terms.

    Parameters
    ----------
    tolerance, largest
        As for every method on the sphere.

    Examples
    --------
    >>> import meanfield as mf
    >>> estimate = mf.Gegenbauer().overlap(mf.tanh, dimension=9, cosine=-1 / 9)
    >>> round(estimate.value, 13), estimate.error < 1e-13
    (-0.042984578659, True)
    """

    def accepts(
        self, f: ScalarFunction, *, dimension: float, cosine: float, other: ScalarFunction | None = None
    ) -> bool:
        """Smooth functions; kinks and jumps where the polynomials at the cosine are small enough to make up for them.

        The tail beyond N terms is of order N^(-3/2) with a kink, N^(-1/2) with a jump, and less where N exceeds d.
        """
        g = f if other is None else other
        if not (f.breaks or g.breaks) or dimension in (1, math.inf):
            return True
        decay = sum(0.0 if not h.breaks else 0.25 if h.jumps else 0.75 for h in (f, g))
        left_out = max_beyond(cosine, int(dimension), _LEVELS[-1])[-1] * _LEVELS[-1] ** -decay
        return bool(left_out <= 10 * self.tolerance)

    def _overlap(self, f: Resolved[SphereLaw], g: Resolved[SphereLaw], cosine: float) -> Estimate:
        scale = f.rms * g.rms
        evaluations = f.evaluations + (g.evaluations if g is not f else 0)
        value = error = 0.0
        for terms in _LEVELS:
            a, cost = coefficients(f, terms)
            b, other_cost = (a, 0) if g is f else coefficients(g, terms)
            evaluations += cost + other_cost
            value = float((a * b) @ polynomials(cosine, f.law.dimension, terms))
            tails = math.sqrt(_tail(f, a) * _tail(g, b))
            error = tails * float(max_beyond(cosine, f.law.dimension, terms)[-1])
            if error <= self.tolerance / 4 * scale or evaluations > self.largest:
                break
        return self._accept(value, error + inherited(f, g), scale, evaluations)


def coefficients(f: Resolved[SphereLaw], terms: int) -> tuple[Array, int]:
    """Return f_n = E f(u) p_n(u) for n < terms, and how many values of f it took."""
    # in a unit of x, p_n turns by sqrt(n) where n is below d, by n/sqrt(d) where it is above
    edges, _ = shorter(f.places[:-1], f.places[1:], _PHASE / math.sqrt(terms * (1 + terms / f.law.dimension)))
    x, lengths = gauss(edges, ORDER)
    x, lengths = x.ravel(), lengths.ravel()
    u = f.law.coordinate(x)
    weighted = f.law.weigh(x, lengths) * f.f(u)
    result = np.empty(terms)
    before, p = np.zeros_like(u), np.ones_like(u)
    ladder = _ladder(f.law, terms)
    for n in range(terms):
        result[n] = weighted @ p
        # u p_n = ladder_{n+1} p_{n+1} + ladder_n p_{n-1}
        before, p = p, (u * p - ladder[n] * before) / ladder[n + 1]
    return result, u.size


def polynomials(cosine: float, dimension: int, terms: int) -> Array:
    """Return P_n(cosine), n < terms, with P_n(1) = 1."""
    d, result = dimension, np.empty(terms)
    before, p = 0.0, 1.0
    for n in range(terms):
        result[n] = p
        # (n + d - 2) P_{n+1} = (2n + d - 2) c P_n - n P_{n-1}
        before, p = p, ((2 * n + d - 2) * cosine * p - n * before) / (n + d - 2) if n else cosine
    return result


def max_beyond(cosine: float, dimension: int, terms: int) -> Array:
    r"""Return bounds on max_{m >= n} abs(P_m(cosine)), n = 0 .. terms.

    They are the roots of S_n = P_n^2 + q_n (P_{n-1} - c P_n)^2/(1 - c^2), q_n = n/(n + d - 2) <= 1, which does not
    increase with n: with b = P_{n-1} - c P_n the recurrence is P_{n+1} = c P_n - q_n b, whence
    S_{n+1} <= P_n^2 + q_n^2 b^2/(1 - c^2) <= S_n.
    """
    p = polynomials(cosine, dimension, terms + 1)
    if abs(cosine) == 1:
        return np.ones(terms + 1)
    n = np.arange(1, terms + 1)
    off = p[:-1] - cosine * p[1:]
    s = p[1:] ** 2 + n / (n + dimension - 2) * off**2 / ((1 - cosine) * (1 + cosine))
    return np.asarray(np.minimum(1.0, np.sqrt(np.append(1.0, s))))


def _tail(f: Resolved[SphereLaw], a: Array) -> float:
    """Return E f^2 - sum f_n^2; it cannot be known to be less than its rounding."""
    return max(f.square - float(a @ a), 0.0) + 4e-15 * f.square


def _ladder(law: SphereLaw, terms: int) -> Array:
    """Return the factors by which u p_{n-1} leads to p_n, n = 0 .. terms: sqrt(n) for large d."""
    d = float(law.dimension)
    n = np.arange(2.0, terms + 1)
    return np.concatenate([[0.0, 1.0], np.sqrt(d / (2 * n + d - 2) * n * ((n + d - 3) / (2 * n + d - 4)))])
