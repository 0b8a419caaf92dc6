"""How many eigenvalues the density has above the k-th largest one.

With N(x) = T times the share above x, the k-th largest eigenvalue of a matrix whose density begins as a square root at
an edge follows the laws of Tracy and Widom; its mean lies where N = k - 3/4 and a little more. Eigenvalues that stand
alone, one for each hidden unit whose gradient is large enough, are independent: they make a Poisson process, for which
the mean of the k-th largest lies where N = exp(digamma(k)), if N falls off exponentially.
"""

from __future__ import annotations

import math

from scipy import special

from ..gaussian import Array

MEAN_1 = -1.2065335745820
"""Mean of the Tracy-Widom law of real symmetric matrices."""

_MEDIAN_1 = -1.2686
"""Its median."""


def _edge_count(deviate: float) -> float:
    """Return N at a Tracy-Widom deviate: 2/(3 pi) |s|^(3/2)."""
    return 2 / (3 * math.pi) * math.pow(abs(deviate), 1.5)


def count_at_mean(k: int, alone: float) -> float:
    """Return N at the mean of the k-th largest eigenvalue.

    Parameters
    ----------
    k : int
        At least 1.
    alone : float
        The share of the eigenvalues above that stand alone: 0 at a square-root edge, 1 far out in a tail.
    """
    edge = k - 0.75 + (_edge_count(MEAN_1) - 0.25) / k**4  # the second is 1.2505
    return _between(edge, math.exp(float(special.digamma(k))), alone)


def count_at_median(alone: float) -> float:
    """Return N at the median of the largest eigenvalue."""
    return _between(_edge_count(_MEDIAN_1), math.log(2), alone)


def _between(edge: float, poisson: float, alone: float) -> float:
    return math.exp((1 - alone) * math.log(edge) + alone * math.log(poisson))


def share_alone(poles: Array, count: Array) -> Array:
    """Return the share of eigenvalues that stand alone: nodes beyond their pole, of all that are counted."""
    share: Array = (poles / count.clip(1e-300)).clip(0.0, 1.0)
    return share
