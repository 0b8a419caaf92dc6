"""One forward and one backward sweep through a finite network, for all samples and all outputs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import HiddenNormalization, Network, OutputNormalization, ParameterError

from .network import FiniteNetwork

Arrays = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Everything that the two sweeps leave behind, from which every measurement is made."""

    finite_network: FiniteNetwork
    outputs: NDArray[np.float64]
    """f_k(t) after the output normalisation: shape (T, C)."""
    h: Arrays
    """h^l for l = 0 .. L-1: shapes (T, M_l); h^0 are the inputs."""
    u: Arrays
    """u^l for l = 1 .. L: shapes (T, M_l); u^l is at index l - 1."""
    delta: Arrays
    """delta^l_k = d u^L_k / d u^l for l = 1 .. L: shapes (C, T, M_l), at index l - 1; outputs not normalised."""

    def __repr__(self) -> str:
        return f"Sweep({self.finite_network}, samples={self.samples})"

    @property
    def samples(self) -> int:
        """T."""
        return len(self.outputs)


def require_supported(network: Network) -> None:
    """Raise NotImplementedError for a normalisation that finite networks do not have yet."""
    hidden, output = network.hidden_normalization, network.output_normalization
    if hidden is not HiddenNormalization.NONE or output not in (OutputNormalization.NONE, OutputNormalization.MEAN):
        raise NotImplementedError(
            "finite networks are propagated without normalisation and with mean subtraction in the last layer so far, "
            f"not with hidden_normalization={hidden!s} and output_normalization={output!s}"
        )


def propagate(finite_network: FiniteNetwork, inputs: ArrayLike) -> Sweep:
    """Propagate the inputs forward, and the gradients of every output backward.

        u^l = W^l h^{l-1} + b^l,        h^l = phi(u^l),
        delta^L_{k,i} = delta_{ki},     delta^l = phi'(u^l) W^{l+1}' delta^{l+1}.

    Parameters
    ----------
    finite_network : FiniteNetwork
        With hidden normalisation "none" and output normalisation "none" or "mean".
    inputs : array of shape (T, M_0)
        Finite; T >= 1.

    Raises
    ------
    ParameterError
        If the inputs do not fit the network.
    NotImplementedError
        For another normalisation.

    Equations: (1), (4), (15)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = propagate(FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0], [2.0]])
    >>> sweep.outputs.ravel(), sweep.delta[0].ravel()
    (array([ 7., 13.]), array([3., 3.]))
    """
    network = finite_network.network
    if np.iscomplexobj(inputs):
        raise ParameterError("inputs", "real", "complex numbers")
    h = np.asarray(inputs, dtype=np.float64)
    if h.ndim != 2 or h.shape[0] < 1 or h.shape[1] != finite_network.widths[0]:
        raise ParameterError("inputs", f"of shape (T, {finite_network.widths[0]}) with T >= 1", h.shape)
    if not np.isfinite(h).all():
        raise ParameterError("inputs", "finite", "inf or nan")
    require_supported(network)

    activities, preactivations = [h], []
    for layer, (w, b) in enumerate(zip(finite_network.weights, finite_network.biases, strict=True)):
        preactivations.append(activities[layer] @ w.T + b)
        if layer < network.depth - 1:
            activities.append(network.activations[layer](preactivations[layer]))

    readout = preactivations[-1]
    samples, outputs = readout.shape
    delta = np.broadcast_to(np.eye(outputs)[:, None, :], (outputs, samples, outputs))
    deltas = [delta]
    for layer in reversed(range(network.depth - 1)):
        slope = network.activations[layer].slope(preactivations[layer])
        weights = finite_network.weights[layer + 1]
        # In the last layer delta is the identity, the same for every sample
        pulled_back = weights[:, None, :] if layer == network.depth - 2 else deltas[0] @ weights
        deltas.insert(0, pulled_back * slope)

    if network.output_normalization is OutputNormalization.MEAN:
        readout = readout - readout.mean(axis=0)
    return Sweep(finite_network, readout, tuple(activities), tuple(preactivations), tuple(deltas))
