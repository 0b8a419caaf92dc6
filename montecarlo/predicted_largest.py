"""lambda_max of one given network, predicted from its weights and biases without its samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meanfield import AssumptionError, ParameterError
from meanfield.errors import require_instance, require_integer
from meanfield.spectrum.drawn import model_of
from meanfield.spectrum.drawn_edge import Edge
from meanfield.spectrum.drawn_ensemble import edge_with_outputs, require_drawable

from .network import FiniteNetwork
from .propagate import Sweep

_CHANCE = 8
"""Standard deviations that inputs may be off."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Realised:
    """The nodes that a network has."""

    finite_network: FiniteNetwork

    def common(self, layer: int, activity: _Array, deviation: float) -> _Array:
        """Return what the samples share of u^l = W^l h^{l-1} + b^l, over sqrt(q^l_st)."""
        finite = self.finite_network
        return np.asarray((finite.weights[layer - 1] @ activity + finite.biases[layer - 1]) / deviation)

    def gradients(self, layer: int, above: _Array) -> _Array:
        """Return what the samples share of sqrt(M_l) W^{l+1}' delta^{l+1}."""
        weights = self.finite_network.weights[layer]
        return np.asarray(math.sqrt(weights.shape[1] / weights.shape[0]) * (weights.T @ above))


def predict_largest(network: FiniteNetwork | Sweep, *, samples: int | None = None) -> Edge:
    """Predict lambda_max of a given network on samples that are not looked at.

    Up through the layers go what the samples share of the preactivations, W^l <h^{l-1}> + b^l, down what they share of
    the gradients: the nodes of the network's Gaussian-equivalent model, which :func:`meanfield.drawn_largest` draws.
    The edge of its spectrum follows as there.

    Parameters
    ----------
    network : FiniteNetwork or Sweep
        Without normalisation of its hidden layers; with that of the outputs "mean", or "batch": then they are divided
        by their standard deviations, those of the sweep or, for a FiniteNetwork, those expected of its model.
    samples : int, optional
        T, of standard normal inputs: needed with a FiniteNetwork; a Sweep has its own.

    Returns
    -------
    Edge
        ``largest`` is the mean of lambda_max over the samples, ``largest_sd`` its standard deviation.

    Raises
    ------
    ParameterError
        For samples that are missing, too few, or other than those of the sweep.
    AssumptionError
        For normalised hidden layers, for outputs without normalisation or with layer normalisation, and for a sweep
        whose inputs are not of the size and overlap of standard normal ones.
    EdgeError
        If the edge is not found.

    Notes
    -----
    s_w^2 and s_b^2 are the mean squares of the network's own weights and biases.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, output_normalization="mean")
    >>> rng = np.random.default_rng(0)
    >>> finite = mc.sample_network(network, width=300, rng=rng)
    >>> predicted = predict_largest(finite, samples=300)
    >>> measured = mc.measure_largest(mc.propagate(finite, rng.standard_normal((300, 300))))
    >>> round(predicted.largest, 2), round(predicted.largest_sd, 2), round(measured, 2)
    (8.22, 0.26, 8.18)
    """
    if isinstance(network, Sweep):
        finite, sweep = network.finite_network, network
        if samples is not None and samples != sweep.samples:
            raise ParameterError("samples", f"those of the sweep, {sweep.samples}, or left out", samples)
        samples = sweep.samples
        _require_standard_inputs(sweep)
    else:
        require_instance("network", network, FiniteNetwork)
        finite, sweep = network, None
        if samples is None:
            raise ParameterError("samples", "given (T) with a network that has not been propagated", "None")
    samples = require_integer("samples", samples, at_least=2)
    require_drawable(finite.network, 1, samples)
    widths = finite.widths[:-1]
    own = replace(
        finite.network,
        width_ratios=widths,
        weight_variance=tuple(w.shape[1] * float(np.mean(w**2)) for w in finite.weights),
        bias_variance=tuple(float(np.mean(b**2)) for b in finite.biases),
    )
    model = model_of(own, widths, samples, _Realised(finite))
    variances = np.diagonal(model.covariance) * (1 - 1 / samples) if sweep is None else sweep.u[-1].var(axis=0)
    return edge_with_outputs(model, own.output_normalization, variances)


def _require_standard_inputs(sweep: Sweep) -> None:
    """Refuse inputs whose mean square or overlap is off by more than chance."""
    x = sweep.h[0].astype(np.float64, copy=False)
    samples, units = x.shape
    square, of_mean = float(np.mean(x**2)), float(np.mean(x.mean(axis=0) ** 2))
    overlap = (samples * of_mean - square) / max(samples - 1, 1)
    if abs(square - 1) > _CHANCE * math.sqrt(2 / x.size) or abs(overlap) > _CHANCE / (samples * math.sqrt(units / 2)):
        raise AssumptionError(
            "lambda_max is predicted for standard normal inputs, of mean square 1 and overlap 0: these have "
            f"{square:.3g} and {overlap:.3g}"
        )
