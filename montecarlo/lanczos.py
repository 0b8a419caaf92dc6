"""The largest eigenvalue of a positive semi-definite matrix from its products with vectors, with a bound on the error.

Lanczos iterations with full orthogonalisation, restarted from the best Ritz vectors. Each product may cost as much as
the matrix itself would, so that they stop as soon as the residual says so: ARPACK looks at it once in twenty products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import linalg

VECTORS = 80
"""How many vectors are held at most."""

_KEPT = 20
"""How many Ritz vectors a restart keeps."""

_TOLERANCE = 1e-12
"""Of the residual, relative to the eigenvalue; or some roundings, if these are larger."""

_ROUNDINGS = 32

_PRODUCTS = 2000
"""After so many products without convergence: an error. Hard problems, with gaps of 1e-4, take two hundred."""


@dataclass(frozen=True)
class LargestEigenvalue:
    """What the iterations found."""

    value: float
    residual: float
    """The norm of A x - value x for the unit vector x: some eigenvalue is no farther from the value than this, but for
    the rounding of the products."""
    products: int
    """How many products with the matrix it took."""


def largest_eigenvalue_of(
    product: Callable[[NDArray[np.float64]], NDArray[np.float64]], size: int, *, dtype: DTypeLike = np.float64
) -> LargestEigenvalue:
    """Find the largest eigenvalue of a symmetric, positive semi-definite matrix.

    Parameters
    ----------
    product : callable
        v -> A v, for vectors of this size and dtype.
    size : int
        At least 1.
    dtype : numpy.float64 or numpy.float32
        Of the products. The iterations themselves are in float64.

    Returns
    -------
    LargestEigenvalue
        With a residual of at most 1e-12, in float32 4e-6, of the value. The error of the value is about its square over
        the gap, unless two eigenvalues are so close that it is not larger than the residual. Copies of an eigenvalue
        do no harm: one of them is found. The vector that the iterations begin with is random but fixed, the same matrix
        gives the same bits; it would have to be orthogonal to the eigenvector for another eigenvalue to be found.

    Raises
    ------
    ArithmeticError
        If a product is not finite, or the residual does not become small.

    Examples
    --------
    >>> found = largest_eigenvalue_of(lambda v: v / np.arange(1.0, 1001.0), 1000)
    >>> round(found.value, 12), found.residual < 1e-12, found.products < 30
    (1.0, True, True)
    """
    tolerance = max(_TOLERANCE, _ROUNDINGS * float(np.finfo(dtype).eps))
    most = min(VECTORS, size)
    basis = np.empty((most + 1, size))
    projected = np.zeros((most, most))  # the matrix between the vectors of the basis
    start = np.random.default_rng(0).standard_normal((size,))
    basis[0] = start / linalg.norm(start)
    last = 0
    for products in range(1, _PRODUCTS + 1):
        image = product(basis[last].astype(dtype)).astype(np.float64)
        if not np.isfinite(image).all():
            raise ArithmeticError("gradients are not finite: the network or its inputs are too large")
        overlaps = _orthogonalise(image, basis[: last + 1])
        projected[last, : last + 1] = projected[: last + 1, last] = overlaps
        rest = float(linalg.norm(image))
        values, vectors = linalg.eigh(projected[: last + 1, : last + 1])
        value, residual = float(values[-1]), rest * abs(float(vectors[-1, -1]))
        # no part of the space is left out where the basis is all of it
        if last + 1 == size or residual <= tolerance * np.abs(values).max():
            return LargestEigenvalue(value, residual if last + 1 < size else 0.0, products)
        if last + 1 == most:
            last = min(_KEPT, most - 1)
            basis[:last] = vectors[:, -last:].T @ basis[:most]
            projected[:last, :last] = np.diag(values[-last:])
        else:
            last += 1
        basis[last] = image / rest
    raise ArithmeticError(
        f"the largest eigenvalue is not found in {_PRODUCTS} products: {value:g}, with a residual of {residual:g}"
    )


def _orthogonalise(vector: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the part of a vector in the span of a basis, twice as once leaves rounding, and return the overlaps."""
    overlaps = basis @ vector
    vector -= overlaps @ basis
    correction = basis @ vector
    vector -= correction @ basis
    return np.asarray(overlaps + correction)
