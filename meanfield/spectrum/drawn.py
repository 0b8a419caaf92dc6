"""The Gaussian-equivalent model of one network of finite width, from drawn or given nodes.

A node is a hidden unit j: z_j, the part of its preactivation that all samples share, and zeta_j, what all samples share
of the gradients of the C outputs that come down to it. Given the nodes, activities and gradients are, over the samples,

    phi~_j = B_j y~_j + noise,        sqrt(M_l) delta~_j = zeta_j (B'_j y~_j + noise') + m1_j g~_j + e_j,

(the tilde: without what the samples have in common; averages as in ``nodes``), where y~^{l+1} = W^{l+1} phi~^l and
g~^l = sqrt(M_l) W^{l+1}' delta~^{l+1} with one and the same Gaussian W, and Cov e_j = Var[phi'|z_j] v_g. The dual
Fisher information without the mean of the outputs is then, on the C T pairs of output and sample,

    R + (1/T) sum_{l=0}^{L-1} Q^{l+1} x sum_j phi~_j phi~_j'
      + (1/T) sum_{l=1}^{L-1} (M_{l-1} qhat^{l-1}_st + 1) sum_j delta~_j delta~_j',

the 1 for the biases. For C = 1 an infinitely wide network needs averages over z and zeta alone. For C > 1 the overlaps
Q^l of the gradients of the C outputs are a product of Wishart matrices, whose spread of O(sqrt(C/M)) grows towards the
input and lifts the largest eigenvalue: it is kept by drawing the nodes, which gives the spread of lambda_max as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..gaussian import Array
from ..network import Network
from ..quadrature import common_part
from .nodes import Nodes, nodes_of

_TOLERANCE = 1e-8
"""Of averages given z, relative: far below 1/sqrt(M) of what is drawn."""


class NodeSource(Protocol):
    """Where z and zeta come from: a random generator, or the weights of a network."""

    def common(self, layer: int, activity: Array, deviation: float) -> Array:
        """Return z_j of the units of a layer, shape (M_l,).

        ``activity`` is what the samples share of the layer below, shape (M_{l-1},), ``deviation`` is sqrt(q^l_st) > 0.
        """
        ...

    def gradients(self, layer: int, above: Array) -> Array:
        """Return zeta_j of the units of a layer, shape (M_l, C).

        ``above`` is what the samples share of sqrt(M_{l+1}) delta^{l+1}, shape (M_{l+1}, C); that of the outputs is
        sqrt(C) times the identity.
        """
        ...


@dataclass(frozen=True, eq=False)
class Drawn:
    """Nodes drawn from their law: z_j ~ N(0, 1), zeta_j ~ N(0, s_w^2 Q^{l+1})."""

    rng: np.random.Generator
    network: Network
    widths: Sequence[int]

    def common(self, layer: int, activity: Array, deviation: float) -> Array:
        """Return z_j ~ N(0, 1)."""
        return self.rng.standard_normal(self.widths[layer])

    def gradients(self, layer: int, above: Array) -> Array:
        """Return zeta_j ~ N(0, s_w^2 Q^{l+1}), Q^{l+1} = above' above/M_{l+1}."""
        factor = np.linalg.qr(above, mode="r")  # factor' factor = above' above, of any rank
        deviation = math.sqrt(self.network.weight_variance[layer] / len(above))
        zeta: Array = deviation * (self.rng.standard_normal((self.widths[layer], len(factor))) @ factor)
        return zeta


@dataclass(frozen=True, eq=False)
class DrawnLayer:
    """One hidden layer, l."""

    z: Array
    """Shape (M_l,)."""
    nodes: Nodes
    """Averages given z."""
    zeta: Array
    """Shape (M_l, C)."""
    forward: Array
    """Q^{l+1}, what multiplies phi~ phi~': shape (C, C)."""
    backward: float
    """(M_{l-1} qhat^{l-1}_st + 1)/M_l, what multiplies M_l delta~ delta~'."""
    excess: Array
    """v_g = s_w^2 (Qt^{l+1} - Q^{l+1}), Qt the overlap of the gradients of one sample: shape (C, C)."""
    up: float
    """s_w^2 of the weights above the layer."""
    down: float
    """s_w^2 of those below it."""


