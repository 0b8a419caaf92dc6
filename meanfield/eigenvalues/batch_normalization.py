"""Batch normalisation of the outputs, (19): mean subtraction, and beyond it only a constant factor."""

from __future__ import annotations

import math

from ..exchangeable import Exchangeable
from ..readout import ReadoutScales
from .mean_subtraction import choose_regime
from .moments import Correction, EigenvalueStatistics, Regime, moment_bounds, participation_ratio


def equation_19(
    block: Exchangeable,
    readout: ReadoutScales,
    *,
    width: int,
    depth_to_width: float,
    parameters: float,
    regime: Regime,
) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks after batch normalisation of the outputs.

    F*_BN is P F* P, where P has the blocks (1/sigma_k)(I - 11'/T - u_k u_k'/(T sigma_k^2)), u_k centred outputs. With
    contrast = alpha (kappa_1 - kappa_2) M/T, every output has T - 2 eigenvalues contrast/sigma_k^2, so that

        sum of the eigenvalues = (T - 2) contrast Q1,    sum of their squares = (T - 2) contrast^2 Q2,

    and to leading order, for T = M/rho,

        m_lambda = (1 - 2/T) Q1 (kappa_1 - kappa_2)/M,
        rho alpha (Q2/Q1)(kappa_1 - kappa_2) + c1' <= lambda_max
        <= sqrt(((1 - 2/T) Q2 alpha^2 rho (kappa_1 - kappa_2)^2 + c2') M), with unknown c1', c2' >= 0.

    Parameters
    ----------
    block : Exchangeable
        F*(k, k) before the normalisation, from ``fim.dual_block``; its size is T >= 3. For T = 2 normalised outputs
        are 1 and -1 whatever the parameters: the Fisher information is zero.
    readout : ReadoutScales
        Of which Q1 and Q2 are used.
    width : int
        M.
    depth_to_width : float
        L/M, the size of what is left out; here M is that of the narrowest layer.
    parameters : float
        P.
    regime : Regime
        The moments are the same for few samples and for many, but what is left out is not: for T ~ M it is as large
        as the second moment, and named c0, c1', c2' in ``omitted``.

    Notes
    -----
    The paper has no factor 1 - 2/T. It comes from the two directions per output that the normalisation removes, 1 and
    u_k. (S.50) should read (kappa_1 - kappa_2)/sigma^2 (I - 11'/T - u u'/(T sigma^2)): sigma^2 Q projects onto the
    complement of u, which has no component along 1 (``test_sums_are_those_of_the_explicit_matrix``).

    In a finite network the direction u_k that is removed is one in which the samples differ more than in others. That
    is a second term of O(L/M) in each quantity, beside that of the widths; it lowers the trace by up to 3 L/M.

    Equations: (13), (14), (19), (S.43)-(S.55)
    """
    chosen, rule = choose_regime(regime, block.size, width)
    freedom = block.size - 2
    mean = freedom * block.contrast * readout.q1 / parameters
    second_moment = freedom * block.contrast**2 * readout.q2 / parameters
    fluctuating = participation_ratio(mean, second_moment, parameters) * depth_to_width
    fixed = chosen is Regime.FIXED
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=moment_bounds(mean, second_moment, parameters),
        prediction=None,
        theorem="Eq. (19)",
        regime=chosen,
        rule=rule,
        omitted=() if fixed else ("c0", "c1'", "c2'"),
        readout=readout,
        corrections=(
            Correction("mean", "finite width", 2 * depth_to_width),
            Correction("second_moment", "finite width", 4 * depth_to_width),
            Correction("second_moment", "fluctuations", fluctuating, sign=1)
            if fixed
            else Correction("second_moment", "c0", math.inf, sign=1),
            Correction("largest", "finite width", 2 * depth_to_width),
            Correction("largest", "fluctuations" if fixed else "c2", math.sqrt(1 + fluctuating) - 1, sign=1),
        ),
    )
