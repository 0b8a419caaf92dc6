"""A control variate: what makes networks differ, and is known of each of them, is taken out of a mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import ParameterError
from meanfield.errors import require_instance, require_real

from .ensemble import Ensemble, stream
from .network import sample_network
from .problem import Problem


@dataclass(frozen=True)
class ControlledMean:
    """The mean of a quantity over networks, at the mean of a control variate that is known."""

    mean: float
    standard_error: float
    correlation: float
    """Of the quantity with the control variate; the variance of the mean is 1 - correlation^2 of that without it."""


def controlled_mean(values: ArrayLike, controls: ArrayLike, *, expected: float = 1.0) -> ControlledMean:
    """Estimate a mean by a straight line through (control, value), at the control's expectation.

    Parameters
    ----------
    values, controls : array of shape (N,)
        Of N networks, 4 at least.
    expected : float
        The expectation of the control variate.

    Returns
    -------
    ControlledMean
        Unbiased where the dependence is a straight line, else to O(1/N). The standard error is that of the line,
        with N - 2 degrees of freedom.

    Raises
    ------
    ParameterError
        For arrays of other shapes, fewer than 4 networks, or controls that are all the same.

    Examples
    --------
    >>> controls = [0.9, 1.0, 1.1, 1.3]
    >>> estimate = controlled_mean([1.9, 2.0, 2.1, 2.3], controls)
    >>> round(estimate.mean, 12), estimate.standard_error < 1e-12, round(estimate.correlation, 12)
    (2.0, True, 1.0)
    """
    y, x = require_real("values", values), require_real("controls", controls)
    if y.ndim != 1 or y.shape != x.shape or y.size < 4:
        expected_shape = "of the shape of the controls, (N,), N at least 4"
        raise ParameterError("values", expected_shape, f"shapes {y.shape} and {x.shape}")
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread == 0:
        raise ParameterError("controls", "different from each other", "all the same")
    slope = float(dx @ dy) / spread
    beside = expected - float(x.mean())
    residual = dy - slope * dx
    variance = float(residual @ residual) / (y.size - 2)
    variation = float(dy @ dy)
    return ControlledMean(
        mean=float(y.mean()) + slope * beside,
        standard_error=math.sqrt(variance * (1 / y.size + beside**2 / spread)),
        correlation=float(dx @ dy) / math.sqrt(spread * variation) if variation else 0.0,
    )


def readout_norms(ensemble: Ensemble[Any]) -> NDArray[np.float64]:
    """Return |W^L|^2 over its expectation C s_w^2, for every network of an ensemble.

    Gradients of all layers but the last are proportional to the readout weights: so is much of what makes the
    eigenvalues of one network larger than those of another, by sqrt(2/(C M)).

    Parameters
    ----------
    ensemble : Ensemble
        From :func:`run_ensemble`, of one of the experiments here. The weights are drawn again from the seeds of the
        members; nothing is propagated.

    Returns
    -------
    array of shape (members,)
        Of mean 1 and variance 2/(C M_{L-1}) over networks, exact.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=100, samples=10), members=20, seed=0)
    >>> norms = mc.readout_norms(ensemble)
    >>> round(float(norms.mean()), 2), round(float(norms.std()), 2)
    (0.94, 0.16)
    """
    require_instance("ensemble", ensemble, Ensemble)
    problem: Any = ensemble.experiment
    if not isinstance(problem, Problem):
        raise ParameterError("ensemble", "of an experiment with a network and a width", problem)
    streams = (stream(ensemble.seed, member) for member in range(len(ensemble.members)))
    return np.array([_readout_norm(problem, np.random.default_rng(one)) for one in streams])


def _readout_norm(problem: Problem, rng: np.random.Generator) -> float:
    readout = sample_network(problem.network, width=problem.width, rng=rng).weights[-1]
    return float(np.sum(readout**2)) / (problem.network.outputs * problem.network.weight_variance[-1])
