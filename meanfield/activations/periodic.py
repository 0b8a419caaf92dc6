"""Sine and cosine: the characteristic function of the Gaussian, its hyperbolic functions taken apart for overflow.

E sin u sin v = exp(-(Var u + Var v)/2) sinh(E uv),    E cos u cos v = exp(-(Var u + Var v)/2) cosh(E uv).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array, GaussianPair
from ..special import gap
from . import precise

_STRIP = 2.5
"""They are entire; at this distance they have grown to exp(6)/2 = 200."""


def _sine_mean(variance: Array) -> Array:
    return np.zeros_like(variance)


def _sine_second_moment(variance: Array) -> Array:
    return np.asarray(-np.expm1(-2 * variance) / 2)


def _sine_overlap(pair: GaussianPair) -> Array:
    b = pair.covariance
    return np.asarray(np.sign(b) * np.exp(-gap(pair) / 2) * -np.expm1(-2 * np.abs(b)) / 2)


def _cosine_mean(variance: Array) -> Array:
    return np.exp(-variance / 2)


def _cosine_second_moment(variance: Array) -> Array:
    return np.asarray((1 + np.exp(-2 * variance)) / 2)


def _cosine_overlap(pair: GaussianPair) -> Array:
    return np.asarray(np.exp(-gap(pair) / 2) * (1 + np.exp(-2 * np.abs(pair.covariance))) / 2)


def _minus_sine(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.sin(u)


_SOURCE = "characteristic function of the Gaussian"
_SINE = ClosedForm(_SOURCE, mean=_sine_mean, second_moment=_sine_second_moment, overlap=_sine_overlap)
_COSINE = ClosedForm(_SOURCE, mean=_cosine_mean, second_moment=_cosine_second_moment, overlap=_cosine_overlap)
_EVEN = ScalarFunction(np.cos, closed_form=_COSINE, strip=_STRIP, parity=Parity.EVEN, precise=precise.cosine)

sine = Activation(
    "sine", ScalarFunction(np.sin, closed_form=_SINE, strip=_STRIP, parity=Parity.ODD, precise=precise.sine), _EVEN
)
"""sin(u)."""

cosine = Activation(
    "cosine",
    _EVEN,
    ScalarFunction(_minus_sine, closed_form=_SINE, strip=_STRIP, parity=Parity.ODD, precise=precise.cosine_slope),
)
"""cos(u)."""
