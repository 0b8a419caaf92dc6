"""The reference to any number of digits against the table of thirty digits, against formulas, and its refusals."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from problems import CATALOGUE
from tolerances import QUADRATURE, ROUNDING
from truths import Truth, truths

import meanfield as mf
from meanfield.activations import by_name

TABLE = {(truth.name, truth.part, truth.variance): truth for truth in truths()}
NAMES = sorted({truth.name for truth in TABLE.values()})


def function(name: str, part: int) -> mf.ScalarFunction:
    """Return a function of the table that can only be integrated by the reference."""
    phi = by_name(name)
    f = (phi.value, phi.slope)[part]
    return mf.ScalarFunction(np.zeros_like, kinks=f.breaks, precise=f.precise)


def disagreement(truth: Truth, place: int, digits: int) -> float:
    """Return how far the reference is from an overlap of the table, relative to E f(u)^2."""
    covariance = truth.covariances[place]
    found = mf.Reference(digits).all_digits("overlap", function(truth.name, truth.part), truth.variance, covariance)
    with mpmath.workdps(40):
        return float(abs(found - mpmath.mpf(truth.digits[2 + place])) / mpmath.mpf(truth.digits[1]))


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_the_table(name: str, part: int) -> None:
    assert disagreement(TABLE[name, part, 2.0], 6, digits=4) < 2e-4


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_one_gaussian_to_thirty_digits(name: str, part: int) -> None:
    f, truth, reference = function(name, part), TABLE[name, part, 0.3], mf.Reference(29)
    with mpmath.workdps(40):
        second_moment = mpmath.mpf(truth.digits[1])
        error = abs(reference.all_digits("second_moment", f, 0.3) - second_moment)
        assert error < 1e-28 * second_moment
        assert abs(reference.all_digits("mean", f, 0.3) - mpmath.mpf(truth.digits[0])) < 1e-28 * second_moment**0.5
        # v = -u
        error = abs(reference.all_digits("overlap", f, 0.3, -0.3) - mpmath.mpf(truth.digits[2]))
        assert error < 1e-28 * second_moment


@pytest.mark.parametrize(
    ("name", "part", "variance", "place"),
    [
        ("relu", 0, 1e6, 1),
        ("absolute", 1, 1e-8, 8),
        ("hard_tanh", 1, 10.0, 9),
        ("elu", 0, 100.0, 2),
        ("gelu", 0, 1e-4, 3),
    ],
)
def test_hard_overlaps(name: str, part: int, variance: float, place: int) -> None:
    assert disagreement(TABLE[name, part, variance], place, digits=5) < 2e-5


def test_many_digits_of_an_overlap() -> None:
    assert disagreement(TABLE["relu", 1, 1.0], 6, digits=20) < 2e-20


def test_the_arcsine_of_unequal_variances() -> None:
    found = mf.Reference(12).all_digits("overlap", mf.erf, 1.0, 0.5, 3.0)
    with mpmath.workdps(30):
        assert abs(found - 2 / mpmath.pi * mpmath.asin(1 / mpmath.sqrt(21))) < 1e-12


def test_two_functions() -> None:
    # E u max(v, 0) = E uv / 2
    assert mf.Reference(12).overlap(mf.identity, 2.0, 0.7, 1.5, other=mf.relu).value == pytest.approx(
        0.35, rel=ROUNDING
    )
    assert mf.Reference(12).overlap(mf.relu, 1.5, -0.7, 2.0, other=mf.identity).value == pytest.approx(
        -0.35, rel=ROUNDING
    )


@pytest.mark.parametrize("phi", CATALOGUE, ids=repr)
def test_the_catalogue_at_both_precisions(phi: mf.Activation) -> None:
    points = [-800.0, -3.0, -0.7, 1e-9, 0.4, 2.0, 800.0]
    for f in (phi.value, phi.slope):
        assert f.precise is not None
        assert [float(f.precise(mpmath.mpf(u))) for u in points] == pytest.approx(f(points), rel=ROUNDING, abs=1e-300)


def test_estimates_in_double_precision() -> None:
    expected = mf.AUTO.overlap(mf.tanh, 2.0, [1.0, 0.0, -2.0])
    estimate = mf.Reference(9).overlap(mf.tanh, 2.0, [1.0, 0.0, -2.0])
    assert np.all(np.abs(estimate.value - expected.value) <= estimate.error + expected.error)
    assert np.all(estimate.error < 3e-9 * mf.second_moment(mf.tanh, 2.0))
    assert np.all(np.asarray(estimate.evaluations) > 0)


def test_no_variance() -> None:
    reference = mf.Reference(15)
    assert reference.overlap(mf.sigmoid, 0.0, 0.0).value == 0.25
    assert reference.overlap(mf.sigmoid, 0.0, 0.0, 3.0).value == pytest.approx(0.25, rel=ROUNDING)
    assert reference.overlap(mf.sigmoid, 3.0, 0.0, 0.0).value == pytest.approx(0.25, rel=ROUNDING)
    assert reference.mean(mf.tanh, 0.0).value == 0.0


def test_a_formula_knows_itself_to_any_precision() -> None:
    mish = mf.from_sympy("x*tanh(log(1+exp(x)))")
    for f in (mish.value, mish.slope):
        digits = mf.Reference(20).all_digits("second_moment", f, 2.0)
        assert float(digits) == pytest.approx(mf.second_moment(f, 2.0), rel=QUADRATURE)
    u = mpmath.mpf("0.3")
    with mpmath.workdps(50):
        assert mish.value.precise is not None
        difference = mish.value.precise(+u) - u * mpmath.tanh(mpmath.log(1 + mpmath.exp(u)))
        assert abs(difference) < mpmath.mpf(10) ** -48


def test_refusals() -> None:
    with pytest.raises(mf.QuadratureError, match="not suited to the mean"):
        mf.Reference().mean(mf.ScalarFunction(np.tanh), 1.0)
    bent = mf.ScalarFunction(lambda u: np.abs(u - 0.3), precise=lambda u: abs(u - 0.3))
    with pytest.raises(mf.QuadratureError, match="kinks"):
        mf.Reference(15).mean(bent, 1.0)
    declared = mf.ScalarFunction(lambda u: np.abs(u - 0.3), kinks=[0.3], precise=lambda u: abs(u - 0.3))
    expected = 0.3 * math.erf(0.3 / math.sqrt(2)) + math.sqrt(2 / math.pi) * math.exp(-0.045)
    assert mf.Reference(15).mean(declared, 1.0).value == pytest.approx(expected, rel=ROUNDING)
    with pytest.raises(mf.ParameterError, match="covariance must be given"):
        mf.Reference().all_digits("overlap", mf.tanh, 1.0)
    with pytest.raises(mf.ParameterError, match="quantity must be one of"):
        mf.Reference().all_digits("median", mf.tanh, 1.0)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="digits must be an integer"):
        mf.Reference(0)
    with pytest.raises(mf.ParameterError, match="precise must be a callable"):
        mf.ScalarFunction(np.tanh, precise="tanh")  # type: ignore[arg-type]
