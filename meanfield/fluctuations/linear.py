"""The linear response of every order parameter to what each layer adds by chance, forward and backward.

With d for a deviation at finite width, for pairs a, b of samples,

    d q^l      = s_w^2 d qhat^{l-1} + nu^l,
    d qhat^l   = s_w^2 J_phi d qhat^{l-1} + xi^l,
    d p^l      = s_w^2 J_phi' d qhat^{l-1} + zeta^l,
    d qtilde^l = s_w^2 p^l d qtilde^{l+1} + s_w^2 qtilde^{l+1} d p^l + gamma^l,          d qtilde^L = 0,

where p^l_ab is the mean of phi'_a phi'_b over the units. nu, xi and zeta are the chance of means over the units of a
layer, at a given covariance of their pre-activations; gamma is that of the gradients that arrive, at given slopes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..gaussian import Array
from ..network import Network
from ..order_parameters import OrderParameters
from .moments import LayerMoments
from .response import jacobian, layer_noise, wick
from .samples import IS_SAME, PAIRS

PREACTIVATION, ACTIVITY, SENSITIVITY = range(3)
"""Where the kinds of order parameters stand in an array; of what a layer adds: nu, xi, zeta."""

_PAIRS = len(PAIRS)


@dataclass(frozen=True, eq=False)
class Layer:
    """One hidden layer l = 1 .. L-1: what linear response needs of it, over the ten pairs of four samples."""

    activity: Array
    """d qhat^l/d qhat^{l-1}, shape (10, 10)."""
    slopes: Array
    """d p^l/d qhat^{l-1}, shape (10, 10)."""
    through: Array
    """d qtilde^l_ab/d qtilde^{l+1}_ab = s_w^2 p^l_ab, shape (10,)."""
    gradient: Array
    """d qtilde^l_ab/d p^l_ab = s_w^2 qtilde^{l+1}_ab, shape (10,)."""
    noise: Array
    """Width x covariance of nu, xi and zeta, shape (3, 10, 3, 10)."""
    slope_products: Array
    """E phi'_a phi'_b phi'_c phi'_d/alpha_l, shape (10, 10): Cov(gamma) is that of the gradients times this."""


def pairs_of(same: float, cross: float) -> Array:
    """Return one value for each of the ten pairs."""
    return np.where(IS_SAME, same, cross)


def layers_of(network: Network, order: OrderParameters, moments: list[LayerMoments]) -> list[Layer]:
    """Return the hidden layers, from l = 1."""
    layers = []
    qtilde = order.backward
    for l, layer in enumerate(moments, start=1):
        s_below, s_above = network.weight_variance[l - 1 : l + 1]
        layers.append(
            Layer(
                activity=s_below * jacobian(layer, "value"),
                slopes=s_below * jacobian(layer, "slope"),
                through=s_above * layer.pairs("slope"),
                gradient=s_above * pairs_of(qtilde.same[l], qtilde.cross[l]),
                noise=layer_noise(layer) / network.width_ratios[l],
                slope_products=layer.products("slope", "slope") / network.width_ratios[l],
            )
        )
    return layers


@dataclass(frozen=True, eq=False)
class Covariances:
    """Width x covariance of all order parameters of all pairs of four samples.

    The kinds are in the order q^l, qhat^l, qtilde^l, and the index of a layer is its place in
    :class:`~meanfield.order_parameters.OrderParameters`; of q^L there is only what sharpens with the width.
    """

    joint: Array
    """Shape (3, L, 10, 3, L, 10): with the sensitivities of one output."""
    between_outputs: Array
    """Shape (L, 10, L, 10): of the sensitivities of two different outputs."""
    from_slopes: Array
    """Shape (L - 1, 10, 10): M Cov(d qtilde^{l+1}_ab, d p^l_cd), at l - 1."""


def covariances(layers: list[Layer], weight_variance: tuple[float, ...], input_noise: Array) -> Covariances:
    """Return the covariances that the noise of the inputs and of all hidden layers adds up to.

    Parameters
    ----------
    layers : list of Layer
    weight_variance : tuple of float
        s_w^2 of all L layers.
    input_noise : array, shape (10, 10)
        Width x covariance of qhat^0.
    """
    depth = len(layers) + 1
    size = depth * _PAIRS
    joint = np.zeros((3 * size, 3 * size))
    by_gradients = np.zeros((size, size))
    from_slopes = np.zeros((depth - 1, _PAIRS, _PAIRS))
    for source in range(depth):
        response = _response(layers, weight_variance, source)
        flat = response.reshape(3 * size, 3 * _PAIRS)
        if source == 0:
            of_inputs = response[..., ACTIVITY, :].reshape(3 * size, _PAIRS)
            joint += of_inputs @ input_noise @ of_inputs.T
            continue
        layer = layers[source - 1]
        joint += flat @ layer.noise.reshape(3 * _PAIRS, 3 * _PAIRS) @ flat.T
        through = _back(layers, source).reshape(size, _PAIRS)
        by_gradients += through @ (layer.slope_products * wick(layer.gradient)) @ through.T
        to_above = response[SENSITIVITY, source, :, ACTIVITY]
        from_slopes[source - 1] = to_above @ layer.noise[ACTIVITY, :, SENSITIVITY]
    shaped = joint.reshape(3, depth, _PAIRS, 3, depth, _PAIRS)
    between_outputs = shaped[SENSITIVITY, :, :, SENSITIVITY].copy()
    shaped[SENSITIVITY, :, :, SENSITIVITY] += by_gradients.reshape(between_outputs.shape)
    for l, layer in enumerate(layers):
        from_slopes[l] += shaped[SENSITIVITY, l + 1, :, ACTIVITY, l] @ layer.slopes.T
    return Covariances(shaped, between_outputs, from_slopes)


def _response(layers: list[Layer], weight_variance: tuple[float, ...], source: int) -> Array:
    """Return what a unit of nu, xi and zeta of a layer does to every order parameter, shape (3, L, 10, 3, 10)."""
    depth, unit = len(layers) + 1, np.eye(_PAIRS)
    response = np.zeros((3, depth, _PAIRS, 3, _PAIRS))
    preactivation, activity, sensitivity = response
    activity[source, :, ACTIVITY] = unit
    for l in range(source + 1, depth):
        activity[l] = np.tensordot(layers[l - 1].activity, activity[l - 1], axes=1)
    # q^l and qtilde^l are at l - 1, where qhat^{l-1} is
    preactivation[:] = np.array(weight_variance)[:, None, None, None] * activity
    if source > 0:
        preactivation[source - 1, :, PREACTIVATION] = unit
    for l in reversed(range(1, depth)):
        layer = layers[l - 1]
        slopes = np.tensordot(layer.slopes, activity[l - 1], axes=1)
        if l == source:
            slopes[:, SENSITIVITY] += unit
        by_slopes = layer.gradient[:, None, None] * slopes
        sensitivity[l - 1] = layer.through[:, None, None] * sensitivity[l] + by_slopes
    return response


def _back(layers: list[Layer], source: int) -> Array:
    """Return what a unit of gamma of a layer does to the sensitivities, shape (L, 10, 10): diagonal, and zero above."""
    back = np.zeros((len(layers) + 1, _PAIRS, _PAIRS))
    back[source - 1] = np.eye(_PAIRS)
    for l in reversed(range(1, source)):
        back[l - 1] = layers[l - 1].through[:, None] * back[l]
    return back
