"""Averages given the common part, against integrals that know nothing of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield.quadrature import common_part

CASES = [
    (mf.relu, 0.5, 1.5),
    (mf.relu, 3.0, 0.05),
    (mf.tanh, 0.5, 1.5),
    (mf.tanh, 3.0, 10.0),
    (mf.gelu, 0.5, 1.5),
    (mf.hard_tanh, 0.2, 3.0),
    (mf.selu, 1.0, 1.0),
    (mf.sine, 1.0, 3.0),
    (mf.monomial(3), 1.0, 2.0),
    (mf.from_sympy("x*tanh(log(1+exp(x)))"), 1.0, 2.0),
]
PRODUCTS = 1e-11
"""Relative accuracy of products of functions: what the docstring promises, with room to spare."""


@pytest.mark.parametrize(("phi", "covariance", "difference"), CASES, ids=str)
def test_products_agree_with_integrals_over_two_gaussians(
    phi: mf.Activation, covariance: float, difference: float
) -> None:
    common = common_part([phi.value, phi.slope], covariance=covariance, difference=difference)
    variance = covariance + difference
    given = {f: common.given(f(common.u)) for f in (phi.value, phi.slope)}
    scale = math.sqrt(mf.second_moment(phi.value, variance) * mf.second_moment(phi.slope, variance))
    for f, g in ((phi.value, phi.value), (phi.slope, phi.slope), (phi.value, phi.slope)):
        expected = mf.overlap(f, variance, covariance, other=g)
        assert common.over(given[f] * given[g]) == pytest.approx(expected, abs=PRODUCTS * max(scale, abs(expected)))


@pytest.mark.parametrize(("phi", "covariance", "difference"), CASES, ids=str)
def test_the_slope_given_z_needs_no_slope(phi: mf.Activation, covariance: float, difference: float) -> None:
    common = common_part([phi.value, phi.slope], covariance=covariance, difference=difference)
    by_parts = common.given(phi(common.u) * common.y) / math.sqrt(difference)
    slope = common.given(phi.slope(common.u))
    scale = math.sqrt(mf.second_moment(phi.value, covariance + difference) / difference)
    np.testing.assert_allclose(by_parts, slope, rtol=1e-9, atol=1e-9 * scale)


def test_a_fourth_moment_with_kinks_agrees_with_scipy() -> None:
    covariance, difference = 0.7, 1.1
    common = common_part([mf.relu.value, mf.relu.slope], covariance=covariance, difference=difference)
    u = common.u
    got = common.over(common.given(mf.relu(u) ** 2) ** 2)

    def square(z: float) -> float:
        kink = -math.sqrt(covariance / difference) * z
        inner, _ = integrate.quad(
            lambda y: (math.sqrt(covariance) * z + math.sqrt(difference) * y) ** 2 * math.exp(-y * y / 2),
            kink, kink + 40, epsabs=1e-13, epsrel=1e-12,
        )  # fmt: skip
        return float(inner / math.sqrt(2 * math.pi))

    expected, _ = integrate.quad(lambda z: square(z) ** 2 * math.exp(-z * z / 2), -10, 10, epsabs=1e-12, limit=200)
    assert got == pytest.approx(expected / math.sqrt(2 * math.pi), rel=1e-9)


def test_given_values_of_z_are_kept_with_equal_weights() -> None:
    z = np.array([-1.0, 0.3, 2.0])
    common = common_part([mf.tanh.value], covariance=0.5, difference=1.0, z=z)
    rule = common_part([mf.tanh.value], covariance=0.5, difference=1.0)
    np.testing.assert_array_equal(common.z, z)
    expected = np.interp(z, rule.z, rule.given(mf.tanh(rule.u)))
    np.testing.assert_allclose(common.given(mf.tanh(common.u)), expected, atol=0.02)
    assert common.weights.tolist() == [1 / 3] * 3


def test_samples_that_share_nothing_need_one_z() -> None:
    assert common_part([mf.relu.value], covariance=0.0, difference=1.0).z.size == 1


@pytest.mark.parametrize(("covariance", "difference"), [(-0.1, 1.0), (0.5, 0.0)])
def test_impossible_parts_are_refused(covariance: float, difference: float) -> None:
    with pytest.raises(mf.ParameterError):
        common_part([mf.tanh.value], covariance=covariance, difference=difference)


def test_what_is_not_declared_is_found_out() -> None:
    undeclared = mf.ScalarFunction(lambda u: np.sign(u - 0.31), strip=1.0)
    with pytest.raises(mf.QuadratureError):
        common_part([undeclared], covariance=0.001, difference=1.0)
