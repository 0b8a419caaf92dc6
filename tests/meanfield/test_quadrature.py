"""Every method against 30 digits and every other: two questions, does it converge, and is its estimate honest."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from problems import CATALOGUE, CUBIC, KINKED_EXPONENTIAL, PIECEWISE, RAMP, STAIRS, WAVE
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf

METHODS: list[mf.Method] = [mf.Exact(), mf.Trapezoid(), mf.Panels(), mf.AUTO]

PAIRS = [(1.0, 0.5), (3.64, 0.64), (3.0, -2.0), (0.05, 0.01), (12.0, 11.0), (2.0, 2.0)]
"""(variance, covariance), also negative and identical."""

FUNCTIONS = {(phi.name, part): f for phi in CATALOGUE for part, f in enumerate((phi.value, phi.slope))}
"""By the name of the activation, and 0 for its value, 1 for its slope, as the oracle takes them."""


@pytest.mark.parametrize(("name", "part"), FUNCTIONS)
def test_overlap_and_second_moment_against_thirty_digits(name: str, part: int) -> None:
    f = FUNCTIONS[name, part]
    for a, b in PAIRS:
        truth, scale = oracles.overlap(name, part, a, b), float(oracles.overlap(name, part, a, a))
        for method in METHODS:
            if method.accepts(f, "overlap"):
                estimate = method.overlap(f, a, b)
                error = abs(float(estimate.value - truth))
                assert error <= QUADRATURE * scale, (method, a, b)
                assert error <= float(estimate.error), (method, a, b)
            if method.accepts(f, "second_moment"):
                assert float(method.second_moment(f, a).value) == pytest.approx(scale, rel=QUADRATURE)


@pytest.mark.parametrize("phi", CATALOGUE, ids=repr)
def test_means(phi: mf.Activation) -> None:
    for f in (phi.value, phi.slope):
        for variance in (0.1, 1.0, 7.0):
            by_panels = mf.Panels().mean(f, variance)
            exact = mf.mean(f, variance)
            assert exact == pytest.approx(by_panels.value, abs=QUADRATURE * math.sqrt(mf.second_moment(f, variance)))


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.5), (4.0, -3.0), (0.3, 0.29), (2.0, 2.0 - 1e-6), (9.0, 0.1)])
def test_functions_of_users_with_kinks(name: str, a: float, b: float) -> None:
    f = PIECEWISE[name]
    assert isinstance(mf.AUTO.choose(f, "overlap"), mf.Panels)
    estimate = mf.AUTO.overlap(f, a, b)
    error = abs(float(estimate.value - oracles.smoothed_overlap(name, a, b)))
    assert error <= QUADRATURE * mf.second_moment(f, a)
    assert error <= float(estimate.error)


def test_the_second_moment_of_a_ramp_by_hand() -> None:
    # E clip(z, -1, 1)^2 = P(|z| < 1) - 2 phi(1) + P(|z| > 1)
    expected = 1 - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert mf.second_moment(RAMP, 1.0) == pytest.approx(expected, rel=QUADRATURE)


def test_polynomials_are_known_by_hand() -> None:
    # f = u^3 - u = He_3 + 2 He_1 at unit variance: E f(u) f(v) = 6 c^3 + 4 c
    for c in (0.3, -0.8, 1.0):
        for method in (mf.Trapezoid(), mf.Panels(), mf.GaussHermite(8)):
            assert method.overlap(CUBIC, 1.0, c).value == pytest.approx(6 * c**3 + 4 * c, abs=10 * QUADRATURE)


@pytest.mark.parametrize("variance", [0.5, 3.0, 60.0, 250.0])
def test_oscillations_are_not_mistaken_for_zero(variance: float) -> None:
    # E sin(3u) sin(3v) = exp(-9a) sinh(9b); E sin^2(3u) = (1 - exp(-18a))/2
    expected = -math.expm1(-18 * variance) / 2
    assert mf.second_moment(WAVE, variance) == pytest.approx(expected, rel=QUADRATURE)
    b = 0.9 * variance
    expected = (math.exp(9 * (b - variance)) - math.exp(-9 * (b + variance))) / 2
    assert mf.overlap(WAVE, variance, b) == pytest.approx(expected, abs=QUADRATURE)


def test_a_resonance_with_the_step_is_not_mistaken_for_an_integral() -> None:
    # cos(w u), w = 4 pi / h, looks constant to the first step h = 1/4 at unit variance, and to half of it
    f = mf.ScalarFunction(lambda u: np.cos(16 * np.pi * u))
    assert mf.mean(f, 1.0) == pytest.approx(0, abs=QUADRATURE)
    assert mf.overlap(f, 1.0, 0.0) == pytest.approx(0, abs=QUADRATURE)


def test_the_scale_of_a_negative_correlation() -> None:
    # sigmoid^2 is not even: the scale must be sqrt(E f(u)^2 E f(v)^2) for any sign
    for method in (mf.Trapezoid(), mf.Panels()):
        both = [method.overlap(mf.sigmoid, 4.0, b) for b in (3.0, -3.0)]
        # E (1/2 + o(u))(1/2 + o(v)) with o odd: the two add up to 1/2
        assert float(both[0].value) + float(both[1].value) == pytest.approx(0.5, abs=QUADRATURE)
        assert float(both[1].error) == pytest.approx(float(both[0].error), rel=0.9)


@pytest.mark.parametrize("f", [mf.erf.value, mf.absolute.slope, mf.identity.value])
def test_overlaps_near_zero_keep_the_error_of_their_scale(f: mf.ScalarFunction) -> None:
    estimate = mf.Exact().overlap(f, 2.0, 1e-17)
    assert abs(float(estimate.value)) < 1e-16 < 1e-15 < float(estimate.error)


def test_independent_pairs_have_an_error_estimate() -> None:
    by_means, directly = mf.AUTO.overlap(mf.relu.value, 2.0, 0.0), mf.Exact().overlap(mf.relu.value, 2.0, 0.0)
    assert float(by_means.value) == pytest.approx(float(directly.value), rel=ROUNDING)
    assert 0 < float(by_means.error) < ROUNDING
    assert mf.AUTO.overlap(mf.tanh, 2.0, 0.0).value == 0


def test_two_functions_and_two_variances() -> None:
    # Stein: E u f(v) = E uv E f'(v)
    for a, other, b in [(1.0, 2.0, 0.7), (5.0, 0.3, -1.1), (2.0, 8.0, 3.9)]:
        expected = b * mf.mean(mf.tanh.slope, other)
        assert mf.overlap(mf.identity, a, b, other, other=mf.tanh) == pytest.approx(expected, abs=10 * QUADRATURE)
        expected = b * mf.mean(mf.relu.slope, other)
        assert mf.overlap(mf.identity, a, b, other, other=mf.relu) == pytest.approx(expected, abs=10 * QUADRATURE)
    for f in (mf.relu, mf.erf, mf.absolute.slope):
        assert mf.overlap(f, 2.0, 1.5, 5.0) == pytest.approx(
            float(mf.Panels().overlap(f, 2.0, 1.5, 5.0).value), abs=10 * QUADRATURE
        )


@pytest.mark.parametrize("rate", [2.0, 6.0, 9.0, 12.0, 20.0])
def test_functions_that_reach_out_of_the_range_are_honest_or_refused(rate: float) -> None:
    # E exp(k u - k^2/2) = 1, all of it around u = k
    f = mf.ScalarFunction(lambda u: np.exp(rate * u - rate**2 / 2))
    try:
        estimate = mf.AUTO.mean(f, 1.0)
    except mf.QuadratureError:
        assert rate > 8
    else:
        assert abs(float(estimate.value) - 1) <= float(estimate.error)
    # E f(u) f(v) = exp(k^2 c), seen mostly by z, mostly by y, or as the second of two functions
    for b in (0.9, 0.1, -0.5):
        for first, second in ((f, f), (mf.ScalarFunction(np.ones_like), f)):
            try:
                estimate = mf.AUTO.overlap(first, 1.0, b, other=second)
            except mf.QuadratureError:
                assert rate > 5
            else:
                truth = math.exp(rate**2 * b) if first is f else 1.0
                assert abs(float(estimate.value) - truth) <= float(estimate.error)


@pytest.mark.parametrize(
    ("centre", "width", "kinks", "variance"),
    [
        (0.4636122191194052, 0.10323954908389407, (0.880331596698529,), 34.15971187476802),
        (0.959, 0.3, (0,), 1.0),
        (-1.5775457745481187, 0.39062969104942746, (), 0.013130198242978489),
    ],
)
def test_levels_that_agree_by_accident(centre: float, width: float, kinks: tuple[float, ...], variance: float) -> None:
    """Bumps for which two successive levels once happened to agree on a wrong value."""
    f = mf.ScalarFunction(lambda u: np.exp(-(((u - centre) / width) ** 2)), kinks=kinks)
    for power, estimate in ((1, mf.AUTO.mean(f, variance)), (2, mf.AUTO.second_moment(f, variance))):
        s = width**2 / power  # the product of two Gaussians is one
        expected = math.sqrt(s / (s + 2 * variance)) * math.exp(-(centre**2) / (s + 2 * variance))
        assert abs(float(estimate.value) - expected) <= float(estimate.error) + ROUNDING * expected


def test_the_exponential_of_a_gaussian() -> None:
    # exp(0.3 u): E f(u) f(v) = exp(0.09 (a + b)); it grows, and the range of integration must follow
    f = mf.ScalarFunction(lambda u: np.exp(0.3 * u))
    for a, b in [(1.0, 0.5), (9.0, 3.0)]:
        assert mf.overlap(f, a, b) == pytest.approx(math.exp(0.09 * (a + b)), rel=10 * QUADRATURE)


def test_close_to_perfect_correlation() -> None:
    # E f(u)^2 - E f(u) f(v) = (a - b) E f'^2 + O((a - b)^2)
    gap = 2.0**-30
    drop = mf.second_moment(mf.tanh, 1.0) - mf.overlap(mf.tanh, 1.0, 1.0 - gap)
    assert drop == pytest.approx(gap * mf.second_moment(mf.tanh.slope, 1.0), abs=1e-13)
    # steps: P(sign u != sign v) = arccos(c)/pi, of the order of a square root
    angle = math.sqrt(2 * gap) * (1 + gap / 12)
    assert 1 - mf.overlap(mf.absolute.slope, 1.0, 1.0 - gap) == pytest.approx(2 * angle / math.pi, abs=1e-15)


def test_zero_variance_is_a_point() -> None:
    assert mf.second_moment(mf.tanh, 0.0) == 0
    assert mf.mean(mf.sigmoid.slope, 0.0) == 0.25
    assert mf.overlap(CUBIC, 0.0, 0.0) == 0
    assert mf.overlap(mf.tanh, 0.0, 0.0, 2.0, other=mf.sigmoid) == 0


def test_arrays_broadcast_and_scalars_stay_floats() -> None:
    assert type(mf.overlap(mf.tanh, 2.0, 1.0)) is float
    assert type(mf.overlap(mf.relu, 2.0, 1.0)) is float
    variance, covariance = np.array([[1.0], [2.0]]), np.array([0.1, 0.2, 0.3])
    result = mf.overlap(mf.tanh, variance, covariance)
    assert isinstance(result, np.ndarray)
    assert result.shape == (2, 3)
    assert result.dtype == np.float64
    assert result[1, 2] == mf.overlap(mf.tanh, 2.0, 0.3)
    estimate = mf.AUTO.overlap(mf.tanh, variance, covariance)
    assert np.shape(estimate.error) == np.shape(estimate.evaluations) == (2, 3)
    assert np.shape(mf.mean(mf.tanh, np.empty((0, 2)))) == (0, 2)


def test_gauss_hermite_is_as_bad_as_it_says() -> None:
    for nodes, variance, order in [(100, 3.0, 1e-7), (100, 10.0, 1e-4), (200, 50.0, 1e-3)]:
        estimate = mf.GaussHermite(nodes).second_moment(mf.tanh, variance)
        error = abs(float(estimate.value) - mf.second_moment(mf.tanh, variance))
        assert order < error < 10 * order
        assert error < float(estimate.error)
    estimate = mf.GaussHermite(100).overlap(mf.relu.slope, 1.0, 0.5)
    assert 1e-2 < abs(float(estimate.value) - 1 / 3) < float(estimate.error)


@pytest.mark.parametrize(("name", "part"), FUNCTIONS)
def test_gauss_hermite_is_honest(name: str, part: int) -> None:
    f = FUNCTIONS[name, part]
    for nodes in (5, 20, 51, 100):
        for a, b in PAIRS:
            estimate = mf.GaussHermite(nodes).overlap(f, a, b)
            assert abs(float(estimate.value) - mf.overlap(f, a, b)) <= float(estimate.error), (nodes, a, b)
            estimate = mf.GaussHermite(nodes).mean(f, a)
            assert abs(float(estimate.value) - mf.mean(f, a)) <= float(estimate.error), (nodes, a)


def test_an_undeclared_kink_is_noticed() -> None:
    undeclared = mf.ScalarFunction(lambda u: np.maximum(u - 0.3, 0))
    with pytest.raises(mf.QuadratureError, match=r"did not reach its tolerance: got .* kinks"):
        mf.mean(undeclared, 1.0)
    with pytest.raises(mf.QuadratureError, match="kinks"):
        mf.overlap(undeclared, 1.0, 0.5)


def test_undeclared_kinks_are_refused_or_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        kink, variance = rng.uniform(-3, 3), 10 ** rng.uniform(-1, 2)

        def values(u: NDArray[np.float64], b: float = kink) -> NDArray[np.float64]:
            return np.abs(u - b) * np.cos(u)

        bent = mf.ScalarFunction(values)
        declared = mf.ScalarFunction(values, kinks=[kink])
        scale = math.sqrt(mf.second_moment(declared, variance))
        try:
            accepted = mf.mean(bent, variance)
        except mf.QuadratureError:
            refused += 1
        else:
            assert abs(accepted - mf.mean(declared, variance)) <= 2 * QUADRATURE * scale
    assert refused > 50


def test_what_is_not_integrable_is_refused() -> None:
    with np.errstate(all="ignore"), pytest.raises(mf.QuadratureError, match="not finite"):
        mf.mean(mf.ScalarFunction(lambda u: np.exp(u**2)), 4.0)
    with np.errstate(all="ignore"), pytest.raises(mf.QuadratureError, match="not finite"):
        mf.mean(mf.ScalarFunction(lambda u: 1 / u), 1.0)


def test_the_choice_can_be_asked() -> None:
    assert mf.AUTO.choose(mf.relu, "overlap") == mf.Exact()
    assert mf.AUTO.choose(mf.tanh, "mean") == mf.Exact()
    assert mf.AUTO.choose(mf.tanh, "second_moment") == mf.Trapezoid()
    assert mf.AUTO.choose(RAMP, "mean") == mf.Panels()
    assert mf.AUTO.choose(mf.tanh, "overlap", other=mf.relu) == mf.Panels()
    assert mf.AUTO.choose(mf.erf, "overlap", other=mf.tanh) == mf.Trapezoid()


def test_a_method_refuses_what_it_is_not_suited_to() -> None:
    with pytest.raises(mf.QuadratureError, match="not suited to the overlap"):
        mf.Trapezoid().overlap(mf.relu, 1.0, 0.5)
    with pytest.raises(mf.QuadratureError, match="not suited to the second_moment"):
        mf.Exact().second_moment(mf.tanh, 1.0)


def test_many_jumps() -> None:
    # floor(u)^2: sums of normal probabilities
    expected = sum(n**2 * 0.5 * (math.erf((n + 1) / math.sqrt(2)) - math.erf(n / math.sqrt(2))) for n in range(-40, 40))
    assert mf.second_moment(STAIRS, 1.0) == pytest.approx(expected, rel=QUADRATURE)


@pytest.mark.parametrize("variance", [1e7, 1e13, 1e40])
def test_an_integral_that_would_need_too_many_nodes_is_refused_at_once(variance: float) -> None:
    for method in (mf.Trapezoid(), mf.Panels()):
        with pytest.raises(mf.QuadratureError, match="three levels would take more values than that"):
            method.overlap(mf.tanh, variance, variance / 2)
    with pytest.raises(mf.QuadratureError, match="three levels would take more values than that"):
        mf.second_moment(mf.tanh, 1e15)


def test_oscillations_between_kinks_are_not_skipped() -> None:
    rng = np.random.default_rng(3)
    x, weights = np.polynomial.legendre.leggauss(40)
    for _ in range(60):
        places, strengths = np.sort(rng.uniform(-3, 3, 2)), rng.normal(size=2)
        frequency, variance = rng.uniform(0.2, 2), 10 ** rng.uniform(0, 2)

        def f(u: NDArray[np.float64], b=places, a=strengths, w=frequency) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
            return np.asarray(np.tanh(u) + (a[0] * abs(u - b[0]) + a[1] * abs(u - b[1])) * np.cos(w * u))

        # forty nodes for each unit of u
        edges = np.union1d(np.linspace(-12, 12, int(24 * variance**0.5) + 2) * variance**0.5, places)
        half = np.diff(edges)[:, None] / 2
        u = (edges[:-1, None] + half * (x + 1)).ravel()
        density = (half * weights).ravel() * np.exp(-u * u / 2 / variance) / math.sqrt(2 * math.pi * variance)
        truth = float(density @ f(u) ** 2)
        estimate = mf.AUTO.second_moment(mf.ScalarFunction(f, kinks=places), variance)
        assert abs(float(estimate.value) - truth) <= float(estimate.error) + ROUNDING * truth


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
    with pytest.raises(mf.ParameterError, match="nodes must be an integer >= 2"):
        mf.GaussHermite(1)
    with pytest.raises(mf.ParameterError, match="tolerance must be a finite number >"):
        mf.Trapezoid(tolerance=-1)
    with pytest.raises(mf.ParameterError, match="largest must be an integer >= 1"):
        mf.Panels(largest=0)
    for variance in (1e-200, 1e200):
        with pytest.raises(mf.ParameterError, match=r"variance must be 0, or between 1e-150 and 1e\+150"):
            mf.overlap(mf.relu, variance, 0.0)
    for text in ("1", None, 1j):
        with pytest.raises(mf.ParameterError, match="variance must be a finite number"):
            mf.GaussianPair(text, 1.0, 0.0)


def test_coarse_estimates_are_honest_too() -> None:
    rng = np.random.default_rng(0)
    for f in (RAMP, KINKED_EXPONENTIAL, CUBIC, WAVE):
        for _ in range(10):
            a = float(10 ** rng.uniform(-2, 1))
            b = a * rng.uniform(-1, 1)
            coarse = mf.Panels(tolerance=1e-4).overlap(f, a, b)
            fine = mf.AUTO.overlap(f, a, b)
            assert abs(float(coarse.value) - float(fine.value)) <= float(coarse.error) + float(fine.error)


def test_rounding_is_part_of_every_estimate() -> None:
    assert 0 < float(mf.AUTO.overlap(mf.relu, 1.0, 0.5).error) < ROUNDING
