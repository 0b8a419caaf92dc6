"""A function of an affine function of its argument, f(scale u + shift), with all that is known of f."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .functions import Activation, ClosedForm, ScalarFunction, Terms
from .gaussian import Array, GaussianPair


def affine(phi: Activation, *, scale: float, shift: float = 0.0) -> Activation:
    """Return phi(scale u + shift), whose slope is scale phi'(scale u + shift).

    Parameters
    ----------
    phi : Activation
    scale : float
        Not 0.
    shift : float
        With one that is not 0 no closed form is known any more, and no parity.

    Examples
    --------
    >>> import meanfield as mf
    >>> phi = affine(mf.relu, scale=2.0, shift=-1.0)
    >>> phi, phi.value.kinks, float(phi(3.0)), float(phi.slope(3.0))
    (Activation(relu(2 u - 1)), (0.5,), 5.0, 2.0)
    """
    if scale == 1 and shift == 0:
        return phi
    argument = {1.0: "u", -1.0: "-u"}.get(scale, f"{scale:.6g} u")
    if shift:
        argument += f" {'-' if shift < 0 else '+'} {abs(shift):.6g}"
    value, slope = _composed(phi.value, scale, shift, 1.0), _composed(phi.slope, scale, shift, scale)
    return Activation(f"{phi.name}({argument})", value, slope)


def _composed(f: ScalarFunction, scale: float, shift: float, factor: float) -> ScalarFunction:
    """Return factor f(scale u + shift)."""
    return ScalarFunction(
        _Affine(f, scale, shift, factor),
        kinks=[(place - shift) / scale for place in f.kinks],
        jumps=[(place - shift) / scale for place in f.jumps],
        closed_form=None if shift or f.closed_form is None else _closed_form(f.closed_form, scale**2, factor),
        strip=None if f.strip is None else f.strip / abs(scale),
        scale=None if f.scale is None else f.scale / abs(scale),
        parity=None if shift else f.parity,
        nonnegative=f.nonnegative and factor > 0,
        noise=f.noise,
        precise=None if f.precise is None else _Affine(f.precise, scale, shift, factor),
    )


@dataclass(frozen=True)
class _Affine:
    """factor f(scale u + shift), for arrays and for numbers of mpmath."""

    f: Callable[[Any], Any]
    scale: float
    shift: float
    factor: float

    def __call__(self, u: Any) -> Any:
        return self.f(u * self.scale + self.shift) * self.factor


@dataclass(frozen=True)
class _OfVariance:
    """The integral of factor f(scale u) at a variance, from that of f."""

    integral: Callable[[Array], Terms]
    square: float
    factor: float

    def __call__(self, variance: Array) -> Terms:
        return _times(self.integral(variance * self.square), self.factor)


@dataclass(frozen=True)
class _OfPair:
    """The overlap of factor f(scale u), from that of f."""

    integral: Callable[[GaussianPair], Terms]
    square: float
    factor: float

    def __call__(self, pair: GaussianPair) -> Terms:
        scaled = (x * self.square for x in (pair.variance, pair.other_variance, pair.covariance))
        return _times(self.integral(GaussianPair(*scaled)), self.factor)


def _closed_form(known: ClosedForm, square: float, factor: float) -> ClosedForm:
    return ClosedForm(
        known.source,
        mean=known.mean and _OfVariance(known.mean, square, factor),
        second_moment=known.second_moment and _OfVariance(known.second_moment, square, factor**2),
        overlap=known.overlap and _OfPair(known.overlap, square, factor**2),
    )


def _times(terms: Terms, factor: float) -> Terms:
    if isinstance(terms, tuple):
        return tuple(term * factor for term in terms)
    return np.asarray(terms * factor)
