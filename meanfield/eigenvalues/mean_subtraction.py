"""Theorem 3.3: subtracting the mean over the samples in the last layer removes the sharpest direction."""

from __future__ import annotations

import math
from enum import StrEnum

from ..errors import ParameterError
from ..fim import Exchangeable
from .moments import Allowance, Bounds, EigenvalueStatistics, moment_bounds


class Regime(StrEnum):
    """How the number of samples T grows with the width M."""

    AUTO = "auto"
    """FIXED for T <= sqrt(M), else PROPORTIONAL: whichever T is closer to on a logarithmic scale, 1 or M."""
    FIXED = "fixed"
    """T = O(1): Theorem 3.3 (i)."""
    PROPORTIONAL = "proportional"
    """T = M/rho: Theorem 3.3 (ii)."""


def as_regime(regime: Regime | str) -> Regime:
    """Return the regime of that name."""
    try:
        return Regime(regime)
    except ValueError:
        raise ParameterError("regime", "one of " + ", ".join(Regime), repr(regime)) from None


def theorem_3_3(
    block: Exchangeable, *, outputs: int, depth: int, width: int, parameters: float, regime: Regime
) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks after mean subtraction.

    To leading order m_lambda = (1 - 1/T)(kappa_1 - kappa_2) C/M, and

    (i)  T = O(1): lambda_max = alpha (kappa_1 - kappa_2) M/T, C (T - 1) times;
    (ii) T = M/rho: rho alpha (kappa_1 - kappa_2) + c1 <= lambda_max
         <= sqrt((C alpha^2 rho (kappa_1 - kappa_2)^2 + c2) M), with unknown c1, c2 >= 0.

    Parameters
    ----------
    block : Exchangeable
        F*(k, k) before the subtraction, from ``fim.dual_block``; its size is T >= 2.
    outputs, depth, width : int
        C, L and M.
    parameters : float
        P.
    regime : Regime
        FIXED for (i), PROPORTIONAL for (ii), AUTO for the one that suits T and M.

    Notes
    -----
    The bounds of (ii) are those of ``moment_bounds`` with the exact second moment of the leading matrix, so that the
    upper one is smaller than the printed one by the factor sqrt(1 - 1/T). c1 and c2 are left out, and named in
    ``omitted``: the lower bound stays a bound without them, the upper one is asymptotic.

    In (i) a finite network's eigenvalues repel each other, and the largest exceeds the value here by O(sqrt(C T/M)),
    relative to it; the second moment of (ii) lacks a term c0 >= 0 of its own order.

    Equations: (16), (17), (18), (S.21)-(S.38), Theorem 3.3
    """
    samples = block.size
    chosen, rule = _choose(regime, samples, width)
    centred = block.centred()
    mean = outputs * centred.trace / parameters
    second_moment = outputs * centred.squared_norm / parameters
    finite_width = 4 * depth / width
    if chosen is Regime.FIXED:
        return EigenvalueStatistics(
            mean,
            second_moment,
            parameters,
            largest=Bounds(centred.contrast, centred.contrast),
            prediction=centred.contrast,
            theorem="Theorem 3.3 (i)",
            regime=rule,
            omitted=("level repulsion, O(sqrt(C T/M)) relative",),
            allowance=Allowance(
                finite_width,
                2 * finite_width + 2 * outputs * samples / width,
                finite_width + 3 * math.sqrt(outputs * samples / width),
            ),
        )
    return EigenvalueStatistics(
        mean,
        second_moment,
        parameters,
        largest=moment_bounds(mean, second_moment, parameters),
        prediction=None,
        theorem="Theorem 3.3 (ii)",
        regime=rule,
        omitted=("c0 >= 0 in s_lambda", "c1 >= 0 in the lower bound", "c2 >= 0 in the upper bound"),
        allowance=Allowance(finite_width, math.inf, finite_width),
    )


def _choose(regime: Regime, samples: int, width: int) -> tuple[Regime, str]:
    """Return the regime, and the rule that led to it in words."""
    few = samples**2 <= width
    comparison = f"T = {samples} {'<=' if few else '>'} sqrt(M) = {math.sqrt(width):.3g}"
    if regime is not Regime.AUTO:
        return regime, f"{regime} as asked ({comparison})"
    chosen = Regime.FIXED if few else Regime.PROPORTIONAL
    return chosen, f"{chosen}: {comparison}"
