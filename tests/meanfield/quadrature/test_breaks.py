"""Kinks and jumps, declared or not, in one variable and in two."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from problems import PIECEWISE, RAMP, STAIRS
from random_functions import Part, RandomFunction, expect, expect_product, expect_square
from tolerances import ORACLE, QUADRATURE, ROUNDING

import meanfield as mf

PLACES = [0.0, 0.3, -1.7, 3.9, 0.75, 1e-3, -1e-9, math.pi / 7]
"""In standard deviations; 0 and 0.75 are edges of panels, where the series of neither side shows a kink."""


def undeclared(kind: str, *places: float) -> RandomFunction:
    """Return a sum of ramps or steps at these places, beside a bump."""
    factors = [1.0, -0.6, 0.8, -1.3, 0.5]
    parts = [Part(kind, factor, place) for factor, place in zip(factors, places, strict=False)]
    return RandomFunction((*parts, Part("bump", 0.5, 0.2, 0.8)))


@pytest.mark.parametrize("kind", ["ramp", "step"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("variance", [1e-8, 1.0, 1e6])
def test_an_undeclared_break_is_found_in_one_variable(kind: str, place: float, variance: float) -> None:
    sd = math.sqrt(variance)
    f = RandomFunction((Part(kind, 1.0, place * sd), Part("bump", 0.5 * sd, 0.2 * sd, 0.8 * sd)))
    user, rms = f.as_scalar_function(declared=False), f.rms_of_parts(variance)
    assert mf.mean(user, variance) == pytest.approx(expect(f, variance), abs=QUADRATURE * rms)
    assert mf.second_moment(user, variance) == pytest.approx(expect_square(f, variance), abs=QUADRATURE * rms**2)


@pytest.mark.parametrize("kind", ["ramp", "step"])
@pytest.mark.parametrize("c", [0.5, -0.9, 1 - 1e-9, 1.0, -1.0, 1e-9])
def test_undeclared_breaks_are_found_in_two_variables(kind: str, c: float) -> None:
    f = undeclared(kind, 0.3, -1.7, 2.1)
    user = f.as_scalar_function(declared=False)
    truth, square = expect_product(f, f, 2.0, 2.0, 2 * c), expect_square(f, 2.0)
    estimate = mf.AUTO.overlap(user, 2.0, 2 * c)
    assert estimate.value == pytest.approx(truth, abs=QUADRATURE * square)
    assert abs(estimate.value - truth) <= estimate.error + ORACLE * square
    declared = mf.AUTO.overlap(f.as_scalar_function(declared=True), 2.0, 2 * c)
    assert abs(estimate.value - declared.value) <= estimate.error + declared.error
    assert declared.evaluations < estimate.evaluations


def test_two_functions_with_breaks_of_their_own() -> None:
    f, g = undeclared("step", 0.4, -0.9), undeclared("ramp", 1.1)
    for b in (-1.2, 0.3, 1.4):
        value = mf.overlap(
            f.as_scalar_function(declared=False), 1.0, b, 2.0, other=g.as_scalar_function(declared=False)
        )
        scale = math.sqrt(expect_square(f, 1.0) * expect_square(g, 2.0))
        assert value == pytest.approx(expect_product(f, g, 1.0, 2.0, b), abs=QUADRATURE * scale)


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.5), (4.0, -3.0), (0.3, 0.29), (2.0, 2.0 - 1e-6), (9.0, 0.1)])
def test_functions_of_users_with_kinks(name: str, a: float, b: float) -> None:
    f = PIECEWISE[name]
    truth = float(oracles.smoothed_overlap(name, a, b))
    for user in (f, mf.ScalarFunction(f.value)):
        estimate = mf.AUTO.overlap(user, a, b)
        assert abs(estimate.value - truth) <= QUADRATURE * mf.second_moment(f, a)
        assert abs(estimate.value - truth) <= estimate.error


def test_the_second_moment_of_a_ramp_by_hand() -> None:
    # E clip(z, -1, 1)^2 = P(|z| < 1) - 2 phi(1) + P(|z| > 1)
    expected = 1 - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert mf.second_moment(RAMP, 1.0) == pytest.approx(expected, rel=QUADRATURE)
    assert mf.second_moment(mf.ScalarFunction(RAMP.value), 1.0) == pytest.approx(expected, rel=QUADRATURE)


def test_many_jumps() -> None:
    # floor(u)^2: sums of normal probabilities
    expected = sum(n**2 * 0.5 * (math.erf((n + 1) / math.sqrt(2)) - math.erf(n / math.sqrt(2))) for n in range(-40, 40))
    for f in (STAIRS, mf.ScalarFunction(np.floor)):
        assert mf.second_moment(f, 1.0) == pytest.approx(expected, rel=QUADRATURE)
    # E floor(u) floor(v) by steps: floor(u) + 20 = sum of 1(u > n) for |u| < 20
    steps = RandomFunction((*(Part("step", 1.0, float(n)) for n in range(-19, 20)), Part("step", -20.0, -99.0)))
    for b in (0.5, -1.0):
        truth = expect_product(steps, steps, 1.0, 1.0, b)
        for f in (STAIRS, mf.ScalarFunction(np.floor)):
            assert mf.overlap(f, 1.0, b) == pytest.approx(truth, abs=QUADRATURE * (expected + 400))


@pytest.mark.parametrize("power", [0.5, 1.5, 2.5, 3.0])
def test_roots_are_found_too(power: float) -> None:
    # |u|^p: E |u|^p = 2^(p/2) Gamma((p + 1)/2)/sqrt(pi), with a kink of every order at 0
    f = mf.ScalarFunction(lambda u: np.abs(u) ** power)

    def moment(p: float) -> float:
        return 2 ** (p / 2) * math.gamma((p + 1) / 2) / math.sqrt(math.pi)

    assert mf.mean(f, 1.0) == pytest.approx(moment(power), rel=2 * QUADRATURE)
    assert mf.second_moment(f, 1.0) == pytest.approx(moment(2 * power), rel=2 * QUADRATURE)
    # v = -u
    assert mf.overlap(f, 1.0, -1.0) == pytest.approx(moment(2 * power), rel=2 * QUADRATURE)


def test_oscillations_between_kinks_are_not_skipped() -> None:
    rng = np.random.default_rng(3)
    x, weights = np.polynomial.legendre.leggauss(40)
    for k in range(60):
        places, strengths = np.sort(rng.uniform(-3, 3, 2)), rng.normal(size=2)
        frequency, variance = rng.uniform(0.2, 2), 10 ** rng.uniform(0, 2)

        def f(
            u: NDArray[np.float64],
            b: NDArray[np.float64] = places,
            a: NDArray[np.float64] = strengths,
            w: float = frequency,
        ) -> NDArray[np.float64]:
            return np.asarray(np.tanh(u) + (a[0] * abs(u - b[0]) + a[1] * abs(u - b[1])) * np.cos(w * u))

        # forty nodes for each unit of u
        edges = np.union1d(np.linspace(-12, 12, int(24 * variance**0.5) + 2) * variance**0.5, places)
        half = np.diff(edges)[:, None] / 2
        u = (edges[:-1, None] + half * (x + 1)).ravel()
        density = (half * weights).ravel() * np.exp(-u * u / 2 / variance) / math.sqrt(2 * math.pi * variance)
        truth = float(density @ f(u) ** 2)
        estimate = mf.AUTO.second_moment(mf.ScalarFunction(f, kinks=places if k % 2 else ()), variance)
        assert abs(float(estimate.value) - truth) <= float(estimate.error) + ROUNDING * truth


@pytest.mark.parametrize("width", [0.01, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("declared", [False, True])
def test_a_hat_on_nothing_is_found_or_refused(width: float, declared: bool) -> None:
    """It is zero at every node of the first panels; only the probes between them see it."""
    rng = np.random.default_rng(8)
    found = 0
    for left in rng.uniform(-3, 3, 12):

        def hat(u: NDArray[np.float64], k: float = left) -> NDArray[np.float64]:
            return ((u > k) & (u < k + width)).astype(np.float64)

        truth = (math.erf((left + width) / math.sqrt(2)) - math.erf(left / math.sqrt(2))) / 2
        f = mf.ScalarFunction(hat, scale=width if declared else None)
        for integral in (mf.AUTO.mean, mf.AUTO.second_moment):
            with suppress(mf.QuadratureError):
                estimate = integral(f, 1.0)
                assert abs(estimate.value - truth) <= estimate.error + ROUNDING * estimate.scale
                found += 1
    assert found >= 12


def test_a_scale_that_cannot_be_probed_is_refused() -> None:
    def needle(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 + 1e3 * np.exp(-np.minimum(((u - 0.1234567) / width) ** 2 / 2, 700))

    width = 1e-4  # E f^2 = 1 + 2e3 a + 1e6 b, with a and b the integrals of the needle and of its square
    height = math.exp(-(0.1234567**2) / 2)
    truth = 1 + 2e3 * width * height + 1e6 * width / math.sqrt(2) * height
    assert mf.second_moment(mf.ScalarFunction(needle, scale=width), 1.0) == pytest.approx(truth, rel=1e-6)
    width = 1e-6
    with pytest.raises(mf.QuadratureError, match="more than 4000000 values"):
        mf.second_moment(mf.ScalarFunction(needle, scale=width), 1.0)


def test_squares_that_vanish_are_refused() -> None:
    tiny = mf.ScalarFunction(lambda u: 1e-180 * np.maximum(u - 0.3, 0))
    with pytest.raises(mf.QuadratureError, match="vanish in double precision"):
        mf.Panels().overlap(tiny, 1.0, 0.99)
