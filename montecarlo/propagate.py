"""One forward and one backward sweep through a finite network, for all samples and all outputs at once.

Arrays are annotated as float64, which they are unless float32 is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import HiddenNormalization, Network

from .forward import Arrays, forward, size, smallest_size
from .network import FiniteNetwork


@dataclass(frozen=True, eq=False)
class Sweep:
    """Everything that the two sweeps leave behind, from which every measurement is made."""

    finite_network: FiniteNetwork
    outputs: NDArray[np.float64]
    """f_k(t) after the output normalisation: shape (T, C)."""
    h: Arrays
    """h^l for l = 0 .. L-1, after normalisation and activation: shapes (T, M_l); h^0 are the inputs."""
    u: Arrays
    """u^l for l = 1 .. L, before any normalisation: shapes (T, M_l); u^l is at index l - 1."""
    delta: Arrays
    """delta^l for l = 1 .. L, at index l - 1: gradients of the outputs u^L_k before their normalisation.

    d u^L_k(t) / d u^l_i(t), of shape (C, T, M_l); with batch normalisation in the hidden layers, where every sample
    reaches every other, delta^l_{k,i}(t; a) = d u^L_k(t) / d u^l_i(a), of shape (C, T, T, M_l), indices k, t, a, i."""

    def __repr__(self) -> str:
        return f"Sweep({self.finite_network}, samples={self.samples})"

    @property
    def samples(self) -> int:
        """T."""
        return len(self.outputs)

    def h_of_gradients(self, *, biases: bool) -> Arrays:
        """Return h^l for l = 0 .. L-1, as the gradients with respect to weights and biases above have it.

        A batch-normalised layer does not see what the samples below it have in common: that is taken out here, where it
        costs no digits; of the products of gradients it would be taken out too late. So its biases have no share. Those
        of other layers in such a network are weights of a unit that is always 1. (Without batch normalisation, and in
        the last layer, the products of h have the share of the biases added.)
        """
        network = self.finite_network.network
        if network.hidden_normalization is not HiddenNormalization.BATCH:
            return self.h
        below = []
        for layer, h in enumerate(self.h[:-1], start=1):
            if layer in network.batch_norm_layers:
                below.append(h - h.mean(axis=0, dtype=np.float64).astype(h.dtype))
            else:
                below.append(np.hstack([h, np.ones((len(h), 1), dtype=h.dtype)]) if biases else h)
        return (*below, self.h[-1])


def propagate(finite_network: FiniteNetwork, inputs: ArrayLike, *, dtype: DTypeLike = np.float64) -> Sweep:
    """Propagate the inputs forward, and the gradients of every output backward.

        u^l = W^l h^{l-1} + b^l,        h^l = phi(ubar^l),
        delta^L_{k,i} = delta_{ki},     delta^l = J^l phi'(ubar^l) W^{l+1}' delta^{l+1},

    where ubar^l is u^l normalised over the samples (batch), over the units (layer) or not at all, and J^l its Jacobian,
    statistics included.

    Parameters
    ----------
    finite_network : FiniteNetwork
    inputs : array of shape (T, M_0)
        Finite; T >= 1, and at least 2 with batch normalisation. All T samples are the batch.
    dtype : numpy.float64 or numpy.float32
        Of everything in the sweep, and of what is measured on it. float32 halves memory and time; of relu and tanh at
        M = T = 1000, m_lambda and s_lambda are then within 1e-6, and lambda_max within 1e-5, of those of float64.
        Activation functions are evaluated in float64, and the weights rounded. Gradients below 3e-16, whose squares
        have no digits in float32, are refused where they count.

    Raises
    ------
    ParameterError
        If the inputs do not fit the network, a normalisation has a single value to take the spread of, or inputs or
        weights are too small for their squares.
    ArithmeticError
        If what is to be normalised has no spread, or overflows.

    Equations: (1), (4), (13), (15), (20), (24), (S.57)-(S.59), (S.76), (S.77)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = propagate(FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0], [2.0]])
    >>> sweep.outputs.ravel(), sweep.delta[0].ravel()
    (array([ 7., 13.]), array([3., 3.]))
    """
    ahead = forward(finite_network, inputs, dtype=dtype)
    network, precision = finite_network.network, ahead.outputs.dtype
    batch = network.hidden_normalization is HiddenNormalization.BATCH
    deltas = [_delta_of_outputs(len(ahead.outputs), network.outputs, batch).astype(precision, copy=False)]
    for layer in reversed(range(network.depth - 1)):
        normalised = ahead.normalised[layer]
        slope = network.normalized_activations[layer].slope(normalised.values).astype(precision, copy=False)
        weights = finite_network.weights[layer + 1].astype(precision, copy=False)
        # In the last layer delta is the identity, the same for every sample
        if layer == network.depth - 2:
            delta = weights[:, None, :] * slope
            delta = _each_by_itself(delta) if batch else delta
        else:
            delta = deltas[0] @ weights
            delta *= slope
        deltas.insert(0, normalised.adjoint(delta))
    return Sweep(finite_network, ahead.outputs, ahead.h, ahead.u, tuple(deltas))


def require_squares(sweep: Sweep, *, biases: bool, first_layer: int = 1) -> None:
    """Raise ArithmeticError if squares of gradients vanish in float32, and count beside those of other layers.

    In float64, which has room for squares of 1e-146, nothing is looked for.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> small = FiniteNetwork(network, [[[1e-9]], [[1e-9]]], [[0.0], [0.0]])
    >>> require_squares(propagate(small, [[1.0]], dtype="float32"), biases=False)
    >>> require_squares(propagate(small, [[1e-9]], dtype="float32"), biases=False)
    Traceback (most recent call last):
    ArithmeticError: squares of gradients of 1e-18 vanish in float32: scale the inputs, or use float64
    """
    precision = sweep.outputs.dtype
    if precision == np.float64:
        return
    sizes = [(size(h), size(delta)) for h, delta in zip(sweep.h, sweep.delta, strict=True)][first_layer - 1 :]
    largest = max(delta * max(h, biases) for h, delta in sizes)
    for h, delta in sizes:
        counts = h * delta > math.sqrt(np.finfo(precision).eps) * largest
        if counts and min(h, delta, h * delta) < smallest_size(precision):
            raise ArithmeticError(
                f"squares of gradients of {h * delta:.0e} vanish in {precision}: scale the inputs, or use float64"
            )


def sweep_memory(network: Network, width: int, samples: int, *, dtype: DTypeLike = np.float64) -> float:
    """Return how many GiB weights, activities, pre-activations and gradients of one member take, to about a tenth.

    With batch normalisation in the hidden layers the gradients take C T^2 numbers for every unit.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> [round(sweep_memory(network.normalized(hidden=hidden), 1000, 1000), 3) for hidden in ("none", "batch")]
    [0.082, 22.441]
    """
    widths = network.widths(width)
    gradients = network.outputs * sum(widths[1:])
    if network.hidden_normalization is HiddenNormalization.BATCH:
        # the adjoint takes one output at a time, with one array of its size beside it
        gradients = samples * (gradients + max(widths[1:-1]))
    per_sample = sum(widths[:-1]) + sum(widths[1:]) + gradients
    if network.hidden_normalization is not HiddenNormalization.NONE:
        per_sample += sum(widths[1:-1])  # normalised
    # weights and inputs are sampled as float64, and an activation is evaluated so
    of_activation = samples * 2 * max(widths[1:])
    size, rounded = np.dtype(dtype).itemsize, 0
    if size < 8:
        of_activation *= 2
        rounded = 4 * max(below * here for below, here in pairwise(widths)) + 8 * samples * widths[0]
    return (size * samples * per_sample + 8 * (network.parameters(width) + of_activation) + rounded) / 2**30


def _delta_of_outputs(samples: int, outputs: int, batch: bool) -> NDArray[np.float64]:
    """Return delta^L: d u^L_k(t) / d u^L_i(a), or that for a = t alone."""
    delta = np.broadcast_to(np.eye(outputs)[:, None, :], (outputs, samples, outputs))
    return _each_by_itself(delta) if batch else delta


def _each_by_itself(delta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return delta(t; a), of shape (C, T, T, M), that is zero unless a = t, from delta(t), of shape (C, T, M)."""
    outputs, samples, units = delta.shape
    result = np.zeros((outputs, samples, samples, units), dtype=delta.dtype)
    diagonal = np.arange(samples)
    result[:, diagonal, diagonal] = delta
    return result
