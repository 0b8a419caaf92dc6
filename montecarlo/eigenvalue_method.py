"""How eigenvalues are measured: with the dual Gram, or without it where it would not fit. The choice can be asked."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from meanfield import Network, ParameterError
from meanfield.errors import require_boolean, require_choice, require_number

from .dual import MEMORY_LIMIT, gram_memory, require_memory
from .dual_operator import operator_memory
from .dual_tiles import tiles_memory
from .forward import require_precision
from .problem import require_problem
from .propagate import sweep_memory

_MANY_OUTPUTS, _MANY_ROWS = 8, 3200
"""From so many outputs and rows of the Gram on, lambda_max alone takes less time without the Gram."""


class EigenvalueMethod(StrEnum):
    """How the eigenvalues of the dual Gram are measured."""

    AUTO = "auto"
    """One of the others: :func:`automatic_method` tells which."""
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
    with_sweep: bool = False,
) -> float:
    """Return how many GiB :func:`measure_eigenvalues` takes, by DENSE or by MATRIX_FREE.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> size = {"width": 1000, "samples": 10_000}
    >>> [round(eigenvalue_memory(network, **size, method=method), 2) for method in ("dense", "matrix-free")]
    [81.96, 0.22]
    """
    method = require_choice("method", method, EigenvalueMethod)
    if method is EigenvalueMethod.AUTO:
        raise ParameterError("method", "dense or matrix-free, as automatic_method tells", method)
    if method is EigenvalueMethod.DENSE:
        hidden = network.hidden_normalization
        needed = gram_memory(outputs=network.outputs, samples=samples, hidden=hidden, dtype=dtype)
    else:
        needed = max(memory(network, width, samples, dtype=dtype) for memory in (operator_memory, tiles_memory))
    return needed + (sweep_memory(network, width, samples, dtype=dtype) if with_sweep else 0.0)


def automatic_method(
    network: Network,
    *,
    width: int,
    samples: int,
    dtype: DTypeLike = np.float64,
    memory_limit: float = MEMORY_LIMIT,
    with_sweep: bool = False,
    with_moments: bool = True,
) -> EigenvalueMethod:
    """Return what AUTO stands for: DENSE, unless it needs more memory than there is and MATRIX_FREE needs less.

    The moments take all the products of the Gram either way, so that forming it costs no time. lambda_max alone takes
    less time without the Gram where there are many outputs, C >= 8 and C T >= 3200: there it is MATRIX_FREE if that
    fits.

    Parameters
    ----------
    network, width, samples, dtype, memory_limit, with_sweep, with_moments
        As for :func:`choose_method`, which has checked them.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> [str(automatic_method(network, width=100, samples=500, with_moments=moments)) for moments in (True, False)]
    ['dense', 'matrix-free']
    """
    dense, free = (
        eigenvalue_memory(network, width=width, samples=samples, method=method, dtype=dtype, with_sweep=with_sweep)
        for method in (EigenvalueMethod.DENSE, EigenvalueMethod.MATRIX_FREE)
    )
    many_outputs = network.outputs >= _MANY_OUTPUTS and network.outputs * samples >= _MANY_ROWS
    if dense > max(memory_limit, free) or (many_outputs and not with_moments and free <= memory_limit):
        return EigenvalueMethod.MATRIX_FREE
    return EigenvalueMethod.DENSE


def choose_method(
    network: Network,
    *,
    width: int,
    samples: int,
    method: EigenvalueMethod | str = EigenvalueMethod.AUTO,
    dtype: DTypeLike = np.float64,
    memory_limit: float = MEMORY_LIMIT,
    with_sweep: bool = False,
    with_moments: bool = True,
) -> EigenvalueMethod:
    """Return how eigenvalues are measured: the method, or what "auto" stands for; refuse it where it does not fit.

    Parameters
    ----------
    network, width, samples
        As for :class:`EigenvalueExperiment`.
    method : EigenvalueMethod
        DENSE and MATRIX_FREE return themselves, if they fit; for AUTO see :func:`automatic_method`.
    dtype : numpy.float64 or numpy.float32
    memory_limit : float
        GiB.
    with_sweep : bool
        Whether weights, activities and gradients count as well.
    with_moments : bool
        Whether the moments are measured as well as lambda_max.

    Raises
    ------
    ParameterError
        For what is out of range; and if it does not fit into the memory: it says what would need less.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> [str(choose_method(network, width=1000, samples=samples)) for samples in (1000, 10_000)]
    ['dense', 'matrix-free']
    """
    require_problem(network, width, samples)
    method, dtype = require_choice("method", method, EigenvalueMethod), require_precision(dtype)
    memory_limit = require_number("memory_limit", memory_limit, above=0)
    size: dict[str, Any] = {"width": width, "samples": samples, "with_sweep": require_boolean("with_sweep", with_sweep)}
    if method is EigenvalueMethod.AUTO:
        moments = require_boolean("with_moments", with_moments)
        method = automatic_method(network, **size, dtype=dtype, memory_limit=memory_limit, with_moments=moments)

    def needed(method: EigenvalueMethod, dtype: DTypeLike = dtype) -> float:
        return eigenvalue_memory(network, **size, method=method, dtype=dtype)

    others = (EigenvalueMethod.DENSE, EigenvalueMethod.MATRIX_FREE)
    less = [f"method {other}: {needed(other):.3g} GiB" for other in others if needed(other) < needed(method)]
    if dtype == np.float64:
        less.append(f"dtype float32: {needed(method, np.float32):.3g} GiB")
    require_memory(needed(method), memory_limit, advice=f" ({', '.join(less)})" if less else "")
    return method
