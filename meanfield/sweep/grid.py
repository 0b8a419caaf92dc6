"""The order parameters of many networks that differ in their variances, all layers of all of them together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from ..functions import Activation, ScalarFunction
from ..gaussian import Array
from ..network import Network
from ..normalization import HiddenNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters
from ..quadrature import AUTO, Exact, Method, overlap, second_moment
from ..quadrature.tabulated import Tabulated, tabulate
from ..records import Pair

_ROOM = 1.25
"""By how much more than is asked for a table covers, so that few tables are made."""


@dataclass
class Integrals:
    """E f(u)^2 and E f(u) f(v) for arrays of variances, by closed forms or by tables, which are kept.

    Parameters
    ----------
    tolerance : float
        Of the tables.
    method : Method
        For functions with closed forms or of one variance; those without either or a strip are integrated one by one.
    """

    tolerance: float
    method: Method = AUTO
    tables: dict[ScalarFunction, Tabulated] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def squares(self, f: ScalarFunction, q_t: Array, q_st: Array) -> Pair[Array]:
        """Return E f(u)^2 and E f(u) f(v), for arrays of one dimension."""
        alike = bool((q_t == q_t[:1]).all())  # behind layer normalisation
        if alike or not is_tabulated(f):
            square = second_moment(f, q_t[:1] if alike else q_t, method=self.method)
            return Pair(np.broadcast_to(square, q_t.shape), np.asarray(overlap(f, q_t, q_st, method=self.method)))
        sd = np.sqrt(q_t)
        table = self._table(f, float(sd.max()))
        return Pair(table.second_moment(sd), table.overlap(sd, np.clip(q_st / q_t, -1.0, 1.0)))

    def _table(self, f: ScalarFunction, largest: float) -> Tabulated:
        with self._lock:
            if f not in self.tables or self.tables[f].largest < largest:
                self.tables[f] = tabulate(f, _ROOM * largest, tolerance=self.tolerance)
            return self.tables[f]


def is_tabulated(f: ScalarFunction) -> bool:
    """Whether overlaps of a function are read off a table: it is smooth, and has no closed form."""
    return f.strip is not None and not Exact().accepts(f, "overlap")


def suits_tables(activation: Activation) -> bool:
    """Whether no integral of an activation has to be done one by one."""
    return all(is_tabulated(f) or Exact().accepts(f, "overlap") for f in (activation.value, activation.slope))


@dataclass(frozen=True, eq=False)
class OrderGrid:
    """The order parameters of many networks: as :class:`OrderParameters`, in arrays of shape (L, networks)."""

    activity: Pair[Array]
    preactivation: Pair[Array]
    sensitivity: Pair[Array]

    def network(self, index: int) -> OrderParameters:
        """Return those of one network."""
        activity, preactivation, sensitivity = (
            Pair(pair.same[:, index].copy(), pair.cross[:, index].copy())
            for pair in (self.activity, self.preactivation, self.sensitivity)
        )
        return OrderParameters(activity=activity, preactivation=preactivation, sensitivity=sensitivity)

    def block_sums(self, units: Array, biases: float) -> Pair[Array]:
        """Return the sums over l of qtilde^l (M_{l-1} qhat^{l-1} + biases), shape (networks,), for M_0 .. M_{L-1}."""
        same, cross = (
            np.einsum("ln,ln->n", qtilde, units[:, None] * qhat + biases)
            for qtilde, qhat in zip(self.sensitivity, self.activity, strict=True)
        )
        return Pair(same, cross)

    @property
    def alike(self) -> Array:
        """The smallest (q_t - q_st)/q_t of any layer, shape (networks,)."""
        q_t, q_st = self.preactivation
        return np.asarray(((q_t - q_st) / q_t).min(axis=0))


def propagate_grid(network: Network, s_w: Array, s_b: Array, integrals: Integrals) -> OrderGrid:
    """Propagate the order parameters of networks with these variances, as :func:`propagate` does for one.

    Parameters
    ----------
    network : Network
        Whose other parameters they share; no batch normalisation in the hidden layers.
    s_w, s_b : array, shape (L, networks)
        sigma_w^2 and sigma_b^2 of every layer.
    integrals : Integrals

    Equations: (5), (6), (7), (S.71)-(S.74), (S.79)-(S.87)
    """
    depth, count = s_w.shape
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    q, qhat, slopes = (np.empty((2, depth, count)) for _ in range(3))
    qhat[:, 0] = np.array(STANDARD_INPUTS)[:, None]
    for l, phi in enumerate(network.activations):
        q[:, l] = s_w[l] * qhat[:, l] + s_b[l]
        norm = q[0, l] if layer_norm else np.ones(1)
        pair = q[:, l] / norm
        qhat[:, l + 1] = integrals.squares(phi.value, *pair)
        slopes[:, l + 1] = integrals.squares(phi.slope, *pair)
        slopes[:, l + 1] *= s_w[l + 1] / norm
    q[:, -1] = s_w[-1] * qhat[:, -1] + s_b[-1]
    # qtilde^l is the product of the factors of the layers l .. L-1
    slopes[:, 0] = 1.0
    factors = np.concatenate([np.ones((2, 1, count)), slopes[:, :0:-1]], axis=1)
    qtilde = np.cumprod(factors, axis=1)[:, ::-1]
    if not (math.isfinite(float(qtilde.max())) and math.isfinite(float(q.max()))):
        raise OverflowError("order parameters leave the range of doubles")
    return OrderGrid(Pair(*qhat), Pair(*q), Pair(*qtilde))
