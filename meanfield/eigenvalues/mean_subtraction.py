"""Theorem 3.3: subtracting the mean over the samples in the last layer removes the sharpest direction."""

from __future__ import annotations

import math
from enum import StrEnum

from ..fim import Exchangeable
from .moments import Bounds, Correction, EigenvalueStatistics, fluctuations, moment_bounds


class Regime(StrEnum):
    """How the number of samples T grows with the width M."""

    AUTO = "auto"
    """FIXED for T <= sqrt(M), else PROPORTIONAL: whichever T is closer to on a logarithmic scale, 1 or M."""
    FIXED = "fixed"
    """T = O(1): Theorem 3.3 (i)."""
    PROPORTIONAL = "proportional"
    """T = M/rho: Theorem 3.3 (ii)."""


def theorem_3_3(
    block: Exchangeable, *, outputs: int, width: int, finite_width: float, parameters: float, regime: Regime
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
    outputs, width : int
        C and M.
    finite_width : float
        L/M, the size of what is left out; here M is that of the narrowest layer.
    parameters : float
        P.
    regime : Regime
        FIXED for (i), PROPORTIONAL for (ii), AUTO for the one that suits T and M.

    Notes
    -----
    The bounds of (ii) are those of ``moment_bounds`` with the exact second moment of the leading matrix, so that the
    upper one is smaller than the printed one by the factor sqrt(1 - 1/T). c0, c1 and c2 are left out, and named in
    ``omitted``: without them the lower bound stays a bound, the upper one is asymptotic. (S.37) lacks the factor alpha,
    which (18) and (S.33) have.

    A finite network differs by O(L/M) relative to each quantity. In (i) its eigenvalues repel each other, which raises
    the largest by O(sqrt(L C T/M)); in (ii) c0 is of the order of the second moment itself.

    Equations: (16), (17), (18), (S.21)-(S.38), Theorem 3.3
    """
    chosen, rule = _choose(regime, block.size, width)
    centred = block.centred()
    mean = outputs * centred.trace / parameters
    second_moment = outputs * centred.squared_norm / parameters
    fluctuating = fluctuations(centred, outputs) * finite_width
    always = (
        Correction("mean", "finite width", finite_width),
        Correction("second_moment", "finite width", 2 * finite_width),
    )
    if chosen is Regime.FIXED:
        return EigenvalueStatistics(
            mean=mean,
            second_moment=second_moment,
            parameters=parameters,
            largest=Bounds(centred.contrast, centred.contrast),
            prediction=centred.contrast,
            theorem="Theorem 3.3 (i)",
            regime=rule,
            corrections=(
                *always,
                Correction("second_moment", "fluctuations", fluctuating, positive=True),
                Correction("largest", "finite width", finite_width),
                Correction("largest", "level repulsion", math.sqrt(outputs * block.size * finite_width), positive=True),
            ),
        )
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=moment_bounds(mean, second_moment, parameters),
        prediction=None,
        theorem="Theorem 3.3 (ii)",
        regime=rule,
        omitted=("c0", "c1", "c2"),
        corrections=(
            *always,
            Correction("second_moment", "c0", math.inf, positive=True),
            Correction("largest", "c2", math.sqrt(1 + fluctuating) - 1, positive=True),
        ),
    )


def _choose(regime: Regime, samples: int, width: int) -> tuple[Regime, str]:
    """Return the regime, and the rule that led to it in words."""
    few = samples**2 <= width
    comparison = f"T = {samples} {'<=' if few else '>'} sqrt(M) = {math.sqrt(width):.3g}"
    if regime is not Regime.AUTO:
        return regime, f"{regime} as asked ({comparison})"
    chosen = Regime.FIXED if few else Regime.PROPORTIONAL
    return chosen, f"{chosen}: {comparison}"
