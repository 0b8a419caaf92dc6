"""The hyperbolic tangent and the logistic function: smooth, with means known by symmetry and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array
from . import precise


def _tanh_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.tanh(u)
    return np.asarray((1 - t) * (1 + t))


def _sigmoid(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u))


def _sigmoid_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u) * special.expit(-u))


def _sigmoid_mean(variance: Array) -> Array:
    return np.full_like(variance, 0.5)


tanh = Activation(
    "tanh",
    ScalarFunction(np.tanh, strip=1.4, parity=Parity.ODD, precise=precise.tanh),
    ScalarFunction(_tanh_slope, strip=1.4, parity=Parity.EVEN, nonnegative=True, precise=precise.tanh_slope),
)
"""The hyperbolic tangent."""

sigmoid = Activation(
    "sigmoid",
    ScalarFunction(
        _sigmoid,
        closed_form=ClosedForm("1/2 plus an odd function", mean=_sigmoid_mean),
        strip=2.8,
        nonnegative=True,
        precise=precise.sigmoid,
    ),
    ScalarFunction(_sigmoid_slope, strip=2.8, parity=Parity.EVEN, nonnegative=True, precise=precise.sigmoid_slope),
)
"""The logistic function 1/(1 + exp(-u))."""
