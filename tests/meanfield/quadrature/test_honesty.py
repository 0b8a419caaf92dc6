"""Random functions with integrals that are known otherwise. Two questions: does it converge, and is it honest.

The functions have bumps, waves, kinks and jumps, declared or not, and come in pairs of unequal variance. Thousands:

    pytest --hypothesis-profile=thorough tests/meanfield/quadrature/test_honesty.py
"""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from random_cases import EXTREME, ORDINARY, Case, cases, seeded
from random_functions import Part, RandomFunction, expect, expect_product, expect_square
from tolerances import ORACLE, QUADRATURE

import meanfield as mf

KNOWN_DISHONEST: list[Case] = []
"""Must be empty: an error estimate below the error is worse than a refusal."""

ALWAYS = 2e-12
"""A tolerance that Panels reach for these functions: a wave of 150 radians in a standard deviation, seen by a ramp that
begins at 2, has an estimate of 1.1e-12 for the rounding of u alone."""

METHODS: list[mf.Method] = [mf.AUTO, mf.Panels(), mf.Trapezoid(), mf.HermiteSeries()]


def lies(method: mf.Method, case: Case) -> list[str]:
    """Return the integrals of which a method reports an error that is smaller than the true one."""
    if case in KNOWN_DISHONEST:
        return []
    f, g = case.functions
    a, rounding = case.variance, case.f.rms_of_parts(case.variance)
    found = []
    for quantity, truth, slack in (
        ("overlap", case.truth, case.rounding),
        ("mean", expect(case.f, a), rounding),
        ("second_moment", expect_square(case.f, a), rounding**2),
    ):
        with suppress(mf.QuadratureError):
            if quantity == "overlap":
                estimate = method.overlap(f, a, case.covariance, case.other_variance, other=g)
            else:
                estimate = getattr(method, quantity)(f, a)
            if abs(estimate.value - truth) > estimate.error + ORACLE * slack:
                found.append(f"{method}: {quantity} {estimate}, truth {truth!r}")
    return found


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
@given(case=cases(ORDINARY))
def test_is_honest(method: mf.Method, case: Case) -> None:
    assert not lies(method, case)


@pytest.mark.parametrize(
    "method",
    [mf.AUTO, mf.Panels(), mf.Trapezoid(), mf.HermiteSeries()],
    ids=lambda method: type(method).__name__,
)
@given(case=cases(ORDINARY, scaled=True))
def test_is_honest_about_narrow_functions_that_declare_their_scale(method: mf.Method, case: Case) -> None:
    assert not lies(method, case)


def test_is_honest_about_a_long_scale() -> None:
    scale = math.exp(0.5)
    f = RandomFunction((Part("wave", 1.0, 0.0, scale),))
    assert not lies(mf.Trapezoid(), Case(f, f, 1.0, 1.0, 0.0, declared=False, scale=scale))


@given(case=cases(EXTREME))
def test_is_honest_at_extreme_variances(case: Case) -> None:
    assert not lies(mf.AUTO, case)


@given(case=cases(ORDINARY))
def test_coarse_estimates_are_honest(case: Case) -> None:
    assert not lies(mf.Panels(tolerance=1e-5), case)
    assert not lies(mf.Trapezoid(tolerance=1e-5), case)


@given(case=cases(ORDINARY))
def test_converges(case: Case) -> None:
    f, g = case.functions
    method = mf.Panels(tolerance=ALWAYS)
    estimate = method.overlap(f, case.variance, case.covariance, case.other_variance, other=g)
    assert abs(estimate.value - case.truth) <= ALWAYS * estimate.scale + ORACLE * case.rounding
    method.mean(f, case.variance)
    method.second_moment(f, case.variance)


def test_auto_converges_on_nineteen_of_twenty() -> None:
    refused = 0
    for case in (drawn := list(seeded(7, 60))):
        f, g = case.functions
        try:
            estimate = mf.AUTO.overlap(f, case.variance, case.covariance, case.other_variance, other=g)
        except mf.QuadratureError:
            refused += 1
        else:
            assert abs(estimate.value - case.truth) <= QUADRATURE * estimate.scale + ORACLE * case.rounding
    assert refused <= len(drawn) / 20


@given(case=cases(ORDINARY))
def test_the_scale_is_the_root_of_both_second_moments(case: Case) -> None:
    f, g = case.functions
    with suppress(mf.QuadratureError):
        scale = mf.AUTO.overlap(f, case.variance, case.covariance, case.other_variance, other=g).scale
        squares = expect_square(case.f, case.variance) * expect_square(case.g, case.other_variance)
        assert scale == pytest.approx(math.sqrt(squares), abs=1e-9 * case.rounding)


def test_nothing_is_known_to_be_dishonest() -> None:
    assert KNOWN_DISHONEST == []


def test_a_lie_would_be_noticed() -> None:
    # narrower than what is looked for, and not declared: this one is missed, and documented to be
    f = RandomFunction((Part("bump", 1.0, 0.30103, 1e-5), Part("line", 1.0, 0.3)))
    assert lies(mf.AUTO, Case(f, f, 1.0, 1.0, 0.5, declared=False))
    assert expect_product(f, f, 1.0, 1.0, 0.5) > 0.5
