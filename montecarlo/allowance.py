"""How much of a theory's missing terms a finite network is granted.

The theory knows the order of what it leaves out; the constants here are measured on finite networks by
``benchmarks/allowance.py`` without normalisation and with mean subtraction, and rounded up; with other normalisations
the tests hold them against networks of width 1000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from meanfield import Bounds
from meanfield.eigenvalues import Correction

CONSTANTS = {
    "finite width": 2.0,
    "limiting law": 2.0,
    "overlap fluctuations": 0.25,
    "splitting": 1.5,
    "fluctuations": 0.5,
    "level repulsion": 1.5,
    "c0": 1.0,
    "c2": 1.0,
    "finite width of the spectrum": 1.5,
    "infinite variance of 1/sigma^2": 3.0,
}
"""A correction is granted this times its size. Measured for L <= 6, C <= 10 and weight variances up to 4."""

SINGLE_NETWORK = 4.0
"""By how much a single network may be off its bounds, in units of sqrt(L/M): four standard deviations of tr F."""


def allowed(value: float, corrections: Iterable[Correction], *, scale: float | None = None) -> Bounds:
    """Return the interval around a value of the theory in which its missing terms may put a measurement.

    Parameters
    ----------
    value : float
        Of the theory.
    corrections : iterable of Correction
        Those of this quantity; one that can only raise it widens the interval upwards alone.
    scale : float, optional
        What their sizes are relative to: the value itself if left out.

    Examples
    --------
    >>> splitting = Correction("largest", "splitting", 0.1, sign=1)
    >>> allowed(10.0, [Correction("largest", "finite width", 0.01), splitting])
    Bounds(lower=9.8, upper=11.7)
    """
    below = above = 0.0
    for correction in corrections:
        size = CONSTANTS[correction.name] * correction.size
        above += size if correction.sign >= 0 else 0.0
        below += size if correction.sign <= 0 else 0.0
    unit = value if scale is None else scale
    return Bounds(value - unit * below, value + unit * above if math.isfinite(above) else math.inf)


def allowed_to_single_network(bounds: Bounds, depth_to_width: float) -> Bounds:
    """Widen bounds of a mean over networks by what a single network may be off.

    Parameters
    ----------
    bounds : Bounds
        At least 0.
    depth_to_width : float
        L/M.

    Examples
    --------
    >>> allowed_to_single_network(Bounds(1.0, 2.0), 0.01)
    Bounds(lower=0.6, upper=2.8)
    """
    off = SINGLE_NETWORK * math.sqrt(depth_to_width)
    return Bounds(bounds.lower * max(0.0, 1 - off), bounds.upper * (1 + off))
