r"""The hard tanh, clip(u, -1, 1).

With p_u the density of u, L and M the masses of u, v > 1 and of u > 1, v < -1, and R that of the square
abs(u), abs(v) < 1, Stein's identity gives

    E phi(u)^2      = P(abs(u) > 1) + Var u P(chi^2_3 < 1 / Var u),
    E phi(u) phi(v) = E uv R + 2 (L - M) + (sqrt(det)/pi) exp(-(Var u + Var v) / (2 det)) 2 sinh(E uv / det)
                      - 2 Var u p_u(1) E[s(v) | u = 1] - 2 Var v p_v(1) E[s(u) | v = 1],

with s(u) the sign of u where abs(u) > 1 and 0 elsewhere. Where variance and correlation are large the terms cancel:
from a variance of about 200 and a correlation of 0.997 on, the digits that are left are no longer enough.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array, GaussianPair
from ..special import gap, ratio, triangle, with_density
from . import precise

_SOURCE = "bivariate normal distribution, Owen (1956)"


def _hard_tanh(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(u, -1.0, 1.0)


def _mean(variance: Array) -> Array:
    return np.zeros_like(variance)


def _second_moment(variance: Array) -> tuple[Array, ...]:
    half = 1 / (2 * np.maximum(variance, 1e-150))
    return special.erfc(np.sqrt(half)), variance * special.gammainc(1.5, half)


def _overlap(pair: GaussianPair) -> tuple[Array, ...]:
    pair = with_density(pair)
    a, other, b, det = pair.variance, pair.other_variance, pair.covariance, pair.determinant
    # sinh overflows; its two exponentials do not
    difference = np.exp(-ratio(gap(pair), 2 * det)) * -np.expm1(-ratio(2 * np.abs(b), det))
    corners = np.sign(b) * np.sqrt(det) / math.pi * difference
    return (b * _square(pair), corners, *_side(a, b, np.sqrt(det)), *_side(other, b, np.sqrt(det)))


def _side(a: Array, b: Array, root: Array) -> tuple[Array, Array]:
    """Return the share of u in 2 (L - M), and the term with its density at 1."""
    h = 1 / np.sqrt(a)
    near, far = _slopes(a, b, root)
    share = 2 * (special.owens_t(h, far) - special.owens_t(h, near))
    # v given u = 1 is b/a + root/sqrt(a) y: 1 and -1 are slope/sqrt(a) standard deviations away
    outside = (special.erf(far * h / math.sqrt(2)) - special.erf(near * h / math.sqrt(2))) / 2
    return share, -np.sqrt(2 * a / math.pi) * np.exp(-1 / (2 * a)) * outside


def _slopes(a: Array, b: Array, root: Array) -> tuple[Array, Array]:
    """Return the slopes of the two triangles from the origin to the line u = 1, up to v = 1 and down to v = -1."""
    return ratio(a - b, root), ratio(a + b, root)


def _box(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(u) < 1, 1.0, 0.0)


def _box_mean(variance: Array) -> Array:
    return np.asarray(special.erf(1 / np.sqrt(2 * np.maximum(variance, 1e-150))))


def _box_overlap(pair: GaussianPair) -> Array:
    return _square(with_density(pair))


def _square(pair: GaussianPair) -> Array:
    """Return the mass of abs(u), abs(v) < 1: eight triangles, two of each kind."""
    root = np.sqrt(pair.determinant)
    return np.asarray(
        2
        * sum(
            triangle(1 / np.sqrt(a), slope)
            for a in (pair.variance, pair.other_variance)
            for slope in _slopes(a, pair.covariance, root)
        )
    )


hard_tanh = Activation(
    "hard_tanh",
    ScalarFunction(
        _hard_tanh,
        kinks=(-1, 1),
        closed_form=ClosedForm(_SOURCE, mean=_mean, second_moment=_second_moment, overlap=_overlap),
        scale=1.0,
        parity=Parity.ODD,
        precise=precise.clip,
    ),
    ScalarFunction(
        _box,
        jumps=(-1, 1),
        closed_form=ClosedForm(_SOURCE, mean=_box_mean, second_moment=_box_mean, overlap=_box_overlap),
        parity=Parity.EVEN,
        scale=1.0,
        nonnegative=True,
        precise=precise.clip_slope,
    ),
)
"""u between -1 and 1, and constant beyond."""
