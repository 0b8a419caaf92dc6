"""The dual F* = R'R of the Fisher information F = RR'; F itself, P x P, is never formed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas

from meanfield import OutputNormalization, ParameterError
from meanfield.errors import require_number

from .propagate import Sweep

MEMORY_LIMIT = 8.0
"""GiB that a dual Gram, or a member of an ensemble, may take unless the user says otherwise."""

_TILE = 64
"""Columns that are handled together: 64 columns of 1000 doubles are half a megabyte."""


def gram_memory(*, outputs: int, samples: int) -> float:
    """Return how many GiB :func:`dual_gram` allocates: two matrices of C T rows and one of T.

    Examples
    --------
    >>> round(gram_memory(outputs=1, samples=1000), 3)
    0.022
    """
    return 8 * (2 * (outputs * samples) ** 2 + samples**2) / 2**30


def require_memory(needed: float, memory_limit: float) -> None:
    """Raise ParameterError, before any work, if something needs more GiB than the limit."""
    memory_limit = require_number("memory_limit", memory_limit, above=0)
    if needed > memory_limit:
        raise ParameterError("memory_limit", f"at least the {needed:.3g} GiB that this needs", f"{memory_limit:g} GiB")


def dual_gram(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> NDArray[np.float64]:
    """Return F*, the Gram matrix of the gradients of all outputs at all samples, divided by T.

        F*(k, k')_st = (1/T) sum_l [delta^l_k(s) . delta^l_k'(t)] [h^{l-1}(s) . h^{l-1}(t) + 1],

    with G = I - 11'/T on either side of every block if the mean is subtracted in the last layer.

    Parameters
    ----------
    sweep : Sweep
        From :func:`propagate`.
    biases : bool
        Whether the bias parameters are part of F: the "+ 1".
    memory_limit : float
        GiB that the matrices here may take; see :func:`gram_memory`.

    Returns
    -------
    array of shape (C T, C T)
        Symmetric, positive semi-definite; block (k, k') is rows kT .. (k+1)T, columns k'T .. (k'+1)T. Accurate to
        rounding of the Gram before the mean is subtracted.

    Raises
    ------
    ParameterError
        If that would take more memory than the limit; nothing is allocated before.
    ArithmeticError
        If a gradient overflows.

    Equations: (S.3), (S.8), (S.9), (S.18)-(S.20)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> mc.dual_gram(mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]]))
    array([[23.]])
    """
    samples, outputs = sweep.outputs.shape
    require_memory(gram_memory(outputs=outputs, samples=samples), memory_limit)
    constant = 1 / samples if biases else 0.0
    # delta^L_k(s) . delta^L_k'(t) = delta_kk': the last layer has a share in the diagonal blocks alone
    signal = _upper_gram(sweep.h[-1], scale=1 / samples, constant=constant)
    gram = signal if outputs == 1 else np.asfortranarray(linalg.block_diag(*[signal] * outputs))
    for h, delta in zip(sweep.h[:-1], sweep.delta[:-1], strict=True):
        signal = _upper_gram(h, scale=1 / samples, constant=constant)
        if outputs > 1:  # blocks beside the diagonal need all of it
            _fill_lower(signal)
        _accumulate(gram, _upper_gram(delta.reshape(outputs * samples, -1)), signal)
    if not np.isfinite(np.trace(gram)):  # no entry is larger than those on the diagonal
        raise ArithmeticError("gradients are not finite: the network or its inputs are too large")
    _fill_lower(gram)
    gram = gram.T  # symmetric by now: the same matrix, in C order
    if sweep.finite_network.network.output_normalization is OutputNormalization.MEAN:
        _centre(gram.reshape(outputs, samples, outputs, samples))
    return gram


def _upper_gram(x: NDArray[np.float64], *, scale: float = 1.0, constant: float = 0.0) -> NDArray[np.float64]:
    """Return the upper triangle of ``scale * x @ x.T + constant``, in Fortran order.

    One BLAS call; ``x @ x.T`` makes the same one, and then spends a pass over memory on the other triangle.
    """
    start = np.full((len(x), len(x)), constant, order="F")
    return np.asarray(blas.dsyrk(scale, x.T, beta=1.0, c=start, trans=1, overwrite_c=1))


def _accumulate(gram: NDArray[np.float64], overlap: NDArray[np.float64], signal: NDArray[np.float64]) -> None:
    """Add ``overlap * signal`` to the upper triangle, every T x T block with the same signal; ``overlap`` is used up.

    This costs memory traffic, not arithmetic: it goes a few columns at a time, which stay in the cache, and leaves out
    the lower triangle.
    """
    samples = len(signal)
    for right in range(len(gram) // samples):
        for start in range(0, samples, _TILE):
            stop = min(start + _TILE, samples)
            columns = slice(right * samples + start, right * samples + stop)
            for left in range(right + 1):
                depth = stop if left == right else samples
                rows = slice(left * samples, left * samples + depth)
                part = overlap[rows, columns]
                part *= signal[:depth, start:stop]
                gram[rows, columns] += part


def _fill_lower(matrix: NDArray[np.float64]) -> None:
    """Copy the upper triangle onto the lower one, in tiles that fit the cache."""
    for start in range(0, len(matrix), _TILE):
        tile = slice(start, start + _TILE)
        matrix[tile, :start] = matrix[:start, tile].T
        diagonal = matrix[tile, tile]
        lower = np.tril_indices(len(diagonal), -1)
        diagonal[lower] = diagonal.T[lower]


def _centre(blocks: NDArray[np.float64]) -> None:
    """Replace every block B of a (C, T, C, T) array by G B G, G = I - 11'/T."""
    blocks -= blocks.mean(axis=3, keepdims=True)
    blocks -= blocks.mean(axis=1, keepdims=True)
