"""What all units of a layer do together in a sample: few modes, which move single eigenvalues out of the density.

Beside the average of each order parameter a sample has its own value of the overlap with the common activity, of the
length of the activity, and of the overlap with the common gradient: for each layer three vectors over the samples s,

    A(s) = sqrt(M) <m_j phi~_j(s)>,   E(s) = sqrt(M) <(phi~_j^2)~(s)>,   D(s) = sqrt(M) <m1_j zeta_j delta~_j(s)>,

a tilde for what is left when the mean over samples is taken out, <.> over the units of the layer. They change the
fields of all units of the next layer (A, E) and of the layer before (D) coherently, by amounts of order 1/sqrt(M) each:
together a change of F of low rank, but of order 1. ``docs/collective_modes.md`` derives

    det(F - x) = det(F - x) of the cavity equations x |det K(x)|,      K = [[N, 1 - R], [1 - R', -Q]],

with, layer by layer, the amplitudes o = (A, E, D) and what moves them, c = (A, E of the layer before, D of the next),

    R = <O' J M>,   N = (1/alpha_l) <O' J C O>,   Q = alpha_l <M' Lambda J M> + ...,   J = (1 + C Lambda)^-1:

C is the covariance of (phi~, delta~, (phi~^2)~) at a node, Lambda = diag(a, b, 0), O what the amplitudes take of the
three, M what the modes do to them. There is one vector over samples per mode, so that every zero of det K is one
eigenvalue, and the phase of det K(x + i0) over pi is added to the number of eigenvalues above x.

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
from ..quadrature import CommonPart
from .limit import few_nodes
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

    activation: Activation
    common: CommonPart
    """The rule for averages given z."""
    nodes: Nodes
    squares: SquareNodes
    ratio: float
    """M_l/M."""
    covariance: float
    """q^l_st >= 0."""
    difference: float
    """v = (q_t - q_st)^l > 0."""
    down: float
    """s_w^2 of the weights into the layer."""
    up: float
    """s_w^2 of the weights out of it."""
    backward: float
    """(M_{l-1} qhat^{l-1}_st + 1)/M_l, what multiplies M_l delta~ delta~'; the 1 is for the biases."""
    sensitivity: float
    """qtilde^l_st."""
    forward: float
    """qtilde^{l+1}_st, what multiplies phi~ phi~'."""
    excess: float
    """v_g = s_w^2 (qtilde_t - qtilde_st)^{l+1}."""

    @property
    def alignment(self) -> float:
        """s_w^2/q_st; with h the common activity below, W.h~ = sqrt(q_st) z alignment (h.h~)/M + what z does not tell.

        Without biases it is 1/qhat_st: then z is all that W.h is made of.
        """
        return self.down / self.covariance if self.covariance else 0.0


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a layer gives: (3, 3) averages between its amplitudes o and the modes c that move it; V and D above."""

    response: Complex
    """<O' J M>."""
    spread: Complex
    """<O' J C O>."""
    coupling: Complex
    """<M' Lambda J M>."""
    v_above: complex
    """<(C^-1 + Lambda)^-1_11>, to be multiplied by s_w^2."""
    d_above: complex
    """<m1^2 P22>, to be multiplied by s_w^2 M_l/M_{l+1}."""


