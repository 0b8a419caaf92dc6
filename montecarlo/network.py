"""Finite networks: sampled parameters (2) and sampled inputs (3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import Network, ParameterError
from meanfield.errors import require_boolean, require_instance, require_integer, require_real, require_sequence


@dataclass(frozen=True, init=False, eq=False)
class FiniteNetwork:
    """A network with given weights and biases.

    Parameters
    ----------
    network : Network
        The activations and the normalisation; its variances and width ratios are not used.
    weights : sequence of array
        W^l of shape (M_l, M_{l-1}) for l = 1 .. L; copied, and read-only afterwards.
    biases : sequence of array
        b^l of shape (M_l,) for l = 1 .. L.

    Raises
    ------
    ParameterError
        If the shapes do not fit each other or the network, or an entry is not finite.

    Equations: (1)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    >>> FiniteNetwork(network, weights=[[[1.0], [2.0]], [[1.0, -1.0]]], biases=[[0.0, 0.5], [0.0]]).widths
    (1, 2, 1)
    """

    network: Network
    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    def __init__(self, network: Network, weights: Iterable[ArrayLike], biases: Iterable[ArrayLike]) -> None:
        require_instance("network", network, Network)
        _fill(
            self,
            network,
            [np.array(require_real("weights", w)) for w in require_sequence("weights", weights)],
            [np.array(require_real("biases", b)) for b in require_sequence("biases", biases)],
        )

    def __repr__(self) -> str:
        return f"FiniteNetwork(widths={self.widths})"

    @property
    def widths(self) -> tuple[int, ...]:
        """M_0 .. M_L."""
        return (self.weights[0].shape[1], *(w.shape[0] for w in self.weights))

    def parameters(self, *, biases: bool = True) -> int:
        """Return P, the number of weights and (unless ``biases`` is False) biases."""
        biases = require_boolean("biases", biases)
        return sum(w.size + biases * b.size for w, b in zip(self.weights, self.biases, strict=True))


def adopt(
    network: Network, weights: Sequence[NDArray[np.float64]], biases: Sequence[NDArray[np.float64]]
) -> FiniteNetwork:
    """Return a network of arrays that nobody else writes to: they are not copied, and read-only afterwards."""
    finite = object.__new__(FiniteNetwork)
    _fill(finite, network, weights, biases)
    return finite


def sample_network(network: Network, *, width: int, rng: np.random.Generator) -> FiniteNetwork:
    """Draw W^l_ij ~ N(0, s_w^2/M_{l-1}) and b^l_i ~ N(0, s_b^2).

    Parameters
    ----------
    network : Network
    width : int
        M; layer l has round(alpha_l M) units.
    rng : numpy.random.Generator
        Normal deviates are taken layer by layer, weights before biases.

    Equations: (2)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> sample_network(network, width=50, rng=np.random.default_rng(0)).widths
    (50, 50, 50, 1)
    """
    require_instance("network", network, Network)
    require_instance("rng", rng, np.random.Generator)
    widths = network.widths(width)
    weights, biases = [], []
    for layer in range(network.depth):
        below, here = widths[layer], widths[layer + 1]
        weights.append(rng.standard_normal((here, below)))
        weights[layer] *= math.sqrt(network.weight_variance[layer] / below)
        biases.append(rng.standard_normal(here))
        biases[layer] *= math.sqrt(network.bias_variance[layer])
    return adopt(network, weights, biases)


def sample_inputs(network: Network, *, width: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw T independent inputs x_j ~ N(0, 1), as an array of shape (T, M_0).

    Equations: (3)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> sample_inputs(network, width=50, samples=4, rng=np.random.default_rng(0)).shape
    (4, 50)
    """
    require_instance("network", network, Network)
    require_instance("rng", rng, np.random.Generator)
    samples = require_integer("samples", samples, at_least=1)
    return rng.standard_normal((samples, network.widths(width)[0]))


def _fill(
    finite: FiniteNetwork,
    network: Network,
    weights: Sequence[NDArray[np.float64]],
    biases: Sequence[NDArray[np.float64]],
) -> None:
    """Give a network its arrays, if they fit each other."""
    for parameter, arrays in (("weights", weights), ("biases", biases)):
        if len(arrays) != network.depth:
            raise ParameterError(parameter, f"one array for each of the {network.depth} layers", len(arrays))
    below = None
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
        if w.ndim != 2 or not w.size or below not in (None, w.shape[1]):
            raise ParameterError("weights", f"of shape (M_{layer}, {below or 'M_0'}) in layer {layer}", w.shape)
        below = w.shape[0]
        if b.shape != (below,):
            raise ParameterError("biases", f"of shape ({below},) in layer {layer}", b.shape)
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ParameterError("weights and biases", "finite", f"inf or nan in layer {layer}")
    if below != network.outputs:
        raise ParameterError("weights", f"such that the last layer has {network.outputs} outputs", below)
    for array in (*weights, *biases):
        array.setflags(write=False)
    object.__setattr__(finite, "network", network)
    object.__setattr__(finite, "weights", tuple(weights))
    object.__setattr__(finite, "biases", tuple(biases))