@dataclass(frozen=True, eq=False)
class DrawnModel:
    """The Gaussian-equivalent model of one network."""

    widths: tuple[int, ...]
    """M_0 .. M_{L-1}."""
    samples: int
    layers: tuple[DrawnLayer, ...]
    """Hidden layers l = 1 .. L-1."""
    forward: Array
    """Q^1, what multiplies the inputs' phi~ phi~' = x x': shape (C, C)."""
    constant: Array
    """R, from what single samples have beyond the fields: shape (C, C)."""
    covariance: Array
    """Of the outputs over the samples, shape (C, C): what batch normalisation divides by has its diagonal."""

    @property
    def outputs(self) -> int:
        """C."""
        return len(self.constant)

    def rescaled(self, scales: Array) -> DrawnModel:
        """Return the model of the same network with each output multiplied by a number, ``scales`` of shape (C,)."""
        both = np.outer(scales, scales)
        layers = [
            replace(layer, zeta=layer.zeta * scales, forward=layer.forward * both, excess=layer.excess * both)
            for layer in self.layers
        ]
        return replace(
            self,
            layers=tuple(layers),
            forward=self.forward * both,
            constant=self.constant * both,
            covariance=self.covariance * both,
        )


def model_of(network: Network, widths: Sequence[int], samples: int, source: NodeSource) -> DrawnModel:
    """Return the model of a network with given nodes.

    Forward, with averages over the nodes: q^l_st = s_w^2 qhat^{l-1}_st + s_b^2, qhat^l = <E[phi^2|z_j]>,
    qhat^l_st = <m_j^2>. Backward from Q^L = Qt^L = 1: Q^l = <m1_j^2 zeta_j zeta_j'> and
    Qt^l = <E[phi'^2|z_j] (zeta_j zeta_j' + v_g)>, v_g = s_w^2 (Qt^{l+1} - Q^{l+1}).

    The outputs' covariance over the samples: sum_j zeta_j phi~_j/sqrt(M_{L-1}) has the noise <s11_j zeta_j zeta_j'>;
    in what is linear in y~ = W phi~ the coefficients of phi~^{L-2} are the zeta of layer L-2, because B = m1; and so on
    down to the inputs, whose variance is 1.

    Parameters
    ----------
    network : Network
        Without normalisation of its hidden layers.
    widths : sequence of int
        M_0 .. M_{L-1}.
    samples : int
        T.
    source : NodeSource
        Gives z and zeta, layer after layer up, then down.
    """
    depth, s_w, s_b = network.depth, network.weight_variance, network.bias_variance
    rho = [width / samples for width in widths]
    same, cross = np.ones(depth), np.zeros(depth)  # qhat^0 .. qhat^{L-1}
    shared: list[Array] = []
    nodes: list[Nodes] = []
    activity = np.zeros(widths[0])
    for l, phi in enumerate(network.activations, start=1):
        covariance, difference = s_w[l - 1] * cross[l - 1] + s_b[l - 1], s_w[l - 1] * (same[l - 1] - cross[l - 1])
        deviation = math.sqrt(covariance)
        z = source.common(l, activity, deviation) if covariance > 0 else np.zeros(widths[l])
        rule = common_part(
            (phi.value, phi.slope), covariance=covariance, difference=difference, z=z, tolerance=_TOLERANCE
        )
        shared.append(z)
        nodes.append(nodes_of(phi, rule))
        activity = nodes[-1].activity
        same[l], cross[l] = nodes[-1].square.mean(), np.mean(activity**2)
    outputs = network.outputs
    q = q_same = np.eye(outputs)
    above = math.sqrt(outputs) * np.eye(outputs)
    covariance_of_outputs = np.zeros((outputs, outputs))
    constant = rho[-1] * (q_same - q) * (same[-1] - cross[-1])
    layers: list[DrawnLayer] = []
    for l in reversed(range(1, depth)):
        unit, excess = nodes[l - 1], s_w[l] * (q_same - q)
        zeta = source.gradients(l, above)
        backward = (widths[l - 1] * cross[l - 1] + 1) / widths[l]
        layers.append(DrawnLayer(shared[l - 1], unit, zeta, q, backward, excess, s_w[l], s_w[l - 1]))
        covariance_of_outputs += (zeta.T * unit.activity_noise) @ zeta / widths[l]
        above = unit.slope[:, None] * zeta
        q = above.T @ above / widths[l]
        q_same = (zeta.T * unit.slope_square) @ zeta / widths[l] + unit.slope_square.mean() * excess
        constant = constant + rho[l - 1] * (q_same - q) * (same[l - 1] - cross[l - 1])
    zeta = source.gradients(0, above)
    covariance_of_outputs += zeta.T @ zeta / widths[0]
    return DrawnModel(tuple(widths), samples, tuple(reversed(layers)), q, constant, covariance_of_outputs)
