"""Powers and Hermite polynomials: sums over the ways to pair factors (Isserlis; Wick).

In E u^n v^n, j pairs join a u to a v and the rest join u to u and v to v; there are (m - 1)!! ways to pair m of a kind:

    E u^n v^n = sum over j = n, n - 2, ... of j! binomial(n, j)^2 (n - j - 1)!!^2 (Var u Var v)^((n - j)/2) (E uv)^j.

The generating function exp(t u - t^2/2) shows that for He_n(u) He_n(v) the same holds with Var u - 1 and Var v - 1: at
unit variance no pairs within He_n are left, and it is n! (E uv)^n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..errors import ParameterError, require_integer
from ..functions import Activation, ClosedForm, Parity, ScalarFunction
from ..gaussian import Array, GaussianPair
from . import precise

_HIGHEST = 20
"""The rounding of Var u - 1 is repeated in its powers: up to here the error estimates of closed forms cover it."""


@dataclass(frozen=True)
class _Polynomial:
    """factor u^degree, whose contractions are Var u; or factor He_degree(u), whose contractions are Var u - 1."""

    degree: int
    factor: float
    hermite: bool

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore", invalid="ignore"):
            power = special.eval_hermitenorm(self.degree, u) if self.hermite else u**self.degree
            return np.asarray(self.factor * power)

    def mean(self, variance: Array) -> Array:
        if self.degree % 2:
            return np.zeros_like(variance)
        with np.errstate(over="ignore"):
            return np.asarray(self.factor * _pairings(self.degree) * (variance - self.hermite) ** (self.degree // 2))

    def second_moment(self, variance: Array) -> tuple[Array, ...]:
        return self._sum(variance - self.hermite, variance - self.hermite, variance)

    def overlap(self, pair: GaussianPair) -> tuple[Array, ...]:
        return self._sum(pair.variance - self.hermite, pair.other_variance - self.hermite, pair.covariance)

    def _sum(self, within: Array, other_within: Array, across: Array) -> tuple[Array, ...]:
        n = self.degree
        with np.errstate(over="ignore", invalid="ignore"):
            return tuple(
                self.factor**2
                * (math.factorial(j) * math.comb(n, j) ** 2 * _pairings(n - j) ** 2)
                * (within ** ((n - j) // 2) * other_within ** ((n - j) // 2))
                * across**j
                for j in range(n % 2, n + 1, 2)
            )


def _pairings(m: int) -> int:
    """Return (m - 1)!!, the number of ways to pair m things."""
    return math.prod(range(1, m, 2))


def _function(degree: int, factor: float, *, hermite: bool) -> ScalarFunction:
    f = _Polynomial(degree, factor, hermite)
    return ScalarFunction(
        f,
        closed_form=ClosedForm("Isserlis' theorem", mean=f.mean, second_moment=f.second_moment, overlap=f.overlap),
        # entire, and against a Gaussian like a wave of frequency sqrt(degree)
        strip=6 / math.sqrt(max(degree, 1)),
        parity=Parity.ODD if degree % 2 else Parity.EVEN,
        nonnegative=degree == 0 or (degree % 2 == 0 and not hermite),
        precise=(precise.Hermite if hermite else precise.Monomial)(degree, factor),
    )


def _polynomial(name: str, degree: int, *, hermite: bool) -> Activation:
    degree = require_integer("degree", degree, at_least=1)
    if degree > _HIGHEST:
        raise ParameterError("degree", f"at most {_HIGHEST}", degree)
    # either family is closed under derivatives: He_n' = n He_(n-1)
    value = _function(degree, 1.0, hermite=hermite)
    return Activation(f"{name}({degree})", value, _function(degree - 1, float(degree), hermite=hermite))


def monomial(degree: int) -> Activation:
    """Return the activation u^degree.

    Parameters
    ----------
    degree : int
        From 1, which is the identity, to 20.

    Returns
    -------
    Activation
        Equal to any other of the same degree.

    Examples
    --------
    >>> monomial(3)([-2.0, 2.0])
    array([-8.,  8.])
    >>> monomial(2).value.closed_form.mean(np.array([3.0]))
    array([3.])
    """
    return _polynomial("monomial", degree, hermite=False)


def hermite(degree: int) -> Activation:
    """Return the activation He_degree(u), the probabilists' Hermite polynomial of the pre-activation as it is.

    Parameters
    ----------
    degree : int
        From 1, which is the identity, to 20.

    Returns
    -------
    Activation
        Equal to any other of the same degree. Those of different degree are orthogonal at unit variance only.

    Examples
    --------
    >>> hermite(2)([0.0, 2.0])  # u^2 - 1
    array([-1.,  3.])
    """
    return _polynomial("hermite", degree, hermite=True)
