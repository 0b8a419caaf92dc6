"""What goes in and what comes out: shapes, numbers, choices, refusals."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from problems import CATALOGUE, CUBIC, RAMP
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf

FUNCTIONS = {(phi.name, part): f for phi in CATALOGUE for part, f in enumerate((phi.value, phi.slope))}

PAIRS = [(1.0, 0.5), (3.64, 0.64), (3.0, -2.0), (0.05, 0.01), (2.0, 2.0)]


def test_arrays_broadcast_and_scalars_stay_floats() -> None:
    assert type(mf.overlap(mf.tanh, 2.0, 1.0)) is float
    assert type(mf.overlap(mf.relu, 2.0, 1.0)) is float
    variance, covariance = np.array([[1.0], [2.0]]), np.array([0.1, 0.2, 0.3])
    for f in (mf.tanh.value, mf.relu.value, RAMP, mf.ScalarFunction(np.abs)):
        result = mf.overlap(f, variance, covariance)
        assert isinstance(result, np.ndarray)
        assert result.shape == (2, 3)
        assert result.dtype == np.float64
        assert result[1, 2] == pytest.approx(mf.overlap(f, 2.0, 0.3), rel=ROUNDING)
        estimate = mf.AUTO.overlap(f, variance, covariance)
        for field in (estimate.value, estimate.error, estimate.evaluations, estimate.scale):
            assert np.shape(field) == (2, 3)
    assert np.shape(mf.mean(mf.tanh, np.empty((0, 2)))) == (0, 2)
    estimate = mf.AUTO.second_moment(mf.tanh, 2.0)
    assert [type(x) for x in (estimate.value, estimate.error, estimate.evaluations, estimate.scale)] == [
        float,
        float,
        int,
        float,
    ]


def test_mixed_arrays_use_the_method_that_suits_each_pair() -> None:
    a = np.array([0.0, 1.0, 1.0, 1e6, 1e-8, 2.0])
    b = np.array([0.0, 1.0, 0.0, 1e5, 1e-9, -2.0])
    for f in (mf.tanh.value, mf.gelu.value, RAMP):
        together = mf.AUTO.overlap(f, a, b)
        for k in range(a.size):
            alone = mf.AUTO.overlap(f, a[k], b[k])
            assert abs(together.value[k] - alone.value) <= together.error[k] + alone.error


def test_zero_variance_is_a_point() -> None:
    assert mf.second_moment(mf.tanh, 0.0) == 0
    assert mf.mean(mf.sigmoid.slope, 0.0) == 0.25
    assert mf.overlap(CUBIC, 0.0, 0.0) == 0
    assert mf.overlap(mf.tanh, 0.0, 0.0, 2.0, other=mf.sigmoid) == 0
    assert mf.overlap(RAMP, 2.0, 0.0, 0.0, other=mf.sigmoid) == pytest.approx(0.0, abs=QUADRATURE)
    expected = 0.5 * mf.mean(mf.relu, 2.0)
    assert mf.overlap(mf.sigmoid, 0.0, 0.0, 2.0, other=mf.relu) == pytest.approx(expected, rel=QUADRATURE)


def test_two_functions_and_two_variances() -> None:
    # Stein: E u f(v) = E uv E f'(v)
    for a, other, b in [(1.0, 2.0, 0.7), (5.0, 0.3, -1.1), (2.0, 8.0, 3.9)]:
        for f in (mf.tanh, mf.relu, mf.gelu, mf.hard_tanh):
            scale = math.sqrt(a * mf.second_moment(f, other))
            expected = b * mf.mean(f.slope, other)
            assert mf.overlap(mf.identity, a, b, other, other=f) == pytest.approx(expected, abs=2 * QUADRATURE * scale)
    for g in (mf.relu.value, mf.erf.value, mf.absolute.slope, mf.gelu.value):
        exact, numerical = (method.overlap(g, 2.0, 1.5, 5.0) for method in (mf.AUTO, mf.Panels()))
        assert abs(exact.value - numerical.value) <= exact.error + numerical.error


def test_polynomials_are_known_by_hand() -> None:
    # f = u^3 - u = He_3 + 2 He_1 at unit variance: E f(u) f(v) = 6 c^3 + 4 c
    for c in (0.3, -0.8, 1.0):
        for method in (mf.AUTO, mf.Panels(), mf.GaussHermite(8)):
            assert method.overlap(CUBIC, 1.0, c).value == pytest.approx(6 * c**3 + 4 * c, abs=10 * QUADRATURE)


def test_the_scale_of_a_negative_correlation() -> None:
    # sigmoid^2 is not even: the scale must be sqrt(E f(u)^2 E f(v)^2) for any sign
    for method in (mf.Trapezoid(), mf.Panels(), mf.HermiteSeries()):
        both = [method.overlap(mf.sigmoid, 4.0, b) for b in (3.0, -3.0)]
        # E (1/2 + o(u))(1/2 + o(v)) with o odd: the two add up to 1/2
        assert both[0].value + both[1].value == pytest.approx(0.5, abs=QUADRATURE)
        assert both[1].scale == pytest.approx(both[0].scale, rel=ROUNDING)


@pytest.mark.parametrize("f", [mf.erf.value, mf.absolute.slope, mf.identity.value])
def test_overlaps_near_zero_keep_the_error_of_their_scale(f: mf.ScalarFunction) -> None:
    estimate = mf.Exact().overlap(f, 2.0, 1e-17)
    assert abs(estimate.value) < 1e-16 < 1e-15 < estimate.error


def test_independent_pairs_have_an_error_estimate() -> None:
    by_means, directly = mf.AUTO.overlap(mf.relu.value, 2.0, 0.0), mf.Exact().overlap(mf.relu.value, 2.0, 0.0)
    assert by_means.value == pytest.approx(directly.value, rel=ROUNDING)
    assert 0 < by_means.error < ROUNDING
    assert mf.AUTO.overlap(mf.tanh, 2.0, 0.0).value == 0


@pytest.mark.parametrize(("name", "part"), FUNCTIONS)
def test_gauss_hermite_is_honest(name: str, part: int) -> None:
    f = FUNCTIONS[name, part]
    for nodes in (5, 20, 51, 100):
        for a, b in PAIRS:
            estimate = mf.GaussHermite(nodes).overlap(f, a, b)
            assert abs(estimate.value - mf.overlap(f, a, b)) <= estimate.error, (nodes, a, b)
            estimate = mf.GaussHermite(nodes).mean(f, a)
            assert abs(estimate.value - mf.mean(f, a)) <= estimate.error, (nodes, a)


@pytest.mark.parametrize(("name", "part"), [("tanh", 0), ("sigmoid", 1), ("relu", 0), ("leaky_relu(0.2)", 1)])
def test_against_thirty_digits_in_the_plane(name: str, part: int) -> None:
    """By an oracle that shares nothing with the table: the plane of (u, v) itself."""
    f = FUNCTIONS[name, part]
    for a, b in PAIRS[1:3]:
        truth, scale = float(oracles.overlap(name, part, a, b)), mf.second_moment(f, a)
        assert mf.overlap(f, a, b) == pytest.approx(truth, abs=QUADRATURE * scale)


def test_the_choice_can_be_asked() -> None:
    assert mf.AUTO.choose(mf.relu, "overlap") == mf.Exact()
    assert mf.AUTO.choose(mf.tanh, "mean") == mf.Exact()
    assert mf.AUTO.choose(mf.tanh, "second_moment") == mf.Trapezoid()
    assert mf.AUTO.choose(RAMP, "mean") == mf.Panels()
    assert mf.AUTO.choose(mf.tanh, "overlap", other=mf.relu) == mf.Panels()
    assert mf.AUTO.choose(mf.erf, "overlap", other=mf.tanh) == mf.Trapezoid()
    # and for one pair: the first that reaches its tolerance there
    assert mf.AUTO.choose(RAMP, "overlap", variance=1.0, covariance=0.3) == mf.HermiteSeries()
    assert mf.AUTO.choose(RAMP, "overlap", variance=1.0, covariance=0.999) == mf.Panels()
    assert mf.AUTO.choose(mf.ScalarFunction(np.abs), "mean", variance=1.0) == mf.Panels()
    with pytest.raises(mf.ParameterError, match="covariance must be given together with the variance"):
        mf.AUTO.choose(RAMP, "overlap", variance=1.0)
    with pytest.raises(mf.ParameterError, match="quantity must be one of"):
        mf.AUTO.choose(RAMP, "median")  # type: ignore[arg-type]


def test_a_method_refuses_what_it_is_not_suited_to() -> None:
    for call in (
        lambda: mf.Trapezoid().overlap(mf.relu, 1.0, 0.5),
        lambda: mf.Trapezoid().overlap(mf.tanh, 1.0, 0.5, other=mf.relu),
        lambda: mf.Exact().overlap(mf.relu, 1.0, 0.5, other=mf.tanh),
    ):
        with pytest.raises(mf.QuadratureError, match="not suited to the overlap"):
            call()
    with pytest.raises(mf.QuadratureError, match="not suited to the second_moment"):
        mf.Exact().second_moment(mf.tanh, 1.0)
    with pytest.raises(mf.QuadratureError, match="not suited to the mean"):
        mf.HermiteSeries().mean(mf.tanh, 1.0)


def test_what_is_not_reached_says_what_to_try() -> None:
    bent = mf.ScalarFunction(lambda u: np.abs(u - 0.3))
    with pytest.raises(mf.QuadratureError, match=r"did not reach its tolerance: got .* kinks=.*largest="):
        mf.Trapezoid().mean(bent, 1.0)
    with pytest.raises(mf.QuadratureError, match=r"more than 1000 values .*largest="):
        mf.Panels(largest=1000).mean(bent, 1.0)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_bad_variances(bad: float) -> None:
    for call in (
        lambda: mf.mean(mf.tanh, bad),
        lambda: mf.second_moment(mf.relu, bad),
        lambda: mf.overlap(RAMP, bad, 0),
    ):
        with pytest.raises(mf.ParameterError, match=r"variance must be a finite number >= 0, got"):
            call()
    with pytest.raises(mf.ParameterError, match="other_variance"):
        mf.overlap(mf.tanh, 1.0, 0.5, bad)


def test_bad_covariances_and_functions() -> None:
    with pytest.raises(mf.ParameterError, match=r"covariance must be at most 1\.0 in absolute value"):
        mf.overlap(mf.tanh, 1.0, 1.1)
    with pytest.raises(mf.ParameterError, match="covariance must be a finite number"):
        mf.overlap(mf.tanh, 1.0, math.nan)
    with pytest.raises(mf.ParameterError, match="f must be a ScalarFunction or an Activation"):
        mf.mean(np.tanh, 1.0)  # type: ignore[call-overload]
    for variance in (1e-200, 1e200):
        with pytest.raises(mf.ParameterError, match=r"variance must be 0, or between 1e-150 and 1e\+150"):
            mf.overlap(mf.relu, variance, 0.0)
    for text in ("1", None, 1j):
        with pytest.raises(mf.ParameterError, match="variance must be a finite number"):
            mf.GaussianPair(text, 1.0, 0.0)


def test_bad_parameters_of_methods() -> None:
    with pytest.raises(mf.ParameterError, match="nodes must be an integer >= 2"):
        mf.GaussHermite(1)
    for method in (mf.Trapezoid, mf.Panels, mf.HermiteSeries):
        for tolerance in (-1.0, 0.0, 1e-15, math.nan):
            with pytest.raises(mf.ParameterError, match="tolerance must be a finite number >"):
                method(tolerance=tolerance)
        with pytest.raises(mf.ParameterError, match="largest must be an integer >= 1"):
            method(largest=0)
    with pytest.raises(mf.ParameterError, match="terms must be an integer >= 16"):
        mf.HermiteSeries(terms=3)
    with pytest.raises(mf.ParameterError, match="terms must be an integer >= 64"):
        mf.CosineSeries(terms=3)


def test_rounding_is_part_of_every_estimate() -> None:
    for f in (mf.relu.value, mf.tanh.value, RAMP):
        assert 0 < mf.AUTO.overlap(f, 1.0, 0.5).error < ROUNDING
        assert 0 < mf.AUTO.second_moment(f, 1.0).error < ROUNDING
