"""The resolvent of the model of one network: cavity equations for C x C matrices, averaged over its nodes.

At each node j of layer l the resolvent of the model sees the fields (phi~_j, sqrt(M_l) delta~_j), C + 1 of them. With
the covariance Sigma_j that the rest of the model gives them, and the couplings Lambda = diag(a, b),

    C11 = B^2 V + s11 g,    X = B B' V + s12 g,    Y = B'^2 V + s22 g,    c0 = Var(phi'|z) tr(g v_g) + U m1^2,
    Sigma = [[C11, X zeta], [zeta' X, zeta' Y zeta + c0]],    a = Q^{l+1} + S,    b = (M_{l-1} qhat_st + 1)/M_l + D,

the effective couplings are P = (Lambda^-1 + Sigma)^-1, the fields' own response E = (Sigma^-1 + Lambda)^-1. They go on

    V_{l+1} = s_w^2 <E11>,                                    U_{l-1} = s_w^2 <E22>,
    S_{l-1} = s_w^2 (M_l/M_{l-1}) <(B, B' zeta) P (B, B' zeta)'>,    D_{l+1} = s_w^2 (M_l/M_{l+1}) <m1^2 P22>,
    V_1 = s_w^2 g (1 + a_0 g)^-1,    a_0 = Q^1 + S_0,

and g = (1/T) tr_samples (F* - x)^-1 = (tot - x)^-1 with tot = R + (M_0/T) (1 + a_0 g)^-1 a_0 + sum_l (M_l/T) <s11 P11 +
s12 (P12 zeta' + zeta P21) + s22 P22 zeta zeta' + Var(phi'|z) P22 v_g>.

For real x above the spectrum all of -g, -V, -U, S and D are positive (semidefinite) and the map is increasing in each
of them, because P and E are, as matrices, in Lambda and -Sigma; and it falls with x. So the physical solution is the
smallest, to which iterations from 0 rise; it ceases to exist at the edge of the spectrum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gaussian import Array
from .drawn import DrawnLayer, DrawnModel

Field = NDArray[np.inexact[Any]]
"""Real or complex."""

_BINS = 30
"""Nodes of about the same z share the averages given z: as many inverses of C x C matrices a layer."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What one sweep through all layers gives."""

    total: Field
    """tot, shape (C, C): g should be (tot - x)^-1."""
    rest: Field
    """S_0 .. S_{L-2} and U_1 .. U_{L-2} anew, in one array as in the state."""
    distance: float
    """From the nearest pole of a node: the smallest 1 + b quad, below 0 beyond one."""


