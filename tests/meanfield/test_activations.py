"""Values and slopes at every size of the argument, and what is declared of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from problems import ALL_ACTIVATIONS
from tolerances import FUNCTION

import meanfield as mf
from meanfield.activations import BY_NAME, FAMILIES

PARTS = [(phi, part) for phi in ALL_ACTIVATIONS for part in ("value", "slope")]

HALF = np.array([0, 1e-300, 1e-20, 1e-8, 1e-3, 0.1, 0.7, 1.5, 4, 9, 20, 39, 300, 750, 1e4, 1e8])
EVERYWHERE = np.concatenate([-HALF[::-1], HALF])

REFERENCE: dict[str, tuple[Any, Any]] = {
    "elu": (lambda u: u if u > 0 else mp.expm1(u), lambda u: 1 if u > 0 else mp.exp(u)),
    "gelu": (lambda u: u * mp.ncdf(u), lambda u: mp.ncdf(u) + u * mp.npdf(u)),
    "sigmoid": (lambda u: 1 / (1 + mp.exp(-u)), lambda u: mp.exp(-u) / (1 + mp.exp(-u)) ** 2),
    "silu": (
        lambda u: u / (1 + mp.exp(-u)),
        lambda u: 1 / (1 + mp.exp(-u)) + u * mp.exp(-u) / (1 + mp.exp(-u)) ** 2,
    ),
    "softplus": (lambda u: mp.log1p(mp.exp(u)), lambda u: 1 / (1 + mp.exp(-u))),
    "tanh": (mp.tanh, lambda u: 1 / mp.cosh(u) ** 2),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_values_and_slopes_are_accurate_at_every_size(name: str) -> None:
    phi = BY_NAME[name]
    for f, exact in zip((phi.value, phi.slope), REFERENCE[name], strict=True):
        with mp.workdps(60):
            expected = np.array([float(exact(mpf(u))) for u in EVERYWHERE])
        # exp(-u^2/2) has the condition number u^2
        condition = 1 + EVERYWHERE**2 if name == "gelu" else 1.0
        assert (
            np.abs(f(EVERYWHERE) - expected) <= FUNCTION * condition * np.abs(expected) + np.finfo(float).tiny
        ).all()


@pytest.mark.parametrize(("phi", "part"), PARTS, ids=str)
def test_any_shape_and_size_is_finite_or_grows(phi: mf.Activation, part: str) -> None:
    f = getattr(phi, part)
    values = f(EVERYWHERE)
    assert np.isfinite(values).all()  # and no warning
    np.testing.assert_array_equal(f(EVERYWHERE.reshape(4, -1)), values.reshape(4, -1))
    assert f(0.5).shape == ()


@pytest.mark.parametrize(("phi", "part"), PARTS, ids=str)
def test_parity_and_sign_are_true_and_complete(phi: mf.Activation, part: str) -> None:
    f, u = getattr(phi, part), EVERYWHERE[np.abs(EVERYWHERE) < 100]
    if f.parity:
        np.testing.assert_allclose(f(-u), f.parity.value * f(u), rtol=FUNCTION)
    else:
        assert not np.array_equal(f(-u), f(u))
        # the slope of the absolute value is odd but for the point 0
        assert not np.array_equal(f(-u), -f(u)) or phi is mf.absolute
    fine = np.linspace(-10, 10, 2001)
    assert f.nonnegative == bool((f(fine) >= 0).all())


@pytest.mark.parametrize(("phi", "part"), PARTS, ids=str)
def test_functions_are_smooth_or_say_where_not(phi: mf.Activation, part: str) -> None:
    f = getattr(phi, part)
    straight = phi.name in ("identity", "leaky_relu(1.0)")
    assert straight or (f.strip is None) == bool(f.breaks)


def test_selu_keeps_variance_one() -> None:
    assert abs(mf.mean(mf.selu, 1.0)) < FUNCTION
    assert abs(mf.second_moment(mf.selu, 1.0) - 1) < FUNCTION


def test_hermite_polynomials_are_orthogonal_at_unit_variance() -> None:
    assert mf.overlap(mf.hermite(3), 1.0, 0.5) == 6 * 0.5**3
    assert mf.mean(mf.hermite(4), 1.0) == 0
    assert mf.mean(mf.hermite(4), 2.0) == 3


def test_families_have_an_example() -> None:
    assert {family.make(family.example).name for family in FAMILIES.values()} == {
        "hermite(2)",
        "leaky_relu(0.1)",
        "monomial(3)",
    }