def _answer(layer: CollectiveLayer, a: complex, b: complex, g: complex, v: complex, u: complex) -> _Answer:
    """Return the averages, delta~ being measured in units of zeta, so that all depends on t = zeta^2 alone."""
    n, square = layer.nodes, layer.squares
    c11 = n.response**2 * v + n.activity_noise * g
    c12 = n.response * n.curvature * v + n.noise_covariance * g
    y, c0 = n.curvature**2 * v + n.slope_noise * g, n.slope_variance * layer.excess * g + n.slope**2 * u
    c13, c23, c33 = (
        f * square.response * v + noise * g
        for f, noise in zip((n.response, n.curvature, square.response), square.noise, strict=True)
    )
    variance = layer.up * layer.forward
    t, weights = places((1 + a * c11) * (1 + b * c0), b * ((1 + a * c11) * y - a * c12**2), variance)
    weights *= n.weights[:, None]
    c11, c12, y, c0, c13, c23, c33 = (x[:, None] for x in (c11, c12, y, c0, c13, c23, c33))
    # J Delta; 1 + C Lambda is [[1 + a C11, b t C12, 0], [a C12, 1 + b t C22, 0], [a C13, b t C23, 1]], t C22 = y t + c0
    j11, j12, j21, j22 = 1 + b * (y * t + c0), -b * t * c12, -a * c12, 1 + a * c11
    j = _matrices(t, (j11, j12, 0), (j21, j22, 0), (0, 0, j11 * j22 - j12 * j21))
    j[..., 2, :2] = -(a * c13)[..., None] * j[..., 0, :2] - (b * t * c23)[..., None] * j[..., 1, :2]
    covariance = _matrices(t, (c11, c12, c13), (c12, y + c0 / t, c23), (c13, c23, c33))
    taken = _matrices(t, (n.activity, 0, 0), (0, 0, n.slope[:, None] * t), (0, 1, 0))
    coherent = layer.alignment * math.sqrt(layer.covariance) * square.z
    half = layer.down / 2 * square.curvature
    moved = _matrices(
        t,
        (coherent * n.response, half[0], 0),
        (coherent * n.curvature, half[1], n.slope / layer.forward if layer.forward else 0),
        (coherent * square.response, half[2], 0),
    )
    couplings = _matrices(t, (a, 0, 0), (0, b * t, 0), (0, 0, 0))

    def mean(matrices: Complex) -> Complex:
        average: Complex = np.einsum("zp,zpij->ij", weights, matrices)
        return average

    left, own = taken.swapaxes(-1, -2), j @ covariance
    return _Answer(
        response=mean(left @ j @ moved),
        spread=mean(left @ own @ taken),
        coupling=mean(moved.swapaxes(-1, -2) @ couplings @ j @ moved),
        v_above=complex(np.sum(weights * own[..., 0, 0])),
        d_above=complex(np.sum(weights * n.slope[:, None] ** 2 * b * j22)),
    )


def _matrices(t: Complex, *rows: Sequence[ArrayLike]) -> Complex:
    """Return a 3 x 3 matrix at each place, from entries per place, per node or the same everywhere."""
    filled = np.zeros((*t.shape, 3, 3), dtype=np.complex128)
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            filled[..., i, j] = np.reshape(entry, (-1, 1)) if np.ndim(entry) == 1 else entry
    return filled


@dataclass(frozen=True, eq=False)
class CollectiveModes:
    """The modes of all layers of one network; made by :func:`collective_modes`."""

    layers: tuple[CollectiveLayer, ...]
    """Hidden layers l = 1 .. L-1."""
    input_ratio: float
    """M_0/M."""
    input_variance: float
    """q_0, of what an input has of its own."""
    input_overlap: float
    """qhat^0_st."""

    def covariance(self) -> Array:
        """Return the covariance of the modes over the samples of one wide network, shape (3 L, 3 L).

        In the order A^0, E^0, D^0, A^1, ..; A^0 is 0 for independent inputs, D^0 is not used and 0. It is
        (1 - R)^-1 N (1 - R')^-1 at Lambda = 0, and accurate to O(1/M) on average over networks.

        Examples
        --------
        >>> import meanfield as mf
        >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
        >>> covariance = collective_modes(network, mf.propagate(network)).covariance()
        >>> [round(float(covariance[i, i]), 4) for i in (1, 3, 4, 5)]
        [2.0, 0.2676, 2.9776, 0.5803]
        """
        return through_layers(*self.responses())

    def responses(self) -> tuple[Array, Array]:
        """Return R and N at Lambda = 0: how modes answer to each other, and the covariance of their noise."""
        response, spread = np.zeros((2, self._size, self._size))
        spread[:2, :2] = np.diag(self._inputs(1.0, 0.0)).real
        for l, layer in enumerate(self.layers, start=1):
            o, c = self._indices(l)
            answer = _answer(layer, 0.0, 0.0, 1.0, layer.difference, layer.excess)
            response[np.ix_(o, c)] = answer.response.real[:, : c.size]
            spread[np.ix_(o, o)] = answer.spread.real / layer.ratio
        return response, spread

    def matrix(self, state: Complex) -> Complex:
        """Return K, complex symmetric of shape (6 L, 6 L): of each layer 0 .. L-1 A, E, D, in both blocks.

        Parameters
        ----------
        state : array, shape (2 L - 2,)
            The solution (g, S_0 .. S_{L-2}, U_1 .. U_{L-2}) of the cavity equations at one x.
        """
        hidden = len(self.layers)
        g, s, u = complex(state[0]), [*state[1 : hidden + 1], 0.0], [0.0, *state[hidden + 1 :], 0.0]
        response, spread, coupling = np.zeros((3, self._size, self._size), dtype=np.complex128)
        a = self.layers[0].sensitivity + s[0]
        own = self.input_variance * g
        spread[:2, :2] = np.diag(self._inputs(g, a))
        v, d, ratio = self.layers[0].down * own / (1 + a * own), 0.0j, self.input_ratio
        for l, layer in enumerate(self.layers, start=1):
            o, c = self._indices(l)
            answer = _answer(layer, layer.forward + s[l], layer.backward + d, g, v, u[l])
            response[np.ix_(o, c)] = answer.response[:, : c.size]
            spread[np.ix_(o, o)] = answer.spread / layer.ratio
            coupling[np.ix_(c, c)] += layer.ratio * answer.coupling[: c.size, : c.size]
            # (1/T)(D A' + A D') of F itself
            coupling[[o[_D], c[_A]], [c[_A], o[_D]]] += ratio
            # neighbours answer through weights orthogonal to the common mode: a and b have it once too often
            coupling[c[_A], c[_A]] -= ratio * s[l - 1] * layer.alignment
            coupling[o[_D], o[_D]] -= layer.ratio * d / layer.sensitivity if layer.sensitivity else 0
            if l < hidden:
                above = self.layers[l]
                v, d = above.down * answer.v_above, layer.up * layer.ratio / above.ratio * answer.d_above
            ratio = layer.ratio
        one = np.eye(self._size)
        return np.block([[spread, one - response], [one - response.T, -coupling]])

    def moved(self, states: Complex) -> Array:
        """Return how many more eigenvalues than without the modes lie above x, shape (points,).

        Above the continuous spectrum K is real. Half of its eigenvalues are negative at x = infinity; where one more
        becomes so, an eigenvalue of F has left the rest. Below, their angles tell: they are taken from -pi/2 to 3 pi/2,
        and stay clear of these, so that the phase needs no path.

        Parameters
        ----------
        states : array, shape (points, 2 L - 2)
            Solutions of the cavity equations at x + i0.
        """
        angles = np.angle(np.linalg.eigvals(np.array([self.matrix(state) for state in states])))
        angles[angles < -math.pi / 2] += 2 * math.pi
        moved: Array = angles.sum(axis=-1) / math.pi - self._size
        return moved

    @property
    def _size(self) -> int:
        return 3 * (len(self.layers) + 1)

    def _inputs(self, g: complex, a: complex) -> Complex:
        """Return the spread of A^0 and E^0."""
        own = self.input_variance * g
        spread = np.array(
            [self.input_overlap * own / (1 + a * own), 2 * self.input_variance * own], dtype=np.complex128
        )
        return spread / self.input_ratio

    def _indices(self, l: int) -> tuple[Indices, Indices]:
        """Return where the amplitudes of layer l are among all, and where the modes that move them."""
        below, above = 3 * (l - 1), 3 * (l + 1)
        moving = [below + _A, below + _E, above + _D][: 3 if l < len(self.layers) else 2]
        return np.arange(3 * l, 3 * l + 3, dtype=np.intp), np.array(moving, dtype=np.intp)