class Cavity:
    """The cavity equations of one model, as a map of their state to itself.

    The state is one array: the C x C matrices g, S_0 .. S_{L-2}, then the numbers U_1 .. U_{L-2}.

    Parameters
    ----------
    model : DrawnModel
    bins : int, optional
        Of z in each layer; left out, each node has its own for C = 1, where no matrix is inverted, and 30 are taken for
        C > 1.
    """

    def __init__(self, model: DrawnModel, bins: int | None = None) -> None:
        self.model = model
        most = bins or (_BINS if model.outputs > 1 else max(model.widths))
        widths = (*model.widths, 0)
        self._layers = [
            _binned(layer, most, model.samples, *widths[l - 1 : l + 2]) for l, layer in enumerate(model.layers, start=1)
        ]
        self._matrices = len(model.layers) + 1
        self._split = self._matrices * model.outputs**2

    def start(self) -> Array:
        """Return the state at x = infinity: zero."""
        return np.zeros(self._split + self._matrices - 2)

    def g(self, state: Field) -> Field:
        """Return g, shape (C, C)."""
        g: Field = self._unpack(state)[0][0]
        return g

    def with_g(self, g: Field, rest: Field) -> Field:
        """Return a state of this g and what a sweep gave for the rest."""
        return np.concatenate([g.ravel(), rest])

    def sizes(self, state: Array) -> Array:
        """Return, for each number of a state, the size of the largest in its matrix."""
        matrices, u = self._unpack(np.abs(state))
        each = np.broadcast_to(matrices.max(axis=(1, 2), keepdims=True), matrices.shape)
        sizes = np.concatenate([each.ravel(), u])
        return np.where(sizes > 0, sizes, 1.0)

    def sweep(self, state: Field) -> Sweep:
        """Go through all layers up, for V and D, and down, for S, U and tot."""
        g, s, u, v, d = self._up(state)
        total = np.zeros_like(g) + self.model.constant
        distance = math.inf
        for l in reversed(range(1, self._matrices)):
            answer = self._layers[l - 1].answer(g, v[l - 1], u[l], s[l], d[l - 1])
            s[l - 1], u[l - 1] = answer.s_below, answer.u_below
            total += answer.total
            distance = min(distance, answer.distance)
        a0 = self.model.forward + s[0]
        total += self.model.widths[0] / self.model.samples * a0 @ _inverse(np.eye(len(g)) + g @ a0)
        rest = np.concatenate([*(matrix.ravel() for matrix in s[:-1]), np.array(u[1:-1], dtype=state.dtype)])
        return Sweep(total, rest, distance)

    def of_outputs(self, state: Field) -> Field:
        """Return u_k' (F* - x)^-1 u_k/T for each output u_k without its mean, shape (C,): <zeta_k^2 E11_kk>."""
        g, s, u, v, d = self._up(state)
        return self._layers[-1].of_outputs(g, v[-1], u[-1], s[-1], d[-1])

    def _up(self, state: Field) -> tuple[Field, list[Field], list[Any], list[Field], list[Any]]:
        """Return g, S_0 .. S_{L-1} and U_0 .. U_{L-1} of a state, and V_1 .. V_{L-1} and D_1 .. D_{L-1} that follow."""
        matrices, u_inner = self._unpack(state)
        g, s = matrices[0], [*matrices[1:], np.zeros_like(matrices[0])]
        u: list[Any] = [0.0, *u_inner, 0.0]
        a0 = self.model.forward + s[0]
        v: list[Field] = [self._layers[0].drawn.down * _inverse(np.eye(len(g)) + g @ a0) @ g]
        d: list[Any] = [0.0]
        for l, layer in enumerate(self._layers[:-1], start=1):
            answer = layer.answer(g, v[-1], u[l], s[l], d[-1])
            v.append(answer.v_above)
            d.append(answer.d_above)
        return g, s, u, v, d

    def _unpack(self, state: Field) -> tuple[Field, Field]:
        outputs = self.model.outputs
        return state[: self._split].reshape(-1, outputs, outputs), state[self._split :]


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a layer gives to the others."""

    v_above: Field
    u_below: Any
    s_below: Field
    d_above: Any
    total: Field
    distance: float


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer with its nodes in bins of about the same z; arrays over the bins come first."""

    drawn: DrawnLayer
    zeta: Array
    """Shape (bins, size, C); what fills the last places is zero."""
    weights: Array
    """Of the nodes, shape (bins, size): their sum is 1, and what fills the last places has none."""
    share: float
    """M_l/T."""
    ratio_below: float
    """M_l/M_{l-1}."""
    ratio_above: float
    """M_l/M_{l+1}; 0 for the last hidden layer."""
    averages: Array
    """B^2, B B', B'^2, s11, s12, s22, Var[phi'|z] and m1^2, shape (8, bins, 1, 1)."""

    def answer(self, g: Field, v: Field, u: Any, s: Field, d: Any) -> _Answer:
        """Return what the layer gives to the others."""
        bb, bc, cc, s11, s12, s22, variance, slope = self.averages
        a, b, excess = self.drawn.forward + s, self.drawn.backward + d, self.drawn.excess
        weight = self.weights.sum(axis=-1)[:, None, None]
        c11, x, y = bb * v + s11 * g, bc * v + s12 * g, cc * v + s22 * g
        c0 = variance * np.trace(g @ excess) + u * slope
        j = _inverse(np.eye(len(g)) + c11 @ a)  # (1 + C11 a)^-1
        k = a @ j  # (a^-1 + C11)^-1
        kx, jx = k @ x, j @ x
        quad = np.sum((self.zeta @ (y - x @ kx)) * self.zeta, axis=-1) + c0[..., 0]
        pole = 1 + b * quad
        p22 = self.weights * b / pole
        f1 = p22.sum(axis=-1)[:, None, None]
        f2 = self.zeta.swapaxes(-1, -2) @ (p22[..., None] * self.zeta)
        kxf = kx @ f2
        p11 = weight * k + kxf @ kx.swapaxes(-1, -2)
        cross = -(kxf + kxf.swapaxes(-1, -2))
        return _Answer(
            v_above=self.drawn.up * np.sum(weight * (j @ c11) - jx @ f2 @ jx.swapaxes(-1, -2), axis=0),
            u_below=self.drawn.down * np.sum(self.weights * quad / pole),
            s_below=self.drawn.down * self.ratio_below * np.sum(bb * p11 + bc * cross + cc * f2, axis=0),
            d_above=self.drawn.up * self.ratio_above * np.sum(slope * f1),
            total=self.share * np.sum(s11 * p11 + s12 * cross + s22 * f2 + variance * f1 * excess, axis=0),
            distance=float(np.min(pole.real)),
        )

    def of_outputs(self, g: Field, v: Field, u: Any, s: Field, d: Any) -> Field:
        """Return <zeta_k^2 E11_kk>."""
        bb, bc, cc, s11, s12, s22, variance, slope = self.averages
        a, b = self.drawn.forward + s, self.drawn.backward + d
        c11, x, y = bb * v + s11 * g, bc * v + s12 * g, cc * v + s22 * g
        j = _inverse(np.eye(len(g)) + c11 @ a)
        c0 = variance * np.trace(g @ self.drawn.excess) + u * slope
        quad = np.sum((self.zeta @ (y - x @ a @ j @ x)) * self.zeta, axis=-1) + c0[..., 0]
        own = np.diagonal(j @ c11, axis1=-2, axis2=-1)[:, None, :]
        through_delta = (self.zeta @ (j @ x).swapaxes(-1, -2)) ** 2 * (b / (1 + b * quad))[..., None]
        result: Field = np.sum(self.weights[..., None] * self.zeta**2 * (own - through_delta), axis=(0, 1))
        return result


