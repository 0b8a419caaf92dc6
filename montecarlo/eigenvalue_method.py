"""How eigenvalues are measured: with the dual Gram, or without it where it would not fit. The choice can be asked."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import DTypeLike

from meanfield import Network, ParameterError
from meanfield.errors import require_choice, require_instance, require_integer, require_number

from .dual import MEMORY_LIMIT, gram_memory, require_memory
from .dual_operator import operator_memory
from .dual_tiles import tiles_memory
from .propagate import require_precision, sweep_memory


class EigenvalueMethod(StrEnum):
    """How the eigenvalues of the dual Gram are measured."""

    AUTO = "auto"
    """DENSE where the Gram fits into the memory limit, or is no larger than what MATRIX_FREE needs; else that."""
    DENSE = "dense"
    """The C T x C T Gram is formed."""
    MATRIX_FREE = "matrix-free"
    """lambda_max by Lanczos iterations with the Gram as an operator, moments from its tiles."""


def eigenvalue_memory(
    network: Network,
    *,
    width: int,
    samples: int,
    method: EigenvalueMethod | str,
    dtype: DTypeLike = np.float64,
) -> float:
    """Return how many GiB :func:`measure_eigenvalues` takes besides the sweep, with or without the Gram.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> [round(eigenvalue_memory(network, width=1000, samples=10_000, method=m), 2) for m in ("dense", "matrix-free")]
    [81.96, 0.22]
    """
    if method == EigenvalueMethod.DENSE:
        hidden = network.hidden_normalization
        return gram_memory(outputs=network.outputs, samples=samples, hidden=hidden, dtype=dtype)
    if method != EigenvalueMethod.MATRIX_FREE:
        raise ParameterError("method", "dense or matrix-free: choose_method tells what 'auto' does", repr(str(method)))
    return max(memory(network, width, samples, dtype=dtype) for memory in (operator_memory, tiles_memory))


def choose_method(
    network: Network,
    *,
    width: int,
    samples: int,
    method: EigenvalueMethod | str = EigenvalueMethod.AUTO,
    dtype: DTypeLike = np.float64,
    memory_limit: float = MEMORY_LIMIT,
    with_sweep: bool = False,
) -> EigenvalueMethod:
    """Return how eigenvalues are measured: densely where that fits, unless the method is given.

    The moments take all the products of the Gram either way, so that forming it costs no time.

    Parameters
    ----------
    network, width, samples
        As for :class:`EigenvalueExperiment`.
    method : EigenvalueMethod
        DENSE and MATRIX_FREE return themselves, if they fit.
    dtype : numpy.float64 or numpy.float32
    memory_limit : float
        GiB.
    with_sweep : bool
        Whether weights, activities and gradients count as well.

    Raises
    ------
    ParameterError
        For a parameter out of range, and if that does not fit into the memory; it says what would need less.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> [str(choose_method(network, width=1000, samples=samples)) for samples in (1000, 10_000)]
    ['dense', 'matrix-free']
    """
    require_instance("network", network, Network)
    require_integer("samples", samples, at_least=1)
    dtype, method = require_precision(dtype), require_choice("method", method, EigenvalueMethod)
    memory_limit = require_number("memory_limit", memory_limit, above=0)
    dense, free = EigenvalueMethod.DENSE, EigenvalueMethod.MATRIX_FREE

    def needed(method: EigenvalueMethod, dtype: DTypeLike = dtype) -> float:
        sweep = sweep_memory(network, width, samples, dtype=dtype) if with_sweep else 0.0
        return sweep + eigenvalue_memory(network, width=width, samples=samples, method=method, dtype=dtype)

    if method is EigenvalueMethod.AUTO:
        method = dense if needed(dense) <= max(memory_limit, needed(free)) else free
    less = []
    if method is dense and needed(free) < needed(dense):
        less.append(f"method matrix-free: {needed(free):.3g} GiB")
    if needed(method, np.float32) < needed(method):
        less.append(f"dtype float32: {needed(method, np.float32):.3g} GiB")
    require_memory(needed(method), memory_limit, advice=f" ({', '.join(less)})" if less else "")
    return method
