"""Trace and Frobenius norm of the dual Gram from tiles of it, where the whole would not fit."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import DTypeLike, NDArray

from meanfield import HiddenNormalization, Network, OutputNormalization

from .dual_operator import plain_dual_operator
from .normalize import SAMPLES, Normalised, normalise_outputs, require_digits
from .propagate import Sweep, require_squares

_TILE_ROWS = 1024
"""Rows of a tile: large enough for matrix products at full speed, and 8 MiB."""

_BATCH_PARTS = 8
"""Into so many parts the gradients of batch normalisation are divided, one of which is copied at a time."""


def dual_moments(sweep: Sweep, *, biases: bool = True) -> tuple[float, float]:
    """Return tr F* and the sum of the squares of its entries, tr F*^2, without ever holding the matrix.

    Parameters
    ----------
    sweep, biases
        As for :func:`dual_gram`, with any of the twelve normalisations.

    Returns
    -------
    tuple of float
        Exact up to rounding of the Gram before the outputs are normalised. It costs the matrix products of the Gram.

    Raises
    ------
    ArithmeticError
        If a gradient overflows, or too few digits are left, as for :func:`dual_gram`.

    Notes
    -----
    A tile has some samples of all outputs, so that layer normalisation of the outputs acts within it. The projector of
    mean subtraction and batch normalisation, P = (I - UU')/sigma with U of one or two columns for each output, takes

        P F* P = [F* - V U' - U V'] / (sigma sigma'),       V = F* U - U (U' F* U)/2,

    with F* U from :func:`plain_dual_operator`.

    Equations: (S.3), (S.23)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]])
    >>> dual_moments(sweep)
    (23.0, 529.0)
    """
    samples, outputs = sweep.outputs.shape
    network = sweep.finite_network.network
    of_outputs = normalise_outputs(sweep.u[-1], network.output_normalization)
    require_squares(sweep, biases=biases)
    across_samples = of_outputs.axis == SAMPLES
    if of_outputs.is_constant:  # outputs that no parameter changes have no gradients: zero, not its rounding
        return 0.0, 0.0
    columns = _projected_columns(sweep, of_outputs, biases) if across_samples else None
    step = _samples_of_tile(outputs, samples, network.hidden_normalization)
    parts = [slice(start, min(start + step, samples)) for start in range(0, samples, step)]
    products = _products(sweep, biases)
    before = trace = squares = 0.0
    for left, right in combinations_with_replacement(parts, 2):
        tile = _tile(sweep, products, left, right, biases)
        if left == right:
            before += float(np.sum(np.einsum("ksks->sk", tile) * _part(of_outputs, left).inverse_variances))
        if columns is not None:
            _project(tile, *columns, left, right)
        else:
            _part(of_outputs, right).adjoint(tile.transpose(0, 1, 3, 2))
            _part(of_outputs, left).adjoint(tile.transpose(2, 3, 1, 0))
        if left == right:
            trace += float(np.einsum("ksks->", tile, dtype=np.float64))
        rows = outputs * (left.stop - left.start)
        squares += (1 if left == right else 2) * sum_of_squares(tile.reshape(rows, -1))
        del tile  # or it is there beside the next
    if not np.isfinite(before):
        raise ArithmeticError("gradients are not finite: the network or its inputs are too large")
    require_digits(trace, before, of_outputs)
    return trace, squares


def tiles_memory(network: Network, width: int, samples: int, *, dtype: DTypeLike = np.float64) -> float:
    """Return how many GiB :func:`dual_moments` takes.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> round(tiles_memory(network, 1000, 10_000), 3)
    0.038
    """
    outputs, widest = network.outputs, max(network.widths(width)[1:])
    rows = outputs * _samples_of_tile(outputs, samples, network.hidden_normalization)
    gradients = 2 * rows * widest
    if network.hidden_normalization is HiddenNormalization.BATCH:
        gradients *= samples
        gradients += (network.depth - 1) * samples**2
    across_samples = network.output_normalization in (OutputNormalization.MEAN, OutputNormalization.BATCH)
    columns = 6 * outputs * outputs * samples if across_samples else 0
    return np.dtype(dtype).itemsize * (3 * rows**2 + gradients + columns) / 2**30


def sum_of_squares(matrix: NDArray[np.float64]) -> float:
    """Return the sum of the squares of all entries, of float32 in float64."""
    return float(sum(np.einsum("i,i->", row, row, dtype=np.float64) for row in matrix))


def _samples_of_tile(outputs: int, samples: int, hidden: HiddenNormalization) -> int:
    most = -(-samples // _BATCH_PARTS) if hidden is HiddenNormalization.BATCH else samples
    return max(1, min(_TILE_ROWS // outputs, most))


def _products(sweep: Sweep, biases: bool) -> list[NDArray[np.float64]]:
    """Return (1/T) h(a) . h(b) of every hidden layer with batch normalisation, where all tiles need all of it."""
    if sweep.finite_network.network.hidden_normalization is not HiddenNormalization.BATCH:
        return []
    return [h @ h.T / len(h) for h in sweep.h_of_gradients(biases=biases)[:-1]]


def _tile(
    sweep: Sweep, products: list[NDArray[np.float64]], left: slice, right: slice, biases: bool
) -> NDArray[np.float64]:
    """Return F*(k, k')_st before the normalisation of the outputs, indices k, s, k', t, for some s and t."""
    outputs = sweep.outputs.shape[1]
    kernel = _kernel(sweep.h[-1], left, right, biases)
    tile = np.zeros((outputs, len(kernel), outputs, kernel.shape[1]), dtype=kernel.dtype)
    for k in range(outputs):
        tile[k, :, k] = kernel
    if products:
        for product, delta in zip(products, sweep.delta[:-1], strict=True):
            tile += _overlap(product @ delta[:, left], delta[:, right])
    else:
        for h, delta in zip(sweep.h[:-1], sweep.delta[:-1], strict=True):
            overlap = _overlap(delta[:, left], delta[:, right])
            overlap *= _kernel(h, left, right, biases)[:, None, :]
            tile += overlap
            del overlap  # or it is there beside the next
    return tile


def _overlap(delta: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scalar products of delta_k(s) and delta_k'(t), indices k, s, k', t."""
    (outputs, rows), (_, columns) = delta.shape[:2], other.shape[:2]
    products = delta.reshape(outputs * rows, -1) @ other.reshape(outputs * columns, -1).T
    return products.reshape(outputs, rows, outputs, columns)


def _kernel(h: NDArray[np.float64], left: slice, right: slice, biases: bool) -> NDArray[np.float64]:
    """Return (1/T) (h(s) . h(t) + 1) for some s and t."""
    kernel = h[left] @ h[right].T
    if biases:
        kernel += 1
    kernel /= len(h)
    return kernel


def _part(of_outputs: Normalised, part: slice) -> Normalised:
    """Restrict a normalisation of the outputs to some samples: what divides is theirs, or the same for all samples."""
    deviation = of_outputs.deviation
    if deviation is not None and of_outputs.axis != SAMPLES:
        deviation = deviation[part]
    return Normalised(of_outputs.values[part], of_outputs.axis, deviation)


def _projected_columns(
    sweep: Sweep, of_outputs: Normalised, biases: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return U as (k, t, j), V as (k', t, k, j), and sigma_k; column (k, j) of U is zero outside output k."""
    samples, outputs = sweep.outputs.shape
    basis = [np.ones_like(of_outputs.values)]
    sigma = np.ones((1, outputs), dtype=sweep.outputs.dtype)
    if of_outputs.deviation is not None:
        basis.append(of_outputs.values)
        sigma = of_outputs.deviation
    u = np.stack([x.T for x in basis], axis=-1) / np.sqrt(samples).astype(sweep.outputs.dtype)
    operator = plain_dual_operator(sweep, biases=biases)
    v = np.empty((outputs, samples, outputs, len(basis)), dtype=u.dtype)
    for k in range(outputs):
        for j in range(len(basis)):
            column = np.zeros((outputs, samples), dtype=u.dtype)
            column[k] = u[k, :, j]
            v[:, :, k, j] = (operator @ column.reshape(-1)).reshape(outputs, samples)
    inner = np.einsum("ati,atkj->aikj", u, v)
    v -= 0.5 * np.einsum("ati,aikj->atkj", u, inner)
    return u, v, sigma[0]


def _project(
    tile: NDArray[np.float64],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    sigma: NDArray[np.float64],
    left: slice,
    right: slice,
) -> None:
    """Turn a tile of F* into that of P F* P = [F* - V U' - U V']/(sigma sigma')."""
    for k in range(len(u)):
        tile[k] -= np.einsum("sj,atj->sat", u[k, left], v[:, right, k], optimize=True)
        tile[:, :, k] -= np.einsum("asj,tj->ast", v[:, left, k], u[k, right], optimize=True)
    tile /= sigma[:, None, None, None]
    tile /= sigma[:, None]