def through_layers(response: Array, noise: Array) -> Array:
    """Return the covariance (1 - R)^-1 N (1 - R')^-1 of o = R o + noise."""
    linear = np.linalg.inv(np.eye(len(response)) - response)
    covariance: Array = linear @ noise @ linear.T
    return covariance


def collective_modes(network: Network, order: OrderParameters, *, width: int | None = None) -> CollectiveModes:
    """Return the modes of a network without hidden normalisation, non-centred or not.

    Parameters
    ----------
    network : Network
        Its outputs do not enter: C = 1 is meant.
    order : OrderParameters
        Of this network; no layer's samples may look all alike.
    width : int, optional
        M; left out, it is infinite: the bias parameters and the rounding of alpha_l M do not enter.
    """
    q, activity, sensitivity = order.preactivation, order.activity, order.backward
    ratios = [float(alpha) for alpha in network.width_ratios]
    biases = [0.0 for _ in ratios]
    if width is not None:
        ratios = [m / width for m in network.widths(width)[:-1]]
        biases = [1 / (width * alpha) for alpha in ratios]
    layers = []
    for l, activation in enumerate(network.activations, start=1):
        common = few_nodes(activation, float(q.cross[l - 1]), float(q.same[l - 1] - q.cross[l - 1]))
        up = network.weight_variance[l]
        layers.append(
            CollectiveLayer(
                activation=activation,
                common=common,
                nodes=nodes_of(activation, common),
                squares=square_nodes(activation, common),
                ratio=ratios[l],
                covariance=common.covariance,
                difference=common.difference,
                down=network.weight_variance[l - 1],
                up=up,
                backward=ratios[l - 1] / ratios[l] * float(activity.cross[l - 1]) + biases[l],
                sensitivity=float(sensitivity.cross[l - 1]),
                forward=float(sensitivity.cross[l]),
                excess=up * float(sensitivity.same[l] - sensitivity.cross[l]),
            )
        )
    own = float(activity.same[0] - activity.cross[0])
    return CollectiveModes(tuple(layers), ratios[0], own, float(activity.cross[0]))
