"""Order parameters of finite networks, drawn exactly and without weight matrices.

A few samples see little of a layer of weights. Let H = Q S be the activities of T samples below it (orthonormal Q, as
many columns as samples), and D = E R the gradients above it. Then

    W h = (W Q) S            needs W Q alone, which has independent Gaussian entries, and
    W' D = Q (W Q)' D + (1 - Q Q') W' D

needs the same numbers again, and beside them W' E in the directions orthogonal to Q, whose entries are independent
Gaussians too: what is left of W is independent of everything forward, and of D. So nothing is assumed of the gradients;
their dependence on the activities is that of the network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import SupportsIndex, cast

import numpy as np
from numpy.typing import NDArray

from meanfield import AssumptionError, HiddenNormalization, Network, OrderParameter, Pair
from meanfield.errors import ParameterError, require_boolean, require_instance, require_integer
from meanfield.fluctuations import Kind
from meanfield.order_parameters import STANDARD_INPUTS

_CHUNK = 2**21
"""Numbers in the largest array of a chunk of draws."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OrderParameterDraws:
    """The order parameters of every sample and pair of samples of many independent networks."""

    network: Network
    width: int
    inputs: Pair[float]
    """The mean square of an input and the overlap of two."""
    activity: Array
    """qhat^l_M, l = 0 .. L-1: shape (draws, L, T, T)."""
    preactivation: Array
    """q^l_M, l = 1 .. L: shape (draws, L, T, T)."""
    sensitivity: Array
    """qtilde^l_M, l = 1 .. L, of the gradients of each two outputs: shape (draws, L, C, C, T, T)."""

    def __repr__(self) -> str:
        draws, _, samples, _ = self.activity.shape
        return f"OrderParameterDraws({draws} networks of width {self.width}, samples={samples})"

    def of(self, parameter: OrderParameter) -> Array:
        """Return the values of one order parameter, shape (draws,); its labels are the numbers of samples.

        Examples
        --------
        >>> import meanfield as mf
        >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
        >>> drawn = sample_order_parameters(network, width=50, samples=2, draws=3, rng=np.random.default_rng(0))
        >>> drawn.of(mf.OrderParameter("sensitivity", 3, (0, 1)))
        array([1., 1., 1.])
        """
        a, b = (require_integer("samples", cast(SupportsIndex, number), at_least=0) for number in parameter.samples)
        layer, k = parameter.layer, parameter.output
        match parameter.kind:
            case Kind.ACTIVITY:
                return self.activity[:, layer, a, b]
            case Kind.PREACTIVATION:
                return self.preactivation[:, layer - 1, a, b]
            case Kind.SENSITIVITY:
                return self.sensitivity[:, layer - 1, k, k, a, b]


