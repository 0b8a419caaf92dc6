"""How the largest eigenvalues, C-fold degenerate to leading order, split at finite width."""

from __future__ import annotations

import math

import numpy as np

from ..errors import AssumptionError
from ..gaussian import Array
from ..network import Network
from ..normalization import HiddenNormalization
from ..order_parameters import OrderParameters
from ..quadrature import common_part


def relative_splitting(network: Network, order: OrderParameters, *, width: int) -> float:
    """Return epsilon: the overlaps F*(k, k')_st, s != t, of a finite network are F*(k, k)_st (I + epsilon G).

    What the gradients delta^m_k of the outputs have in common for all samples overlaps as

        Q^m = (1/M_m) sum_j m1_j^2 zeta_j zeta_j',    zeta_j ~ N(0, s_w^2 Q^{m+1}),    m1_j = E[phi'|z_j],    Q^L = I,

    a C x C matrix that is qtilde^m_st I on average. Each layer adds to it s_w^2 qtilde^{m+1}_st sqrt(E m1^4/M_m) G_m,
    with G_m of the Gaussian orthogonal ensemble (variance 1 off the diagonal and 2 on it), and hands it down, so that

        F*(k, k)_st epsilon = (1/T) |g|,
        g_m = s_w^2 qtilde^{m+1}_st sqrt(E m1^4/M_m) sum_{l<=m} (M_{l-1} qhat^{l-1}_st + 1) qtilde^l_st/qtilde^m_st.

    With layer normalisation in the hidden layers m1 is that of phi(u/sqrt(q_t)). What z_j does to the trace of Q is
    left out: it moves all outputs together, by O(M^(-1/2)).

    Raises
    ------
    AssumptionError
        For samples with a negative overlap, which share no part z.
    """
    units = np.array(network.widths(width)[:-1])
    layers = order.backward.cross * (units * order.activity.cross + 1)
    if (order.preactivation.cross < 0).any():
        raise AssumptionError(
            "the splitting of the largest eigenvalues needs samples whose overlap is not negative; leading_order=True "
            "leaves it out"
        )
    squares = 0.0
    for m, phi in enumerate(network.activations):  # hidden layer m + 1
        q, q_st = (float(pair[m]) for pair in order.preactivation)
        norm = q if network.hidden_normalization is HiddenNormalization.LAYER else 1.0
        common = common_part([phi.slope], covariance=q_st / norm, difference=(q - q_st) / norm)
        fourth = common.over(common.given(phi.slope(common.u)) ** 4) / norm**2
        below = float(order.backward.cross[m])
        if fourth > 0 and below > 0:  # else nothing is handed down
            handed = network.weight_variance[m + 1] * float(order.backward.cross[m + 1]) / below
            squares += (handed * layers[: m + 1].sum()) ** 2 * fourth / units[m + 1]
    return math.sqrt(squares) / float(layers.sum())


def drawn_overlaps(epsilon: float, size: int, draws: int, rng: np.random.Generator) -> Array:
    """Draw I + epsilon G to first order, shape (draws, size, size): positive definite, and I on average."""
    normal = rng.standard_normal((draws, size, size))
    g = (normal + normal.transpose(0, 2, 1)) / math.sqrt(2)
    root = np.eye(size) + epsilon / 2 * g
    drawn: Array = root @ root / (1 + epsilon**2 * (size + 1) / 4)
    return drawn
