"""Theorem 4.1: layer normalisation of the outputs leaves the largest eigenvalue of the order of the width."""

from __future__ import annotations

import math

from ..exchangeable import Exchangeable
from ..readout import ReadoutScales
from .moments import Correction, EigenvalueStatistics, moment_bounds, participation_ratio


def theorem_4_1(
    block: Exchangeable, readout: ReadoutScales, *, outputs: int, depth_to_width: float, parameters: float
) -> EigenvalueStatistics:
    """Return the statistics of C exchangeable blocks after layer normalisation of the outputs.

    With A(t) = I - 11'/C - u(t) u(t)'/(C sigma(t)^2), a projector of rank C - 2 on the outputs of one sample, F has the
    non-zero eigenvalues of the matrix with the blocks

        A(t) A(t')/(sigma(t) sigma(t')) F*_tt',    tr A(t) A(t') = C - 3 + g(t, t')^2,    g(t, t) = 1,

    where F*_tt' is ``same`` for t = t' and ``cross`` otherwise. Hence

        sum of the eigenvalues = T (C-2) eta_1 same,
        sum of their squares = T (C-2) eta_2 same^2 + [T^2 ((C-3) eta_1^2 + eta_3^2) - T (C-2) eta_2] cross^2,

    and to leading order m_lambda = (C-2) eta_1 kappa'_1/M and, with s = (sum of the squares)/(alpha M)^2,
    alpha s/((C-2) eta_1 kappa'_1) M <= lambda_max <= alpha sqrt(s) M.

    Parameters
    ----------
    block : Exchangeable
        F*(k, k) before the normalisation, from ``fim.dual_block``.
    readout : ReadoutScales
        Of which the eta are used.
    outputs : int
        C >= 3. For C = 2 normalised outputs are 1 and -1 whatever the parameters: the Fisher information is zero.
    depth_to_width : float
        L/M, the size of what is left out; M is that of the narrowest layer.
    parameters : float
        P.

    Notes
    -----
    The paper's eta_3 squares a mean, (1/T^2) sum g/(sigma sigma'); the square belongs inside the sum,
    ``ReadoutScales.h3``. As printed the upper bound fails (``test_the_printed_eta_3_gives_bounds_that_fail``). There
    are no regimes: for any T both bounds are of the order of the width.

    A sample that comes out of the hidden layers larger than others, by O(sqrt(L/M)), has both larger gradients and a
    larger sigma(t), and counts for less. That is a second term of O(L/M) in each quantity, beside that of the widths;
    for relu it lowers the trace by about 3 L/M.

    Equations: (26), (27), (S.88)-(S.113), Theorem 4.1
    """
    samples, same, cross = block.size, block.same, block.cross
    on_diagonal = samples * (outputs - 2) * readout.eta_2
    everywhere = samples**2 * ((outputs - 3) * readout.eta_1_squared + readout.h3)
    mean = samples * (outputs - 2) * readout.eta_1 * same / parameters
    # for one sample nothing is off the diagonal, and the difference is rounding
    second_moment = (on_diagonal * same**2 + max(0.0, everywhere - on_diagonal) * cross**2) / parameters
    fluctuating = participation_ratio(mean, second_moment, parameters) * depth_to_width
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=moment_bounds(mean, second_moment, parameters),
        prediction=None,
        theorem="Theorem 4.1",
        readout=readout,
        corrections=(
            Correction("mean", "finite width", 2 * depth_to_width),
            Correction("second_moment", "finite width", 4 * depth_to_width),
            Correction("second_moment", "fluctuations", fluctuating, sign=1),
            Correction("largest", "finite width", 2 * depth_to_width),
            Correction("largest", "fluctuations", math.sqrt(1 + fluctuating) - 1, sign=1),
        ),
    )
