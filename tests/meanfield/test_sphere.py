"""Integrals on a sphere: against rational moments, against 20 digits in two plain angles, and method against method."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.polynomial import legendre
from problems import CUBIC, KINKED_EXPONENTIAL, RAMP, STAIRS, WAVE
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf
from meanfield.quadrature.law import SphereLaw
from meanfield.quadrature.legendre import rule
from meanfield.quadrature.resolve import resolve
from meanfield.quadrature.resolved import Resolved
from meanfield.quadrature.sphere.gegenbauer import coefficients, max_beyond, polynomials

METHODS: list[mf.SphereMethod] = [mf.Gegenbauer(), mf.SpherePanels(), mf.SPHERE]

FUNCTIONS = {
    "tanh": mf.tanh.value,
    "sigmoid slope": mf.sigmoid.slope,
    "relu": mf.relu.value,
    "step": mf.relu.slope,
    "ramp": RAMP,
    "stairs": STAIRS,
    "kinked exponential": KINKED_EXPONENTIAL,
    "cubic": CUBIC,
    "wave": WAVE,
    "steep": mf.ScalarFunction(lambda u: np.tanh(300 * (u - 0.37))),
    "root": mf.ScalarFunction(lambda u: np.sqrt(np.abs(u))),
}

UNDECLARED = {
    "on an edge": (mf.ScalarFunction(lambda u: np.maximum(u, 0)), mf.relu.value),
    "two kinks": (mf.ScalarFunction(lambda u: np.clip(u, -1, 1)), RAMP),
    "kink": (mf.ScalarFunction(lambda u: abs(u - 0.3)), mf.ScalarFunction(lambda u: abs(u - 0.3), kinks=(0.3,))),
    "jump": (mf.ScalarFunction(lambda u: u > 0.3), mf.ScalarFunction(lambda u: u > 0.3, jumps=(0.3,))),
}


def compatible(one: mf.Estimate, other: mf.Estimate) -> bool:
    return abs(float(one.value) - float(other.value)) <= float(one.error) + float(other.error)


def power(k: int) -> mf.ScalarFunction:
    return mf.ScalarFunction(lambda u: u**k)


def double_factorial(k: int) -> int:
    return math.prod(range(k, 0, -2))


def moment(j: int, k: int, d: int, c: Fraction) -> Fraction:
    """E u^j v^k, j + k even, from E r1^a r2^b = (a-1)!! (b-1)!!/(d (d+2) .. (d+a+b-2)) for orthogonal coordinates."""
    total = Fraction(0)
    for b in range(0, k + 1, 2):  # v = c u + s w
        a = j + k - b
        both = Fraction(double_factorial(a - 1) * double_factorial(b - 1), math.prod(range(d, d + a + b, 2)))
        total += math.comb(k, b) * c ** (k - b) * (1 - c * c) ** (b // 2) * both
    return total * Fraction(d) ** ((j + k) // 2)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("d", [2, 3, 4, 5, 9, 50, 10**6])
def test_polynomials_against_rational_moments(method: mf.SphereMethod, d: int) -> None:
    for j, k in [(1, 1), (2, 2), (1, 3), (3, 3), (2, 4), (5, 5)]:
        for c in (Fraction(-1, d), Fraction(3, 5), Fraction(1), Fraction(-1), Fraction(0)):
            scale = math.sqrt(moment(j, j, d, Fraction(1)) * moment(k, k, d, Fraction(1)))
            c = Fraction(float(c))  # the truth is that of the given double
            estimate = method.overlap(power(j), dimension=d, cosine=float(c), other=power(k))
            error = abs(float(Fraction(float(estimate.value)) - moment(j, k, d, c)))
            assert error <= float(estimate.error) <= QUADRATURE * scale, (j, k, c)


@pytest.mark.parametrize("d", [2, 3, 9, 1000, 10**9])
def test_means_and_second_moments(d: int) -> None:
    for k in range(1, 7):
        assert mf.SPHERE.second_moment(power(k), dimension=d).value == pytest.approx(
            float(moment(k, k, d, Fraction(1))), rel=ROUNDING
        )
        mean = float(moment(k, 0, d, Fraction(1))) if k % 2 == 0 else 0.0
        assert mf.SPHERE.mean(power(k), dimension=d).value == pytest.approx(mean, rel=ROUNDING, abs=ROUNDING)


def in_two_angles(f: Callable[[Any], Any], kinks: list[int], d: int, c: Any) -> Any:
    """E f(sqrt(d) cos th) f(sqrt(d) (c cos th + s sin th cos psi)), weights sin^(d-2) th sin^(d-3) psi, d >= 3."""
    root, s = mp.sqrt(d), mp.sqrt(1 - c * c)
    angles = [mp.acos(k / root) for k in kinks]
    alpha = mp.acos(c)
    entering = [abs(x) for a in angles for x in (alpha - a, alpha + a, 2 * mp.pi - alpha - a)]
    outer = sorted({mpf(0), mp.pi / 2, mp.pi, *angles, *(x for x in entering if x < mp.pi)})

    def given(th: Any) -> Any:
        low, spread = c * mp.cos(th), s * mp.sin(th)
        cosines = [(k / root - low) / spread for k in kinks]
        inner = sorted({mpf(0), mp.pi, *(mp.acos(x) for x in cosines if abs(x) < 1)})
        return mp.quad(lambda psi: f(root * (low + spread * mp.cos(psi))) * mp.sin(psi) ** (d - 3), inner)

    total = mp.quad(lambda th: f(root * mp.cos(th)) * given(th) * mp.sin(th) ** (d - 2), outer)
    norm = mp.beta((d - 1) / mpf(2), mpf(1) / 2) * mp.beta((d - 2) / mpf(2), mpf(1) / 2)
    return total / norm


@pytest.mark.parametrize(
    ("name", "d", "c"),
    [("tanh", 3, -1 / 3), ("tanh", 9, -1 / 9), ("ramp", 3, -1 / 3), ("ramp", 4, -0.25)],
)
def test_against_twenty_digits(name: str, d: int, c: float) -> None:
    plain = {"tanh": (mp.tanh, []), "ramp": (lambda u: max(-1, min(1, u)), [-1, 1])}
    with mp.workdps(18):
        truth = in_two_angles(*plain[name], d, mpf(c))
    f = FUNCTIONS[name]
    scale = mf.SPHERE.second_moment(f, dimension=d).value
    for method in METHODS:
        if method.accepts(f, dimension=d, cosine=c):
            estimate = method.overlap(f, dimension=d, cosine=c)
            assert abs(float(estimate.value - truth)) <= float(estimate.error) <= QUADRATURE * scale


def test_one_angle_by_hand() -> None:
    # d = 2: E max(cos th, 0) max(cos(th - alpha), 0) = (sin alpha + (pi - alpha) cos alpha)/(4 pi)
    alpha = 2 * math.pi / 3
    by_hand = 2 * (math.sin(alpha) + (math.pi - alpha) * math.cos(alpha)) / (4 * math.pi)
    assert mf.SPHERE.overlap(mf.relu, dimension=2, cosine=math.cos(alpha)).value == pytest.approx(by_hand, abs=ROUNDING)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_routes_agree_and_are_honest(name: str) -> None:
    f = FUNCTIONS[name]
    cases = [(2, -0.5), (3, -1 / 3), (4, 0.6), (9, -1 / 9), (30, 0.3), (1000, -1e-3)]
    for d, c in cases if name != "root" else [(2, -0.5), (30, -1 / 30)]:
        scale = mf.SPHERE.second_moment(f, dimension=d).value
        estimates = []
        for method in METHODS:
            if not method.accepts(f, dimension=d, cosine=c):
                continue
            try:
                estimates.append(method.overlap(f, dimension=d, cosine=c))
            except mf.QuadratureError:  # of the series alone, for what no declaration warned of
                assert isinstance(method, mf.Gegenbauer)
                assert name in ("steep", "root", "wave")
        for one in estimates:
            assert one.error <= QUADRATURE * scale, (d, c)
            for other in estimates:
                assert compatible(one, other), (d, c)


@pytest.mark.parametrize("name", UNDECLARED)
@pytest.mark.parametrize("c", [-0.2, 0.97, 1 - 1e-8])
def test_undeclared_breaks_are_found(name: str, c: float) -> None:
    f, declared = UNDECLARED[name]
    for d in (2, 3, 4, 7):
        one, other = (mf.SPHERE.overlap(g, dimension=d, cosine=c) for g in (f, declared))
        assert compatible(one, other)


def test_two_functions_and_their_order() -> None:
    for d in (2, 3, 8, 200):
        one = mf.SPHERE.overlap(mf.relu, dimension=d, cosine=0.4, other=CUBIC)
        other = mf.SPHERE.overlap(CUBIC, dimension=d, cosine=0.4, other=mf.relu)
        assert compatible(one, other)


@pytest.mark.parametrize("name", ["tanh", "relu", "step", "ramp"])
@pytest.mark.parametrize("d", [2, 3, 10, 500])
def test_at_the_ends(name: str, d: int) -> None:
    f = FUNCTIONS[name]
    square = mf.SPHERE.second_moment(f, dimension=d)
    same = mf.SPHERE.overlap(f, dimension=d, cosine=1.0)
    assert compatible(same, square)
    mirrored = mf.ScalarFunction(lambda u: f(-u), kinks=[-k for k in f.kinks], jumps=[-k for k in f.jumps])
    one, other = (mf.SPHERE.overlap(f, dimension=d, cosine=c, other=g) for c, g in ((-0.3, f), (0.3, mirrored)))
    assert compatible(one, other)


def test_the_limit_is_gaussian() -> None:
    for f in (mf.tanh, RAMP, mf.relu):
        limit = mf.SPHERE.overlap(f, dimension=math.inf, cosine=0.3)
        assert limit.value == mf.overlap(f, 1.0, 0.3)
        near = mf.SPHERE.overlap(f, dimension=10**9, cosine=0.3)
        assert near.value == pytest.approx(limit.value, rel=3e-9)


def resolved(f: mf.ScalarFunction, d: int) -> Resolved[SphereLaw]:
    return resolve(f, SphereLaw(d), tolerance=1e-13, largest=10**6)


@pytest.mark.parametrize("d", [2, 3, 10, 10**6])
def test_coefficients_end_at_the_degree_and_not_before(d: int) -> None:
    for degree in (0, 1, 4, 7):
        a, _ = coefficients(resolved(power(degree), d), 12)
        size = math.sqrt(a @ a)
        assert abs(a[degree]) > 0.001 * size
        assert np.abs(a[degree + 1 :]).max() <= ROUNDING * size


def test_the_rule_is_exact_to_its_degree_and_not_beyond() -> None:
    for nodes in (5, 24, 32):
        t, weights = rule(nodes)
        exact, beyond = (weights @ legendre.Legendre.basis(k)(t) ** 2 for k in (nodes - 1, nodes))
        assert exact == pytest.approx(2 / (2 * nodes - 1), rel=ROUNDING)
        assert abs(beyond) < ROUNDING  # the truth is 2/(2 nodes + 1)


@pytest.mark.parametrize("d", [2, 3, 9, 1000])
def test_the_bound_on_polynomials_holds_and_falls(d: int) -> None:
    for c in (-1 / d, 0.0, 0.5, -0.99, 1.0):
        p, bound = np.abs(polynomials(c, d, 300)), max_beyond(c, d, 300)
        assert (np.maximum.accumulate(p[::-1])[::-1] <= bound[:-1] * (1 + ROUNDING)).all()
        assert (np.diff(bound) <= ROUNDING).all()


def test_the_choice_can_be_asked() -> None:
    assert isinstance(mf.SPHERE.choose(mf.tanh, dimension=3, cosine=-1 / 3), mf.Gegenbauer)
    assert isinstance(mf.SPHERE.choose(mf.relu, dimension=3, cosine=-1 / 3), mf.SpherePanels)
    assert isinstance(mf.SPHERE.choose(mf.relu, dimension=100, cosine=-0.01), mf.Gegenbauer)
    with pytest.raises(mf.QuadratureError, match=r"not suited.*mf\.SPHERE"):
        mf.Gegenbauer().overlap(mf.relu, dimension=3, cosine=-1 / 3)


@pytest.mark.parametrize(
    ("dimension", "cosine"),
    [
        (0, 0.5),
        (2.5, 0.5),
        ("x", 0.5),
        (math.nan, 0.5),
        (-math.inf, 0.5),
        (3, 1.5),
        (3, math.nan),
        (1, 0.5),
        (True, 1.0),
    ],
)
def test_bad_spheres(dimension: Any, cosine: float) -> None:
    with pytest.raises(mf.ParameterError, match="must be"):
        mf.SPHERE.overlap(mf.relu, dimension=dimension, cosine=cosine)


def test_what_cannot_be_integrated_says_what_to_try() -> None:
    with pytest.raises(mf.QuadratureError, match="not finite"):
        mf.SPHERE.mean(mf.ScalarFunction(lambda u: np.where(abs(u) < 1, np.nan, 1.0)), dimension=3)
    with pytest.raises(mf.QuadratureError, match=r"declare them.*largest"):
        mf.SphereAuto(largest=10_000).mean(mf.ScalarFunction(lambda u: np.sin(1e6 * u)), dimension=3)
    with pytest.raises(mf.QuadratureError, match="exceeds"):
        mf.SPHERE.mean(mf.ScalarFunction(lambda u: np.exp(15 * u)), dimension=10**6)
    with pytest.raises(mf.QuadratureError, match="largest"):
        mf.SpherePanels(largest=10_000).overlap(RAMP, dimension=4, cosine=0.3)
