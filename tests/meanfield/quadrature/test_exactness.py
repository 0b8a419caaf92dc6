"""Exact where the theorem of each rule says so, and inexact just beyond."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial import hermite_e
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf
from meanfield.quadrature.hermite_series import summed
from meanfield.quadrature.lattice import longest_step
from meanfield.quadrature.law import GaussianLaw
from meanfield.quadrature.resolve import resolve


def normalised_hermite(n: int) -> mf.ScalarFunction:
    """Return He_n/sqrt(n!): its overlap at unit variance and correlation c is c^n."""
    series = np.eye(n + 1)[n] / math.sqrt(math.factorial(n))
    return mf.ScalarFunction(lambda u: hermite_e.hermeval(u, series))


@pytest.mark.parametrize("n", [2, 5, 12, 20])
def test_gauss_hermite_is_exact_up_to_degree_2n_minus_1(n: int) -> None:
    def moment(degree: int) -> tuple[float, float]:
        found = mf.GaussHermite(n).mean(mf.ScalarFunction(lambda u: (u / 2) ** degree), 4.0)
        return found.value, math.prod(range(1, degree, 2)) if degree % 2 == 0 else 0.0

    value, expected = moment(2 * n - 2)
    assert value == pytest.approx(expected, rel=ROUNDING)
    assert moment(2 * n - 1)[0] == pytest.approx(0, abs=ROUNDING * expected * 2 * n)
    # the first it misses is that of x^2n, by n!
    value, expected = moment(2 * n)
    assert expected - value == pytest.approx(math.factorial(n), rel=1e-6)


@pytest.mark.parametrize("n", [4, 9])
def test_gauss_hermite_for_pairs(n: int) -> None:
    # exact for f of degree n - 1: the product has degree 2n - 2 in each variable of the rule
    for c in (0.6, -0.95):
        inside, beyond = (mf.GaussHermite(n).overlap(normalised_hermite(k), 1.0, c).value for k in (n - 1, n))
        assert inside == pytest.approx(c ** (n - 1), abs=ROUNDING)
        assert abs(beyond - c**n) > 1e-3


def test_gauss_hermite_is_as_bad_as_it_says() -> None:
    for nodes, variance, order in [(100, 3.0, 1e-7), (100, 10.0, 1e-4), (200, 50.0, 1e-3)]:
        estimate = mf.GaussHermite(nodes).second_moment(mf.tanh, variance)
        error = abs(estimate.value - mf.second_moment(mf.tanh, variance))
        assert order < error < 10 * order
        assert error < estimate.error
    estimate = mf.GaussHermite(100).overlap(mf.relu.slope, 1.0, 0.5)
    assert 1e-2 < abs(estimate.value - 1 / 3) < estimate.error


@pytest.mark.parametrize("c", [0.5, -0.52])
def test_a_hermite_series_is_exact_below_its_number_of_terms(c: float) -> None:
    series = mf.HermiteSeries(terms=64, tolerance=1e-6)
    for degree in (0, 1, 7, 15, 23):
        assert series.overlap(normalised_hermite(degree), 1.0, c).value == pytest.approx(c**degree, abs=ROUNDING)


def test_the_bound_of_a_hermite_series_that_ends_too_soon() -> None:
    # cos(2u) has E f(u) f(v) = exp(-4) cosh(4c). After 16 terms and at c = 1 the bound of Bessel and Cauchy-Schwarz is
    # what is left out, exactly
    f = mf.ScalarFunction(lambda u: np.cos(2 * u))
    left_out = 0.5 * math.exp(-4) * sum(2 * 4.0**n / math.factorial(n) for n in range(16, 60, 2))
    series = mf.HermiteSeries()._coefficients(f, np.ones(1), 16)
    for c in (1.0, 0.9, -0.7, 0.2):
        estimate = summed(series, series, np.array([c]))
        error = abs(float(estimate.value[0]) - math.exp(-4) * math.cosh(4 * c))
        assert error <= estimate.error[0]
        if c == 1:
            assert error == pytest.approx(left_out, rel=1e-6)
            assert estimate.error[0] <= 1.001 * error
    with pytest.raises(mf.QuadratureError):
        mf.HermiteSeries(terms=16).overlap(f, 1.0, 1.0)


def test_a_longer_hermite_series_reaches_a_larger_correlation() -> None:
    f = mf.ScalarFunction(np.abs, kinks=[0.0])
    assert mf.HermiteSeries(terms=256).overlap(f, 1.0, 0.85).error <= QUADRATURE
    with pytest.raises(mf.QuadratureError):
        mf.HermiteSeries(terms=16).overlap(f, 1.0, 0.85)
    assert mf.HermiteSeries(terms=16).overlap(f, 1.0, 0.05).error <= QUADRATURE


def test_the_trapezoidal_rule_doubles_its_digits() -> None:
    # 1/cosh(u) has its poles at pi/2: by that strip the rule is exact to rounding, and with twice the step half as good
    f = mf.ScalarFunction(lambda u: 1 / np.cosh(u), strip=1.5)
    truth = mf.Panels().mean(mf.ScalarFunction(f.value), 3.0)
    estimate = mf.Trapezoid().mean(f, 3.0)
    assert abs(estimate.value - truth.value) <= estimate.error + truth.error <= QUADRATURE
    sd = math.sqrt(3.0)
    step = 2 * sd * float(longest_step(1.5 / sd))
    u = step * np.arange(-200, 201)
    twice = step * float(f(u) @ np.exp(-u * u / 6)) / math.sqrt(6 * math.pi)
    assert 1e-12 < abs(twice - truth.value) < 1e-6


@pytest.mark.parametrize("quantity", ["mean", "second_moment"])
def test_a_strip_that_is_too_wide_is_noticed(quantity: str) -> None:
    value = mf.ScalarFunction(lambda u: 1 / np.cosh(u))
    truth = getattr(mf.Panels(), quantity)(value, 5.0)
    try:
        estimate = getattr(mf.Trapezoid(), quantity)(mf.ScalarFunction(value.value, strip=5.0), 5.0)
    except mf.QuadratureError:
        return
    assert abs(estimate.value - truth.value) <= estimate.error + truth.error


def test_a_strip_that_is_too_wide_is_noticed_in_two_variables() -> None:
    value = mf.ScalarFunction(lambda u: 1 / np.cosh(u))
    truth = mf.Panels().overlap(value, 5.0, 3.0)
    try:
        estimate = mf.HermiteSeries().overlap(mf.ScalarFunction(value.value, strip=5.0), 5.0, 3.0)
    except mf.QuadratureError:
        return
    assert abs(estimate.value - truth.value) <= estimate.error + truth.error


def test_polynomials_take_no_bisection_up_to_the_order_of_a_panel() -> None:
    # ten panels of 2.5 standard deviations; a wave is a polynomial of degree 20 on each, or of 80
    few, more = (
        len(resolve(mf.ScalarFunction(f), GaussianLaw(1.0), tolerance=1e-13, largest=10**6).edges)
        for f in (lambda u: np.cos(5 * u), lambda u: np.cos(50 * u))
    )
    assert few == 10
    assert more > 10


@pytest.mark.parametrize("degree", [5, 20, 31])
def test_panels_integrate_polynomials(degree: int) -> None:
    # the estimate allows for the rounding of large values, far out
    f, panels = normalised_hermite(degree), mf.Panels(tolerance=1e-8)
    assert panels.second_moment(f, 1.0).value == pytest.approx(1.0, rel=QUADRATURE)
    for c in (0.7, -1.0):
        assert panels.overlap(f, 1.0, c).value == pytest.approx(c**degree, abs=QUADRATURE)


@pytest.mark.parametrize("phi", [mf.tanh, mf.sigmoid, mf.silu, mf.sine], ids=repr)
@pytest.mark.parametrize("variance", [0.01, 2.0, 30.0])
def test_a_cosine_series_agrees_with_direct_integration(phi: mf.Activation, variance: float) -> None:
    f = mf.ScalarFunction(phi.value.value, strip=phi.value.strip)
    correlation = np.concatenate([np.linspace(-1, 1, 4001), 1 - 10.0 ** np.arange(-15, -3), [1e-12, -1e-300]])
    together = mf.CosineSeries().overlap(f, variance, correlation * variance)
    some = np.arange(0, correlation.size, 97)
    directly = mf.Panels().overlap(f, variance, correlation[some] * variance)
    difference = np.abs(together.value[some] - directly.value)
    assert (difference <= together.error[some] + directly.error).all()
    assert (together.error <= QUADRATURE * together.scale).all()


def test_a_cosine_series_of_two_functions_and_two_variances() -> None:
    correlation = np.linspace(-1, 1, 3001)
    covariance = correlation * math.sqrt(2.0) * math.sqrt(5.0)
    some = slice(None, None, 101)
    together = mf.CosineSeries().overlap(mf.sigmoid, 2.0, covariance, 5.0, other=mf.tanh)
    directly = mf.Panels().overlap(mf.sigmoid, 2.0, covariance[some], 5.0, other=mf.tanh)
    assert (np.abs(together.value[some] - directly.value) <= together.error[some] + directly.error).all()
    assert np.ptp(together.value) > 0.4


def test_a_cosine_series_leaves_what_it_is_not_for() -> None:
    many = np.linspace(-1, 1, 3001)
    with pytest.raises(mf.QuadratureError):  # few pairs
        mf.CosineSeries().overlap(mf.tanh, 1.0, many[:10])
    with pytest.raises(mf.QuadratureError):  # many variances
        mf.CosineSeries().overlap(mf.tanh, np.linspace(1, 2, 3001), many)
    with pytest.raises(mf.QuadratureError, match="not suited"):
        mf.CosineSeries().overlap(mf.relu, 1.0, many)
