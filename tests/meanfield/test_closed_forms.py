"""Closed forms are right to within their error estimates, for every size of variance and every correlation.

The routes are independent of the formulas: conditional expectations and one integral (``conditional.py``), recursion in
exact arithmetic for polynomials, direct formulas at 60 digits where nothing else is left to compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from itertools import product
from typing import Any

import conditional
import numpy as np
import pytest
import sympy
from mpmath import mp, mpf
from problems import ALL_ACTIVATIONS
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf

VARIANCES = [0, 1e-8, 1e-4, 0.01, 0.3, 1, 2, 10, 100, 1e4, 1e6]
CORRELATIONS = [-1, -1 + 1e-9, -0.95, -0.3, 0, 0.1, 0.7, 0.99, 0.9999, 1 - 1e-9, 1 - 1e-12, 1]
EQUAL = [mf.GaussianPair(float(a), float(a), float(c * a)) for a, c in product(VARIANCES, CORRELATIONS)]
UNEQUAL = [
    mf.GaussianPair(a, ratio * a, c * math.sqrt(a) * math.sqrt(ratio * a))
    for a, c, ratio in product((1e-4, 0.3, 2.0, 1e3), (-1, -0.95, -0.3, 0.7, 0.9999, 1 - 1e-9, 1), (3.7, 4.0, 1e-3))
]
PAIRS = EQUAL + UNEQUAL
ENOUGH = 1e-13
"""Relative to the scale: with an error estimate above, the automatic choice leaves an integral to another method."""

Overlap = Callable[[mf.GaussianPair], Any]
Real = Any  # mpmath has no types

EXACT = mf.Exact(tolerance=1.0)
"""Formulas are looked at also where they are left for cancellation: there their estimates must say so."""


def left(name: str, pair: mf.GaussianPair) -> bool:
    """Whether a closed form is known to lose digits: for these it is not asked to be of use, but to say so."""
    if name == "hard_tanh":  # terms of the order of a standard deviation cancel to 1
        return bool(max(pair.variance, pair.other_variance) > 200 and abs(pair.correlation) > 0.996)
    return False


def honest(f: mf.ScalarFunction, truth: Overlap, pairs: list[mf.GaussianPair], name: str = "") -> None:
    """Check value and error estimate of the overlap, and that few pairs are left."""
    for pair in pairs:
        arguments = pair.variance, pair.covariance, pair.other_variance
        estimate = EXACT.overlap(f, *arguments)
        same, other = (EXACT.second_moment(f, a).value for a in (pair.variance, pair.other_variance))
        scale = math.sqrt(same) * math.sqrt(other)
        if not estimate.error <= ENOUGH * scale:
            assert left(name, pair), arguments
        else:
            assert abs(mpf(estimate.value) - truth(pair)) <= estimate.error, arguments


SPREAD = {key: i for i, key in enumerate(product(conditional.FUNCTIONS, (0, 1)))}


@pytest.mark.parametrize(("name", "part"), SPREAD, ids=str)
def test_overlaps_by_conditional_expectation(name: str, part: int) -> None:
    phi = getattr(mf, name)
    f = (phi.value, phi.slope)[part]
    # every function gets other pairs, so that the integrals do not take minutes
    pairs = [pair for pair in PAIRS[SPREAD[name, part] :: 11] if pair.variance or not f.jumps]

    def truth(pair: mf.GaussianPair) -> Real:
        return conditional.overlap(name, part, pair.variance, pair.covariance, pair.other_variance)

    honest(f, truth, pairs, name)


@pytest.mark.parametrize(("name", "part"), SPREAD, ids=str)
def test_means_and_second_moments_by_conditional_expectation(name: str, part: int) -> None:
    phi = getattr(mf, name)
    f = (phi.value, phi.slope)[part]
    for a in VARIANCES[1:]:
        estimate = EXACT.second_moment(f, a)
        assert abs(estimate.value - conditional.overlap(name, part, a, a, a)) <= estimate.error
        mean, rounding = EXACT.mean(f, a), mpf(10) ** -conditional.DIGITS
        assert abs(mean.value - conditional.mean(name, part, a)) <= mean.error + rounding


def _angle(pair: mf.GaussianPair) -> Real:
    a, b, other = mpf(pair.variance), mpf(pair.covariance), mpf(pair.other_variance)
    return mp.atan2(mp.sqrt(max(a * other - b * b, 0)), b)


def _relu(pair: mf.GaussianPair) -> Real:
    a, b, other = mpf(pair.variance), mpf(pair.covariance), mpf(pair.other_variance)
    return (mp.sqrt(max(a * other - b * b, 0)) + (mp.pi - _angle(pair)) * b) / (2 * mp.pi)


def _hyperbolic(function: Callable[[Real], Real]) -> Overlap:
    return lambda p: mp.exp(-(mpf(p.variance) + mpf(p.other_variance)) / 2) * function(mpf(p.covariance))


def _arcsine(p: mf.GaussianPair) -> Real:
    spread = (1 + 2 * mpf(p.variance)) * (1 + 2 * mpf(p.other_variance))
    return 2 / mp.pi * mp.asin(2 * mpf(p.covariance) / mp.sqrt(spread))


DIRECT: dict[str, tuple[mf.ScalarFunction, Overlap]] = {
    "relu": (mf.relu.value, _relu),
    "relu'": (mf.relu.slope, lambda p: (mp.pi - _angle(p)) / (2 * mp.pi)),
    "identity": (mf.identity.value, lambda p: mpf(p.covariance)),
    "erf": (mf.erf.value, _arcsine),
    "sine": (mf.sine.value, _hyperbolic(mp.sinh)),
    "sine'": (mf.sine.slope, _hyperbolic(mp.cosh)),
    "cosine": (mf.cosine.value, _hyperbolic(mp.cosh)),
    "cosine'": (mf.cosine.slope, _hyperbolic(mp.sinh)),
}


@pytest.mark.parametrize("name", DIRECT)
def test_overlaps_by_direct_formulas_at_many_digits(name: str) -> None:
    f, truth = DIRECT[name]
    pairs = [pair for pair in PAIRS if pair.variance or not f.jumps]
    with mp.workdps(60):
        honest(f, truth, pairs)


@cache
def _moment(i: int, j: int, a: Fraction, b: Fraction, other: Fraction) -> Fraction:
    """E u^i v^j, by Stein's identity: E u g(u, v) = a E dg/du + b E dg/dv."""
    if i < 0 or j < 0:
        return Fraction(0)
    if i == 0:
        return Fraction(j == 0) if j < 2 else (j - 1) * other * _moment(0, j - 2, a, b, other)
    same = (i - 1) * a * _moment(i - 2, j, a, b, other) if i > 1 else Fraction(0)
    return same + (j * b * _moment(i - 1, j - 1, a, b, other) if j else 0)