def _binned(layer: DrawnLayer, most: int, samples: int, below: int, here: int, above: int) -> _Layer:
    """Sort the nodes by z, and divide them into bins of one size, the last ones filled up."""
    n, (units, outputs) = layer.nodes, layer.zeta.shape
    size = math.ceil(units / most)
    bins = math.ceil(units / size)
    order = np.argsort(layer.z, kind="stable")
    zeta = np.zeros((bins * size, outputs))
    zeta[:units] = layer.zeta[order]
    weights = np.zeros(bins * size)
    weights[:units] = 1 / units
    b, c = n.response, n.curvature
    per_node = np.array(
        [b * b, b * c, c * c, n.activity_noise, n.noise_covariance, n.slope_noise, n.slope_variance, n.slope**2]
    )
    padded = np.zeros((len(per_node), bins * size))
    padded[:, :units] = per_node[:, order]
    weights = weights.reshape(bins, size)
    averages = padded.reshape(-1, bins, size).sum(axis=-1) / (weights > 0).sum(axis=-1)
    return _Layer(
        drawn=layer,
        zeta=zeta.reshape(bins, size, outputs),
        weights=weights,
        share=here / samples,
        ratio_below=here / below,
        ratio_above=here / above if above else 0.0,
        averages=averages[..., None, None],
    )


def _inverse(matrices: Field) -> Field:
    """Return the inverses of C x C matrices."""
    return 1 / matrices if matrices.shape[-1] == 1 else np.linalg.inv(matrices)
