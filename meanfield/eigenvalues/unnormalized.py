"""Theorem 2.2: without normalisation the largest eigenvalue grows with the width."""

from __future__ import annotations

import math

from ..fim import Exchangeable
from .moments import Allowance, Bounds, EigenvalueStatistics


def theorem_2_2(
    block: Exchangeable, *, outputs: int, depth: int, width: int, parameters: float
) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks: lambda_max is their uniform eigenvalue, C times.

    To leading order m_lambda = kappa_1 C/M and lambda_max = alpha ((T-1)/T kappa_2 + kappa_1/T) M.

    Parameters
    ----------
    block : Exchangeable
        F*(k, k), from ``fim.dual_block``.
    outputs, depth, width : int
        C, L and M.
    parameters : float
        P.

    Notes
    -----
    A finite network's C largest eigenvalues differ from the value here by O(1/M) on average and from each other by
    O(1/sqrt(M)), relative to it.

    Equations: (10), Theorem 2.2
    """
    finite_width = 4 * depth / width
    splitting = math.sqrt(outputs / width) if outputs > 1 else 0.0
    return EigenvalueStatistics(
        mean=outputs * block.trace / parameters,
        second_moment=outputs * block.squared_norm / parameters,
        parameters=parameters,
        largest=Bounds(block.uniform, block.uniform),
        prediction=block.uniform,
        theorem="Theorem 2.2",
        allowance=Allowance(finite_width, 2 * finite_width, finite_width + splitting),
    )
