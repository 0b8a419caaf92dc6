"""The order parameters of a finite network, averaged over its samples, pairs of samples and outputs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from meanfield import OrderParameters, Pair, ParameterError

from .propagate import Sweep


def measure_order_parameters(sweep: Sweep) -> OrderParameters:
    """Measure qhat^l and q^l (mean squares and overlaps per unit) and qtilde^l (sums over units).

    Parameters
    ----------
    sweep : Sweep
        Of at least 2 samples.

    Returns
    -------
    OrderParameters
        The record that the theory fills: ``same`` averages over samples, ``cross`` over all pairs of different ones,
        the sensitivity also over the outputs.

    Equations: (S.4)

    Examples
    --------
    >>> import meanfield as mf
    >>> from montecarlo import propagate, sample_inputs, sample_network
    >>> network, rng = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0), np.random.default_rng(0)
    >>> inputs = sample_inputs(network, width=1000, samples=10, rng=rng)
    >>> order = measure_order_parameters(propagate(sample_network(network, width=1000, rng=rng), inputs))
    >>> bool(abs(order.sensitivity.same[0] - 1) < 0.3)
    True
    """
    if sweep.samples < 2:
        raise ParameterError("samples", "at least 2 to measure an overlap", sweep.samples)
    return OrderParameters(
        activity=_stack(_average_products(h) for h in sweep.h),
        preactivation=_stack(_average_products(u) for u in sweep.u),
        sensitivity=_stack(
            Pair(*(delta.shape[-1] * product for product in _average_products(delta))) for delta in sweep.delta
        ),
    )


def _average_products(x: NDArray[np.float64]) -> Pair[float]:
    """Return the averages of x_i(t)^2 and of x_i(s) x_i(t), s != t; samples are the last axis but one."""
    samples = x.shape[-2]
    squares = float(np.mean(np.square(x)))
    square_of_mean = float(np.mean(np.square(x.mean(axis=-2))))
    return Pair(squares, (samples * square_of_mean - squares) / (samples - 1))


def _stack(layers: Iterable[Pair[float]]) -> Pair[NDArray[np.float64]]:
    same, cross = zip(*layers, strict=True)
    return Pair(np.array(same), np.array(cross))
