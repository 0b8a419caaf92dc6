"""Batch normalisation in the hidden layers: lambda_max itself, where Theorem 3.4 has a lower bound."""

from __future__ import annotations

import math

from ..exchangeable import Exchangeable
from ..network import Network
from .moments import Bounds, Correction, EigenvalueStatistics, participation_ratio

_FEW = 5
"""T up to which 1/sigma^2 has no variance."""


def hidden_batch_norm(
    block: Exchangeable, *, outputs: int, depth_to_width: float, parameters: float
) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks Theta/T, whose largest eigenvalue may be that of the contrasts.

        lambda_one = (Theta_t + (T-1) Theta_st)/T,  C times;    lambda_bulk = (Theta_t - Theta_st)/T,  C (T-1) times;
        lambda_max = the larger,    m_lambda = C Theta_t/P.

    Parameters
    ----------
    block : Exchangeable
        Theta/T of :func:`meanfield.batch_norm_backward`, from ``fim.dual_block``.
    outputs : int
        C.
    depth_to_width : float
        L/M; M is that of the narrowest layer.
    parameters : float
        P.

    Notes
    -----
    lambda_bulk grows as chi^L: beyond :func:`meanfield.crossover_depth` it is the larger one. Its eigenvalues repel
    each other at finite width, which raises the largest by O(sqrt(T L/M)): :func:`meanfield.bulk_edge`.

    Equations: (22), (S.57)-(S.60), Theorem 3.4
    """
    mean = outputs * block.trace / parameters
    second_moment = outputs * block.squared_norm / parameters
    fluctuating = participation_ratio(mean, second_moment, parameters) * depth_to_width
    uniform = block.uniform >= block.contrast
    aspect = block.size * depth_to_width
    raised = Correction("largest", "level repulsion", math.sqrt(aspect) + aspect, sign=1)
    if uniform:
        raised = Correction("largest", "overlap fluctuations", block.same / block.uniform * aspect, sign=1)
    largest = block.uniform if uniform else block.contrast
    corrections = [
        Correction("mean", "finite width", depth_to_width),
        Correction("second_moment", "finite width", 2 * depth_to_width),
        Correction("second_moment", "fluctuations", fluctuating, sign=1),
        Correction("largest", "finite width", depth_to_width),
        raised,
    ]
    if outputs > 1:
        corrections.append(Correction("largest", "splitting", math.sqrt(outputs * depth_to_width), sign=1))
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=Bounds(largest, largest),
        prediction=largest,
        theorem=f"hidden batch norm, lambda_{'one' if uniform else 'bulk'}",
        corrections=tuple(corrections),
    )


def slow_convergence(network: Network, *, samples: int, depth_to_width: float) -> tuple[Correction, ...]:
    """Return what T = 4 or 5 samples leave out: 1/sigma^2 has a mean, but no variance.

    It has moments up to (T-1)/2, so that its mean over M units fluctuates by O(M^(-(T-3)/(T-1))).
    """
    if network.batch_norm is None or network.batch_norm.epsilon > 0 or samples > _FEW:
        return ()
    size = depth_to_width ** ((samples - 3) / (samples - 1))
    name = "infinite variance of 1/sigma^2"
    return (
        Correction("mean", name, size),
        Correction("second_moment", name, 2 * size),
        Correction("largest", name, size),
    )
