"""Averages over the readout weights zeta of a layer that are exact for rational functions.

The resolvent at a node has the denominator Delta = c + d t, t = zeta^2, and zeta is normal and unbounded, so that an
average of N/Delta has a cut along real t0 = -c/d > 0, which is the tail of the spectrum and smaller than any quadrature
error. For a polynomial N(t), N/Delta = (N - N(t0))/Delta + N(t0)/Delta, the first a polynomial, which Gauss-Hermite
integrates exactly, the second known:

    E N/Delta = sum_i w_i N(t_i)/Delta(t_i) + N(t0) (E 1/Delta - sum_i w_i/Delta(t_i)),

that is a rule for N of one more node, t0. E 1/(t + k) = sqrt(pi/2)/(s sqrt k) w(i sqrt k/(s sqrt 2)) for t = zeta^2,
s^2 = Var zeta, w the Faddeeva function.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Complex = NDArray[np.complex128]

_HALF = 6
"""Positive nodes of the Gauss-Hermite rule of twice as many: exact for t^11, N being at most of degree 4."""

_FAR = 40.0
"""Variances of zeta: of a pole beyond, Gauss-Hermite alone makes an error of exp(-20), and the pole's own node loses
digits."""

_TINY = 1e-100
"""Instead of variance 0, where gradients have nothing in common: N is divided by t before the limit is taken."""

_NODES, _WEIGHTS = special.roots_hermitenorm(2 * _HALF)
_T = _NODES[_HALF:] ** 2
_W = 2 * _WEIGHTS[_HALF:] / _WEIGHTS.sum()


def places(constant: Complex, linear: Complex, variance: float) -> tuple[Complex, Complex]:
    """Return t and weights, each of shape (nodes, points): sum(weights * N(t)) = E[N(zeta^2)/Delta(zeta^2)].

    Parameters
    ----------
    constant, linear : array, shape (nodes,)
        Delta = constant + linear t, for each z, on the sheet that is reached from the upper half-plane of x.
    variance : float
        Of zeta, at least 0.
    """
    variance = max(variance, _TINY)
    t = np.tile(variance * _T, (constant.size, 1)).astype(np.complex128)
    weights = _W / (constant[:, None] + linear[:, None] * t)
    near = np.abs(constant) < _FAR * variance * np.abs(linear)
    pole = np.full(constant.size, variance, dtype=np.complex128)
    weight = np.zeros_like(pole)
    pole[near] = -constant[near] / linear[near]
    weight[near] = _mean_of_inverse(-pole[near], variance) / linear[near] - weights[near].sum(axis=1)
    return np.column_stack([t, pole]), np.column_stack([weights, weight])


def _mean_of_inverse(k: Complex, variance: float) -> Complex:
    """Return E 1/(zeta^2 + k).

    From Im x > 0 one has Im k <= 0: across negative k, where rounding decides the sign, the root is continued.
    """
    root = np.where(k.real < 0, -1j * np.sqrt(-k), np.sqrt(k))
    mean: Complex = math.sqrt(math.pi / (2 * variance)) / root * special.wofz(1j * root / math.sqrt(2 * variance))
    return mean
