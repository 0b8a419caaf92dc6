"""Pairs of samples that have to be integrated one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array
from ..quadrature import AUTO
from .pairs import TilePairs

MOST = 2_000
"""Of a layer: up to a minute, where a function has kinks."""


def integrate_alone(
    f: ScalarFunction, value: Array, pairs: TilePairs, where: NDArray[np.intp], *, so_far: int, why: str
) -> None:
    """Write the overlaps of some pairs of a tile; refuse if they are too many, these and those before."""
    if so_far > MOST:
        raise QuadratureError(
            f"more than {MOST} pairs of samples would have to be integrated one by one, because {why}: {f}; allow a "
            "larger error (tolerance=...), or declare the strip of a smooth function (ScalarFunction(f, strip=...)) or "
            "a closed form"
        )
    if len(where):
        a, b, other = np.array([pairs.one(s, t) for s, t in where.tolist()]).T
        value[tuple(where.T)] = AUTO.overlap(f, a, b, other).value
