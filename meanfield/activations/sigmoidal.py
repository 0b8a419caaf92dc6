"""The hyperbolic tangent and the logistic function: smooth, with means known by symmetry and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, ScalarFunction


def _tanh_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.tanh(u)
    return np.asarray((1 - t) * (1 + t))


def _tanh_mean(variance: float) -> float:
    return 0.0


def _sigmoid(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u))


def _sigmoid_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u) * special.expit(-u))


def _sigmoid_mean(variance: float) -> float:
    return 0.5


tanh = Activation(
    "tanh",
    ScalarFunction(np.tanh, closed_form=ClosedForm("odd function", mean=_tanh_mean)),
    ScalarFunction(_tanh_slope),
)
"""The hyperbolic tangent."""

sigmoid = Activation(
    "sigmoid",
    ScalarFunction(_sigmoid, closed_form=ClosedForm("1/2 plus an odd function", mean=_sigmoid_mean)),
    ScalarFunction(_sigmoid_slope),
)
"""The logistic function 1/(1 + exp(-u))."""