def _hermite(n: int) -> list[int]:
    """Return the coefficients of He_n, from He_(n+1) = u He_n - n He_(n-1)."""
    before, this = [0], [1]
    for k in range(n):
        raised = [0, *this]
        before, this = (
            this,
            [x - k * y for x, y in zip(raised, before + [0] * (len(raised) - len(before)), strict=True)],
        )
    return this


def _exactly(coefficients: list[int], pair: mf.GaussianPair) -> Real:
    law = Fraction(pair.variance), Fraction(pair.covariance), Fraction(pair.other_variance)
    total = sum(
        (x * y * _moment(i, j, *law) for (i, x), (j, y) in product(enumerate(coefficients), repeat=2) if x and y),
        Fraction(0),
    )
    return mpf(total.numerator) / total.denominator


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 9, 20])
def test_overlaps_of_polynomials_in_exact_arithmetic(degree: int) -> None:
    pairs = PAIRS if degree < 9 else PAIRS[::5] if degree < 20 else PAIRS[::40]
    unit, hermite = [0] * degree + [1], _hermite(degree)
    slope = [degree * x for x in _hermite(degree - 1)]
    with mp.workdps(40):
        for f, coefficients in (
            (mf.monomial(degree).value, unit),
            (mf.monomial(degree).slope, [degree * x for x in unit[1:]]),
            (mf.hermite(degree).value, hermite),
            (mf.hermite(degree).slope, slope),
        ):
            assert f(3.0) == sum(x * 3.0**i for i, x in enumerate(coefficients))
            honest(f, partial(_exactly, coefficients), pairs)
            for a in (0.0, 0.3, 1.0, 2.0, 100.0):
                mean, law = EXACT.mean(f, a), (Fraction(a), Fraction(0), Fraction(0))
                exact = sum((x * _moment(i, 0, *law) for i, x in enumerate(coefficients)), Fraction(0))
                assert abs(Fraction(float(mean.value)) - exact) <= float(mean.error)


KNOWN = [phi for phi in ALL_ACTIVATIONS if phi.slope.closed_form and "overlap" in phi.slope.closed_form.known]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)


