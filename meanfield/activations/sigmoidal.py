"""The hyperbolic tangent, the logistic function and what is made of it: smooth, with means known by symmetry only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array
from . import precise


def _tanh_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-2 * np.abs(u))  # 1 - tanh^2 would lose the tails
    square = 1 + e
    square *= square
    e *= 4
    e /= square
    return np.asarray(e)


def _sigmoid(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u))


def _sigmoid_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u) * special.expit(-u))


def _sigmoid_mean(variance: Array) -> Array:
    return np.full_like(variance, 0.5)


def _silu(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(u * special.expit(u))


def _silu_slope(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(special.expit(u) * (1 + u * special.expit(-u)))


def _softplus(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.logaddexp(0.0, u)


_HALF = ClosedForm("1/2 plus an odd function", mean=_sigmoid_mean)

tanh = Activation(
    "tanh",
    ScalarFunction(np.tanh, strip=1.3, parity=Parity.ODD, precise=precise.tanh),
    ScalarFunction(_tanh_slope, strip=1.15, parity=Parity.EVEN, nonnegative=True, precise=precise.tanh_slope),
)
"""The hyperbolic tangent."""

sigmoid = Activation(
    "sigmoid",
    ScalarFunction(_sigmoid, closed_form=_HALF, strip=2.6, nonnegative=True, precise=precise.sigmoid),
    ScalarFunction(_sigmoid_slope, strip=2.3, parity=Parity.EVEN, nonnegative=True, precise=precise.sigmoid_slope),
)
"""The logistic function 1/(1 + exp(-u))."""

silu = Activation(
    "silu",
    ScalarFunction(_silu, strip=2.4, precise=precise.silu),
    ScalarFunction(_silu_slope, closed_form=_HALF, strip=2.2, precise=precise.silu_slope),
)
"""The sigmoid linear unit u/(1 + exp(-u)), also called swish."""

softplus = Activation(
    "softplus", ScalarFunction(_softplus, strip=2.8, nonnegative=True, precise=precise.softplus), sigmoid.value
)
"""log(1 + exp(u))."""
