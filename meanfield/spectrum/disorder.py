"""How samples, and pairs of them, differ at finite width: it blurs the lower end of the density.

In the limit the products of what is the sample's own, in gradients and in activities,

    Y(s, t) = (1/T) sum_l (delta~^l(s) . delta~^l(t)) (h~^{l-1}(s) . h~^{l-1}(t)),

are r on the diagonal and vanish off it. At finite T the diagonal scatters over the samples, and the entries of a row
are as random as those of a Wigner matrix: both by O(1/sqrt(T)). To second order both add to the resolvent what a free
semicircle of the same variance adds,

    1/g = tot - x - v g,      v = Var Y(s, s) + T Var Y(s, t).

Pairs: the overlaps of two samples answer linearly, from layer to layer, with the noise of each layer's units,

    h~(s).h~(t)/M_l = <B^2> s_w^2 (that below) + noise of Var[phi|z],
    delta~(s).delta~(t) = <zeta^2 B'^2> s_w^2 (that of h~ below) + <m1^2> s_w^2 (that above) + noise of Var[delta~|z].

Single samples: to A, E, D of ``collective`` comes the length of the gradient, G(s) = sqrt(M) (|delta~(s)|^2 - mean).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..gaussian import Array
from .collective import CollectiveLayer, CollectiveModes, through_layers


def disorder(modes: CollectiveModes, *, width: int, samples: int) -> float:
    """Return v = Var Y(s, s) + T Var Y(s, t), to leading order in 1/M.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield.spectrum.collective import collective_modes
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    >>> modes = collective_modes(network, mf.propagate(network))
    >>> round(1e4 * disorder(modes, width=400, samples=1600), 3)  # measured: 6.68
    6.735
    """
    return diagonal_variance(modes, width=width, samples=samples) + pair_variance(modes) / samples


def pair_variance(modes: CollectiveModes) -> float:
    """Return T^2 Var Y(s, t): a sum over pairs of layers, with two ways to pair gradients and activities."""
    layers, depth = modes.layers, len(modes.layers) + 1
    response, noise = np.zeros((2, 2 * depth, 2 * depth))  # h~ of l = 0 .. L-1, then delta~ of l = 1 .. L
    noise[0, 0] = modes.input_variance**2 / modes.input_ratio
    for l, layer in enumerate(layers, start=1):
        n, gradient = layer.nodes, depth + l - 1
        zeta = layer.up * layer.forward
        variance = n.square - n.activity**2
        covariance = n.noise_covariance + n.response * n.curvature * layer.difference
        response[l, l - 1] = layer.down * (n.weights @ n.response**2)
        response[gradient, l - 1] = layer.down * zeta * (n.weights @ n.curvature**2)
        response[gradient, gradient + 1] = layer.up * (n.weights @ n.slope**2)
        noise[l, l] = n.weights @ variance**2 / layer.ratio
        noise[l, gradient] = noise[gradient, l] = zeta * (n.weights @ covariance**2) / layer.ratio
        of_zeta, of_gradient = n.slope_variance * zeta, n.slope_square * layer.excess
        noise[gradient, gradient] = (
            n.weights @ (3 * of_zeta**2 + 2 * of_zeta * of_gradient + of_gradient**2) / layer.ratio
        )
    pairs = through_layers(response, noise)
    ratios = np.array([modes.input_ratio, *(layer.ratio for layer in layers)])
    hh, hd, dd = pairs[:depth, :depth], pairs[:depth, depth:], pairs[depth:, depth:]
    return float(ratios @ (dd * hh + hd * hd.T) @ ratios)


def diagonal_variance(modes: CollectiveModes, *, width: int, samples: int) -> float:
    """Return Var Y(s, s), of lengths |h~|^2 and |delta~|^2 that answer to the modes A, E, D and to each other."""
    depth = len(modes.layers) + 1
    with_lengths = [4 * l + k for l in range(depth) for k in range(3)]
    response, noise = np.zeros((2, 4 * depth, 4 * depth))
    response[np.ix_(with_lengths, with_lengths)], noise[np.ix_(with_lengths, with_lengths)] = modes.responses()
    weights = np.zeros(4 * depth)
    own_activity, ratio = modes.input_variance, modes.input_ratio
    for l, layer in enumerate(modes.layers, start=1):
        at = 4 * l + np.arange(4)
        last = l == depth - 1
        moved_by = [4 * (l - 1), 4 * (l - 1) + 1, *(() if last else (4 * (l + 1) + 2, 4 * (l + 1) + 3))]
        answer, spread = _gradient_length(layer)
        response[at[3], moved_by] = answer[: len(moved_by)]
        noise[at, at[3]] = noise[at[3], at] = spread / layer.ratio
        n = layer.nodes
        own_gradient = n.weights @ (n.slope_variance * layer.up * layer.forward + n.slope_square * layer.excess)
        weights[at[3]] += ratio * own_activity
        weights[4 * (l - 1) + 1] += ratio * own_gradient
        own_activity, ratio = float(n.weights @ (n.square - n.activity**2)), layer.ratio
    return float(width / samples**2 * weights @ through_layers(response, noise) @ weights)


def _gradient_length(layer: CollectiveLayer) -> tuple[Array, Array]:
    """Return how |delta~|^2 answers to A, E below and D, G above, and its noise with that of A, E, D and its own.

    sqrt(M_l) delta~ = phi' g - m1 zeta with g normal of mean zeta and variance v_g; the mean of its square given y is
    (zeta^2 + v_g) phi'^2 - 2 m1 zeta^2 phi' and a constant.
    """
    common, weights, given = layer.common, layer.nodes.weights, layer.common.given
    y, v, z2, vg = common.y, layer.difference, layer.up * layer.forward, layer.excess
    value, slope = layer.activation.value(common.u), layer.activation.slope(common.u)
    m, m1 = given(value), given(slope)
    own, square, deviation = value - m[:, None], slope**2, slope - m1[:, None]

    def mean_of_square(average: Callable[[Array], Array]) -> Array:
        return (z2 + vg) * average(square) - 2 * m1 * z2 * average(slope)

    def covariance_with(f: Array) -> Array:
        return mean_of_square(lambda values: given(f * values) - given(f) * given(values))

    coherent = layer.alignment * math.sqrt(layer.covariance) * common.z
    response = np.array(
        [
            weights @ (coherent * mean_of_square(lambda f: given(f * y) / math.sqrt(v))),
            layer.down / 2 * (weights @ mean_of_square(lambda f: given(f * (y * y - 1)) / v)),
            2 * layer.up * (weights @ given(deviation**2)),  # z2/qtilde^{l+1}_st = s_w^2
            layer.up * (weights @ given(square)),
        ]
    )
    third = 3 * z2**2 * given(deviation**3) + 3 * z2 * vg * given(deviation * square)
    fourth = 3 * z2**2 * given(deviation**4) + 6 * z2 * vg * given(deviation**2 * square) + 3 * vg**2 * given(square**2)
    first, second = z2 * given(deviation**2), vg * given(square)
    noise = [m * covariance_with(own), covariance_with(own**2), m1 * third]
    return response, np.array([weights @ f for f in (*noise, fourth - 3 * first**2 - 2 * first * second - second**2)])