@pytest.mark.parametrize("phi", KNOWN, ids=repr)
def test_the_overlap_of_the_slope_is_the_derivative_in_the_covariance(phi: mf.Activation) -> None:
    variances: list[tuple[float, float]] = [(1e-3, 1e-3), (0.5, 0.5), (0.5, 3.0), (20.0, 20.0)]
    for a, other in variances:
        # over a range where the overlap of the slope is analytic
        low, high = -0.6 * math.sqrt(a * other), 0.7 * math.sqrt(a * other)
        b = low + (high - low) * (1 + NODES) / 2
        integral = (high - low) / 2 * (WEIGHTS @ np.asarray(EXACT.overlap(phi.slope, a, b, other).value))
        difference = mf.overlap(phi, a, high, other) - mf.overlap(phi, a, low, other)
        scale = math.sqrt(mf.second_moment(phi, a) * mf.second_moment(phi, other))
        assert abs(integral - difference) <= QUADRATURE * scale


@pytest.mark.parametrize("phi", KNOWN, ids=repr)
def test_limits_of_the_overlap(phi: mf.Activation) -> None:
    a = np.array([1e-8, 1e-3, 0.5, 3.0, 40.0])
    for f in (phi.value, phi.slope):
        second_moment, mean = np.asarray(mf.second_moment(f, a)), np.asarray(mf.mean(f, a))
        assert (np.abs(EXACT.overlap(f, a, a).value - second_moment) <= ROUNDING * second_moment).all()
        for zero in (0.0, -0.0):
            assert (np.abs(EXACT.overlap(f, a, zero).value - mean**2) <= ROUNDING * second_moment).all()


def test_the_derivation_of_the_gelu_by_computer_algebra() -> None:
    a, c = sympy.symbols("a c", positive=True)
    b = sympy.symbols("b", real=True)
    spread = (1 + a) * (1 + c) - b**2
    both = sympy.Rational(1, 4) + sympy.atan(b / sympy.sqrt(spread)) / (2 * sympy.pi)
    rest = (a / (1 + a) * (c + a * c - b**2) + b**2 / (1 + c)) / (2 * sympy.pi * sympy.sqrt(spread))
    slopes = both + b / (2 * sympy.pi * sympy.sqrt(spread)) * (1 / (1 + a) + 1 / (1 + c) + 1 / spread)
    assert sympy.simplify(sympy.diff(b * both + rest, b) - slopes) == 0
    # E f''(u) f''(v), f'' = (2 - u^2) n(u): u and v are tilted to the covariance S (1 + S)^-1
    tilted = [1 - (1 + c) / spread, 1 - (1 + a) / spread, b / spread]
    curvatures = 4 - 2 * (tilted[0] + tilted[1]) + tilted[0] * tilted[1] + 2 * tilted[2] ** 2
    assert sympy.simplify(sympy.diff(slopes, b) - curvatures / (2 * sympy.pi * sympy.sqrt(spread))) == 0
    # and at b = 0 the products of means, a/sqrt(2 pi (1 + a)) and 1/2
    means = a * c / (2 * sympy.pi * sympy.sqrt((1 + a) * (1 + c)))
    assert sympy.simplify((b * both + rest).subs(b, 0) - means) == 0
    assert slopes.subs(b, 0) == sympy.Rational(1, 4)


@pytest.mark.parametrize("phi", KNOWN, ids=repr)
def test_extreme_variances_give_no_warning(phi: mf.Activation) -> None:
    extreme = np.array([0.0, 1e-150, 1e-75, 1e-20, 1e-3, 1.0, 1e3, 1e17, 1e75, 1e140, 1e150])
    a, other = (x.ravel() for x in np.meshgrid(extreme, extreme))
    for f, c in product((phi.value, phi.slope), (-1, -1 + 1e-12, -0.5, -0.0, 1e-8, 0.3, 1 - 1e-12, 1)):
        form = f.closed_form
        assert form is not None
        assert form.mean is not None
        assert form.second_moment is not None
        assert form.overlap is not None
        limit = np.where(a == other, a, np.sqrt(a) * np.sqrt(other))
        terms = form.overlap(mf.GaussianPair(a, other, c * limit)), form.mean(extreme), form.second_moment(extreme)
        polynomial = phi.name.startswith(("monomial", "hermite"))
        for term in terms:
            # the moments of polynomials are out of range
            assert polynomial or all(np.isfinite(x).all() for x in (term if isinstance(term, tuple) else (term,)))
