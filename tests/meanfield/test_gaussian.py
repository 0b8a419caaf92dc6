"""The law of a pair: the truth is that of the given doubles."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import ROUNDING

import meanfield as mf


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(-1, 1))
def test_determinant_is_that_of_the_given_doubles(a: float, other: float, c: float) -> None:
    b = c * math.sqrt(a * other) * (1 - 1e-15)
    exact = Fraction(a) * Fraction(other) - Fraction(b) ** 2
    if exact > 0:
        assert abs(Fraction(mf.GaussianPair(a, other, b).determinant) - exact) <= exact * Fraction(ROUNDING)


def test_determinant_keeps_its_digits_where_the_correlation_is_one_to_rounding() -> None:
    b = math.nextafter(2.0, 0.0)
    assert mf.GaussianPair(2.0, 2.0, b).determinant == pytest.approx(2.0 * math.ulp(1.0) * 2, rel=ROUNDING)
    # unequal variances, covariance one ulp below the limit
    a, other = 3.0, 12.0
    b = math.nextafter(6.0, 0.0)
    exact = Fraction(a) * Fraction(other) - Fraction(b) ** 2
    assert mf.GaussianPair(a, other, b).determinant == pytest.approx(float(exact), rel=ROUNDING)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(-1, 1))
def test_shared_form_has_the_same_covariance(a: float, other: float, c: float) -> None:
    b = c * math.sqrt(a) * math.sqrt(other)
    pair = mf.GaussianPair(a, other, b)
    shared = pair.shared
    assert shared.loading**2 + shared.private**2 == pytest.approx(a, rel=ROUNDING)
    assert shared.other_loading**2 + shared.other_private**2 == pytest.approx(other, rel=ROUNDING)
    assert shared.loading * shared.other_loading == pytest.approx(pair.covariance, rel=ROUNDING, abs=1e-300)


def test_an_excess_of_four_ulp_is_clipped_and_more_refused() -> None:
    limit = 2.0
    assert mf.GaussianPair(2.0, 2.0, limit + 4 * math.ulp(limit)).covariance == limit
    assert mf.GaussianPair(2.0, 2.0, -limit - 4 * math.ulp(limit)).covariance == -limit
    with pytest.raises(mf.ParameterError, match=r"covariance must be at most 2\.0 in absolute value"):
        mf.GaussianPair(2.0, 2.0, limit + 5 * math.ulp(limit))


@pytest.mark.parametrize("variance", [-1.0, math.nan, math.inf])
def test_a_variance_must_be_one(variance: float) -> None:
    with pytest.raises(mf.ParameterError, match="variance must be a finite number >= 0"):
        mf.GaussianPair(variance, 1.0, 0.0)
    with pytest.raises(mf.ParameterError, match="other_variance must be a finite number >= 0"):
        mf.GaussianPair(1.0, variance, 0.0)


def test_angle() -> None:
    assert mf.GaussianPair(1.0, 1.0, 1.0).angle == 0
    assert mf.GaussianPair(1.0, 1.0, -1.0).angle == math.pi
    assert mf.GaussianPair(1.0, 4.0, 0.0).angle == math.pi / 2
    # arccos(1 - e) = sqrt(2 e) (1 + e/12 + ..): the formula arccos(b/a) has lost half of the digits here
    e = 2.0**-40
    assert mf.GaussianPair(1.0, 1.0, 1 - e).angle == pytest.approx(math.sqrt(2 * e) * (1 + e / 12), rel=ROUNDING)
