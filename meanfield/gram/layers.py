"""What every layer does to each sample by itself, and to pairs of samples: the recursion on vectors and on tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import ParameterError, QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array
from ..network import Network
from ..normalization import HiddenNormalization
from ..quadrature import Exact
from .closed import ClosedMap
from .pairs import TilePairs
from .series import SeriesMap


class Map(Protocol):
    """E f(u) f(v) for all pairs of samples, in tiles."""

    same: Array
    error: float
    alone: int

    def __call__(self, pairs: TilePairs, rows: slice, columns: slice) -> Array:
        """Return the overlaps of a tile."""


def overlap_map(f: ScalarFunction, sd: Array, *, tolerance: float, dtype: np.dtype[Any]) -> Map:
    """Return the closed form where there is one, else the series."""
    if Exact().accepts(f, "overlap"):
        return ClosedMap(f, sd, tolerance=tolerance)
    return SeriesMap(f, sd, tolerance=tolerance, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Layer:
    """One hidden layer: what its units see of every sample, and its two functionals (5) and (7)."""

    sd: Array
    """Of what the activation is applied to, shape (samples,), in the precision of the tiles."""
    norm: Array | None
    """What layer normalisation divides the pre-activations by, shape (samples,); None without."""
    value: Map
    slope: Map | None
    """None where the tangent kernel is not asked for."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The recursions of a network: covariance, and tangent kernel.

        q^{l+1} = s_w^2 qhat^l + s_b^2,        Theta^{l+1} = theta_{l+1} + s_w^2 I_phi'[q^l] Theta^l,

    for each pair of samples, with theta_l the part of layer l's own parameters: M_{l-1} qhat^{l-1} + 1 in the standard
    parameterization, q^l in the other.
    """

    network: Network
    layers: tuple[Layer, ...]
    own: tuple[Callable[[Array, Array], Array], ...]
    """(qhat^{l-1}, q^l) -> theta_l, for l = 1 .. L."""
    covariance: Array
    """Of the outputs of every sample, shape (samples,)."""
    tangent: Array | None
    """T F* of every sample with itself, shape (samples,)."""

    @property
    def error(self) -> float:
        """The largest estimated error of a coefficient or integral, relative."""
        maps = [m for layer in self.layers for m in (layer.value, layer.slope) if m is not None]
        return max(m.error for m in maps)

    def tile(self, qhat: Array, rows: slice, columns: slice) -> tuple[Array, Array | None]:
        """Propagate a tile of the overlaps of the inputs, (r, c), to those of the outputs and the tangent kernel."""
        s_w, s_b = self.network.weight_variance, self.network.bias_variance
        carried: Array | None = None
        for l, layer in enumerate(self.layers):
            q = _affine(qhat, s_w[l], s_b[l])
            theta = _total(self.own[l](qhat, q), carried) if layer.slope else None
            if layer.norm is not None:
                q /= layer.norm[rows, None] * layer.norm[columns]
            pairs = TilePairs(layer.sd[rows], layer.sd[columns], q)
            qhat = layer.value(pairs, rows, columns)
            if theta is not None and layer.slope is not None:
                theta *= layer.slope(pairs, rows, columns)
                theta *= s_w[l + 1]
                if layer.norm is not None:
                    theta /= layer.norm[rows, None] * layer.norm[columns]
                carried = theta
        q = _affine(qhat, s_w[-1], s_b[-1])
        return q, None if carried is None else _total(self.own[-1](qhat, q), carried)


def make_chain(
    network: Network,
    squares: Array,
    own: tuple[Callable[[Array, Array], Array], ...],
    *,
    tangent: bool,
    tolerance: float,
    dtype: np.dtype[Any],
) -> Chain:
    """Propagate every sample by itself, given its mean square, and prepare the maps of all layers for pairs."""
    s_w, s_b = network.weight_variance, network.bias_variance
    qhat, carried = squares, None
    layers = []
    for l, phi in enumerate(network.activations):
        q = _affine(qhat, s_w[l], s_b[l])
        if not (np.isfinite(q).all() and q.max() < 1e140):
            raise QuadratureError(f"layer {l + 1}: the variances of the pre-activations leave the range of doubles")
        theta = _total(own[l](qhat, q), carried) if tangent else None
        norm = _norm(network, q)
        sd = np.sqrt(q) if norm is None else np.ones_like(q)
        try:
            value = overlap_map(phi.value, sd, tolerance=tolerance, dtype=dtype)
            slope = overlap_map(phi.slope, sd, tolerance=tolerance, dtype=dtype) if tangent else None
        except (QuadratureError, ParameterError) as error:
            raise QuadratureError(f"{phi.name}, layer {l + 1}: {error}") from error
        qhat = value.same
        if theta is not None and slope is not None:
            carried = theta * s_w[l + 1] * slope.same / (1.0 if norm is None else norm**2)
        layers.append(Layer(sd.astype(dtype), None if norm is None else norm.astype(dtype), value, slope))
    q = _affine(qhat, s_w[-1], s_b[-1])
    total = None if carried is None else _total(own[-1](qhat, q), carried)
    return Chain(network, tuple(layers), own, q, total)


def _norm(network: Network, q: Array) -> Array | None:
    if network.hidden_normalization is not HiddenNormalization.LAYER:
        return None
    if not q.all():
        expected = "such that layer normalisation has a variance to divide by, for every sample"
        raise ParameterError("inputs", expected, f"sample {int(np.flatnonzero(q == 0)[0])} without any")
    return np.asarray(np.sqrt(q))


def _affine(x: Array, factor: float, shift: float) -> Array:
    y = x * factor
    if shift:
        y += shift
    return np.asarray(y)


def _total(own: Array, carried: Array | None) -> Array:
    return own if carried is None else np.add(own, carried, out=own)
