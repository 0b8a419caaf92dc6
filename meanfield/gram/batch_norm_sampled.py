r"""Batch normalisation before any activation: averages over the normalised vector by scrambled Sobol points.

A point of the unit cube of as many dimensions as Lambda has directions gives v = A sqrt(lambda) z, z standard normal,
and n = v/s. With D, P and s of each point, a = Theta n/T and q = n'a/T,

    E[s^-2 D P Theta P D]_st = E[s^-2 phi'_s phi'_t (Theta_st - n_s a_t - a_s n_t + q n_s n_t)]:

products of (points x T) matrices. Without epsilon, n and s/|z| are functions of the direction of z, and the average
over |z| is taken exactly: what is left has a variance, also where 1/s^2 has none. Every scrambling goes through all
layers by itself, so that the spread of the results over scramblings is the error of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ParameterError, QuadratureError, require_integer, require_number
from ..functions import Activation
from ..gaussian import Array
from .batch_norm_layer import Averages, Spread, centred

_CHUNK = 2**20
"""Entries of the matrices of points that are in memory at a time: some 8 MiB each."""

_NARROWEST = 1e-3
"""Of the strip in which a function is analytic: what varies faster, too few points see for an error to be told."""

_DIMENSIONS = 21_201
"""For which the direction numbers of the points are known."""


@dataclass(frozen=True, init=False)
class Sampling:
    """How averages behind batch normalisation are sampled, for activations that are not like relu.

    Parameters
    ----------
    tolerance : float
        Of both matrices: the largest standard error of an entry, relative to the root of the product of the two entries
        on the diagonal. The number of points grows until it is met, or ``most`` is reached, which the result says.
    scramblings : int
        At least 4: independent randomisations of the points, over which the standard error is taken.
    most : int
        Points of each scrambling, at least 1024; a power of 2.
    seed : int
        At least 0: the same seed gives the same numbers.

    Examples
    --------
    >>> Sampling(tolerance=1e-2)
    Sampling(tolerance=0.01, scramblings=8, most=65536, seed=0)
    """

    tolerance: float
    scramblings: int
    most: int
    seed: int

    def __init__(self, tolerance: float = 2e-3, scramblings: int = 8, most: int = 2**16, seed: int = 0) -> None:
        object.__setattr__(self, "tolerance", require_number("tolerance", tolerance, above=0))
        object.__setattr__(self, "scramblings", require_integer("scramblings", scramblings, at_least=4))
        most = require_integer("most", most, at_least=FIRST, at_most=2**30)
        if most & (most - 1):
            raise ParameterError("most", "a power of 2, with which the points fill the cube evenly", most)
        object.__setattr__(self, "most", most)
        object.__setattr__(self, "seed", require_integer("seed", seed, at_least=0))


FIRST = 2**10
"""Points of each scrambling to begin with."""


def sampled_layer(
    phi: Activation,
    spread: Spread,
    theta: Array | None,
    *,
    epsilon: float,
    points: int,
    rng: np.random.Generator,
) -> Averages:
    """Return Q = E phi(n) phi(n)' and E[s^-2 D P Theta P D] by the points of one scrambling.

    Parameters
    ----------
    phi : Activation
    spread : Spread
        Of the pre-activations.
    theta : array of shape (T, T), optional
        Their tangent kernel.
    epsilon : float
        At least 0.
    points : int
        A power of 2.
    rng : Generator
        Of the scrambling.

    Raises
    ------
    QuadratureError
        For a function that varies too fast.
    """
    if phi.slope.strip is not None and phi.slope.strip < _NARROWEST:
        raise QuadratureError(f"{phi.name} varies so fast that points would miss it: take a smaller gamma")
    samples = spread.samples
    activity, tangent = np.zeros((samples, samples)), None if theta is None else np.zeros((samples, samples))
    theta = None if theta is None else centred(theta)
    for z in _normal_points(spread.rank, points, rng):
        v = (z * np.sqrt(spread.variances[: spread.rank])) @ spread.axes[:, : spread.rank].T
        s = np.sqrt(np.einsum("it,it->i", v, v) / samples + epsilon)[:, None]
        n = v / s
        h = phi.value(n)
        activity += h.T @ h
        if theta is None or tangent is None:
            continue
        d = phi.slope(n) / s
        if epsilon == 0:  # n knows nothing of |z|, whose average is known: E |z|^-2 = 1/(rank - 2)
            d *= np.sqrt(np.einsum("ij,ij->i", z, z) / (spread.rank - 2))[:, None]
        a = n @ theta / samples
        q = np.einsum("it,it->i", n, a)[:, None] / samples
        dn = d * n
        projected = dn.T @ (q * dn - 2 * d * a)
        tangent += theta * (d.T @ d) + (projected + projected.T) / 2
    return Averages(activity / points, None if tangent is None else tangent / points)


def _normal_points(dimension: int, points: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield Gaussian points, of shape (n, dimension), in chunks."""
    from scipy.special import ndtri
    from scipy.stats import qmc  # half of this package's import time

    if dimension > _DIMENSIONS:
        expected = f"of at most {_DIMENSIONS + 1} samples behind batch normalisation, for this activation"
        raise ParameterError("inputs", expected, dimension + 1)
    sobol = qmc.Sobol(dimension, scramble=True, bits=53, seed=rng)
    chunk = min(points, max(64, 2 ** int(np.log2(_CHUNK / dimension))))
    for _ in range(points // chunk):
        # not 0, where the normal quantile is infinite
        yield ndtri(np.maximum(sobol.random(chunk), 2.0**-54))
