"""Gradients through batch normalisation in the hidden layers: the whole dual Fisher information F*."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from .batch_norm import BatchNormAverages, batch_norm_averages
from .errors import AssumptionError, QuadratureError, require_instance, require_integer
from .exchangeable import Exchangeable
from .network import Network
from .order_parameters import OrderParameters, propagate, require_order
from .quadrature import overlap, second_moment
from .records import Pair, table

_FEW = 5
"""T up to which the variance of 1/sigma^2 is infinite."""


@dataclass(frozen=True, eq=False)
class BatchNormBackward:
    """What gradients become on their way back through batch-normalised layers."""

    p: NDArray[np.float64]
    """Of one sample, for each hidden layer, shape (L-1,); nan where a layer is not normalised."""
    r: NDArray[np.float64]
    """Of two samples, likewise."""
    chi: NDArray[np.float64]
    """By how much the squared gradient that samples do not share grows in each hidden layer, likewise."""
    theta: Exchangeable
    """Theta_t/M and Theta_st/M for T samples: F*(k, k) = Theta/T, weights alone, to leading order."""
    validity: tuple[str, ...] = ()
    """Warnings; empty where the theory holds."""

    def __str__(self) -> str:
        rows = [
            [str(layer), *("" if math.isnan(x) else f"{x:.6g}" for x in values)]
            for layer, values in enumerate(zip(self.p, self.r, self.chi, strict=True), start=1)
        ]
        theta = f"Theta_t/M, Theta_st/M  {self.theta.same:.6g}, {self.theta.cross:.6g}"
        return "\n".join([table(rows, ("layer", "p", "r", "chi")), "", theta, *self.validity])


def batch_norm_backward(network: Network, *, samples: int, order: OrderParameters | None = None) -> BatchNormBackward:
    r"""Return the growth of gradients, and F*, with batch normalisation in the hidden layers.

    The gradient of one sample reaches all others, delta^l(t; a) = d u^L(t)/d u^l(a). But in J the uniform part of the
    matrix Pi^l_st = sum_i delta^l_i(s; .) delta^l_i(t; .) is lost, so that two numbers describe what a layer does. With
    Theta^1 = M_0 qhat^0, layer after layer,

        batch:  K = T (Theta_t - Theta_st)/((T - 3) d) (s_w^2 above/s_w^2 below),   d = qhat^{l-1}_t - qhat^{l-1}_st,
                Theta_t <- M_l qhat^l_t + K p,                  Theta_st <- M_l qhat^l_st + K r,
                p = (1 - 1/T) E phi'_t^2 - (1/T) E n_t^2 phi'_t^2,
                r = -(1/T)(E phi'_s phi'_t + E n_s phi'_s n_t phi'_t);
        plain:  Theta_t <- M_l qhat^l_t + s_w^2 E[phi'^2] Theta_t,   Theta_st <- M_l qhat^l_st + s_w^2 I_phi' Theta_st.

    For layers that are all alike chi = T (p - r)/((T - 3) d) is the growth of |delta|^2 from layer to layer; it is at
    least (T - 2)/(T - 3) for every activation, so that gradients explode with the depth.

    Parameters
    ----------
    network : Network
        With batch normalisation in all or some of its hidden layers (:class:`BatchNorm`).
    samples : int
        T >= 4, or >= 2 with epsilon > 0; all samples are the batch.
    order : OrderParameters, optional
        What :func:`propagate` returned for these samples; for standard inputs if left out.

    Returns
    -------
    BatchNormBackward
        To about 1e-12 (1e-10 with epsilon > 0) times qhat_t/(qhat_t - qhat_st) of the layers below, for gradients that
        are independent of activities.

    Raises
    ------
    AssumptionError
        Without batch normalisation, and for T <= 3 with epsilon = 0, where E 1/sigma^2 is infinite.
    ParameterError
        For a number of samples out of range.
    QuadratureError
        If an integral does not reach its tolerance, or if gradients grow beyond the range of doubles.

    Equations: (20), (S.57)-(S.60)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    >>> backward = mf.batch_norm_backward(network, samples=32)
    >>> backward.chi.round(4), round(backward.theta.same, 4), round(backward.theta.uniform / 32, 4)
    (array([0.5309, 1.522 ]), 1.8045, 0.1695)
    """
    require_instance("network", network, Network)
    samples = require_integer("samples", samples, at_least=2)
    order = propagate(network, samples=samples) if order is None else order
    require_order(network, order, samples=samples)
    layers = _averages(network, order, samples)
    gains = _gains(network, layers)
    p, r, chi = np.full((3, network.depth - 1), math.nan)
    for layer, averages in layers.items():
        p[layer - 1], r[layer - 1] = averages.p, averages.r
        chi[layer - 1] = gains[layer] * (averages.p - averages.r)
    theta = _last(_thetas(network, order, layers, units=network.width_ratios, biases=False))
    few = f"T = {samples}: the variance of 1/sigma^2 is infinite, and means over networks converge slowly"
    warned = samples <= _FEW and network.batch_norm is not None and network.batch_norm.epsilon == 0
    return BatchNormBackward(p, r, chi, Exchangeable(*theta, samples), (few,) if warned else ())


def batch_norm_block(
    network: Network, order: OrderParameters, *, width: int, samples: int, leading_order: bool
) -> Exchangeable:
    """Return F*(k, k) = Theta/T, with the rounded widths and the bias parameters unless to leading order."""
    units: Sequence[float] = network.widths(width)[:-1]
    if leading_order:
        units = [ratio * width for ratio in network.width_ratios]
    layers = _averages(network, order, samples)
    theta = _last(_thetas(network, order, layers, units=units, biases=not leading_order))
    return Exchangeable(theta.same / samples, theta.cross / samples, samples)


def _averages(network: Network, order: OrderParameters, samples: int) -> dict[int, BatchNormAverages]:
    """Return the averages of the normalised layers."""
    settings = network.batch_norm
    if settings is None:
        raise AssumptionError(
            "batch_norm_backward is for batch normalisation in the hidden layers, and these have "
            f"{network.hidden_normalization!s}",
            {"propagate": "the order parameters, backward ones included"},
        )
    if samples <= 3 and settings.epsilon == 0:
        raise AssumptionError(
            f"gradients behind batch normalisation have no mean for T = {samples} <= 3 samples and epsilon = 0: "
            "E 1/sigma^2 is infinite. Take more samples, or mf.BatchNorm(epsilon=..)",
            {"propagate": "the order parameters", "last_layer_statistics": "the block of the last layer"},
        )
    known: dict[tuple[object, float], BatchNormAverages] = {}
    result = {}
    for layer in sorted(network.batch_norm_layers):
        phi = network.normalized_activations[layer - 1]
        variance = network.weight_variance[layer - 1] * _difference(order, layer - 1)
        key = (phi, variance)
        if key not in known:
            known[key] = batch_norm_averages(phi, samples=samples, epsilon=settings.epsilon, variance=variance)
        result[layer] = known[key]
    return result


def _difference(order: OrderParameters, layer: int) -> float:
    """Return d = qhat_t - qhat_st of a layer."""
    return float(order.activity.same[layer] - order.activity.cross[layer])


def _gains(network: Network, layers: dict[int, BatchNormAverages]) -> dict[int, float]:
    """Return s_w^2 E[1/(sigma^2 + epsilon)] with s_w^2 of the weights above, for each normalised layer."""
    return {layer: network.weight_variance[layer] * averages.inverse_variance for layer, averages in layers.items()}


def _thetas(
    network: Network,
    order: OrderParameters,
    layers: dict[int, BatchNormAverages],
    *,
    units: Sequence[float],
    biases: bool,
) -> Iterator[Pair[float]]:
    """Yield Theta_t and Theta_st behind each hidden layer, for layers of so many units.

    The biases of a normalised layer have no share: they shift a whole batch.
    """
    gains = _gains(network, layers)
    shares = [float(biases and layer not in layers) for layer in range(1, network.depth + 1)]
    theta = Pair(*(units[0] * float(qhat[0]) + shares[0] for qhat in order.activity))
    for layer, phi in enumerate(network.activations, start=1):
        if layer in layers:
            gain = gains[layer] * (theta.same - theta.cross)
            passed = Pair(gain * layers[layer].p, gain * layers[layer].r)
        else:
            q_t, q_st = (float(q[layer - 1]) for q in order.preactivation)
            s_w = network.weight_variance[layer]
            same, cross = second_moment(phi.slope, q_t), overlap(phi.slope, q_t, q_st)
            passed = Pair(s_w * same * theta.same, s_w * cross * theta.cross)
        own = (units[layer] * float(qhat[layer]) + shares[layer] for qhat in order.activity)
        theta = Pair(*(mine + below for mine, below in zip(own, passed, strict=True)))
        yield theta


def _last(thetas: Iterable[Pair[float]]) -> Pair[float]:
    """Return Theta behind all hidden layers; refuse it where it has left the range of doubles."""
    for layer, theta in enumerate(thetas, start=1):
        if not math.isfinite(theta.same):
            raise QuadratureError(f"layer {layer}: gradients have grown beyond the range of doubles")
    return theta


@dataclass(frozen=True, eq=False)
class EigenvaluesByDepth:
    """The two leading eigenvalues of F* for networks of depth L = 2, 3, ..; see :func:`eigenvalues_by_depth`."""

    samples: int
    """T."""
    depth: NDArray[np.int64]
    """L, shape (depths,)."""
    shared: NDArray[np.float64]
    """lambda_one/M, of what all samples share, likewise."""
    contrasts: NDArray[np.float64]
    """lambda_bulk/M, of the contrasts between samples, likewise."""

    @property
    def crossover(self) -> int | None:
        """The least depth at which the contrasts have the larger one; None if it is beyond the last."""
        above = np.flatnonzero(self.contrasts > self.shared)
        return int(self.depth[above[0]]) if above.size else None


def eigenvalues_by_depth(network: Network, *, samples: int, deepest: int) -> EigenvaluesByDepth:
    """Return lambda_one and lambda_bulk, over M, for the depths L = 2 .. deepest.

    Of the C T leading eigenvalues of F* one for each output belongs to what all samples share, lambda_one, and T - 1 to
    their contrasts, lambda_bulk. The second grows as chi^L.

    Parameters
    ----------
    network : Network
        Uniform, as from ``Network.uniform``, with batch normalisation in all hidden layers: its first one is repeated.
    samples : int
        T >= 4, or >= 2 with epsilon > 0.
    deepest : int
        The last L; the curve ends before where gradients grow beyond the range of doubles.

    Raises
    ------
    AssumptionError, ParameterError, QuadratureError
        As for :func:`batch_norm_backward`.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, hidden_normalization="batch")
    >>> curve = mf.eigenvalues_by_depth(network, samples=8, deepest=4)
    >>> curve.depth, curve.shared.round(3), curve.contrasts.round(3)
    (array([2, 3, 4]), array([0.185, 0.209, 0.252]), array([0.131, 0.281, 0.549]))
    """
    require_instance("network", network, Network)
    samples = require_integer("samples", samples, at_least=2)
    deepest = require_integer("deepest", deepest, at_least=2, at_most=10**5)
    deep = replace(
        network,
        activations=(network.activations[0],) * (deepest - 1),
        width_ratios=(network.width_ratios[0], *[network.width_ratios[1]] * (deepest - 1)),
        weight_variance=(network.weight_variance[0],) * deepest,
        bias_variance=(network.bias_variance[0],) * deepest,
    )
    if deep.batch_norm is not None and deep.batch_norm.layers is not None:
        raise AssumptionError("networks of every depth are defined where the hidden layers are all normalised")
    order = propagate(deep, samples=samples)
    layers = _averages(deep, order, samples)
    thetas = _thetas(deep, order, layers, units=deep.width_ratios, biases=False)
    finite = takewhile(lambda theta: math.isfinite(theta.same), thetas)
    blocks = [Exchangeable(theta.same / samples, theta.cross / samples, samples) for theta in finite]
    shared, contrasts = (np.array([getattr(block, of) for block in blocks]) for of in ("uniform", "contrast"))
    return EigenvaluesByDepth(samples, np.arange(2, 2 + len(blocks)), shared, contrasts)


def crossover_depth(network: Network, *, samples: int, deepest: int = 1000) -> int | None:
    """Return the least depth at which the largest eigenvalue is that of the contrasts between samples.

    From this depth on subtracting the mean over the samples in the last layer, the cure of the paper, removes little.

    Parameters
    ----------
    network : Network
        As for :func:`eigenvalues_by_depth`.
    samples : int
        T >= 4, or >= 2 with epsilon > 0.
    deepest : int
        Up to which L is looked.

    Returns
    -------
    int or None
        L; None where it is none up to ``deepest``.

    Raises
    ------
    AssumptionError, ParameterError, QuadratureError
        As for :func:`batch_norm_backward`.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, hidden_normalization="batch")
    >>> [mf.crossover_depth(network, samples=samples) for samples in (8, 32, 128)]
    [3, 6, 10]
    """
    return eigenvalues_by_depth(network, samples=samples, deepest=deepest).crossover
