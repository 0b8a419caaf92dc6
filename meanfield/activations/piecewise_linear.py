"""Activations that are linear on either side of zero: relu, leaky relu, the identity, the absolute value.

With slope p for u > 0 and n for u < 0, phi(u) = p u_+ - n u_-, and every integral follows from the arc-cosine kernels
of degree 0 and 1 (Cho and Saul, "Kernel methods for deep learning", NeurIPS 2009): with theta the angle of the pair,

    E u_+ v_+       = (sqrt(det) + (pi - theta) E uv) / (2 pi),
    P(u > 0, v > 0) = (pi - theta) / (2 pi).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import require_number
from ..functions import Activation, ClosedForm, ScalarFunction
from ..gaussian import GaussianPair

_ARC_COSINE = "arc-cosine kernels, Cho and Saul (2009)"


def _ramp(u: NDArray[np.float64], positive: float, negative: float) -> NDArray[np.float64]:
    return u * np.where(u > 0, positive, negative)


def _ramp_mean(variance: float, positive: float, negative: float) -> float:
    return (positive - negative) * math.sqrt(variance / (2 * math.pi))


def _ramp_second_moment(variance: float, positive: float, negative: float) -> float:
    return (positive**2 + negative**2) / 2 * variance


def _ramp_overlap(pair: GaussianPair, positive: float, negative: float) -> float:
    theta, root, b = pair.angle, math.sqrt(pair.determinant), pair.covariance
    same_sign = (root + (math.pi - theta) * b) / (2 * math.pi)  # E u_+ v_+ = E u_- v_-
    opposite_sign = (root - theta * b) / (2 * math.pi)  # E u_+ v_- = E u_- v_+
    return (positive**2 + negative**2) * same_sign - 2 * positive * negative * opposite_sign


def _step(u: NDArray[np.float64], positive: float, negative: float) -> NDArray[np.float64]:
    return np.where(u > 0, positive, negative)


def _step_mean(variance: float, positive: float, negative: float) -> float:
    return (positive + negative) / 2


def _step_second_moment(variance: float, positive: float, negative: float) -> float:
    return (positive**2 + negative**2) / 2


def _step_overlap(pair: GaussianPair, positive: float, negative: float) -> float:
    theta = pair.angle
    same_sign = (math.pi - theta) / (2 * math.pi)
    opposite_sign = theta / (2 * math.pi)
    return (positive**2 + negative**2) * same_sign + 2 * positive * negative * opposite_sign


def _piecewise_linear(name: str, *, positive: float, negative: float) -> Activation:
    broken = (0.0,) if positive != negative else ()
    value = ScalarFunction(
        partial(_ramp, positive=positive, negative=negative),
        kinks=broken,
        closed_form=ClosedForm(
            _ARC_COSINE,
            mean=partial(_ramp_mean, positive=positive, negative=negative),
            second_moment=partial(_ramp_second_moment, positive=positive, negative=negative),
            overlap=partial(_ramp_overlap, positive=positive, negative=negative),
        ),
    )
    slope = ScalarFunction(
        partial(_step, positive=positive, negative=negative),
        jumps=broken,
        closed_form=ClosedForm(
            _ARC_COSINE,
            mean=partial(_step_mean, positive=positive, negative=negative),
            second_moment=partial(_step_second_moment, positive=positive, negative=negative),
            overlap=partial(_step_overlap, positive=positive, negative=negative),
        ),
    )
    return Activation(name, value, slope)


relu = _piecewise_linear("relu", positive=1.0, negative=0.0)
"""max(u, 0)."""

identity = _piecewise_linear("identity", positive=1.0, negative=1.0)
"""u: a linear network."""

absolute = _piecewise_linear("absolute", positive=1.0, negative=-1.0)
"""abs(u)."""


def leaky_relu(slope: float) -> Activation:
    """Return the activation that is u for u > 0 and slope u for u < 0.

    Parameters
    ----------
    slope : float
        Any finite number; 0 gives relu, 1 the identity, -1 the absolute value.

    Examples
    --------
    >>> leaky_relu(0.1)([-2.0, 2.0])
    array([-0.2,  2. ])
    """
    slope = require_number("slope", slope)
    return _piecewise_linear(f"leaky_relu({slope!r})", positive=1.0, negative=slope)
