"""Theorem 2.2: without normalisation the largest eigenvalue grows with the width."""

from __future__ import annotations

import math

from ..exchangeable import Exchangeable
from .moments import Bounds, Correction, EigenvalueStatistics, participation_ratio


def theorem_2_2(block: Exchangeable, *, outputs: int, depth_to_width: float, parameters: float) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks: lambda_max is their uniform eigenvalue, C times.

    To leading order m_lambda = kappa_1 C/M and lambda_max = alpha ((T-1)/T kappa_2 + kappa_1/T) M.

    Parameters
    ----------
    block : Exchangeable
        F*(k, k), from ``fim.dual_block``.
    outputs : int
        C.
    depth_to_width : float
        L/M, the size of what is left out; M is that of the narrowest layer.
    parameters : float
        P.

    Notes
    -----
    A finite network differs by O(L/M) relative to each quantity. Fluctuations of the overlaps of each sample with all
    others raise lambda_max by O(kappa_1/kappa_2 L/M), those of all entries of F* raise the second moment, and for C > 1
    the C largest eigenvalues split by O(sqrt(L C/M)).

    Equations: (10), Theorem 2.2
    """
    mean = outputs * block.trace / parameters
    second_moment = outputs * block.squared_norm / parameters
    fluctuating = participation_ratio(mean, second_moment, parameters) * depth_to_width
    corrections = [
        Correction("mean", "finite width", depth_to_width),
        Correction("second_moment", "finite width", 2 * depth_to_width),
        Correction("second_moment", "fluctuations", fluctuating, sign=1),
        Correction("largest", "finite width", depth_to_width),
        Correction("largest", "overlap fluctuations", block.same / block.cross * depth_to_width, sign=1),
    ]
    if outputs > 1:
        corrections.append(Correction("largest", "splitting", math.sqrt(outputs * depth_to_width), sign=1))
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=Bounds(block.uniform, block.uniform),
        prediction=block.uniform,
        theorem="Theorem 2.2",
        corrections=tuple(corrections),
    )
