"""What all units of a layer do together in a sample: few modes, which move single eigenvalues out of the density.

Beside the average of each order parameter a sample has its own value of the overlap with the common activity, of the
length of the activity, and of the overlap with the common gradient: for each layer three vectors over the samples s,

    A(s) = sqrt(M) <m_j phi~_j(s)>,   E(s) = sqrt(M) <(phi~_j^2)~(s)>,   D(s) = sqrt(M) <m1_j zeta_j delta~_j(s)>,

a tilde for what is left when the mean over samples is taken out, <.> over the units of the layer. They change the
fields of all units of the next layer (A, E) and of the layer before (D) coherently, by amounts of order 1/sqrt(M) each:
together a change of F of low rank, but of order 1. ``docs/collective_modes.md`` derives that

    det(F - x) = exp(T x what the cavity equations say) x det K(x),      K = [[1 - R, N], [-Q, 1 - R']],

with, layer by layer, the amplitudes o = (A, E, D) and what moves them, c = (A, E of the layer before, D of the next),

    R = <O' J M>,   N = (1/alpha_l) <O' J C O>,   Q = alpha_l <M' Lambda J M> + ...,   J = (1 + C Lambda)^-1:

C is the covariance of (phi~, delta~, (phi~^2)~) at a node, Lambda = diag(a, b, 0), O what the amplitudes take of the
three, M what the modes do to them. One vector over samples per mode, so that every zero of det K is one eigenvalue:

    number of eigenvalues above x = T x tail of the density + (1/pi) Im log det K(x + i 0).

E[f'|z] and E[f''|z] are E[f y|z]/sqrt(v) and E[f (y^2 - 1)|z]/v: nothing is differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..functions import Activation
from ..gaussian import Array
from ..network import Network
from ..order_parameters import OrderParameters
from ..quadrature import CommonPart, common_part
from .nodes import Nodes, nodes_of
from .places import Complex, places

Indices = NDArray[np.intp]

_A, _E, _D = range(3)
"""The modes of a layer; also its fields phi~, delta~, (phi~^2)~ are numbered 0, 1, 2."""


@dataclass(frozen=True, eq=False)
class SquareNodes:
    """What the modes need beyond ``Nodes``: averages of phi, phi' and (phi - m)^2 given z, arrays over the nodes."""

    z: Array
    curvature: Array
    """E[f''|z] of the three, shape (3, nodes)."""
    response: Array
    """d E[(phi - m)^2|z]/du, that is 2 Cov(phi, phi')."""
    noise: Array
    """Covariance of (phi - m)^2 with the three, less the parts that are linear in y, shape (3, nodes)."""


def square_nodes(activation: Activation, common: CommonPart) -> SquareNodes:
    """Return these averages at the nodes of a rule, or at given ones."""
    v, y, given = common.difference, common.y, common.given
    value, slope = (f - given(f)[:, None] for f in (activation.value(common.u), activation.slope(common.u)))
    square = value**2 - given(value**2)[:, None]
    three = (value, slope, square)
    response = [given(f * y) / math.sqrt(v) for f in three]
    return SquareNodes(
        z=common.z,
        curvature=np.array([given(f * (y * y - 1)) / v for f in three]),
        response=response[2],
        noise=np.array([given(f * square) - b * response[2] * v for f, b in zip(three, response, strict=True)]),
    )


@dataclass(frozen=True, eq=False)
class CollectiveLayer:
    """One hidden layer l as the modes see it."""

    nodes: Nodes
    squares: SquareNodes
    ratio: float
    """alpha_l."""
    weight_variance: float
    """s_w^2 of the weights into the layer."""
    covariance: float
    """q^l_st >= 0."""
    difference: float
    """v = (q_t - q_st)^l > 0."""
    overlap_below: float
    """alpha_{l-1} qhat^{l-1}_st."""
    sensitivity: float
    """qtilde^l_st."""
    sensitivity_above: float
    """qtilde^{l+1}_st."""
    readout_variance: float
    """Var zeta = s_w^2 qtilde^{l+1}_st, s_w^2 of the weights out of the layer."""
    own_gradient: float
    """v_g = s_w^2 (qtilde_t - qtilde_st)^{l+1}."""

    @property
    def alignment(self) -> float:
        """s_w^2/q_st: a weight vector's part along the common activity h of the layer below is sqrt(q_st) z of this.

        W.h~ = (s_w^2/sqrt(q_st)) z (h.h~)/M + what is independent of z, which 1/qhat_st would be without biases.
        """
        return self.weight_variance / self.covariance if self.covariance else 0.0


