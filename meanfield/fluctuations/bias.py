"""The 1/M shift of the mean of every order parameter.

Forward it comes from the curvature of the averages. Backward there is also the covariance of the two factors of
qtilde^l, and the failure of the gradient independence assumption: the weights that carry the gradient back have carried
the activities forward. Given u~ = W h of the samples a, b (without the bias), W is

    W_k = sum_c (H G^-1)_c u~_k(c)/M_l + what is orthogonal to the activities,          G_cd = qhat^l_cd on {a, b},

so that the gradient at a unit has the mean (1/M_l) h' G^-1 R with R_ca = sum_k u~_k(c) delta_k(a), whose second moments
Gamma_ab = E R_a R_b' follow a recursion of their own from the readout down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..gaussian import Array
from ..network import Network
from ..order_parameters import OrderParameters
from .linear import ACTIVITY, Covariances, Layer
from .moments import Factor, LayerMoments
from .response import second_derivatives
from .samples import INDEX

_SAME, _CROSS = INDEX[0, 0], INDEX[0, 1]
_NEAR = np.array([INDEX[0, 0], INDEX[0, 1], INDEX[1, 1]])
"""The pairs whose covariances q_ss, q_st, q_tt an average over s and t depends on."""

_TWO = (0, 1)


@dataclass(frozen=True, eq=False)
class Shifts:
    """Width x mean shift, shape (L, 2) each: columns t and st."""

    activity: Array
    sensitivity: Array
    sensitivity_assuming_independence: Array


def shifts(
    network: Network,
    order: OrderParameters,
    moments: list[LayerMoments],
    layers: list[Layer],
    covariances: Covariances,
) -> Shifts:
    """Return the shifts of qhat^l and qtilde^l.

    With b for a shift and V for width x covariance of qhat^{l-1}, for l = 1 .. L-1,

        b_qhat^l   = s_w^2 J_phi b_qhat^{l-1} + (1/2) s_w^4 H_phi : V,
        b_p^l      = the same with phi',
        b_qtilde^l = s_w^2 p^l b_qtilde^{l+1} + s_w^2 qtilde^{l+1} b_p^l + s_w^2 M Cov(d qtilde^{l+1}, d p^l)
                     + what gradients that depend on the activities add.
    """
    depth = network.depth
    qtilde = np.stack(order.backward, axis=1)
    activity, of_slopes = np.zeros((depth, 2)), np.zeros((depth, 2))
    for l, (layer, moment) in enumerate(zip(layers, moments, strict=True), start=1):
        below = activity[l - 1]
        covariance = network.weight_variance[l - 1] ** 2 * covariances.joint[ACTIVITY, l - 1, :, ACTIVITY, l - 1]
        activity[l] = _first_order(layer.activity, below) + _second_order(moment, "value", covariance)
        of_slopes[l] = _first_order(layer.slopes, below) + _second_order(moment, "slope", covariance)
    failure = dependence(network, order, moments)
    sensitivity, independent = np.zeros((depth, 2)), np.zeros((depth, 2))
    for l in reversed(range(1, depth)):
        s_above, covariance = network.weight_variance[l], covariances.from_slopes[l - 1]
        added = s_above * (qtilde[l] * of_slopes[l] + covariance[[_SAME, _CROSS], [_SAME, _CROSS]])
        through = layers[l - 1].through[[_SAME, _CROSS]]
        independent[l - 1] = through * independent[l] + added
        sensitivity[l - 1] = through * sensitivity[l] + added + failure[l - 1]
    return Shifts(activity, sensitivity, independent)


def _first_order(jacobian: Array, below: Array) -> Array:
    """Return what a shift of the overlaps below does, as t and st."""
    same, cross = below
    shift = np.array([same, cross, same])
    return np.array([jacobian[_SAME, _SAME] * same, jacobian[_CROSS, _NEAR] @ shift])


def _second_order(moments: LayerMoments, factor: Factor, covariance: Array) -> Array:
    """Return half the second derivatives times the covariances of the overlaps, as t and st."""
    curvature = second_derivatives(moments, factor)
    parts = (curvature.same, covariance[:1, :1]), (curvature.cross, covariance[np.ix_(_NEAR, _NEAR)])
    return np.array([np.sum(h * v) / 2 for h, v in parts])


def dependence(network: Network, order: OrderParameters, moments: list[LayerMoments]) -> Array:
    """Return what is added to M E qtilde^l because the gradients depend on the activities, shape (L, 2).

    (1/alpha_l) sum_cd E[phi'_a phi'_b phi_c phi_d] (G^-1 (Gamma^{l+1}_ab - s_w^2 qtilde^{l+1}_ab G) G^-1)_cd.
    """
    qtilde = np.stack(order.backward, axis=1)
    added = np.zeros((network.depth, 2))
    gram = _gram(order, network.depth - 1)
    # of the readout: R_c = u~_c, whatever a
    gamma = [network.weight_variance[-1] * gram] * 2
    for l in reversed(range(1, network.depth)):
        moment, gram = moments[l - 1], _gram(order, l)
        inverse = np.linalg.inv(gram)
        below = _gram(order, l - 1)
        for part, (a, b) in enumerate(((0, 0), (0, 1))):
            arriving = network.weight_variance[l] * qtilde[l, part]
            products = np.array([[moment.expect(slope=(a, b), value=(c, d)) for d in _TWO] for c in _TWO])
            known = inverse @ gamma[part] @ inverse
            added[l - 1, part] = np.sum(products * (known - arriving * inverse)) / network.width_ratios[l]
            gamma[part] = _gamma_below(network, moment, l, below, (a, b), known, arriving * inverse, arriving)
    return added


def _gram(order: OrderParameters, layer: int) -> Array:
    """Return qhat^l of two samples, shape (2, 2)."""
    same, cross = order.activity.same[layer], order.activity.cross[layer]
    return np.array([[same, cross], [cross, same]])


def _gamma_below(
    network: Network,
    moments: LayerMoments,
    l: int,
    below: Array,
    pair: tuple[int, int],
    known: Array,
    removed: Array,
    arriving: float,
) -> Array:
    """Return Gamma^l_ab, from what the units of layer l make of known and of orthogonal parts of the gradients."""
    a, b = pair
    weights = network.weight_variance[l - 1] * below  # covariance of u~, and of u~ with u
    regression = weights @ np.linalg.inv(weights + network.bias_variance[l - 1])
    residual = weights - regression @ weights

    def with_activity(own: int) -> Array:
        """A_ec = E u~_e phi'_a phi_c."""
        plain = [[moments.expect(u=(e,), slope=(own,), value=(c,)) for c in _TWO] for e in _TWO]
        result: Array = regression @ np.array(plain)
        return result

    squares = np.array([[moments.expect(u=(e, f), slope=pair) for f in _TWO] for e in _TWO])
    own = regression @ squares @ regression.T + residual * moments.expect(slope=pair)
    result: Array = with_activity(a) @ (known - removed) @ with_activity(b).T + arriving * own
    return result
