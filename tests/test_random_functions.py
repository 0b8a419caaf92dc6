"""The random functions and their integrals against mpmath, from the definition alone."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from random_cases import Case, seeded
from random_functions import KINDS, Part, RandomFunction, expect, expect_product, expect_square
from tolerances import ORACLE

PARTS = [
    Part("bump", 0.7, 0.4, 0.3),
    Part("wave", -1.3, 0.2, 0.25),
    Part("ramp", 0.9, -0.6),
    Part("step", 1.1, 0.35),
    Part("line", -0.5, 0.1),
]


def exactly(part: Part, u: mpf) -> mpf:
    """Evaluate a part by its definition, without noise."""
    d = u - mpf(part.place)
    match part.kind:
        case "bump":
            value = mpmath.exp(-((d / part.width) ** 2))
        case "wave":
            value = mpmath.cos(d / part.width)
        case "ramp":
            value = max(d, mpf(0))
        case "step":
            value = mpf(d > 0)
        case _:
            value = d
    return part.factor * value


def cuts(f: RandomFunction, reach: float) -> list[float]:
    """Where to cut a line."""
    around = [part.place + part.width * x for part in f.parts if part.kind == "bump" for x in (-3.0, 0.0, 3.0)]
    inside = {x for x in [*around, *f.breaks, -4.0, -2.0, 0.0, 2.0, 4.0] if abs(x) < reach}
    return [-reach, *sorted(inside), reach]


def definition(f: RandomFunction, g: RandomFunction, a: float, other: float, b: float) -> float:
    """E f(u) g(v) as an integral over v for every u."""
    sd, t = math.sqrt(a), math.sqrt((a * other - b * b) / a)

    def given(u: mpf) -> mpf:
        m = float(b / a * u)
        edges = sorted({m - 7 * t, m, m + 7 * t, *(x for x in cuts(g, 9.0) if abs(x - m) < 7 * t)})
        return mpmath.quad(
            lambda v: sum(exactly(part, v) for part in g.parts) * mpmath.npdf(v, m, t),
            edges,
            method="gauss-legendre",
            maxdegree=4,
        )

    return float(
        mpmath.quad(
            lambda u: sum(exactly(part, u) for part in f.parts) * given(u) * mpmath.npdf(u, 0, sd),
            cuts(f, 7 * sd),
            method="gauss-legendre",
            maxdegree=4,
        )
    )


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_every_kind_averaged_over_noise(part: Part) -> None:
    f = RandomFunction((part,))
    with mpmath.workdps(20):
        for m, noise in ((0.3, 0.8), (-1.1, 0.05)):
            expected = mpmath.quad(
                lambda w, m=m, noise=noise: exactly(part, m + noise * w) * mpmath.npdf(w),
                sorted({*range(-9, 10), min(max((part.place - m) / noise, -9.0), 9.0)}),
            )
            assert f.smoothed(np.array([m]), noise)[0] == pytest.approx(float(expected), rel=ORACLE, abs=1e-15)
            assert f(np.array([m]))[0] == pytest.approx(float(exactly(part, mpf(m))), rel=ORACLE)


def test_all_kinds_are_tested() -> None:
    assert {part.kind for part in PARTS} == set(KINDS)
    assert {part.kind for case in seeded(0, 30) for part in case.f.parts} == set(KINDS)


@pytest.mark.parametrize(
    ("first", "second", "b"), [((2, 3), (0, 4), -0.9), ((0,), (3,), 0.6), ((3,), (2, 3), 1.2), ((4, 1), (2,), -0.4)]
)
def test_overlaps_by_their_definition(first: tuple[int, ...], second: tuple[int, ...], b: float) -> None:
    f, g = (RandomFunction(tuple(PARTS[i] for i in some)) for some in (first, second))
    assert expect_product(f, g, 1.3, 1.7, b) == pytest.approx(definition(f, g, 1.3, 1.7, b), rel=1e-9)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_second_moments(part: Part) -> None:
    f = RandomFunction((part,))
    with mpmath.workdps(20):
        expected = mpmath.quad(lambda u: exactly(part, u) ** 2 * mpmath.npdf(u), cuts(f, 10.0))
    assert expect_square(f, 1.0) == pytest.approx(float(expected), rel=ORACLE)
    assert f.rms_of_parts(1.0) == pytest.approx(math.sqrt(float(expected)), rel=ORACLE)


def test_independence_and_symmetry() -> None:
    for case in seeded(1, 40):
        product = expect(case.f, case.variance) * expect(case.g, case.other_variance)
        apart = expect_product(case.f, case.g, case.variance, case.other_variance, 0.0)
        assert apart == pytest.approx(product, abs=ORACLE * case.rounding)
        # conditioned on v rather than u: another integral
        turned = Case(case.g, case.f, case.other_variance, case.variance, case.covariance, case.declared)
        assert turned.truth == pytest.approx(case.truth, abs=ORACLE * case.rounding)
