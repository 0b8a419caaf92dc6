"""The order parameters of an infinitely wide network: forward (5)-(6), backward (7), and both with layer norm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError
from .functions import Pair
from .gaussian import GaussianPair
from .network import HiddenNormalization, Network
from .quadrature import AUTO, Method, overlap, second_moment
from .records import table

STANDARD_INPUTS = Pair(1.0, 0.0)
"""Independent standard normal inputs, (3): qhat^0_t = 1, qhat^0_st = 0."""


@dataclass(frozen=True)
class OrderParameters:
    """The order parameters of every layer, for one sample (``same``) and for two different ones (``cross``).

    The theory and a measurement on a finite network fill the same record.
    """

    activity: Pair[NDArray[np.float64]]
    """qhat^l, l = 0 .. L-1: arrays of shape (L,)."""
    preactivation: Pair[NDArray[np.float64]]
    """q^l, l = 1 .. L: arrays of shape (L,); q^l is at index l - 1."""
    sensitivity: Pair[NDArray[np.float64]]
    """qtilde^l, l = 1 .. L: arrays of shape (L,); qtilde^l is at index l - 1."""

    def __str__(self) -> str:
        depth = self.activity.same.size
        columns = [
            [f"{value:.6g}" for value in array]
            for pair in (self.preactivation, self.activity, self.sensitivity)
            for array in pair
        ]
        q_t, q_st, activity_t, activity_st, sensitivity_t, sensitivity_st = columns
        rows = [
            (l, *before, *hidden, *after)
            for l, before, hidden, after in zip(
                range(depth + 1),
                [("", ""), *zip(q_t, q_st, strict=True)],
                [*zip(activity_t, activity_st, strict=True), ("", "")],
                [("", ""), *zip(sensitivity_t, sensitivity_st, strict=True)],
                strict=True,
            )
        ]
        headers = ("layer", "q_t", "q_st", "qhat_t", "qhat_st", "qtilde_t", "qtilde_st")
        return table(rows, headers)


def propagate(network: Network, *, inputs: Pair[float] = STANDARD_INPUTS, method: Method = AUTO) -> OrderParameters:
    """Propagate the order parameters forward through the layers, then backward.

    Without normalisation, for l = 1 .. L and (a, b) = (q_t, q_st),

        q^l = s_w^2 qhat^{l-1} + s_b^2,
        qhat^l_t = E phi(u)^2,                          qhat^l_st = I_phi[q^l_t, q^l_st],
        qtilde^l_t = s_w^2 qtilde^{l+1}_t E phi'(u)^2,  qtilde^l_st = s_w^2 qtilde^{l+1}_st I_phi'[q^l_t, q^l_st],
        qtilde^L_t = qtilde^L_st = 1.

    With layer normalisation in the hidden layers phi sees the pair (1, q_st/q_t), and qtilde^l has the factor
    s_w^2/q^l_t in place of s_w^2.

    Parameters
    ----------
    network : Network
        With hidden normalisation "none" or "layer". The output normalisation does not enter.
    inputs : Pair of float
        qhat^0: the mean square of an input (>= 0) and the overlap of two.
    method : Method
        How to integrate.

    Returns
    -------
    OrderParameters
        Each integral to 1e-13 of its scale with the default method.

    Raises
    ------
    ParameterError
        For inputs that no pair of samples has.
    NotImplementedError
        For batch normalisation in the hidden layers.
    QuadratureError
        If an integral does not reach its tolerance.

    Equations: (5), (6), (7), (S.74), (S.87)

    Examples
    --------
    >>> import meanfield as mf
    >>> order = mf.propagate(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
    >>> order.activity.same
    array([1., 1., 1.])
    >>> order.sensitivity.cross.round(6)
    array([0.301558, 0.603115, 1.      ])
    """
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise NotImplementedError(
            "order parameters with batch normalisation in the hidden layers are not implemented yet"
        )
    try:
        input_law = GaussianPair(inputs.same, inputs.same, inputs.cross)
    except ParameterError as error:
        raise ParameterError("inputs", "Pair(same, cross) with same >= 0 and abs(cross) <= same", inputs) from error

    activity = [Pair(input_law.variance, input_law.covariance)]
    preactivation = []
    seen = []  # what phi sees: q itself, or what layer norm makes of it
    for l in range(network.depth):
        weight_variance, bias_variance = network.weight_variance[l], network.bias_variance[l]
        q = Pair(*(weight_variance * qhat + bias_variance for qhat in activity[l]))
        preactivation.append(q)
        if l < network.depth - 1:
            phi = network.activations[l].value
            if layer_norm and q.same == 0:
                raise ParameterError("inputs", "such that layer normalisation has a variance to divide by", inputs)
            seen.append(Pair(1.0, q.cross / q.same) if layer_norm else q)
            activity.append(
                Pair(
                    second_moment(phi, seen[l].same, method=method),
                    overlap(phi, seen[l].same, seen[l].cross, method=method),
                )
            )

    sensitivity = [Pair(1.0, 1.0)]
    for l in reversed(range(network.depth - 1)):
        slope = network.activations[l].slope
        gain = network.weight_variance[l + 1] / (preactivation[l].same if layer_norm else 1.0)
        above = sensitivity[0]
        sensitivity.insert(
            0,
            Pair(
                gain * above.same * second_moment(slope, seen[l].same, method=method),
                gain * above.cross * overlap(slope, seen[l].same, seen[l].cross, method=method),
            ),
        )
    return OrderParameters(_stack(activity), _stack(preactivation), _stack(sensitivity))


def _stack(layers: list[Pair[float]]) -> Pair[NDArray[np.float64]]:
    return Pair(np.array([pair.same for pair in layers]), np.array([pair.cross for pair in layers]))
