"""Theorem 3.3: subtracting the mean over the samples in the last layer removes the sharpest direction."""

from __future__ import annotations

import math
from dataclasses import replace

from ..errors import ParameterError, QuadratureError, require_number
from ..exchangeable import Exchangeable
from ..network import Network
from ..normalization import HiddenNormalization
from ..order_parameters import OrderParameters
from ..spectrum import spectrum
from .moments import Bounds, Correction, EigenvalueStatistics, Regime, moment_bounds, participation_ratio


def theorem_3_3(
    block: Exchangeable, *, outputs: int, width: int, depth_to_width: float, parameters: float, regime: Regime
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
    depth_to_width : float
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
    which (18) and (S.33) have. Between the two regimes, for T = M^p, see :func:`sharpness_exponents`: (i) holds for
    p < 1/2, and from there on only the exponents of the bounds are known (Theorem B.1).

    A finite network differs by O(L/M) relative to each quantity. In (i) its eigenvalues repel each other, which raises
    the largest by O(sqrt(L C T/M)); in (ii) c0 is of the order of the second moment itself.

    Equations: (16), (17), (18), (S.21)-(S.38), Theorem 3.3
    """
    chosen, rule = choose_regime(regime, block.size, width)
    centred = block.centred()
    mean = outputs * centred.trace / parameters
    second_moment = outputs * centred.squared_norm / parameters
    fluctuating = participation_ratio(mean, second_moment, parameters) * depth_to_width
    always = (
        Correction("mean", "finite width", depth_to_width),
        Correction("second_moment", "finite width", 2 * depth_to_width),
    )
    if chosen is Regime.FIXED:
        return EigenvalueStatistics(
            mean=mean,
            second_moment=second_moment,
            parameters=parameters,
            largest=Bounds(centred.contrast, centred.contrast),
            prediction=centred.contrast,
            theorem="Theorem 3.3 (i)",
            regime=chosen,
            rule=rule,
            corrections=(
                *always,
                Correction("second_moment", "fluctuations", fluctuating, sign=1),
                Correction("largest", "finite width", depth_to_width),
                Correction("largest", "level repulsion", math.sqrt(outputs * block.size * depth_to_width), sign=1),
            ),
        )
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=moment_bounds(mean, second_moment, parameters),
        prediction=None,
        theorem="Theorem 3.3 (ii)",
        regime=chosen,
        rule=rule,
        omitted=("c0", "c1", "c2"),
        corrections=(
            *always,
            Correction("second_moment", "c0", math.inf, sign=1),
            Correction("largest", "finite width", depth_to_width),
            Correction("largest", "c2", math.sqrt(1 + fluctuating) - 1, sign=1),
        ),
    )


_SAMPLES = 20
"""The least T for which lambda_max is taken from the spectrum."""


def predicted(
    statistics: EigenvalueStatistics, network: Network, order: OrderParameters, *, width: int, samples: int
) -> EigenvalueStatistics:
    """Return the statistics with lambda_max from the spectrum as their prediction, for a network that it covers.

    Where the equations of the spectrum are not solved the statistics are as before, and ``omitted`` says why.
    """
    if samples < _SAMPLES or network.hidden_normalization is not HiddenNormalization.NONE:
        return statistics
    if network.outputs > 1:
        return replace(statistics, omitted=(*statistics.omitted, "lambda_max itself (mf.drawn_largest has it)"))
    try:
        largest = spectrum(network, width=width, samples=samples, order=order).largest
    except QuadratureError as error:
        return replace(statistics, omitted=(*statistics.omitted, f"lambda_max by the spectrum ({error})"))
    off = network.depth_to_width(width) ** (2 / 3)
    return replace(
        statistics,
        prediction=largest,
        corrections=(*statistics.corrections, Correction("prediction", "finite width of the spectrum", off)),
    )


def sharpness_exponents(rate: float, *, samples_exponent: float = 1.0) -> Bounds:
    """Return the powers of M between which lambda_max grows after mean subtraction, without gradient independence.

    For T = M^p and backward order parameters that converge as qtilde_M = qtilde + O(M^-q), with q* = min(q, 1/2),

        max(1 - p, 1 - 2 q*) <= log lambda_max / log M <= max(1 - p, 1 - q*).

    Parameters
    ----------
    rate : float
        q > 0; the gradient independence assumption gives 1/2.
    samples_exponent : float
        p, from 0 (T = O(1), Theorem 3.3 (i)) to 1 (T ~ M, Theorem B.1 and, with q = 1/2, Theorem 3.3 (ii)).

    Returns
    -------
    Bounds
        The exponents; equal for p <= q*.

    Notes
    -----
    After the subtraction F* is F0 + F1, with the leading F0 = (alpha M/T)(kappa_1 - kappa_2) G in each block and
    entries of order M^(1-q*)/T in F1, (S.21). Its trace is of order M. Of the squared norms, that of F0 is of order
    T (M/T)^2 = M^(2-p), that of F1 of order M^(2-2q*), and the product of the two only of order M^(2-p-q*), so that the
    lemma's lower bound s/m is of order M^(1-p) + M^(1-2q*), if F1 is as large as it may be (c1 > 0). The triangle
    inequality for the spectral norm, (S.28)-(S.31), gives M^(1-p) + M^(1-q*) for every p, which is never above the
    lemma's sqrt(P s), of exponent 1 - min(p/2, q*). For p < q* the second term vanishes beside the first, from which it
    follows that lambda_max ~ alpha (kappa_1 - kappa_2) M/T is then an equality: with q* = 1/2 Theorem 3.3 (i) holds for
    all T << sqrt(M).

    Equations: (S.27)-(S.33), Theorem B.1

    Examples
    --------
    >>> sharpness_exponents(0.5)  # T ~ M: between O(1) and O(sqrt(M))
    Bounds(lower=0.0, upper=0.5)
    >>> sharpness_exponents(0.5, samples_exponent=0.25)
    Bounds(lower=0.75, upper=0.75)
    """
    q = min(require_number("rate", rate, above=0), 0.5)
    p = require_number("samples_exponent", samples_exponent, at_least=0)
    if p > 1:
        raise ParameterError("samples_exponent", "a number from 0 to 1", samples_exponent)
    return Bounds(max(1 - p, 1 - 2 * q), max(1 - p, 1 - q))


def choose_regime(regime: Regime, samples: int, width: int) -> tuple[Regime, str]:
    """Return the regime, and the rule that led to it in words."""
    few = samples**2 <= width
    comparison = f"T = {samples} {'<=' if few else '>'} sqrt(M) = {math.sqrt(width):.3g}"
    if regime is not Regime.AUTO:
        return regime, f"{regime} as asked ({comparison})"
    chosen = Regime.FIXED if few else Regime.PROPORTIONAL
    return chosen, f"{chosen}: {comparison}"
