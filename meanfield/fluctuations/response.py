"""How averages of pairs of samples respond to the covariance of their pre-activations, and the noise of a layer.

With the heat equation, d/dq_ab E f_a f_b = E f'_a f'_b and d/dq_aa E f_a f_b = (1/2) E f''_a f_b.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from ..gaussian import Array
from ..records import Pair
from .moments import FACTORS, Factor, LayerMoments
from .samples import FIRST, INDEX, IS_SAME, PAIRS, SECOND


def jacobian(moments: LayerMoments, factor: Factor) -> Array:
    """Return d E f_a f_b/d q_cd, shape (10, 10), over the pairs of four samples."""
    f = moments.derivatives(factor)
    crossed = moments.over(f[1] ** 2)
    squared = moments.over(f[2] * f[0]) / 2
    result = np.diag(np.where(IS_SAME, moments.square_derivative(factor, 1), crossed))
    different = np.flatnonzero(~IS_SAME)
    for own in (FIRST, SECOND):
        result[different, own[different]] = squared
    return result


def second_derivatives(moments: LayerMoments, factor: Factor) -> Pair[Array]:
    """Return those of E f_t^2, shape (1, 1), and of E f_s f_t in (q_ss, q_st, q_tt), shape (3, 3)."""
    f = moments.derivatives(factor)
    own_own = moments.over(f[4] * f[0]) / 4
    own_other = moments.over(f[2] ** 2) / 4
    own_cross = moments.over(f[3] * f[1]) / 2
    cross_cross = moments.over(f[2] ** 2)
    cross = np.array(
        [
            [own_own, own_cross, own_other],
            [own_cross, cross_cross, own_cross],
            [own_other, own_cross, own_own],
        ]
    )
    return Pair(np.array([[moments.square_derivative(factor, 2)]]), cross)


def wick(covariance: Array) -> Array:
    """Return Cov(g_a g_b, g_c g_d) of Gaussians, shape (10, 10), from their covariances over the pairs, shape (10,)."""
    full = covariance[INDEX]
    a, b, c, d = FIRST[:, None], SECOND[:, None], FIRST[None], SECOND[None]
    result: Array = full[a, c] * full[b, d] + full[a, d] * full[b, c]
    return result


def layer_noise(moments: LayerMoments) -> Array:
    """Return width M_l x covariance of the means over M_l units of u_a u_b, phi_a phi_b and phi'_a phi'_b.

    At a given covariance of u: shape (3, 10, 3, 10), in this order.
    """
    noise = np.empty((3, len(PAIRS), 3, len(PAIRS)))
    means = [moments.pairs(factor) for factor in FACTORS]
    noise[0, :, 0] = wick(means[0])
    for (i, first), (j, second) in combinations_with_replacement(enumerate(FACTORS), 2):
        if j > 0:
            noise[i, :, j] = moments.products(first, second) - np.outer(means[i], means[j])
            noise[j, :, i] = noise[i, :, j].T
    return noise
