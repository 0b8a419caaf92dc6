"""Special functions that SciPy lacks: masses of the plane standard normal law, of which closed forms are made.

A half-plane u < s meets another in a wedge. Its mass follows from triangles with a corner at the origin, which are
Owen's T function seen from the other side, and, where the function has an exponential, from wedges whose apex has been
shifted, scaled so that nothing overflows. Owen, "Tables for computing bivariate normal probabilities", Annals of
Mathematical Statistics 27 (1956).

Both are integrals of a smooth function over an angle or a length. They are taken here by one fixed rule, whose error is
below that of rounding, where the usual functions would be differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from .gaussian import Array, GaussianPair

_SMALLEST = 1e-150
"""Variance 0 is taken for this, the smallest that is not 0."""

_NODES, _ = legendre.leggauss(64)
_WEIGHTS = np.linalg.inv(legendre.legvander(_NODES, 63))[0]  # those of leggauss are off by up to 1e-13 at the ends
_NODES = (1 + _NODES) / 2
"""The Gauss rule on [0, 1]."""

_FAR = 4.0
"""From this distance of the apex on, the leading terms of a wedge no longer cancel."""

_ROOT_2 = math.sqrt(2)


def with_density(pair: GaussianPair) -> GaussianPair:
    """Return the pair with variances that are not 0."""
    a, other = (np.maximum(x, _SMALLEST) for x in (pair.variance, pair.other_variance))
    return GaussianPair(a, other, pair.covariance)


def ratio(x: Array, y: Array) -> Array:
    """Return x / y, with 0 / 0 = 0 and otherwise 1 / 0 = inf."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(x, y, out=np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y))), where=np.not_equal(x, 0))


def gap(pair: GaussianPair) -> Array:
    """Return Var u + Var v - 2 abs(E uv), at least 0."""
    b = np.abs(pair.covariance)
    return np.asarray(np.maximum((pair.variance - b) + (pair.other_variance - b), 0.0))


def triangle(h: Array, slope: Array) -> Array:
    """Return the mass of the triangle 0 < x < h, 0 < y < slope x; odd in the slope, which may be infinite."""
    m = np.abs(slope)
    steep = m > 1
    # a steep triangle is the rest of a rectangle; what is left has slope at most 1
    long = np.where(steep, h * m, h)
    flat = np.minimum(m, ratio(np.ones_like(m), m))
    x = np.minimum(long, 2.0)[..., None] * _NODES / _ROOT_2
    near = (
        np.minimum(long, 2.0) / math.sqrt(8 * math.pi) * (np.exp(-(x**2)) * special.erf(flat[..., None] * x) @ _WEIGHTS)
    )
    far = np.arctan(flat) / (2 * math.pi) - special.owens_t(long, flat)
    below = np.where(long <= 2, near, far)
    rectangle = special.erf(h / _ROOT_2) * special.erf(h * m / _ROOT_2) / 4
    return np.asarray(np.copysign(np.where(steep, rectangle - below, below), slope))


def wedge(kernel: Callable[[Array], Array], h: Array, angle: Array) -> Array:
    r"""Return the integral of kernel(h sin x) / (2 pi) for x from ``angle``, in [0, pi], to pi/2.

    For the kernel :func:`radial` it is exp(h^2/2) times the mass of the wedge whose apex has the distance h from the
    origin, between the line to the apex, continued, and a line at pi/2 - angle to it.
    """
    h, angle = np.broadcast_arrays(h, angle)
    start = np.minimum(angle, math.pi - angle)
    # The kernels vary where h sin x is about 1 and slowly beyond: in x = sinh(t) / scale the same rule serves all h
    scale = np.maximum(h, 1.0)
    low, high = np.arcsinh(scale * start), np.arcsinh(scale * (math.pi / 2))
    t = low[..., None] + (high - low)[..., None] * _NODES
    x = np.sinh(t) / scale[..., None]
    values = kernel(h[..., None] * np.sin(x)) * np.cosh(t) @ _WEIGHTS
    signed = np.where(angle > math.pi / 2, -values, values)
    return np.asarray(signed * (high - low) / scale / (2 * math.pi))


def wedge_rest(h: Array, angle: Array) -> Array:
    """Return the wedge less its two leading terms for small h, which cancel in what is of second order."""
    leading = math.pi / 2 - angle - math.sqrt(math.pi / 2) * h * np.cos(angle)
    return np.where(
        h < _FAR, wedge(radial_rest, np.minimum(h, _FAR), angle), wedge(radial, h, angle) - leading / (2 * math.pi)
    )


def radial(y: Array) -> Array:
    """Return the integral of r exp(-y r - r^2/2) over r > 0."""
    return 1 - math.sqrt(math.pi / 2) * y * special.erfcx(y / _ROOT_2)


def radial_rest(y: Array) -> Array:
    """Return radial(y) - 1 + sqrt(pi/2) y, without cancellation where y is small."""
    return -math.sqrt(math.pi / 2) * y * erfcx_less_1(y / _ROOT_2)


def erfcx_less_1(x: Array) -> Array:
    """Return exp(x^2) erfc(x) - 1, for x >= 0."""
    small = np.minimum(x, 1.0)
    near = np.expm1(small**2) * special.erfc(small) - special.erf(small)
    return np.where(x < 1, near, special.erfcx(x) - 1)


def erfcx_rest(x: Array) -> Array:
    """Return exp(x^2) erfc(x) - 1 + 2 x / sqrt(pi), for x >= 0, without cancellation where x is small."""
    small = np.minimum(x, 1.0)[..., None]
    n = np.arange(2, 40)
    near = np.sum((-small) ** n / special.gamma(n / 2 + 1), axis=-1)
    return np.where(x < 0.5, near, special.erfcx(x) - 1 + 2 / math.sqrt(math.pi) * x)
