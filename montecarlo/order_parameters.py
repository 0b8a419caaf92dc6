"""The order parameters of a finite network: their means over its samples, pairs of samples and outputs, and spread."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from meanfield import HiddenNormalization, OrderParameters, Pair, ParameterError
from meanfield.errors import require_instance

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
        the sensitivity also over the outputs. With batch normalisation in the hidden layers there is no sensitivity.

    Notes
    -----
    qhat is taken of the activities, behind normalisation and activation, and q of the pre-activations before them.

    Equations: (S.4), (S.66), (S.73)

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
    _require_pairs(sweep)
    return OrderParameters(
        activity=_stack(_average_products(h) for h in sweep.h),
        preactivation=_stack(_average_products(u) for u in sweep.u),
        sensitivity=None if _is_batch(sweep) else _stack(_average_products(x, per_unit=False) for x in sweep.delta),
    )


def measure_spread(sweep: Sweep) -> OrderParameters:
    """Measure how much the order parameters of single samples, and of single pairs of samples, differ in one network.

    Parameters
    ----------
    sweep : Sweep
        Of at least 2 samples.

    Returns
    -------
    OrderParameters
        Standard deviations: ``same`` of the values of the T samples, ``cross`` of those of the T (T - 1) pairs of
        different samples, around the means that :func:`measure_order_parameters` returns; for the sensitivity the
        values of all C outputs are taken together. Accurate to rounding of the order parameters.

    Equations: (S.4), (S.66), (S.73)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network(activations=[mf.identity], width_ratios=[1, 1], weight_variance=1.0)
    >>> finite = mc.FiniteNetwork(network, [[[1.0]], [[2.0]]], [[0.0], [0.0]])
    >>> measure_spread(mc.propagate(finite, [[1.0], [3.0]])).activity.same  # of 1 and 9
    array([4., 4.])
    """
    _require_pairs(sweep)
    return OrderParameters(
        activity=_stack(_spread_of_products(h) for h in sweep.h),
        preactivation=_stack(_spread_of_products(u) for u in sweep.u),
        sensitivity=None if _is_batch(sweep) else _stack(_spread_of_products(x, per_unit=False) for x in sweep.delta),
    )


def measure_deviations(sweep: Sweep, theory: OrderParameters) -> OrderParameters:
    """Measure how far the order parameters of single samples, and of single pairs, are from the theory.

    Parameters
    ----------
    sweep : Sweep
        Of at least 2 samples.
    theory : OrderParameters
        Of the same network, from ``meanfield.propagate``.

    Returns
    -------
    OrderParameters
        Root mean squares: ``same`` over the T samples, ``cross`` over the T (T - 1) pairs of different samples, for the
        sensitivity over the outputs as well. Accurate to rounding of the order parameters.

    Equations: (S.4), (S.5)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network(activations=[mf.identity], width_ratios=[1, 1], weight_variance=1.0)
    >>> finite = mc.FiniteNetwork(network, [[[1.0]], [[2.0]]], [[0.0], [0.0]])
    >>> sweep = mc.propagate(finite, [[1.0], [3.0]])
    >>> measure_deviations(sweep, mf.propagate(network)).activity.cross  # of 3 from 0
    array([3., 3.])
    """
    require_instance("theory", theory, OrderParameters)
    average, spread = measure_order_parameters(sweep), measure_spread(sweep)
    return OrderParameters(
        activity=_rms(average.activity, spread.activity, theory.activity),
        preactivation=_rms(average.preactivation, spread.preactivation, theory.preactivation),
        sensitivity=None if _is_batch(sweep) else _rms(average.backward, spread.backward, theory.backward),
    )


def _rms(
    average: Pair[NDArray[np.float64]], spread: Pair[NDArray[np.float64]], theory: Pair[NDArray[np.float64]]
) -> Pair[NDArray[np.float64]]:
    """Return the root mean square about the theory, from average and standard deviation."""
    return Pair(*(np.hypot(a - t, s) for a, s, t in zip(average, spread, theory, strict=True)))


def _require_pairs(sweep: Sweep) -> None:
    require_instance("sweep", sweep, Sweep)
    if sweep.samples < 2:
        raise ParameterError("samples", "at least 2 to measure an overlap", sweep.samples)


def _is_batch(sweep: Sweep) -> bool:
    return sweep.finite_network.network.hidden_normalization is HiddenNormalization.BATCH


def _average_products(x: NDArray[np.float64], *, per_unit: bool = True) -> Pair[float]:
    """Return the averages of x(t) . x(t) and of x(s) . x(t), s != t; samples are the last axis but one."""
    samples, units = x.shape[-2:]
    factor = 1 if per_unit else units
    # in float64, whatever x is: squares of 1e-20 would vanish in float32
    squares = factor * float(np.mean(np.square(x, dtype=np.float64)))
    square_of_mean = factor * float(np.mean(np.square(x.mean(axis=-2, dtype=np.float64))))
    return Pair(squares, (samples * square_of_mean - squares) / (samples - 1))


def _spread_of_products(x: NDArray[np.float64], *, per_unit: bool = True) -> Pair[float]:
    """Return the standard deviations of x(t) . x(t) and of x(s) . x(t), s != t."""
    samples, units = x.shape[-2:]
    same, cross = [], []
    different = ~np.eye(samples, dtype=bool)
    for output in x.reshape(-1, samples, units):
        output = output.astype(np.float64, copy=False)
        products = output @ output.T / (units if per_unit else 1)
        same.append(np.diagonal(products))
        cross.append(products[different])
    return Pair(float(np.std(same)), float(np.std(cross)))


def _stack(layers: Iterable[Pair[float]]) -> Pair[NDArray[np.float64]]:
    with np.errstate(over="ignore", invalid="ignore"):
        same, cross = (np.array(values) for values in zip(*layers, strict=True))
    if not (np.isfinite(same).all() and np.isfinite(cross).all()):
        raise ArithmeticError("order parameters are not finite: the network or its inputs are too large")
    return Pair(same, cross)
