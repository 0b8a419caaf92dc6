"""The Gaussian-equivalent model of wide networks with one output, in the limit: averages over the law of the nodes.

A node is a hidden unit: z, the part of its preactivation that all samples share, and zeta, what all samples share of
the gradient that comes down to it. Given both, activities and gradients are, over the samples,

    phi~ = B y~ + noise,        sqrt(M_l) delta~ = zeta (B' y~ + noise') + m1 g~ + e,

(the tilde: without what the samples have in common; averages as in ``nodes``), where y~^{l+1} = W^{l+1} phi~^l and
g~^l = sqrt(M_l) W^{l+1}' delta~^{l+1} with one and the same Gaussian W, and Var e = Var[phi'|z] v_g. The dual Fisher
information without the mean of the outputs is then

    r + (1/T) sum_{l=0}^{L-1} qtilde^{l+1}_st sum_j phi~_j phi~_j'
      + (1/T) sum_{l=1}^{L-1} (M_{l-1} qhat^{l-1}_st + 1) sum_j delta~_j delta~_j',

the 1 for the biases, with r = sum_l (M_{l-1}/T) (qtilde^l_t - qtilde^l_st) (qhat^{l-1}_t - qhat^{l-1}_st).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..functions import Activation
from ..gaussian import Array
from ..network import Network
from ..order_parameters import OrderParameters
from ..quadrature import CommonPart, common_part
from .nodes import Nodes, nodes_of

_RULES = (16, 24, 36, 54, 80)
"""Nodes of the Gauss-Hermite rules for z that are tried before the fine rule is kept."""

_SAME = 1e-8
"""Relative difference of averages by a rule from those by the fine one."""


@dataclass(frozen=True, eq=False)
class LimitLayer:
    """One hidden layer, l."""

    nodes: Nodes
    """Averages given z, at the nodes of a rule for z."""
    spread: float
    """Var zeta = s_w^2 qtilde^{l+1}_st."""
    forward: float
    """qtilde^{l+1}_st, what multiplies phi~ phi~'."""
    backward: float
    """(M_{l-1} qhat^{l-1}_st + 1)/M_l, what multiplies M_l delta~ delta~'."""
    excess: float
    """v_g = s_w^2 (qtilde^{l+1}_t - qtilde^{l+1}_st)."""
    up: float
    """s_w^2 of the weights above the layer."""
    down: float
    """s_w^2 of those below it."""
    share: float
    """M_l/T."""
    ratio_below: float
    """M_l/M_{l-1}."""
    ratio_above: float
    """M_l/M_{l+1}; 0 for the last hidden layer."""


@dataclass(frozen=True, eq=False)
class LimitModel:
    """The Gaussian-equivalent model of networks of these widths."""

    layers: tuple[LimitLayer, ...]
    """Hidden layers l = 1 .. L-1."""
    forward: float
    """qtilde^1_st, what multiplies the inputs' phi~ phi~' = x x'."""
    inputs: float
    """qhat^0_t - qhat^0_st, the variance of an input that is the sample's own."""
    share: float
    """M_0/T."""
    constant: float
    """r."""
    samples: int
    """T."""
    disorder: float = 0.0
    """v, by which finite samples differ: see ``disorder``; 0 in the limit."""


def limit_model(network: Network, order: OrderParameters, widths: Sequence[int], samples: int) -> LimitModel:
    """Return the model of a network without hidden normalisation.

    Parameters
    ----------
    network : Network
        Its outputs do not enter: every one has the same spectrum in the limit.
    order : OrderParameters
        Of this network; no layer's samples may look all alike.
    widths : sequence of int
        M_0 .. M_{L-1}.
    samples : int
        T.
    """
    depth, s_w = network.depth, network.weight_variance
    activity, own = order.activity.cross, order.activity.same - order.activity.cross
    sensitivity = order.backward
    excess = sensitivity.same - sensitivity.cross
    layers = []
    for l, phi in enumerate(network.activations, start=1):
        covariance, difference = float(order.preactivation.cross[l - 1]), s_w[l - 1] * float(own[l - 1])
        forward = float(sensitivity.cross[l])
        layers.append(
            LimitLayer(
                nodes=nodes_of(phi, few_nodes(phi, covariance, difference)),
                spread=s_w[l] * forward,
                forward=forward,
                backward=(widths[l - 1] * float(activity[l - 1]) + 1) / widths[l],
                excess=s_w[l] * float(excess[l]),
                up=s_w[l],
                down=s_w[l - 1],
                share=widths[l] / samples,
                ratio_below=widths[l] / widths[l - 1],
                ratio_above=widths[l] / widths[l + 1] if l + 1 < depth else 0.0,
            )
        )
    constant = sum(widths[l] / samples * float(excess[l] * own[l]) for l in range(depth))
    return LimitModel(tuple(layers), float(sensitivity.cross[0]), float(own[0]), widths[0] / samples, constant, samples)


def few_nodes(phi: Activation, covariance: float, difference: float) -> CommonPart:
    """Return a rule with as few nodes z as give the same products of averages as the fine rule."""
    functions = (phi.value, phi.slope)
    fine = common_part(functions, covariance=covariance, difference=difference)
    expected = _products(nodes_of(phi, fine))
    for number in _RULES:
        if number >= fine.z.size:
            break
        z, weights = np.polynomial.hermite_e.hermegauss(number)
        rule = common_part(functions, covariance=covariance, difference=difference, z=z)
        few = replace(rule, weights=weights / weights.sum())
        if np.all(np.abs(_products(nodes_of(phi, few)) - expected) <= _SAME * np.abs(expected).max()):
            return few
    return fine


def _products(nodes: Nodes) -> Array:
    """Return averages of products of what stands in the cavity equations, by which rules are compared."""
    b, c, m1 = nodes.response, nodes.curvature, nodes.slope
    each = (b**2, b * c, c**2, m1**2, m1**4, b**4, nodes.activity_noise, nodes.noise_covariance, nodes.slope_noise)
    return np.array([values @ nodes.weights for values in (*each, nodes.slope_variance, nodes.activity_noise**2)])
