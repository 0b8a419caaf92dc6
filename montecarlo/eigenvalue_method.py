"""How eigenvalues are measured: with the dual Gram, or without it where it would not fit. The choice can be asked."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
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
    """One of the others: :meth:`Size.automatic` tells which."""
    DENSE = "dense"
    """The C T x C T Gram is formed."""
    MATRIX_FREE = "matrix-free"
    """lambda_max by Lanczos iterations with the Gram as an operator, moments from its tiles."""


_METHODS = (EigenvalueMethod.DENSE, EigenvalueMethod.MATRIX_FREE)


@dataclass(frozen=True)
class Size:
    """How large the network is whose eigenvalues are measured, and what counts of it.

    Parameters
    ----------
    network, width, samples
        As for :func:`choose_method`, which checks them.
    with_sweep : bool
        Whether weights, activities and gradients count as well.
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    with_sweep: bool = False

    def memory(self, method: EigenvalueMethod | str, dtype: DTypeLike = np.float64) -> float:
        """Return how many GiB :func:`measure_eigenvalues` takes, by DENSE or by MATRIX_FREE.

        Examples
        --------
        >>> import meanfield as mf
        >>> size = Size(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10), 1000, 10_000)
        >>> [round(size.memory(method), 2) for method in ("dense", "matrix-free")]
        [81.96, 0.22]
        """
        network, of_network = self.network, (self.network, self.width, self.samples)
        method = require_choice("method", method, EigenvalueMethod)
        if method is EigenvalueMethod.AUTO:
            raise ParameterError("method", "dense or matrix-free, as Size.automatic tells", method)
        if method is EigenvalueMethod.DENSE:
            hidden = network.hidden_normalization
            needed = gram_memory(outputs=network.outputs, samples=self.samples, hidden=hidden, dtype=dtype)
        else:
            needed = max(memory(*of_network, dtype=dtype) for memory in (operator_memory, tiles_memory))
        return needed + (sweep_memory(*of_network, dtype=dtype) if self.with_sweep else 0.0)

    def automatic(
        self, *, dtype: DTypeLike = np.float64, memory_limit: float = MEMORY_LIMIT, with_moments: bool = True
    ) -> EigenvalueMethod:
        """Return what AUTO stands for: DENSE, unless it needs more memory than there is and MATRIX_FREE needs less.

        The moments take all the products of the Gram either way, so that forming it costs no time. lambda_max alone
        takes less time without the Gram where there are many outputs, C >= 8 and C T >= 3200: there it is MATRIX_FREE
        if that fits.

        Examples
        --------
        >>> import meanfield as mf
        >>> size = Size(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10), 100, 500)
        >>> [str(size.automatic(with_moments=moments)) for moments in (True, False)]
        ['dense', 'matrix-free']
        """
        dense, free = (self.memory(method, dtype) for method in _METHODS)
        outputs = self.network.outputs
        many_outputs = outputs >= _MANY_OUTPUTS and outputs * self.samples >= _MANY_ROWS
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
        DENSE and MATRIX_FREE return themselves, if they fit; for AUTO see :meth:`Size.automatic`.
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
    size = Size(network, width, samples, with_sweep=require_boolean("with_sweep", with_sweep))
    if method is EigenvalueMethod.AUTO:
        moments = require_boolean("with_moments", with_moments)
        method = size.automatic(dtype=dtype, memory_limit=memory_limit, with_moments=moments)
    require_memory(size.memory(method, dtype), memory_limit, advice=_advice(size, method, dtype))
    return method


def _advice(size: Size, method: EigenvalueMethod, dtype: np.dtype[Any]) -> str:
    """Return what would need less memory, in brackets, if anything would."""
    needed = {other: size.memory(other, dtype) for other in _METHODS}
    less = [f"method {other}: {memory:.3g} GiB" for other, memory in needed.items() if memory < needed[method]]
    if dtype == np.float64:
        less.append(f"dtype float32: {size.memory(method, np.float32):.3g} GiB")
    return f" ({', '.join(less)})" if less else ""