def sample_order_parameters(
    network: Network,
    *,
    width: int,
    samples: int,
    draws: int,
    rng: np.random.Generator,
    inputs: Pair[float] = STANDARD_INPUTS,
    random_inputs: bool = True,
) -> OrderParameterDraws:
    """Draw the order parameters of finite networks from their exact law.

    Parameters
    ----------
    network : Network
        Without normalisation in the hidden layers.
    width : int
        M; layer l has round(alpha_l M) units.
    samples : int
        T >= 1, a few: the cost of a draw is O(M (C T)^2 L), against O(M^2 L) of a network.
    draws : int
        How many networks, each with inputs of its own.
    rng : numpy.random.Generator
    inputs : Pair of float
        The mean square of an input and the overlap of two, |cross| <= same.
    random_inputs : bool
        Whether inputs are drawn, Gaussian with these mean overlaps, or have exactly these overlaps.

    Raises
    ------
    AssumptionError
        With normalisation in the hidden layers.
    ParameterError
        For numbers out of range, and inputs that T samples cannot have.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> drawn = sample_order_parameters(network, width=200, samples=2, draws=2000, rng=np.random.default_rng(0))
    >>> bool(abs(drawn.activity[:, 2, 0, 0].mean() - 1) < 0.02)
    True
    >>> bool(abs(200 * drawn.activity[:, 2, 0, 0].var() / 12 - 1) < 0.1)  # M Var(qhat^l_t) = 5 l + 2
    True
    """
    require_instance("network", network, Network)
    require_instance("rng", rng, np.random.Generator)
    samples = require_integer("samples", samples, at_least=1)
    draws = require_integer("draws", draws, at_least=1)
    random_inputs = require_boolean("random_inputs", random_inputs)
    widths = network.widths(width)
    if network.hidden_normalization is not HiddenNormalization.NONE:
        raise AssumptionError(
            "order parameters are drawn for hidden layers without normalisation",
            {"montecarlo.measure_order_parameters": "those of a network that was run"},
        )
    root = _root_of_inputs(inputs, samples)
    chunk = max(1, _CHUNK // (max(widths[:-1]) * samples * network.outputs))
    sizes = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    parts = [_draw(network, widths, root, random_inputs, size, rng) for size in sizes]
    activity, preactivation, sensitivity = (np.concatenate(part) for part in zip(*parts, strict=True))
    return OrderParameterDraws(network, width, inputs, activity, preactivation, sensitivity)


def _root_of_inputs(inputs: Pair[float], samples: int) -> Array:
    """Return A with A'A = the mean overlaps of T inputs."""
    same, cross = inputs
    gram = np.full((samples, samples), float(cross)) + (same - cross) * np.eye(samples)
    values, vectors = np.linalg.eigh(gram)
    if values[0] < -1e-12 * same:
        raise ParameterError("inputs", f"overlaps that {samples} samples can have", inputs)
    root: Array = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return root


def _draw(
    network: Network, widths: tuple[int, ...], root: Array, random_inputs: bool, draws: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return the order parameters of some networks: forward, then backward with the same numbers."""
    depth, outputs, samples = network.depth, network.outputs, len(root)
    if random_inputs:
        triangle = _triangle(rng.standard_normal((draws, widths[0], samples)) @ root)
    else:
        triangle = np.broadcast_to(math.sqrt(widths[0]) * root, (draws, samples, samples))
    activity = [np.swapaxes(triangle, 1, 2) @ triangle / widths[0]]
    preactivation, seen, preactivations, bases = [], [], [], []
    for l in range(1, depth + 1):
        scale = math.sqrt(network.weight_variance[l - 1] / widths[l - 1])
        seen.append(scale * rng.standard_normal((draws, widths[l], triangle.shape[1])))  # W Q
        u = seen[-1] @ triangle
        u += math.sqrt(network.bias_variance[l - 1]) * rng.standard_normal((draws, widths[l], 1))
        preactivation.append(_gram(u) / widths[l])
        if l < depth:
            h = network.activations[l - 1](u)
            activity.append(_gram(h) / widths[l])
            basis, triangle = np.linalg.qr(h)
            preactivations.append(u)
            bases.append(basis)
    ones = np.repeat(np.eye(outputs), samples, axis=1)  # of outputs and samples, samples running fastest
    delta = np.broadcast_to(ones, (draws, *ones.shape))
    sensitivity = [_gram(delta)]
    for l in reversed(range(1, depth)):
        basis, scale = bases[l - 1], math.sqrt(network.weight_variance[l] / widths[l])
        above = _triangle(delta)
        unseen = scale * rng.standard_normal((draws, widths[l], above.shape[1])) @ above
        transposed = np.swapaxes(basis, 1, 2)
        gradient = unseen + basis @ (np.swapaxes(seen[l], 1, 2) @ delta - transposed @ unseen)
        slope = network.activations[l - 1].slope(preactivations[l - 1])
        delta = np.tile(slope, (1, 1, outputs)) * gradient
        sensitivity.insert(0, _gram(delta))
    by_output = np.stack(sensitivity, axis=1).reshape(draws, depth, outputs, samples, outputs, samples)
    return np.stack(activity, axis=1), np.stack(preactivation, axis=1), np.swapaxes(by_output, 3, 4)


def _gram(x: Array) -> Array:
    """Return x'x of every draw."""
    gram: Array = np.swapaxes(x, 1, 2) @ x
    return gram


def _triangle(x: Array) -> Array:
    """Return R of x = Q R, of every draw."""
    return cast(Array, np.linalg.qr(x, mode="r"))