def collective_layers(network: Network, order: OrderParameters) -> tuple[CollectiveLayer, ...]:
    """Return the hidden layers 1 .. L-1 of a network, with rules for their averages."""
    q, activity, sensitivity = order.preactivation, order.activity, order.backward
    layers = []
    for l, activation in enumerate(network.activations, start=1):
        common = common_part(
            (activation.value, activation.slope),
            covariance=float(q.cross[l - 1]),
            difference=float(q.same[l - 1] - q.cross[l - 1]),
        )
        out = network.weight_variance[l]
        layers.append(
            CollectiveLayer(
                nodes=nodes_of(activation, common),
                squares=square_nodes(activation, common),
                ratio=network.width_ratios[l],
                weight_variance=network.weight_variance[l - 1],
                covariance=common.covariance,
                difference=common.difference,
                overlap_below=network.width_ratios[l - 1] * float(activity.cross[l - 1]),
                sensitivity=float(sensitivity.cross[l - 1]),
                sensitivity_above=float(sensitivity.cross[l]),
                readout_variance=out * float(sensitivity.cross[l]),
                own_gradient=out * float(sensitivity.same[l] - sensitivity.cross[l]),
            )
        )
    return tuple(layers)


@dataclass(frozen=True, eq=False)
class CavityPoint:
    """The solution of the cavity equations at one x; arrays over l = 0 .. L-1, 0 where there is nothing."""

    g: complex
    """tr (F* - x)^-1/T."""
    v: Complex
    """Of l = 1 .. L-1."""
    u: Complex
    """Of l = 1 .. L-2."""
    s: Complex
    """Of l = 0 .. L-2."""
    d: Complex
    """Of l = 2 .. L-1."""


@dataclass(frozen=True, eq=False)
class _Tables:
    """Averages over one layer of what links its amplitudes o to the modes c that move it, each (3, 3)."""

    response: Complex
    """<O' J M>."""
    spread: Complex
    """<O' J C O>."""
    coupling: Complex
    """<M' Lambda J M>."""


def _tables(layer: CollectiveLayer, a: complex, b: complex, g: complex, v: complex, u: complex) -> _Tables:
    """Return the averages, delta~ being measured in units of zeta, so that all depends on t = zeta^2 alone."""
    n, square = layer.nodes, layer.squares
    c11 = n.response**2 * v + n.activity_noise * g
    c12 = n.response * n.curvature * v + n.noise_covariance * g
    y, c0 = n.curvature**2 * v + n.slope_noise * g, n.slope_variance * layer.own_gradient * g + n.slope**2 * u
    c13, c23, c33 = (
        f * square.response * v + noise * g
        for f, noise in zip((n.response, n.curvature, square.response), square.noise, strict=True)
    )
    t, weights = places((1 + a * c11) * (1 + b * c0), b * ((1 + a * c11) * y - a * c12**2), layer.readout_variance)
    shape = (*t.shape, 3, 3)

    def matrix(*rows: Sequence[ArrayLike]) -> Complex:
        filled = np.zeros(shape, dtype=np.complex128)
        for i, row in enumerate(rows):
            for j, entry in enumerate(row):
                filled[..., i, j] = np.reshape(entry, (-1, 1)) if np.ndim(entry) == 1 else entry
        return filled

    c11, c12, y, c0, c13, c23, c33 = (x[:, None] for x in (c11, c12, y, c0, c13, c23, c33))
    # 1 + C Lambda is [[1 + a C11, b t C12, 0], [a C12, 1 + b t C22, 0], [a C13, b t C23, 1]], and t C22 = y t + c0
    r11, r12, r21, r22 = 1 + b * (y * t + c0), -b * t * c12, -a * c12, 1 + a * c11
    r = matrix((r11, r12, 0), (r21, r22, 0), (0, 0, r11 * r22 - r12 * r21))
    r[..., 2, :2] = -a * c13[..., None] * r[..., 0, :2] - (b * t * c23)[..., None] * r[..., 1, :2]
    covariance = matrix((c11, c12, c13), (c12, y + c0 / t, c23), (c13, c23, c33))
    taken = matrix((n.activity, 0, 0), (0, 0, n.slope[:, None] * t), (0, 1, 0))
    coherent = layer.alignment * math.sqrt(layer.covariance) * square.z
    half = layer.weight_variance / 2 * square.curvature
    moved = matrix(
        (coherent * n.response, half[0], 0),
        (coherent * n.curvature, half[1], n.slope / layer.sensitivity_above),
        (coherent * square.response, half[2], 0),
    )
    couplings = np.stack([np.full_like(t, a), b * t, np.zeros_like(t)], axis=-1)[..., None]
    rm = r @ moved
    every = weights * n.weights[:, None]

    def mean(matrices: Complex) -> Complex:
        average: Complex = np.einsum("zp,zpij->ij", every, matrices)
        return average

    left = taken.swapaxes(-1, -2)
    return _Tables(
        mean(left @ rm), mean(left @ r @ covariance @ taken), mean(moved.swapaxes(-1, -2) @ (couplings * rm))
    )


