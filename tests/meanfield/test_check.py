"""Activations that declare what is so pass, and each kind of false declaration is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from problems import CATALOGUE
from scipy import special
from tolerances import NUMERICAL_SLOPE

import meanfield as mf
from meanfield.derivative import NumericalSlope

TANH = mf.ScalarFunction(np.tanh, strip=1.4, parity=mf.Parity.ODD)


def _bell(u: Any) -> Any:
    return 1 / np.cosh(np.clip(u, -300, 300)) ** 2


@pytest.mark.parametrize("phi", CATALOGUE, ids=repr)
def test_the_catalogue_is_true(phi: mf.Activation) -> None:
    mf.check_activation(phi)


@pytest.mark.parametrize("text", ["x*tanh(log(1+exp(x)))", "cos(10*x)", "tanh(30*x)", "x**3", "abs(x)**1.5"])
def test_formulas_are_true(text: str) -> None:
    mf.check_activation(mf.from_sympy(text))


def test_unnecessary_declarations_pass() -> None:
    mf.check_activation(mf.Activation("t", mf.ScalarFunction(np.tanh, kinks=(1,), jumps=(2,)), _bell))


def _with_value(value: Any, slope: Any = None, **declared: Any) -> mf.Activation:
    return mf.Activation("f", mf.ScalarFunction(value, **declared), slope)


def _with_slope(slope: Any, **declared: Any) -> mf.Activation:
    return mf.Activation("f", TANH, mf.ScalarFunction(slope, **declared))


def _closed(**formulas: Any) -> mf.Activation:
    return _with_value(lambda u: u, lambda u: np.ones_like(u), closed_form=mf.ClosedForm("a test", **formulas))


FALSE = {
    "value not finite": (
        _with_value(lambda u: np.where(u > 30, np.inf, u), lambda u: 1.0),
        "value of f must be finite",
    ),
    "slope not finite": (_with_slope(lambda u: np.where(u == 0, np.nan, _bell(u))), "slope of f must be finite"),
    "not elementwise": (_with_value(lambda u: u - u.ravel()[0], lambda u: 1.0), "value of f must be elementwise"),
    "value jumps": (_with_value(lambda u: u + (u > 0.123), lambda u: 1.0), r"value.jumps of f .* jump at 0.123"),
    "value kink": (_with_value(lambda u: abs(u - 7.3), lambda u: np.sign(u - 7.3)), r"value.kinks of f .* kink at 7.3"),
    "small kink": (
        _with_value(lambda u: np.tanh(u) + 0.01 * abs(u - 1), lambda u: _bell(u) + 0.01 * np.sign(u - 1)),
        r"value.kinks of f .* kink at 1,",
    ),
    "kink without slope": (_with_value(lambda u: np.maximum(u, 0)), r"value.kinks of f .* kink at -?0,"),
    "slope jumps": (
        _with_value(np.abs, np.sign, kinks=(0,)),
        r"slope.jumps of f must be complete: it has a jump at -?0,",
    ),
    "slope kink": (
        _with_value(lambda u: u * abs(u), lambda u: 2 * abs(u)),
        r"slope.kinks of f must be complete: it has a kink at -?0,",
    ),
    "wrong slope": (_with_slope(lambda u: 1.001 * _bell(u)), "slope of f must be the derivative of the value"),
    "slope wrong far away": (
        _with_value(lambda u: u**2, lambda u: 2 * u + 1e-3 * np.exp(-((u - 30) ** 2))),
        "slope of f must be the derivative",
    ),
    "value odd": (_with_value(np.cosh, np.sinh, parity=mf.Parity.ODD), "value.parity of f must be true: odd"),
    "slope even": (_with_value(np.cosh, mf.ScalarFunction(np.sinh, parity=mf.Parity.EVEN)), "slope.parity of f"),
    "value negative": (_with_value(np.tanh, _bell, nonnegative=True), "value.nonnegative of f must be true: no value"),
    "slope negative": (
        _with_value(np.cos, mf.ScalarFunction(lambda u: -np.sin(u), nonnegative=True)),
        "slope.nonnegative of f",
    ),
    "value strip": (_with_value(np.tanh, _bell, strip=3.0), "value.strip of f must be the half-width"),
    "slope strip": (_with_slope(_bell, strip=2.5), "slope.strip of f must be the half-width"),
    "mean": (_closed(mean=lambda a: 0 * a + 1e-6), r"value.closed_form of f, mean must be .* variance 0.3"),
    "second moment": (_closed(second_moment=lambda a: 1.000001 * a), "value.closed_form of f, second_moment"),
    "overlap": (_closed(overlap=lambda pair: abs(pair.covariance)), "value.closed_form of f, overlap .* covariance -"),
    "slope mean": (
        _with_value(
            lambda u: u, mf.ScalarFunction(lambda u: 1.0, closed_form=mf.ClosedForm("a test", mean=lambda a: 2 + 0 * a))
        ),
        "slope.closed_form of f, mean",
    ),
}


@pytest.mark.parametrize("kind", FALSE)
def test_false_declarations_are_found(kind: str) -> None:
    phi, message = FALSE[kind]
    with pytest.raises(mf.ParameterError, match=message):
        mf.check_activation(phi)


def test_only_activations_are_checked() -> None:
    with pytest.raises(mf.ParameterError, match="activation must be an Activation"):
        mf.check_activation(np.tanh)  # type: ignore[arg-type]


def _real_only(u: Any) -> Any:
    return special.expit(u) * 4 - 2  # takes no complex arguments


@pytest.mark.parametrize(
    ("value", "slope", "kinks"),
    [
        (np.tanh, _bell, ()),
        (_real_only, lambda u: 4 * special.expit(u) * special.expit(-u), ()),
        (lambda u: np.sin(3 * u), lambda u: 3 * np.cos(3 * u), ()),
        (lambda u: np.abs(np.tanh(u - 1)), lambda u: np.sign(u - 1) * _bell(u - 1), (1.0,)),  # complex, not analytic
        (lambda u: np.clip(u, -1, 1), lambda u: (abs(u) < 1) * 1.0, (-1.0, 1.0)),
    ],
)
def test_the_slope_by_the_library(value: Any, slope: Any, kinks: tuple[float, ...]) -> None:
    u = np.concatenate([np.linspace(-20, 20, 1001) + 0.0123, np.array([1.0 + h for h in (-1e-3, -1e-9, 1e-9, 1e-3)])])
    phi = mf.Activation("f", mf.ScalarFunction(value, kinks=kinks))
    np.testing.assert_allclose(phi.slope(u), slope(u), rtol=0, atol=NUMERICAL_SLOPE)
    assert phi.slope.jumps == kinks
    assert phi.slope_is_derived
    assert repr(phi) == "Activation(f, slope by the library)"
    assert not mf.tanh.slope_is_derived


def test_no_point_lies_across_a_kink() -> None:
    seen: list[Any] = []

    def value(u: Any) -> Any:
        seen.append(np.real(u).copy())
        return np.maximum(u, 0)

    slope = NumericalSlope(value, (0.0,))
    slope(np.array([1e-12, 0.3]))
    assert min(points.min() for points in seen) > 0
    seen.clear()
    slope(np.array([0.0, -1e-12]))
    assert max(points.max() for points in seen) <= 0


def test_a_jump_has_no_slope() -> None:
    with pytest.raises(mf.ParameterError, match="slope must be given for a value that jumps"):
        mf.Activation("step", mf.ScalarFunction(np.sign, jumps=(0,)))


def test_kappa_with_a_slope_by_the_library() -> None:
    own = mf.Network.uniform(mf.Activation("own", np.tanh), depth=3, weight_variance=3.0, bias_variance=0.64)
    assert mf.kappas(own).cross == pytest.approx(0.118615372062933, rel=1e-11)
