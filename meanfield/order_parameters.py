"""The order parameters of an infinitely wide network: forward (5)-(6), backward (7), and both with layer norm."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .batch_norm import batch_norm_averages, batch_norm_parameters
from .errors import AssumptionError, ParameterError, QuadratureError, require_instance
from .functions import Activation, ScalarFunction
from .gaussian import GaussianPair
from .network import Network
from .normalization import BatchNorm, HiddenNormalization
from .quadrature import AUTO, Method, overlap, second_moment
from .records import Pair, table

STANDARD_INPUTS = Pair(1.0, 0.0)
"""Independent standard normal inputs, (3): qhat^0_t = 1, qhat^0_st = 0."""

ALIKE = 1e-10
"""A difference between same and cross that is this share of the former or less has lost its digits."""


@dataclass(frozen=True, eq=False)
class OrderParameters:
    """The order parameters of every layer, for one sample (``same``) and for two different ones (``cross``).

    The theory and a measurement on a finite network fill the same record.
    """

    activity: Pair[NDArray[np.float64]]
    """qhat^l, l = 0 .. L-1: arrays of shape (L,)."""
    preactivation: Pair[NDArray[np.float64]]
    """q^l, l = 1 .. L: arrays of shape (L,); q^l is at index l - 1."""
    sensitivity: Pair[NDArray[np.float64]] | None
    """qtilde^l, l = 1 .. L: arrays of shape (L,); qtilde^l is at index l - 1.

    None with batch normalisation in the hidden layers, where the gradient of one sample reaches all the others."""
    samples: float | None = field(default=None, kw_only=True)
    """T, with batch normalisation in the hidden layers: all of this depends on it. None without, or if measured."""
    batch_norm: BatchNorm | None = field(default=None, kw_only=True)
    """Its settings, likewise."""

    @property
    def backward(self) -> Pair[NDArray[np.float64]]:
        """``sensitivity``, or an AssumptionError where it is None."""
        if self.sensitivity is None:
            raise AssumptionError(
                "with batch normalisation in the hidden layers the gradient of one sample reaches all the others: "
                "there are no backward order parameters, and no kappas. mf.batch_norm_backward has Theta in their place"
            )
        return self.sensitivity

    def by_name(self) -> dict[str, Pair[float]]:
        """Return every order parameter under its name: q^1 .. q^L, qhat^0 .. qhat^(L-1), qtilde^1 .. qtilde^L.

        Examples
        --------
        >>> import meanfield as mf
        >>> order = mf.propagate(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
        >>> round(order.by_name()["qhat^1"].cross, 6)
        0.31831
        """
        fields = (("q", 1, self.preactivation), ("qhat", 0, self.activity), ("qtilde", 1, self.sensitivity))
        return {
            f"{symbol}^{layer}": Pair(float(same), float(cross))
            for symbol, first, pair in fields
            if pair is not None
            for layer, (same, cross) in enumerate(zip(*pair, strict=True), start=first)
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrderParameters):
            return NotImplemented
        return all(
            np.array_equal(np.array(getattr(self, name)), np.array(getattr(other, name)))
            for name in ("activity", "preactivation", "sensitivity")
        ) and (self.samples, self.batch_norm) == (other.samples, other.batch_norm)

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def __str__(self) -> str:
        depth = self.activity.same.size
        columns = [
            range(depth + 1),
            *(["", *map("{:.6g}".format, q)] for q in self.preactivation),
            *([*map("{:.6g}".format, qhat), ""] for qhat in self.activity),
        ]
        headers = ["layer", "q_t", "q_st", "qhat_t", "qhat_st"]
        if self.sensitivity is not None:
            columns += [["", *map("{:.6g}".format, qtilde)] for qtilde in self.sensitivity]
            headers += ["qtilde_t", "qtilde_st"]
        return table(zip(*columns, strict=True), headers)


def propagate(
    network: Network, *, inputs: Pair[float] = STANDARD_INPUTS, samples: float | None = None, method: Method = AUTO
) -> OrderParameters:
    """Propagate the order parameters forward through the layers, then backward.

    Without normalisation, for l = 1 .. L and (a, b) = (q_t, q_st),

        q^l = s_w^2 qhat^{l-1} + s_b^2,
        qhat^l_t = E phi(u)^2,                          qhat^l_st = I_phi[q^l_t, q^l_st],
        qtilde^l_t = s_w^2 qtilde^{l+1}_t E phi'(u)^2,  qtilde^l_st = s_w^2 qtilde^{l+1}_st I_phi'[q^l_t, q^l_st],
        qtilde^L_t = qtilde^L_st = 1.

    With layer normalisation in the hidden layers phi sees the pair (1, q_st/q_t), and qtilde^l has the factor
    s_w^2/q^l_t in place of s_w^2.

    With batch normalisation in the hidden layers qhat^l is that of :func:`batch_norm_parameters`, whatever the layers
    below; the backward pass, in which all samples meet, is not one of a pair of numbers: ``sensitivity`` is None.

    Parameters
    ----------
    network : Network
        The output normalisation does not enter.
    inputs : Pair of float
        qhat^0: the mean square of an input (>= 0) and the overlap of two.
    samples : int, optional
        T, at least 2, or ``math.inf``: needed with batch normalisation in the hidden layers, unused otherwise.
    method : Method
        How to integrate over Gaussians.

    Returns
    -------
    OrderParameters
        Each integral to 1e-13 of its scale with the default method.

    Raises
    ------
    ParameterError
        For inputs that no pair of samples has, and for samples that are missing or too few.
    AssumptionError
        If batch normalisation has no spread to divide by, behind an activation that is constant on all batches.
    QuadratureError
        If an integral does not reach its tolerance.

    Notes
    -----
    (5) is for l = 0 .. L-2, because the readout is linear, (7) for l = 1 .. L-1, because the inputs have no gradient.
    With layer normalisation (S.79) prints qhat on the left for qtilde, and (S.85) qtilde_t on the right for qtilde_st
    (``test_10_the_overlap_of_gradients_comes_from_the_overlap_above``).

    Equations: (5), (6), (7), (S.66), (S.71)-(S.74), (S.79)-(S.87)

    Examples
    --------
    >>> import meanfield as mf
    >>> order = mf.propagate(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
    >>> order.activity.same
    array([1., 1., 1.])
    >>> order.sensitivity.cross.round(6)
    array([0.301558, 0.603115, 1.      ])
    """
    require_instance("network", network, Network)
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    try:
        same, cross = inputs
        input_law = GaussianPair(same, same, cross)
    except (ParameterError, TypeError, ValueError) as error:
        raise ParameterError("inputs", "Pair(same, cross) with same >= 0 and abs(cross) <= same", inputs) from error

    if network.hidden_normalization is HiddenNormalization.BATCH:
        return _propagate_batch_norm(network, input_law, samples, method)
    depth, s_w, s_b = network.depth, network.weight_variance, network.bias_variance
    qhat, q, qtilde = np.empty((depth, 2)), np.empty((depth, 2)), np.ones((depth, 2))  # columns: t, st
    norm = np.ones(depth)  # the variance that layer norm divides by
    qhat[0] = input_law.variance, input_law.covariance
    for l, phi in enumerate(network.activations):
        q[l] = s_w[l] * qhat[l] + s_b[l]
        if layer_norm:
            if q[l, 0] == 0:
                raise ParameterError("inputs", "such that layer normalisation has a variance to divide by", inputs)
            norm[l] = q[l, 0]
        qhat[l + 1] = _integrals(phi.value, q[l] / norm[l], method, f"{phi.name}, layer {l + 1}")
    q[-1] = s_w[-1] * qhat[-1] + s_b[-1]
    slopes = np.empty((depth - 1, 2))
    for phi in set(network.activations):  # the integrals of the backward pass do not wait for each other
        layers = [l for l, other in enumerate(network.activations) if other == phi]
        where = f"slope of {phi.name}, layer {', '.join(str(l + 1) for l in layers)}"
        slopes[layers] = _integrals(phi.slope, q[layers] / norm[layers, None], method, where)
    with np.errstate(over="ignore"):  # what is infinite is refused where it enters a number
        for l in reversed(range(depth - 1)):
            qtilde[l] = s_w[l + 1] / norm[l] * qtilde[l + 1] * slopes[l]
    return OrderParameters(activity=Pair(*qhat.T), preactivation=Pair(*q.T), sensitivity=Pair(*qtilde.T))


def require_order(network: Network, order: OrderParameters, *, samples: float | None = None) -> OrderParameters:
    """Return order parameters that were given, if they can be those of this network, and of T samples if that is given.

    Raises
    ------
    ParameterError
        Otherwise; also for overlaps of inputs so negative that so many samples cannot all have them.
    """
    require_instance("order", order, OrderParameters)
    if order.activity.same.shape != (network.depth,):
        expected = f"the order parameters of this network, of depth {network.depth}"
        raise ParameterError("order", expected, f"those of depth {order.activity.same.size}")
    if network.batch_norm is not None and order.sensitivity is not None:
        expected = "the order parameters of this network, whose hidden layers are batch-normalised"
        raise ParameterError("order", expected, "some with a sensitivity")
    if order.batch_norm is not None and order.batch_norm != network.batch_norm:
        expected = f"the order parameters of this network, with {network.batch_norm or 'no batch normalisation'}"
        raise ParameterError("order", expected, f"those with {order.batch_norm}")
    if samples is not None:
        if order.samples not in (None, samples):
            raise ParameterError("order", f"those of a batch of {samples:g} samples", f"those of {order.samples:g}")
        same, cross = float(order.activity.same[0]), float(order.activity.cross[0])
        least = -same / (samples - 1) if samples > 1 else -same
        if cross < least * (1 + 1e-12):
            expected = f"such that {samples:g} samples can have them: cross >= {least:.6g}"
            raise ParameterError("inputs", expected, f"{cross:.6g}")
    return order


def _propagate_batch_norm(
    network: Network, inputs: GaussianPair, samples: float | None, method: Method
) -> OrderParameters:
    if samples is None:
        raise ParameterError("samples", "given (T) with batch normalisation in the hidden layers", "None")
    if inputs.variance == inputs.covariance:
        raise ParameterError("inputs", "two that differ: batch normalisation divides by their spread", inputs)
    settings, normalised = network.batch_norm, network.batch_norm_layers
    qhat, q = np.empty((network.depth, 2)), np.empty((network.depth, 2))
    qhat[0] = inputs.variance, inputs.covariance
    epsilon = 0.0 if settings is None else settings.epsilon
    known: dict[tuple[Activation, float], Pair[float]] = {}
    for l, phi in enumerate(network.normalized_activations):
        q[l] = network.weight_variance[l] * qhat[l] + network.bias_variance[l]
        if l + 1 not in normalised:
            qhat[l + 1] = _integrals(phi.value, q[l], method, f"{phi.name}, layer {l + 1}")
            continue
        if l:
            _require_spread(Pair(*qhat[l].tolist()), l + 1, behind=network.normalized_activations[l - 1])
        # without epsilon the variance below does not enter
        variance = network.weight_variance[l] * float(qhat[l, 0] - qhat[l, 1]) if epsilon else 0.0
        if (phi, variance) not in known:
            known[phi, variance] = (
                batch_norm_averages(phi, samples=samples, epsilon=epsilon, variance=variance).activity
                if epsilon
                else batch_norm_parameters(phi, samples=samples)
            )
        qhat[l + 1] = known[phi, variance]
    q[-1] = network.weight_variance[-1] * qhat[-1] + network.bias_variance[-1]
    order = OrderParameters(Pair(*qhat.T), Pair(*q.T), None, samples=samples, batch_norm=settings)
    return require_order(network, order, samples=samples)


def _require_spread(qhat: Pair[float], layer: int, *, behind: Activation) -> None:
    """Refuse a batch-normalised layer below which all samples look alike."""
    if qhat.same - qhat.cross <= ALIKE * qhat.same:
        raise AssumptionError(
            f"batch normalisation divides by the spread of a batch, and hidden layer {layer} has none to divide by: "
            f"behind {behind.name} in layer {layer - 1} all samples look alike, qhat_t - qhat_st = "
            f"{qhat.same - qhat.cross:.1e} where qhat_t = {qhat.same:.1e}"
        )


def _integrals(f: ScalarFunction, q: NDArray[np.float64], method: Method, where: str) -> NDArray[np.float64]:
    """Return E f(u)^2 and I_f[q_t, q_st], shape (.., 2), for every row (q_t, q_st): of phi in (5), of phi' in (7)."""
    q_t, q_st = q.T.tolist()
    try:
        return np.stack([second_moment(f, q_t, method=method), overlap(f, q_t, q_st, method=method)], axis=-1)
    except (QuadratureError, ParameterError) as error:
        variances, covariances = (", ".join(map("{:.6g}".format, np.ravel(values))) for values in (q_t, q_st))
        hint = (
            ". mf.log_kappas and mf.log_statistics go on with logarithms" if isinstance(error, ParameterError) else ""
        )
        raise QuadratureError(
            f"{where}, at variance {variances} and covariance {covariances}: {error}{hint}"
        ) from error
