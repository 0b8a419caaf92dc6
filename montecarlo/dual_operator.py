"""The dual Gram F* as a map of vectors, without the matrix: two matrix products for every layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from meanfield import HiddenNormalization, Network
from meanfield.errors import require_boolean, require_instance

from .lanczos import VECTORS
from .normalize import Normalised, normalise_outputs
from .propagate import Sweep, require_squares

_TRACE_SAMPLES = 8
"""With batch normalisation in the hidden layers, the trace is estimated from so many samples."""


def dual_operator(sweep: Sweep, *, biases: bool = True) -> LinearOperator:
    """Return F* as an operator: what :func:`dual_gram` returns, but v -> F* v is all that it can do.

        (F* v)_k(s) = (1/T) sum_l delta^l_k(s) . [sum_t W^l(t) (h^{l-1}(t) . h^{l-1}(s) + 1)],

        W^l(t) = sum_k' v_k'(t) delta^l_k'(t),

    between the projectors of the outputs' normalisation: R v, which has P entries, is never formed for more than one
    layer, and neither are the C T x C T products.

    Parameters
    ----------
    sweep, biases
        As for :func:`dual_gram`, with any of the twelve normalisations.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator of shape (C T, C T)
        Symmetric, positive semi-definite; of the precision of the sweep. It costs 2 T M_l min(T, 2 M_{l-1}) operations
        for each layer, whatever C, and two passes over the gradients: this is arithmetic, at the speed of matrix
        products, not memory traffic. For C = 1 and T <= M it is as much as the Gram itself costs, which takes no more
        memory then: the operator is for many outputs, and for T >> M.

    Notes
    -----
    With batch normalisation in the hidden layers W^l(a) = sum_{k',t} v_k'(t) delta^l_k'(t; a), and the scalar product
    with delta^l_k(s; a) is summed over a as well.

    Equations: (S.2), (S.3)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]])
    >>> dual_operator(sweep) @ [2.0]
    array([46.])
    """
    require_instance("sweep", sweep, Sweep)
    choice = sweep.finite_network.network.output_normalization
    return _operator(sweep, normalise_outputs(sweep.u[-1], choice), biases)


def plain_dual_operator(sweep: Sweep, *, biases: bool = True) -> LinearOperator:
    """Return F* of the outputs u^L, before their normalisation."""
    return _operator(sweep, Normalised(sweep.u[-1]), biases)


def plain_trace(sweep: Sweep, weights: NDArray[np.float64], *, biases: bool = True) -> float:
    """Return the trace of F* before the normalisation of the outputs, its diagonal weighted by an array over (T, C).

        sum_k sum_t w_tk F*_kk,tt,        F*_kk,tt = (1/T) sum_l |delta^l_k(t)|^2 (|h^{l-1}(t)|^2 + 1).

    With w = 1/sigma^2 it is what the trace would be if the normalisation of the outputs divided only.

    With batch normalisation in the hidden layers that would cost more than lambda_max, and it is estimated from a few
    of the samples.
    """
    samples, outputs = sweep.outputs.shape
    if sweep.finite_network.network.hidden_normalization is HiddenNormalization.BATCH:
        some = slice(None, None, -(-samples // _TRACE_SAMPLES))
        diagonal = np.zeros((outputs, samples))[:, some]
        for kernel, delta in zip(_kernel_maps(sweep, biases), sweep.delta, strict=True):
            diagonal += [[np.vdot(one, kernel(one)) for one in of_output] for of_output in delta[:, some]]
    else:
        some = slice(None)
        diagonal = np.zeros((outputs, samples))
        for h, delta in zip(sweep.h, sweep.delta, strict=True):
            squares = [np.einsum("...i,...i->...", x, x, dtype=np.float64) for x in (delta, h)]
            diagonal += squares[0] * (squares[1] + biases) / samples
    chosen = np.broadcast_to(weights, (samples, outputs)).T[:, some]
    return sweep.outputs.size * float(np.mean(diagonal * chosen))


def operator_memory(network: Network, width: int, samples: int, *, dtype: DTypeLike = np.float64) -> float:
    """Return how many GiB :func:`dual_operator` and the iterations for its largest eigenvalue take.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> round(operator_memory(network, 1000, 10_000), 3)
    0.222
    """
    widths = network.widths(width)
    kernels = sum(samples**2 for below in widths[:-1] if samples <= below)
    parts = max(2 * samples * here + below * here for below, here in pairwise(widths))
    vectors = (VECTORS + 8) * network.outputs * samples  # of float64, in the iterations for an eigenvalue
    return (np.dtype(dtype).itemsize * (kernels + parts) + 8 * vectors) / 2**30


LinearMap = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _operator(sweep: Sweep, of_outputs: Normalised, biases: bool) -> LinearOperator:
    kernels = _kernel_maps(sweep, biases)
    require_squares(sweep, biases=biases)
    size = sweep.outputs.size
    product = partial(_apply, kernels, sweep, of_outputs)
    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=sweep.outputs.dtype)


def _apply(
    kernels: list[LinearMap], sweep: Sweep, of_outputs: Normalised, v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return F* v."""
    samples, outputs = sweep.outputs.shape
    batch = sweep.finite_network.network.hidden_normalization is HiddenNormalization.BATCH
    at_outputs = np.array(v.reshape(outputs, samples).T, dtype=sweep.outputs.dtype)  # v_k(t) as (t, k)
    at_outputs = of_outputs.adjoint(at_outputs[None])[0]
    total = kernels[-1](at_outputs)  # delta^L is the identity
    for kernel, delta in zip(kernels[:-1], sweep.delta[:-1], strict=True):
        if batch:
            rows = delta.reshape(outputs * samples, -1)  # (k, t), and (a, i)
            gathered = (at_outputs.T.reshape(-1) @ rows).reshape(samples, -1)
            total += (rows @ kernel(gathered).reshape(-1)).reshape(outputs, samples).T
        else:
            by_sample = delta.transpose(1, 0, 2)
            gathered = np.matmul(at_outputs[:, None, :], by_sample)[:, 0]
            total += np.matmul(by_sample, kernel(gathered)[:, :, None])[:, :, 0]
    projected: NDArray[np.float64] = of_outputs.adjoint(total[None])[0]
    return projected.T.reshape(-1)


def _kernel_maps(sweep: Sweep, biases: bool) -> list[LinearMap]:
    """Return, for every layer, the map w -> (1/T) (h h' + 11') w of matrices with a row for every sample."""
    biases = require_boolean("biases", biases)
    depth = len(sweep.h)
    network = sweep.finite_network.network
    kernels: list[LinearMap] = []
    for layer, h in enumerate(sweep.h_of_gradients(biases=biases)):
        # in networks with batch normalisation only the biases of plain layers have a share, and h has it
        shift = biases and (layer == depth - 1 or network.hidden_normalization is not HiddenNormalization.BATCH)
        products = h @ h.T if len(h) <= h.shape[1] else None  # no larger than h, and one product in place of two
        kernels.append(partial(_kernel_product, h, products, shift))
    return kernels


def _kernel_product(
    h: NDArray[np.float64], products: NDArray[np.float64] | None, shift: bool, w: NDArray[np.float64]
) -> NDArray[np.float64]:
    result: NDArray[np.float64] = products @ w if products is not None else h @ (h.T @ w)
    if shift:
        result += w.sum(axis=0)
    result /= len(h)
    return result
