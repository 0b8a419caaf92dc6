r"""The Gaussian error linear unit, u Phi(u), Phi the normal distribution function.

Stein's identity and products of Gaussians give, with D = (1 + Var u)(1 + Var v) - (E uv)^2 and
K = E Phi(u) Phi(v) = 1/4 + arctan(E uv / sqrt(D)) / (2 pi),

    E u Phi(u)          = Var u / sqrt(2 pi (1 + Var u)),
    E u Phi(u) v Phi(v) = E uv K + (Var u / (1 + Var u) (Var v + det) + (E uv)^2 / (1 + Var v)) / (2 pi sqrt(D)),
    E phi'(u) phi'(v)   = K + E uv / (2 pi sqrt(D)) (1 / (1 + Var u) + 1 / (1 + Var v) + 1 / D),

the last being the derivative of the one before with respect to E uv. Compare Tsuchida, Pearce, van der Heide, Roosta
and Gallagher, "Avoiding kernel fixed points: computing with ELU and GELU infinite networks", AAAI 2021.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, ScalarFunction
from ..gaussian import Array, GaussianPair
from . import precise

_SOURCE = "tilted Gaussians, Tsuchida et al. (2021)"


def _gelu(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(u * special.ndtr(u))


def _mean(variance: Array) -> Array:
    return np.asarray(variance / np.sqrt(2 * math.pi * (1 + variance)))


def _second_moment(variance: Array) -> tuple[Array, ...]:
    return _overlap(_same(variance))


def _overlap(pair: GaussianPair) -> tuple[Array, ...]:
    a, other, b, det, root = pair.variance, pair.other_variance, pair.covariance, pair.determinant, pair.noisy_root
    rest = (a / (1 + a) * (other + det) + b / (1 + other) * b) / root
    return b * _both(pair), rest / (2 * math.pi)


def _slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.ndtr(u) + u * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi))


def _slope_mean(variance: Array) -> Array:
    return np.full_like(variance, 0.5)


def _slope_second_moment(variance: Array) -> tuple[Array, ...]:
    return _slope_overlap(_same(variance))


def _slope_overlap(pair: GaussianPair) -> tuple[Array, ...]:
    root = pair.noisy_root
    rest = 1 / (1 + pair.variance) + 1 / (1 + pair.other_variance) + 1 / root**2
    return _both(pair), pair.covariance / root * rest / (2 * math.pi)


def _same(variance: Array) -> GaussianPair:
    return GaussianPair(variance, variance, variance)


def _both(pair: GaussianPair) -> Array:
    """Return E Phi(u) Phi(v)."""
    return np.asarray(pair.noisy_angle / (2 * math.pi))


gelu = Activation(
    "gelu",
    ScalarFunction(
        _gelu,
        closed_form=ClosedForm(_SOURCE, mean=_mean, second_moment=_second_moment, overlap=_overlap),
        strip=1.9,
        precise=precise.gelu,
    ),
    ScalarFunction(
        _slope,
        closed_form=ClosedForm(_SOURCE, mean=_slope_mean, second_moment=_slope_second_moment, overlap=_slope_overlap),
        strip=1.9,
        precise=precise.gelu_slope,
    ),
)
"""The Gaussian error linear unit, u P(z < u) for a standard normal z."""
