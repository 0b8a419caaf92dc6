"""Fluctuations and shifts of all order parameters at finite width."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import AssumptionError, ParameterError, QuadratureError, require_boolean, require_instance
from ..gaussian import Array
from ..network import Network
from ..normalization import HiddenNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate
from ..quadrature import AUTO, Method
from ..records import Pair, table
from .bias import Shifts, shifts
from .kernel import KernelFluctuations, kernel_fluctuations
from .linear import ACTIVITY, PREACTIVATION, SENSITIVITY, Covariances, covariances, layers_of, pairs_of
from .moments import LayerMoments
from .response import wick
from .samples import INDEX, PAIRS, Kind, OrderParameter, numbers_of

_ROUNDING = 1e-13
"""Of a number in a row of a table, relative to the others."""

_PLACE = {Kind.PREACTIVATION: PREACTIVATION, Kind.ACTIVITY: ACTIVITY, Kind.SENSITIVITY: SENSITIVITY}


@dataclass(frozen=True, eq=False)
class Fluctuations:
    """How the order parameters of networks of width M differ from those of infinite width, to leading order in 1/M.

    Everything is multiplied by M: a variance of 5 here is one of 5/M. The records have the arrays of
    :class:`~meanfield.order_parameters.OrderParameters`; a sensitivity is that of one output.
    """

    order: OrderParameters
    """Of infinite width."""
    variance: OrderParameters
    """M Var, of one sample (``same``) and of one pair (``cross``). That of q^L, a mean over O(1) outputs, is inf."""
    between: OrderParameters
    """M Cov of two samples, or of two disjoint pairs: the variance between networks of the mean over many samples."""
    bias: OrderParameters
    """M times the shift of the mean, E qhat_M - qhat."""
    bias_assuming_independence: OrderParameters
    """The same if the weights that carry gradients back were drawn afresh: not what networks do."""
    kernel: KernelFluctuations = field(repr=False)
    """Of K_ab = sum_l alpha_{l-1} qtilde^l_ab qhat^{l-1}_ab, with the bias parameters where a width was given."""
    covariances: Covariances = field(repr=False)
    """Of every order parameter with every other; :meth:`covariance` reads it."""

    def covariance(self, first: OrderParameter, second: OrderParameter) -> float:
        """Return M Cov of two order parameters: of any kinds and layers, of two to four samples.

        Examples
        --------
        >>> import meanfield as mf
        >>> fluctuations = mf.fluctuations(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
        >>> backward, forward = (mf.OrderParameter(kind, 2, "tt") for kind in ("sensitivity", "activity"))
        >>> round(fluctuations.covariance(backward, forward), 12)
        1.0
        """
        for parameter in (first, second):
            require_instance("order parameter", parameter, OrderParameter)
            _require_layer(parameter, self.order.activity.same.size)
        (a, b), (c, d) = numbers_of(first.samples, second.samples)
        (kind, l), (other, m) = (
            (_PLACE[one.kind], one.layer - (one.kind is not Kind.ACTIVITY)) for one in (first, second)
        )
        both = first.kind is second.kind is Kind.SENSITIVITY
        if both and first.output != second.output:
            return float(self.covariances.between_outputs[l, INDEX[a, b], m, INDEX[c, d]])
        return float(self.covariances.joint[kind, l, INDEX[a, b], other, m, INDEX[c, d]])

    def kernel_covariance(self, first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
        """Return V = lim M Cov(K_ab, K_cd) for two pairs of labels, as "st" and "su": equal labels are one sample."""
        return self.kernel.covariance(first, second)

    @property
    def c2(self) -> float:
        """V_{st,st} - 2 V_{st,su} + V_{st,uv}: the variance of K_st that is neither of networks nor of samples."""
        own, shared, disjoint = (self.kernel_covariance("st", other) for other in ("st", "su", "uv"))
        return own - 2 * shared + disjoint

    def __str__(self) -> str:
        records = [record.by_name() for record in (self.order, self.variance, self.between, self.bias)]
        rows = []
        for name in records[0]:
            for part, letters in (("same", "t"), ("cross", "st")):
                values = [float(getattr(record[name], part)) for record in records]
                rows.append((f"{name}_{letters}", *(f"{_rounded(value, values):.5g}" for value in values)))
        return table(rows, ("quantity", "limit", "M Var", "M Cov between", "M shift"))


def fluctuations(
    network: Network,
    *,
    inputs: Pair[float] = STANDARD_INPUTS,
    random_inputs: bool = True,
    width: int | None = None,
    method: Method = AUTO,
) -> Fluctuations:
    """Return width x covariance and width x bias of all order parameters, forward, backward and across.

    Each layer adds the chance of a mean over its units, and passes on what comes from the layers below (forward) and
    above (backward) by linear response; ``docs/fluctuations.md`` derives it. No activation is differentiated twice:
    kinks are allowed.

    Parameters
    ----------
    network : Network
        Without normalisation in the hidden layers; that of the outputs does not enter.
    inputs : Pair of float
        qhat^0: the mean square of an input and the overlap of two, 0 <= cross < same.
    random_inputs : bool
        Whether inputs are drawn, Gaussian with these mean overlaps, or given, with exactly these overlaps.
    width : int, optional
        M, for networks of this width: with rounded widths of the layers, and the bias parameters in ``kernel``. Without
        it everything is the limit of large M.
    method : Method
        How to integrate the order parameters themselves.

    Returns
    -------
    Fluctuations
        Each integral to about 1e-9 of its scale. What is left out is O(1/M) relative.

    Raises
    ------
    AssumptionError
        With normalisation in the hidden layers.
    ParameterError
        For inputs with a negative overlap, or without any difference.
    QuadratureError
        If an integral does not reach its tolerance, or two samples look alike in some layer.

    Equations: (S.5), figure S.1

    Examples
    --------
    >>> import meanfield as mf
    >>> fluctuations = mf.fluctuations(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
    >>> fluctuations.variance.activity.same, fluctuations.variance.sensitivity.same  # 5 l + 2 and 5 (L - l)
    (array([ 2.,  7., 12.]), array([10.,  5.,  0.]))
    >>> fluctuations.variance.sensitivity.cross.round(3)  # the first is M Var(qtilde^1_st) of figure S.1
    array([2.606, 3.344, 0.   ])
    """
    require_instance("network", network, Network)
    random_inputs = require_boolean("random_inputs", random_inputs)
    if network.hidden_normalization is not HiddenNormalization.NONE:
        raise AssumptionError(
            f"fluctuations are derived for hidden layers without normalisation, and these have "
            f"{network.hidden_normalization.value} normalisation",
            {"propagate": "the order parameters of infinite width"},
        )
    if width is not None:
        network = replace(network, width_ratios=tuple(units / width for units in network.widths(width)[:-1]))
    order = propagate(network, inputs=inputs, method=method)
    _require_different(order, inputs)
    moments = [
        LayerMoments(phi, Pair(float(same), float(cross)))
        for phi, same, cross in zip(network.activations, *order.preactivation, strict=False)
    ]
    layers = layers_of(network, order, moments)
    input_noise = np.zeros((len(PAIRS), len(PAIRS)))
    if random_inputs:
        input_noise = wick(pairs_of(*(float(x[0]) for x in order.activity))) / network.width_ratios[0]
    joint = covariances(layers, network.weight_variance, input_noise)
    shift = shifts(network, order, moments, layers, joint)
    return Fluctuations(
        order=order,
        variance=_record(joint.joint, (0, 0), (0, 1), (0, 0), (0, 1)),
        between=_record(joint.joint, (0, 0), (0, 1), (1, 1), (2, 3)),
        bias=_shift_record(network, shift, shift.sensitivity),
        bias_assuming_independence=_shift_record(network, shift, shift.sensitivity_assuming_independence),
        kernel=kernel_fluctuations(network, order, moments, layers, joint, shift, width),
        covariances=joint,
    )


def _require_different(order: OrderParameters, inputs: Pair[float]) -> None:
    """Refuse pairs of samples that look alike, or opposite."""
    if not 0 <= order.activity.cross[0] < order.activity.same[0]:
        raise ParameterError("inputs", "Pair(same, cross) with 0 <= cross < same", inputs)
    same, cross = order.preactivation
    alike = np.flatnonzero(same - cross <= 1e-12 * same)
    if alike.size:
        raise QuadratureError(
            f"q^{alike[0] + 1}_t - q^{alike[0] + 1}_st is {(same - cross)[alike[0]]:.1e} of q_t = "
            f"{same[alike[0]]:.6g}: two samples look alike there, and have no difference that could fluctuate"
        )


def _require_layer(parameter: OrderParameter, depth: int) -> None:
    first, last = {
        Kind.ACTIVITY: (0, depth - 1),
        Kind.PREACTIVATION: (1, depth - 1),
        Kind.SENSITIVITY: (1, depth),
    }[parameter.kind]
    if not first <= parameter.layer <= last:
        raise ParameterError("layer", f"from {first} to {last} for {parameter.kind.value}", parameter.layer)


def _record(
    joint: Array, same: tuple[int, int], cross: tuple[int, int], other_same: tuple[int, int], other: tuple[int, int]
) -> OrderParameters:
    """Return the covariances of two pairs of samples, layer by layer."""

    def of(kind: int) -> Pair[Array]:
        layers = range(joint.shape[1])
        return Pair(
            *(
                np.array([joint[kind, l, INDEX[one], kind, l, INDEX[two]] for l in layers])
                for one, two in ((same, other_same), (cross, other))
            )
        )

    preactivation = of(PREACTIVATION)
    for values in preactivation:
        values[-1] = np.inf  # C outputs: a mean that does not sharpen with the width
    return OrderParameters(activity=of(ACTIVITY), preactivation=preactivation, sensitivity=of(SENSITIVITY))


def _shift_record(network: Network, shift: Shifts, sensitivity: Array) -> OrderParameters:
    activity = Pair(*shift.activity.T)
    s_w = np.array(network.weight_variance)
    preactivation = Pair(s_w * activity.same, s_w * activity.cross)
    return OrderParameters(activity=activity, preactivation=preactivation, sensitivity=Pair(*sensitivity.T))


def _rounded(value: float, beside: Sequence[float]) -> float:
    """Return a number, or 0 if it is the rounding of others beside it."""
    return 0.0 if abs(value) < _ROUNDING * max(abs(x) for x in beside if math.isfinite(x)) else value