def _places_of(l: int, depth: int) -> tuple[Indices, Indices]:
    """Return where the amplitudes of layer l are among all, and where the modes that move them."""
    below, above = 3 * (l - 1), 3 * (l + 1)
    moving = [below + _A, below + _E, above + _D]
    return np.arange(3 * l, 3 * l + 3, dtype=np.intp), np.array(moving if l < depth - 1 else moving[:2], dtype=np.intp)


def collective_covariance(layers: Sequence[CollectiveLayer], *, input_ratio: float = 1.0) -> Array:
    """Return the covariance of the modes over the samples of one wide network, shape (3 L, 3 L).

    In the order A^0, E^0, D^0, A^1, ..; A^0 and D^0 are not used and 0. It is (1 - R)^-1 N (1 - R')^-1 at Lambda = 0,
    accurate to O(1/M) on average over networks.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> covariance = collective_covariance(collective_layers(network, mf.propagate(network)))
    >>> [round(float(covariance[i, i]), 4) for i in (1, 3, 4, 5)]
    [2.0, 0.2676, 2.9776, 0.5803]
    """
    size = 3 * (len(layers) + 1)
    response, spread = np.zeros((2, size, size), dtype=np.complex128)
    spread[_E, _E] = 2 / input_ratio
    for l, layer in enumerate(layers, start=1):
        o, c = _places_of(l, len(layers) + 1)
        tables = _tables(layer, 0.0, 0.0, 1.0, layer.difference, layer.own_gradient)
        response[np.ix_(o, c)] = tables.response[:, : c.size]
        spread[np.ix_(o, o)] = tables.spread / layer.ratio
    answer = np.linalg.inv(np.eye(size) - response.real)
    covariance: Array = answer @ spread.real @ answer.T
    return covariance


def collective_matrix(layers: Sequence[CollectiveLayer], point: CavityPoint, *, input_ratio: float = 1.0) -> Complex:
    """Return K(x), shape (6 L, 6 L): first the amplitudes (A, E, D) of layers 0 .. L-1, then the forces on them.

    Parameters
    ----------
    layers : sequence of CollectiveLayer
        Of :func:`collective_layers`.
    point : CavityPoint
        The solution of the cavity equations at x.
    input_ratio : float
        alpha_0.
    """
    size = 3 * (len(layers) + 1)
    response, spread, coupling = np.zeros((3, size, size), dtype=np.complex128)
    spread[_E, _E] = 2 * point.g / input_ratio
    for l, layer in enumerate(layers, start=1):
        o, c = _places_of(l, len(layers) + 1)
        a, b = layer.sensitivity_above + point.s[l], layer.overlap_below / layer.ratio + point.d[l]
        tables = _tables(layer, complex(a), complex(b), point.g, complex(point.v[l]), complex(point.u[l]))
        response[np.ix_(o, c)] = tables.response[:, : c.size]
        spread[np.ix_(o, o)] = tables.spread / layer.ratio
        coupling[np.ix_(c, c)] += layer.ratio * tables.coupling[: c.size, : c.size]
        if l > 1:
            below = layers[l - 2]
            # (1/T)(D A' + A D') of F itself
            coupling[[o[_D], c[_A]], [c[_A], o[_D]]] += below.ratio
            # neighbours answer through weights orthogonal to the common mode: a and b have it once too often
            coupling[c[_A], c[_A]] -= below.ratio * point.s[l - 1] * layer.alignment
            coupling[o[_D], o[_D]] -= layer.ratio * point.d[l] / layer.sensitivity
    one = np.eye(size)
    return np.block([[one - response, spread], [-coupling, one - response.T]])


def eigenvalues_moved(determinants: ArrayLike) -> Array:
    """Return (1/pi) Im log det K along the real axis: how many more eigenvalues than without the modes lie above x.

    Parameters
    ----------
    determinants : array, shape (points,)
        det K(x) at x that fall from far above the spectrum, where det K = 1, so densely that the phase turns by less
        than pi/2 from one to the next. Above the continuous spectrum det K is real up to the tail, and a change of its
        sign is an eigenvalue that leaves the rest: it turns by +pi, whatever rounding makes of the imaginary part.

    Returns
    -------
    array, shape (points,)
        It may be negative where the modes take eigenvalues away.
    """
    values = np.concatenate([[1.0], np.asarray(determinants, dtype=np.complex128)])
    turns = np.angle(values[1:] / values[:-1])
    turns[turns < -math.pi / 2] += 2 * math.pi
    moved: Array = np.cumsum(turns) / math.pi
    return moved
