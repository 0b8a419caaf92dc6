"""Variances, covariances and shifts of the order parameters of finite networks, measured, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield import OrderParameters, Pair, ParameterError
from meanfield import propagate as infinite_width
from meanfield.errors import require_instance

from .order_parameter_sampler import OrderParameterDraws

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredFluctuations:
    """What ``meanfield.fluctuations`` predicts, measured: each record with that of its standard errors."""

    variance: OrderParameters
    """M Var of one sample, and of one pair of samples."""
    between: OrderParameters
    """M Cov of two samples, and of two disjoint pairs."""
    bias: OrderParameters
    """M times the mean deviation from infinite width."""
    variance_error: OrderParameters
    between_error: OrderParameters
    bias_error: OrderParameters


def measure_fluctuations(drawn: OrderParameterDraws) -> MeasuredFluctuations:
    """Measure width x variance, covariance of disjoint pairs and shift of every order parameter.

    Parameters
    ----------
    drawn : OrderParameterDraws
        Of at least 4 samples, the sensitivity of the first output.

    Returns
    -------
    MeasuredFluctuations
        All patterns of samples are averaged over; errors are those of means over independent networks.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> drawn = mc.sample_order_parameters(network, width=200, samples=4, draws=2000, rng=np.random.default_rng(0))
    >>> measured = measure_fluctuations(drawn)
    >>> excess = measured.variance.sensitivity.cross[0] - mf.fluctuations(network).variance.sensitivity.cross[0]
    >>> bool(abs(excess) < 4 * measured.variance_error.sensitivity.cross[0])
    True
    """
    require_instance("drawn", drawn, OrderParameterDraws)
    samples = drawn.activity.shape[2]
    if samples < 4:
        raise ParameterError("samples", "at least 4, for two disjoint pairs", samples)
    theory = infinite_width(drawn.network, inputs=drawn.inputs)
    values = (drawn.activity, drawn.preactivation, drawn.sensitivity[:, :, 0, 0])
    limits = (theory.activity, theory.preactivation, theory.backward)
    # axes: value or error; variance, between or bias; same or cross; kind; layer
    table = np.array([_of_kind(*one, drawn.width) for one in zip(values, limits, strict=True)]).transpose(3, 2, 4, 0, 1)

    def record(part: Array) -> OrderParameters:
        same, cross = part
        return OrderParameters(*(Pair(same[kind], cross[kind]) for kind in range(len(values))))

    (variance, between, bias), errors = ([record(part) for part in parts] for parts in table)
    return MeasuredFluctuations(variance, between, bias, *errors)


def _of_kind(values: Array, limit: Pair[Array], width: int) -> Array:
    """Return variance, between and bias of every layer, shape (L, 3, 2, 2): value or error, same or cross."""
    samples = values.shape[-1]
    result = []
    for layer in range(values.shape[1]):
        own = np.diagonal(values[:, layer], axis1=1, axis2=2) - limit.same[layer]
        pairs = values[:, layer] - limit.cross[layer]
        pairs[:, np.arange(samples), np.arange(samples)] = 0
        total, square = own.sum(axis=1), np.sum(own**2, axis=1)
        all_pairs, squares = pairs.sum(axis=(1, 2)), np.sum(pairs**2, axis=(1, 2))
        rows = np.sum(pairs.sum(axis=2) ** 2, axis=1)
        number, disjoint = math.perm(samples, 2), math.perm(samples, 4)
        same = total / samples, square / samples, (total**2 - square) / number
        cross = all_pairs / number, squares / number, (all_pairs**2 - 4 * rows + 2 * squares) / disjoint
        result.append(np.stack([_moments(*one, width) for one in (same, cross)], axis=-1))
    return np.array(result)


def _moments(deviation: Array, square: Array, product: Array, width: int) -> Array:
    """Return variance, covariance and shift with their errors, shape (3, 2), from one value for every network."""
    mean = float(deviation.mean())
    # less the square of the mean, whose own error enters to first order
    columns = (square - mean * (2 * deviation - mean), product - mean * (2 * deviation - mean), deviation)
    root = math.sqrt(deviation.size)
    return width * np.array([[column.mean(), column.std() / root] for column in columns])
