"""The ordered eigenvalues of the Gaussian orthogonal ensemble: their means and variances, exactly.

With f = 1 below x and s above, the generating function of the number N(x) of eigenvalues above x is a Pfaffian,

    E s^N(x) = E prod_j f(lambda_j) = Pf A(s)/Pf A(1),
    A_jk(s) = int int sign(y - z) psi_j(z) psi_k(y) f(z) f(y) dz dy,       psi_j = He_j(x) exp(-x^2/4)

(de Bruijn; for an odd size with a border of int psi_j f). Its coefficients, from s on the unit circle, are the
probabilities of N(x), and P(lambda_(i) > x) = P(N(x) >= i).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..gaussian import Array
from ..quadrature.legendre import gauss

LARGEST = 40
"""Above this size the matrix elements take seconds; edges of larger ensembles look alike."""

_POINTS = 200
"""At which the law is computed: differences of distribution functions, integrated by the trapezoidal rule."""

_BEYOND = 8.0
"""How far outside the semicircle: the density of the largest eigenvalue is below 1e-11 there."""

_NODES = 12
"""Of a Gauss-Legendre panel between two points."""


@cache
def ordered_eigenvalues(size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the means and the variances of the eigenvalues, the largest first.

    Parameters
    ----------
    size : int
        Of symmetric matrices with independent entries, of variance 1 off the diagonal and 2 on it.

    Returns
    -------
    tuple of float, tuple of float
        To 1e-9 for sizes up to 40; beyond it, semicircle quantiles with the edges of size 40: means to about 0.02,
        variances to about a fifth.

    Examples
    --------
    >>> means, variances = ordered_eigenvalues(2)
    >>> abs(means[0] - math.sqrt(math.pi / 2)) < 1e-9, abs(variances[0] - (3 - math.pi / 2)) < 1e-9
    (True, True)
    """
    if size > LARGEST:
        return _scaled(size)
    half = 2 * math.sqrt(size) + _BEYOND
    x = np.linspace(-half, half, _POINTS)
    above = np.array([_counts(size, left, right) for left, right in zip(*_parts(size, x), strict=True)])
    exceeds = above[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # P(N(x) >= i), i = 1 .. size
    difference = exceeds - special.ndtr(-x)[:, None]  # less a Gaussian of known moments: nothing is left at the ends
    step = x[1] - x[0]
    means = step * difference.sum(axis=0)
    variances = 1 + 2 * step * (x[:, None] * difference).sum(axis=0) - means**2
    return tuple(means.tolist()), tuple(variances.tolist())


def _parts(size: int, x: Array) -> tuple[Array, Array]:
    """Return what A(s) is made of at every point, below it and above it: shape (points, size + 1, size + 1).

    Rows and columns 0 .. size - 1 have the double integrals over one side, the last ones the integrals of psi.
    """
    panels = np.stack([x[:-1], x[1:]], axis=-1)
    nodes, weights = gauss(panels, _NODES)
    psi, below = _hermite(size, nodes.reshape(-1))
    total = _hermite(size, np.array([np.inf]))[1][:, 0]
    _, edges = _hermite(size, x)

    def double(primitive: Array) -> Array:
        """Integrate psi_k(y) primitive_j(y) - (j <-> k) over every panel."""
        one = (psi * weights.reshape(-1)).reshape(size, len(panels), -1)
        other = primitive.reshape(size, len(panels), -1)
        products = np.einsum("kpn,jpn->pjk", one, other, optimize=True)
        result: Array = products - np.swapaxes(products, 1, 2)
        return result

    left, right = np.zeros((2, x.size, size + 1, size + 1))
    left[1:, :size, :size] = np.cumsum(double(below), axis=0)
    of_right = double(below - total[:, None])  # minus the integral above
    right[:-1, :size, :size] = np.cumsum(of_right[::-1], axis=0)[::-1]
    for part, single in ((left, edges), (right, total[:, None] - edges)):
        part[:, :size, size] = single.T
        part[:, size, :size] = -single.T
    return left, right


def _hermite(size: int, x: Array) -> tuple[Array, Array]:
    """Return psi_j(x) and its integral from minus infinity, j = 0 .. size - 1, divided by sqrt(j!)."""
    psi, primitive = np.zeros((2, size + 1, x.size))
    finite = np.where(np.isfinite(x), x, 0.0)
    psi[0] = np.where(np.isfinite(x), np.exp(-(finite**2) / 4), 0.0)
    primitive[0] = 2 * math.sqrt(math.pi) * special.ndtr(x / math.sqrt(2))
    for j in range(size):
        # psi_j' = (j/2) psi_{j-1} - (1/2) psi_{j+1}
        before = (psi[j - 1], primitive[j - 1]) if j else (0.0, 0.0)
        psi[j + 1] = (finite * psi[j] - math.sqrt(j) * before[0]) / math.sqrt(j + 1)
        primitive[j + 1] = math.sqrt(j / (j + 1)) * before[1] - 2 / math.sqrt(j + 1) * psi[j]
    return psi[:size], primitive[:size]


def _counts(size: int, left: Array, right: Array) -> Array:
    """Return P(N(x) = n), n = 0 .. size, at one point."""
    odd = size % 2
    number = size + 1 + odd  # an odd number of points on the circle: the generating function may vanish at s = -1
    s = np.exp(2j * np.pi * np.arange(number) / number)[:, None, None]
    single_left, single_right = left[:size, size], right[:size, size]
    crossed = np.outer(single_left, single_right)
    a = left + s**2 * right
    a[:, :size, :size] += s * (crossed - crossed.T)
    a[:, :size, size] = single_left + s[:, :, 0] * single_right
    a[:, size, :size] = -a[:, :size, size]
    generating = _pfaffian(a[:, : size + odd, : size + odd])
    probabilities = np.fft.fft(generating / generating[0]).real / number
    result: Array = probabilities[: size + 1]
    return result


def _pfaffian(a: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the Pfaffians of skew-symmetric matrices, two rows at a time.

    Without pivoting: the leading minors are the generating functions of smaller ensembles, and do not vanish.
    """
    pfaffian = np.ones(len(a), dtype=np.complex128)
    while a.shape[1]:
        pivot, first, second = a[:, 0, 1], a[:, 0, 2:], a[:, 1, 2:]
        pfaffian = pfaffian * pivot
        outer = first[:, :, None] * second[:, None, :] / pivot[:, None, None]
        a = a[:, 2:, 2:] - outer + np.swapaxes(outer, 1, 2)
    return pfaffian


def _scaled(size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return quantiles of the semicircle, corrected at the edges as those of the largest exact size."""
    means, variances = (np.array(values) for values in ordered_eigenvalues(LARGEST))
    correction = means - _quantiles(LARGEST)
    half = LARGEST // 2
    place = np.minimum(np.arange(size), size - 1 - np.arange(size)).clip(max=half - 1)
    sign = np.sign(size - 1 - 2 * np.arange(size))
    scale = LARGEST / size
    mean = _quantiles(size) + sign * correction[place] * scale ** (1 / 6)
    return tuple(mean.tolist()), tuple((variances[place] * scale ** (1 / 3)).tolist())


def _quantiles(size: int) -> Array:
    """Return where the semicircle of radius 2 sqrt(size) has (i - 1/2)/size above it, i = 1 .. size."""
    share = (np.arange(size) + 0.5) / size
    quantiles: Array = 2 * math.sqrt(size) * (1 - 2 * special.betaincinv(1.5, 1.5, share))
    return quantiles
