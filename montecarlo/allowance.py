"""How much of a theory's missing terms a finite network is granted.

The theory knows the order of what it leaves out; the constants here are measured on finite networks by
``benchmarks/allowance.py``, and rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from meanfield import Bounds
from meanfield.eigenvalues import Correction

CONSTANTS = {
    "finite width": 2.0,
    "overlap fluctuations": 0.25,
    "splitting": 1.5,
    "fluctuations": 0.5,
    "level repulsion": 1.5,
    "c0": 1.0,
    "c2": 1.0,
    "single network": 4.0,
}
"""A correction is granted this times its size. Measured for L <= 6, C <= 10 and weight variances up to 4."""


def allowed(value: float, corrections: Iterable[Correction]) -> Bounds:
    """Return the interval around a value of the theory in which its missing terms may put a measurement.

    Parameters
    ----------
    value : float
        Of the theory, at least 0.
    corrections : iterable of Correction
        Those of this quantity; one that can only increase it widens the interval upwards alone.

    Examples
    --------
    >>> splitting = Correction("largest", "splitting", 0.1, positive=True)
    >>> allowed(10.0, [Correction("largest", "finite width", 0.01), splitting])
    Bounds(lower=9.8, upper=11.7)
    """
    below = above = 0.0
    for correction in corrections:
        size = CONSTANTS[correction.name] * correction.size
        above += size
        below += 0.0 if correction.positive else size
    return Bounds(value * (1 - below), value * (1 + above) if math.isfinite(above) else math.inf)


def allowed_to_one(bounds: Bounds, corrections: Iterable[Correction]) -> Bounds:
    """Widen bounds by what a single network may be off, in units of sqrt(L/M): four standard deviations of a trace.

    Parameters
    ----------
    bounds : Bounds
        At least 0, and wide enough for a mean over networks.
    corrections : iterable of Correction
        Of which "finite width" has the size L/M.

    Examples
    --------
    >>> allowed_to_one(Bounds(1.0, 2.0), [Correction("largest", "finite width", 0.01)])
    Bounds(lower=0.6, upper=2.8)
    """
    size = max((c.size for c in corrections if c.name == "finite width"), default=0.0)
    off = CONSTANTS["single network"] * math.sqrt(size)
    return Bounds(bounds.lower * max(0.0, 1 - off), bounds.upper * (1 + off))
