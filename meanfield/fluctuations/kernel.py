"""Fluctuations of the kernel K_ab = sum_l alpha_{l-1} qtilde^l_ab qhat^{l-1}_ab, of which F* is made."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ..gaussian import Array
from ..network import Network
from ..order_parameters import OrderParameters
from ..records import Pair
from .bias import Shifts
from .linear import ACTIVITY, SENSITIVITY, Covariances, Layer, pairs_of
from .moments import LayerMoments
from .samples import INDEX, numbers_of

_SAME, _CROSS = INDEX[0, 0], INDEX[0, 1]


@dataclass(frozen=True, eq=False)
class KernelFluctuations:
    """Width x covariance of the entries of K at finite width, for every pattern of up to four samples.

    For C outputs there is a kernel K^kk' of each two, with qtilde^{l,kk'}_ab, the overlap of the gradient of output k
    at sample a with that of output k' at sample b; those of different outputs are zero in the mean.
    """

    same_output: Array
    """Of two entries of K^kk, shape (10, 10)."""
    two_outputs: Array
    """Of an entry of K^kk and one of K^k'k', shape (10, 10)."""
    mixed_output: Array
    """Of two entries of K^kk', shape (4, 4, 4, 4): samples a, b of the first, c, d of the second."""
    bias: Pair[float]
    """Width x mean shift of K_tt and K_st."""
    skewness: float
    """Width^2 x the cumulant of K^12_st, K^23_uv and K^31_wx: of three outputs, and six samples.

    It bends the spectrum of K^kk' over the outputs, as that of a Wishart matrix is bent."""

    def covariance(self, first: Sequence[Hashable], second: Sequence[Hashable], *, outputs: int = 1) -> float:
        """Return lim M Cov(K_ab, K_cd) for two pairs of labels, as "st" and "su".

        Parameters
        ----------
        first, second : sequence of two labels
            Equal labels are the same sample.
        outputs : int
            1: of the kernel of one output; 2: of those of two different outputs.
        """
        (a, b), (c, d) = numbers_of(first, second)
        table = self.same_output if outputs == 1 else self.two_outputs
        return float(table[INDEX[a, b], INDEX[c, d]])

    def mixed(self, first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
        """Return lim M E K^kk'_ab K^kk'_cd for two different outputs; the order of the labels counts."""
        (a, b), (c, d) = numbers_of(first, second)
        return float(self.mixed_output[a, b, c, d])


def kernel_fluctuations(
    network: Network,
    order: OrderParameters,
    moments: list[LayerMoments],
    layers: list[Layer],
    covariances: Covariances,
    shifts: Shifts,
    width: int | None,
) -> KernelFluctuations:
    """Return what deviations of qhat and qtilde do to the kernel, to first order, and to second order in its mean.

    With a width its bias parameters are part of it, which see an activity of 1: qhat^{l-1} + 1/M_{l-1} for qhat^{l-1}.
    """
    alpha = np.array(network.width_ratios)
    qhat, qtilde = (np.stack(pair, axis=1) for pair in (order.activity, order.backward))
    if width is not None:
        qhat = qhat + 1 / (alpha[:, None] * width)
    to_sensitivity, to_activity = (
        alpha[:, None] * np.stack([pairs_of(same, cross) for same, cross in values]) for values in (qhat, qtilde)
    )
    kinds = [ACTIVITY, SENSITIVITY]
    weights = np.stack([to_activity, to_sensitivity])
    joint = covariances.joint[kinds][:, :, :, kinds]
    same_output = np.einsum("kla,klamnb,mnb->ab", weights, joint, weights, optimize=True)
    one_output = joint[1, :, :, 1]
    difference = np.einsum(
        "la,lanb,nb->ab", to_sensitivity, one_output - covariances.between_outputs, to_sensitivity, optimize=True
    )
    product = np.array(
        [
            [covariances.joint[SENSITIVITY, l, pair, ACTIVITY, l, pair] for pair in (_SAME, _CROSS)]
            for l in range(network.depth)
        ]
    )
    bias = alpha @ (shifts.sensitivity * qhat + qtilde * shifts.activity + product)
    return KernelFluctuations(
        same_output=same_output,
        two_outputs=same_output - difference,
        mixed_output=_mixed(to_sensitivity, layers),
        bias=Pair(float(bias[0]), float(bias[1])),
        skewness=_skewness(network, to_sensitivity[:, _CROSS], moments, layers),
    )


def _mixed(to_sensitivity: Array, layers: list[Layer]) -> Array:
    """Return width x covariance of K^kk'_ab and K^kk'_cd, k != k', shape (4, 4, 4, 4).

    Gradients of two outputs that arrive at a layer are independent; what its units add to their overlaps by chance
    has the covariance (1/alpha_m) E[phi'_a phi'_b phi'_c phi'_d] E[g_a g_c] E[g_b g_d].
    """
    total = np.zeros((4, 4, 4, 4))
    effect = np.zeros(len(to_sensitivity[0]))
    for here, layer in zip(to_sensitivity, layers, strict=False):
        effect = here + effect  # of a unit of chance in qtilde^m, by itself and through the layers below
        gradient = layer.gradient[INDEX]
        products = layer.slope_products[INDEX][:, :, INDEX]
        arriving = np.einsum("ac,bd->abcd", gradient, gradient)
        total += np.einsum("ab,abcd,cd->abcd", effect[INDEX], products * arriving, effect[INDEX])
        effect = layer.through * effect
    return total


def _skewness(network: Network, to_sensitivity: Array, moments: list[LayerMoments], layers: list[Layer]) -> float:
    """Return width^2 x the cumulant of the kernel of three outputs in a ring, between samples that all differ.

    Overlaps Q^m of the gradients of the outputs are s_w^2 p^m Q^{m+1} + N^m, where N^m is what the units of layer m add
    by chance. N^m has a cumulant of its own, as of a Wishart matrix, and the covariance of its entries 12 and 23
    depends on Q^{m+1}_13, which has been added by the layers n > m.
    """
    total, effect = 0.0, 0.0
    effects = []
    for here, layer in zip(to_sensitivity, layers, strict=False):
        effects.append(here + effect)
        effect = float(layer.through[_CROSS]) * effects[-1]
    above = 0.0  # Cov of Q^{m+1}_13 and of the kernel
    for m in reversed(range(len(layers))):
        gradient, through = float(layers[m].gradient[_CROSS]), float(layers[m].through[_CROSS])
        ratio = network.width_ratios[m + 1]
        fourth, sixth = (moments[m].expect(slope=range(power)) / ratio ** (power / 2 - 1) for power in (4, 6))
        total += effects[m] ** 3 * sixth * gradient**3
        total += 3 * effects[m] ** 2 * fourth * gradient * network.weight_variance[m + 1] * above
        above = through * above + effects[m] * fourth * gradient**2
    return total
