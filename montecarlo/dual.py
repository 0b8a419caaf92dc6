"""The dual F* = R'R of the Fisher information F = RR'; F itself, P x P, is never formed."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import get_blas_funcs

from meanfield import HiddenNormalization, ParameterError
from meanfield.errors import require_boolean, require_choice, require_instance, require_integer, require_number

from .forward import require_precision
from .normalize import Normalised, normalise_outputs, require_digits
from .propagate import Sweep, require_squares

MEMORY_LIMIT = 8.0
"""GiB that a dual Gram, or a member of an ensemble, may take unless the user says otherwise."""

_COLUMNS = 64
"""Columns of a matrix that are handled together: 64 of 1000 doubles are half a megabyte, which stays in the cache."""

_BATCH_GRADIENTS = 2**20
"""Entries of the gradients that are formed together with batch normalisation in the hidden layers: 8 MiB."""


def gram_memory(
    *,
    outputs: int,
    samples: int,
    hidden: HiddenNormalization | str = HiddenNormalization.NONE,
    dtype: DTypeLike = np.float64,
) -> float:
    """Return how many GiB :func:`dual_gram` allocates: a matrix of C T rows, and C or at least two of T rows.

    With batch normalisation in the hidden layers also gradients, of some units at a time.

    Examples
    --------
    >>> round(gram_memory(outputs=1, samples=1000), 3), round(gram_memory(outputs=10, samples=1000), 3)
    (0.022, 0.82)
    """
    outputs, samples = (
        require_integer(name, number, at_least=1) for name, number in (("outputs", outputs), ("samples", samples))
    )
    hidden = require_choice("hidden", hidden, HiddenNormalization)
    gradients = 2 * max(_BATCH_GRADIENTS, outputs * samples**2) if hidden is HiddenNormalization.BATCH else 0
    return require_precision(dtype).itemsize * ((outputs**2 + max(outputs, 2)) * samples**2 + gradients) / 2**30


def require_memory(needed: float, memory_limit: float, *, advice: str = "") -> None:
    """Raise ParameterError, before any work, if something needs more GiB than the limit."""
    memory_limit = require_number("memory_limit", memory_limit, above=0)
    if needed > memory_limit:
        expected = f"at least the {needed:.3g} GiB that this needs{advice}"
        raise ParameterError("memory_limit", expected, f"{memory_limit:g} GiB")


def dual_gram(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> NDArray[np.float64]:
    """Return F*, the Gram matrix of the gradients of all outputs at all samples, divided by T.

        F*(k, k')_st = (1/T) sum_l [delta^l_k(s) . delta^l_k'(t)] [h^{l-1}(s) . h^{l-1}(t) + 1];

    with batch normalisation in the hidden layers, where delta reaches every sample,

        F*(k, k')_st = (1/T) sum_l sum_{a,b} [delta^l_k(s; a) . delta^l_k'(t; b)] [h^{l-1}(a) . h^{l-1}(b) + 1].

    A normalisation of the outputs to f puts its Jacobian P on either side, P F* P: I - 11'/T for every output with
    mean subtraction, (I - 11'/T - f_k f_k'/T)/sigma_k for output k with batch normalisation, and
    (I - 11'/C - f(t) f(t)'/C)/sigma(t) across the outputs of sample t with layer normalisation.

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
        rounding of the Gram before the outputs are normalised.

    Raises
    ------
    ParameterError
        If that would take more memory than the limit; nothing is allocated before.
    ArithmeticError
        If a gradient overflows, or if the samples look so alike that too few digits are left after a normalisation of
        the outputs.

    Notes
    -----
    With R, P x C T, the gradients divided by sqrt(T), F = R R' (8) and F* = R'R have the same non-zero eigenvalues, and
    F is the Hessian of the squared loss where the training error is zero (9). R-bar, the mean gradients of (S.17), is
    P x C T like R; (S.96) lacks the 1/T.

    Equations: (8), (9), (S.1)-(S.3), (S.8), (S.9), (S.17)-(S.20), (S.43)-(S.45), (S.56), (S.75), (S.88)-(S.98)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> mc.dual_gram(mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]]))
    array([[23.]])
    """
    require_instance("sweep", sweep, Sweep)
    biases = require_boolean("biases", biases)
    samples, outputs = sweep.outputs.shape
    network = sweep.finite_network.network
    needed = gram_memory(
        outputs=outputs, samples=samples, hidden=network.hidden_normalization, dtype=sweep.outputs.dtype
    )
    require_memory(needed, memory_limit)
    require_squares(sweep, biases=biases)
    gram = _upper_gram(sweep, biases)
    if not np.isfinite(np.trace(gram)):  # no entry is larger than those on the diagonal
        raise ArithmeticError("gradients are not finite: the network or its inputs are too large")
    _fill_lower(gram)
    gram = gram.T  # symmetric by now: the same matrix, in C order
    project_both_sides(gram, normalise_outputs(sweep.u[-1], network.output_normalization))
    return gram


def project_both_sides(gram: NDArray[np.float64], of_outputs: Normalised) -> None:
    """Replace F* by P F* P, with the Jacobian P of a normalisation of the outputs.

    Parameters
    ----------
    gram : array of shape (C T, C T)
        Overwritten.
    of_outputs : Normalised
        The normalised outputs, of shape (T, C).

    Raises
    ------
    ArithmeticError
        If too few digits are left: what all samples have in common is subtracted from the finished Gram.
    """
    samples, outputs = of_outputs.values.shape
    diagonal = np.diagonal(gram).reshape(outputs, samples).T
    before = float(np.sum(diagonal * of_outputs.inverse_variances))
    blocks = gram.reshape(outputs, samples, outputs, samples)
    of_outputs.adjoint(blocks.transpose(0, 1, 3, 2))  # the columns, as (k, s, t, k'), and the rows
    of_outputs.adjoint(blocks.transpose(2, 3, 1, 0))
    require_digits(float(np.trace(gram, dtype=np.float64)), before, of_outputs)


def _upper_gram(sweep: Sweep, biases: bool) -> NDArray[np.float64]:
    """Return the upper triangle of F* before the normalisation of the outputs, in Fortran order."""
    samples, outputs = sweep.outputs.shape
    constant = 1 / samples if biases else 0.0
    dtype = sweep.outputs.dtype
    kernel, overlap = (np.empty((samples, samples), dtype=dtype, order="F") for _ in range(2))
    # delta^L_k(s) . delta^L_k'(t) = delta_kk': the last layer has a share in the diagonal blocks alone
    _square(sweep.h[-1], kernel, scale=1 / samples, constant=constant)
    if outputs == 1:
        gram, kernel = kernel, np.empty_like(kernel)
    else:
        # numpy.zeros asks for no large pages, and the first pass over it would take twice as long
        gram = np.full((outputs * samples,) * 2, 0.0, dtype=dtype, order="F")
        for rows in _blocks(outputs, samples):
            gram[rows, rows] = kernel
    for h, delta in zip(sweep.h_of_gradients(biases=biases)[:-1], sweep.delta[:-1], strict=True):
        if sweep.finite_network.network.hidden_normalization is HiddenNormalization.BATCH:
            gram = _add_all_samples(gram, delta, h)
            continue
        _square(h, kernel, scale=1 / samples, constant=constant)
        if outputs > 1:  # blocks beside the diagonal need all of it
            _fill_lower(kernel)
        # one block at a time, which needs no second matrix of this size and is multiplied while it is at hand
        for right, columns in enumerate(_blocks(outputs, samples)):
            for left, rows in enumerate(_blocks(right, samples)):
                _product(delta[left], delta[right], overlap)
                _accumulate(gram[rows, columns], overlap, kernel)
            _square(delta[right], overlap)
            _accumulate(gram[columns, columns], overlap, kernel, upper=True)
    return gram


def _blocks(outputs: int, samples: int) -> list[slice]:
    return [slice(k * samples, (k + 1) * samples) for k in range(outputs)]


def _square(x: NDArray[np.float64], into: NDArray[np.float64], *, scale: float = 1.0, constant: float = 0.0) -> None:
    """Put the upper triangle of ``scale * x @ x.T + constant`` into a matrix in Fortran order.

    One BLAS call; ``x @ x.T`` makes the same one, and then spends a pass over memory on the other triangle. That has
    the constant here: tiles on the diagonal take some of it along.
    """
    syrk = get_blas_funcs("syrk", (x,))
    into.fill(constant)
    syrk(scale, x.T, beta=1.0, c=into, trans=1, overwrite_c=1)


def _product(x: NDArray[np.float64], y: NDArray[np.float64], into: NDArray[np.float64]) -> None:
    """Put ``x @ y.T`` into a matrix in Fortran order."""
    gemm = get_blas_funcs("gemm", (x,))
    gemm(1.0, x.T, y.T, c=into, trans_a=1, overwrite_c=1)


def _accumulate(
    block: NDArray[np.float64], overlap: NDArray[np.float64], kernel: NDArray[np.float64], *, upper: bool = False
) -> None:
    """Add ``overlap * kernel`` to a T x T block, or to its upper triangle; ``overlap`` is used up.

    This costs memory traffic, not arithmetic: it goes a few columns at a time, which stay in the cache, and leaves out
    the lower triangle.
    """
    for start in range(0, len(block), _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        rows = slice(start + _COLUMNS if upper else None)
        part = overlap[rows, columns]
        part *= kernel[rows, columns]
        block[rows, columns] += part


def _add_all_samples(
    gram: NDArray[np.float64], delta: NDArray[np.float64], h: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add (1/T) sum_{a,b} [delta_k(s; a) . delta_k'(t; b)] [h(a) . h(b)] to the upper triangle of a Gram.

    With h(a) . h(b) = (R'R)_ab, R of at most T rows, it is the Gram of sum_a R_ra delta_{k,i}(t; a), which stands for
    the gradient itself, sum_a h_j(a) delta_{k,i}(t; a). The biases of a batch-normalised layer have no share: they
    shift a whole batch, which is taken out again, and sum_a delta(t; a) = 0.
    """
    outputs, samples, _, units = delta.shape
    factor = np.linalg.qr(h.T, mode="r")
    syrk = get_blas_funcs("syrk", (gram,))
    step = max(1, _BATCH_GRADIENTS // (outputs * samples * len(factor)))
    for start in range(0, units, step):
        gradients = (factor @ delta[..., start : start + step]).reshape(outputs * samples, -1)
        gram = syrk(1 / samples, gradients.T, beta=1.0, c=gram, trans=1, overwrite_c=1)
    return gram


def _fill_lower(matrix: NDArray[np.float64]) -> None:
    """Copy the upper triangle onto the lower one, in tiles that fit the cache."""
    below = np.tri(_COLUMNS, k=-1, dtype=bool)
    for start in range(0, len(matrix), _COLUMNS):
        tile = slice(start, start + _COLUMNS)
        matrix[tile, :start] = matrix[:start, tile].T
        diagonal = matrix[tile, tile]
        np.copyto(diagonal, diagonal.T.copy(), where=below[: len(diagonal), : len(diagonal)])
