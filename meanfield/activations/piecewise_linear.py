"""Activations that are linear on either side of zero: relu, leaky relu, the identity, the absolute value.

With slope p for u > 0 and n for u < 0, phi(u) = p u_+ - n u_-, and every integral follows from the arc-cosine kernels
of degree 0 and 1 (Cho and Saul, "Kernel methods for deep learning", NeurIPS 2009): with theta the angle of the pair,

    E u_+ v_+       = (sqrt(det) + (pi - theta) E uv) / (2 pi),
    P(u > 0, v > 0) = (pi - theta) / (2 pi).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, require_number
from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array, GaussianPair
from . import precise


@dataclass(frozen=True)
class _Ramp:
    """p u for u > 0, n u for u < 0."""

    p: float
    n: float

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.n == 0:  # several times faster than a choice entry by entry
            above = np.clip(u, 0.0, np.inf)
            return np.asarray(self.p * above if self.p != 1 else above)
        return u * np.where(u > 0, self.p, self.n)

    def mean(self, variance: Array) -> Array:
        return (self.p - self.n) * np.sqrt(variance / (2 * math.pi))

    def second_moment(self, variance: Array) -> Array:
        return (self.p**2 + self.n**2) / 2 * variance

    def overlap(self, pair: GaussianPair) -> Array:
        # (p^2 + n^2) E u_+ v_+ - 2 p n E u_+ v_-, with E u_+ v_- = (root - theta b) / (2 pi) and E uv = b the rest
        bent = (self.p - self.n) ** 2 / (2 * math.pi)
        straight = (self.p**2 + self.n**2) / 2
        return np.asarray(bent * (pair.root - pair.angle * pair.covariance) + straight * pair.covariance)


@dataclass(frozen=True)
class _Step:
    """The slope of the ramp: p for u > 0, n for u <= 0. Its integrals at variance 0 are those of a small variance."""

    p: float
    n: float

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        above = u > 0
        if self.n == 0:
            ones = above.astype(np.float64)
            return np.asarray(self.p * ones if self.p != 1 else ones)
        return np.asarray(np.where(above, self.p, self.n))

    def mean(self, variance: Array) -> Array:
        return np.full_like(variance, (self.p + self.n) / 2)

    def second_moment(self, variance: Array) -> Array:
        return np.full_like(variance, (self.p**2 + self.n**2) / 2)

    def overlap(self, pair: GaussianPair) -> Array:
        # (p^2 + n^2) P(u > 0, v > 0) + 2 p n P(u > 0, v < 0), and P(u > 0, v < 0) = theta / (2 pi)
        return np.asarray((self.p**2 + self.n**2) / 2 - (self.p - self.n) ** 2 / (2 * math.pi) * pair.angle)


def _closed_form(f: _Ramp | _Step) -> ClosedForm:
    source = "arc-cosine kernels, Cho and Saul (2009)"
    return ClosedForm(source, mean=f.mean, second_moment=f.second_moment, overlap=f.overlap)


def _piecewise_linear(name: str, *, positive: float, negative: float) -> Activation:
    ramp, step = _Ramp(positive, negative), _Step(positive, negative)
    broken = (0.0,) if positive != negative else ()
    parity = {negative: Parity.ODD, -negative: Parity.EVEN}.get(positive)
    return Activation(
        name,
        ScalarFunction(
            ramp,
            kinks=broken,
            closed_form=_closed_form(ramp),
            parity=parity,
            nonnegative=positive >= 0 >= negative,
            precise=precise.Ramp(positive, negative),
        ),
        ScalarFunction(
            step,
            jumps=broken,
            closed_form=_closed_form(step),
            # at 0 the slope of the absolute value is not odd
            parity=Parity.EVEN if parity is Parity.ODD else None,
            nonnegative=min(positive, negative) >= 0,
            precise=precise.Step(positive, negative),
        ),
    )


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
        At most 1e100 in absolute value; 0 gives relu, 1 the identity, -1 the absolute value.

    Returns
    -------
    Activation
        Equal to any other with the same slope.

    Examples
    --------
    >>> leaky_relu(0.1)([-2.0, 2.0])
    array([-0.2,  2. ])
    """
    slope = require_number("slope", slope)
    if abs(slope) > 1e100:
        raise ParameterError("slope", "at most 1e100 in absolute value", slope)
    return _piecewise_linear(f"leaky_relu({slope!r})", positive=1.0, negative=slope)
