"""The error function: the arcsine kernel of Williams, "Computing with infinite networks", NeurIPS 1996.

    E erf(u) erf(v) = (2/pi) arcsin(2 E uv / sqrt((1 + 2 Var u)(1 + 2 Var v))),

written with atan2 and the determinant of the pair, so that nothing cancels where the arcsine is steep.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array, GaussianPair
from . import precise

_ARCSINE = "arcsine kernel, Williams (1996)"


def _erf(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.erf(u))


def _mean(variance: Array) -> Array:
    return np.zeros_like(variance)


def _second_moment(variance: Array) -> Array:
    return 2 / math.pi * np.arctan2(2 * variance, np.sqrt(1 + 4 * variance))


def _overlap(pair: GaussianPair) -> Array:
    return np.asarray(np.arctan2(pair.covariance, pair.half_noisy_root) * (2 / math.pi))


def _bell(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 / math.sqrt(math.pi) * np.exp(-(u**2))


def _bell_mean(variance: Array) -> Array:
    return 2 / math.sqrt(math.pi) / np.sqrt(1 + 2 * variance)


def _bell_second_moment(variance: Array) -> Array:
    return 4 / math.pi / np.sqrt(1 + 4 * variance)


def _bell_overlap(pair: GaussianPair) -> Array:
    return np.asarray(2 / math.pi / pair.half_noisy_root)


_STRIP = 1.5
"""Both are entire; at this distance exp(-u^2) has grown tenfold."""

erf = Activation(
    "erf",
    ScalarFunction(
        _erf,
        closed_form=ClosedForm(_ARCSINE, mean=_mean, second_moment=_second_moment, overlap=_overlap),
        strip=_STRIP,
        parity=Parity.ODD,
        precise=precise.erf,
    ),
    ScalarFunction(
        _bell,
        closed_form=ClosedForm(
            "product of Gaussians", mean=_bell_mean, second_moment=_bell_second_moment, overlap=_bell_overlap
        ),
        strip=_STRIP,
        parity=Parity.EVEN,
        nonnegative=True,
        precise=precise.erf_slope,
    ),
)
"""The error function."""
