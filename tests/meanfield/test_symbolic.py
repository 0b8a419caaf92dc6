"""Activations from formulas: what is derived, how accurate they are, and which texts are refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from tolerances import FORMULA

import meanfield as mf
from meanfield.activations import by_name

MISH = "x*tanh(log(1+exp(x)))"

SMOOTH: dict[str, Callable[[Any], Any]] = {
    MISH: lambda x: x * mpmath.tanh(mpmath.log(1 + mpmath.exp(x))),
    "x/(1+exp(-x))": lambda x: x / (1 + mpmath.exp(-x)),
    "0.5*x*(1+erf(x/sqrt(2)))": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "(exp(x)-exp(-x))/(exp(x)+exp(-x))": lambda x: (mpmath.exp(2 * x) - 1) / (mpmath.exp(2 * x) + 1),
    "log(cosh(x))": lambda x: mpmath.log(mpmath.cosh(x)),
    "x/2+sqrt(x**2+4)/2": lambda x: (x + mpmath.sqrt(x * x + 4)) / 2,
    "x*tanh(exp(x))": lambda x: x * (1 if x > 300 else mpmath.tanh(mpmath.exp(x))),
    "1-tanh(x)^2": lambda x: 4 / (mpmath.exp(x) + mpmath.exp(-x)) ** 2,
    "exp(-exp(-x))": lambda x: mpmath.exp(-mpmath.exp(-x)) if x > -300 else mpmath.mpf(0),
}
"""Formulas that overflow or cancel as they stand, and their values written out for many digits."""


@pytest.mark.parametrize("text", SMOOTH)
def test_values_and_slopes_keep_their_digits(text: str) -> None:
    phi, f = mf.from_sympy(text), SMOOTH[text]
    rng = np.random.default_rng(5)
    places = [-1e4, -800.0, -40.3, 0.0, 1e-9, 37.1, 800.0, 1e4, *rng.normal(size=20) * 4]
    with mpmath.workdps(400):
        h = mpmath.mpf("1e-40")
        value = [float(f(mpmath.mpf(u))) for u in places]
        slope = [float((f(u + h) - f(u - h)) / (2 * h)) for u in map(mpmath.mpf, places)]
    u = np.array(places)
    nearby = u[:, None] + np.linspace(-1, 1, 41)
    largest = np.abs(phi(nearby)).max(axis=1)
    steepest = np.maximum(np.abs(phi.slope(nearby)).max(axis=1), largest / np.maximum(1, np.abs(u)))
    assert (np.abs(phi(u) - value) <= FORMULA * largest).all()
    assert (np.abs(phi.slope(u) - slope) <= FORMULA * steepest + 1e-300).all()


def test_the_check_of_accuracy_sees_a_formula_that_loses_its_digits() -> None:
    with pytest.raises(mf.ParameterError, match="keeps its digits in floating point"):
        mf.from_sympy("sin(x**50)")
    with pytest.raises(mf.ParameterError, match=r"its value at -10000 is 9999.31\), got inf"):
        mf.from_sympy("log(1+exp(x)+exp(x)*cosh(1)*0+sinh(x)**2)/2")


@pytest.mark.parametrize(
    ("text", "kinks", "slope_kinks", "slope_jumps"),
    [
        ("abs(3*x-1)", (1 / 3,), (), (1 / 3,)),
        ("max(0, min(x/6+0.5, 1))", (-3, 3), (), (-3, 3)),
        ("Piecewise((x, x>0), (exp(x)-1, True))", (0,), (0,), ()),
        ("max(x,0)+min(0,exp(x)-1)", (0,), (0,), ()),
        ("1.05*Piecewise((x, x>0), (1.67*(exp(x)-1), True))", (0,), (), (0,)),
        ("abs(x**2-2)", (-(2**0.5), 2**0.5), (), (-(2**0.5), 2**0.5)),
        ("x*Heaviside(x)", (0,), (), (0,)),
        ("abs(x)**1.5", (0,), (0,), ()),
        ("tanh(abs(x))**2", (), (), ()),  # smooth after all
        (MISH, (), (), ()),
    ],
)
def test_kinks_are_derived(text: str, kinks: object, slope_kinks: object, slope_jumps: object) -> None:
    phi = mf.from_sympy(text)
    assert (phi.value.kinks, phi.value.jumps) == (kinks, ())
    assert (phi.slope.kinks, phi.slope.jumps) == (slope_kinks, slope_jumps)
    mf.check_activation(phi)


def test_a_value_may_jump() -> None:
    phi = mf.from_sympy("sign(x - 0.5) + x")
    assert (phi.value.jumps, phi.value.kinks, phi.slope.breaks) == ((0.5,), (), ())


@pytest.mark.parametrize(
    ("text", "parity", "slope_parity", "nonnegative", "slope_nonnegative"),
    [
        ("x/(1+abs(x))", mf.Parity.ODD, mf.Parity.EVEN, False, False),
        ("x*tanh(x)", mf.Parity.EVEN, mf.Parity.ODD, True, False),
        ("1/(1+exp(-x))", None, mf.Parity.EVEN, True, True),
        ("2/(1+exp(-2*x))-1", mf.Parity.ODD, mf.Parity.EVEN, False, True),
        ("relu(x)", None, None, True, True),
        ("x**3-x", mf.Parity.ODD, mf.Parity.EVEN, False, False),
        ("tanh(x+1)", None, None, False, True),
    ],
)
def test_parity_and_sign_are_derived(
    text: str, parity: object, slope_parity: object, nonnegative: bool, slope_nonnegative: bool
) -> None:
    phi = mf.from_sympy(text)
    assert (phi.value.parity, phi.slope.parity) == (parity, slope_parity)
    assert (phi.value.nonnegative, phi.slope.nonnegative) == (nonnegative, slope_nonnegative)


def test_the_same_numbers_as_the_catalogue() -> None:
    u = np.linspace(-30, 30, 1001) + 0.001
    for text, phi in [("tanh(x)", mf.tanh), ("sigmoid(x)", mf.sigmoid), ("erf(x)", mf.erf), ("relu(x)", mf.relu)]:
        np.testing.assert_allclose(mf.from_sympy(text)(u), phi(u), rtol=FORMULA)
        np.testing.assert_allclose(mf.from_sympy(text).slope(u), phi.slope(u), rtol=FORMULA, atol=1e-15)


def test_expressions_and_their_names() -> None:
    u = sympy.Symbol("u")
    for expression in [
        sympy.Max(u, 0) + sympy.Min(0, sympy.exp(u) - 1),
        sympy.Piecewise((u, (u > 0) & (u < 2)), (2, u >= 2), (0, True)),
        u * (1 + sympy.erf(u / sympy.sqrt(2))) / 2,
        sympy.Float(1 / 3) * u + sympy.tanh(u),
    ]:
        phi = mf.from_sympy(expression)
        assert by_name(phi.name) == phi
        assert pickle.loads(pickle.dumps(phi)) == phi
    assert mf.from_sympy("t * tanh(t)") != mf.from_sympy("t*tanh(2*t)")
    assert by_name(mf.from_sympy("longname").name)(2.0) == 2.0
    network = mf.Network.uniform(mf.from_sympy(MISH), depth=3, weight_variance=2.0)
    assert mf.Network.from_dict(network.to_dict()) == network


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("log(x)", "not at 0"),
        ("1/x", "not at 0"),
        ("sqrt(x)", "not at 0"),
        ("1/(x-pi)", "not at 3.14159"),
        ("1/(x**2-0.6*x+0.09)", "not at 0.3"),
        ("sqrt(abs(x))", "of finite slope everywhere, got one that is not at 0"),
        ("sin(x)/x", "undefined or complex at 0"),
        ("Piecewise((1, x>0))", "not at 0"),
        ("exp(exp(exp(x)))", "infinite at"),
        ("abs(sin(x))", "at most 100 kinks"),
    ],
)
def test_functions_that_are_not_real_and_finite_are_refused(text: str, where: str) -> None:
    with pytest.raises(mf.ParameterError, match=where):
        mf.from_sympy(text)


HOSTILE = [
    *("__import__('os').system('x')", "().__class__", "lambda: 1", "x.is_real", "[x for x in y]", "exp", "", "x y"),
    *("1e400*x", "2**10**10*x", "x**(10**9)", "9**9**9**9*x", "1" + "0" * 900 + "*x", "(" * 300 + "x" + ")" * 300),
    *("-" * 999 + "x", "x+" * 490 + "x", "x" * 2000, "x if x else y", "x<1", "f(x)", "x(1)", "sin(x,x)", "x=1", "'x'"),
    *("1or x", "0x1f*x", "x[0]", "Max(x,*y)", "exp(x=1)", "True*x", "None", "pi", "nan*x", "x/0", "0**-1*x", "x²"),
    *("ﬁ*x", "tan(x)", "floor(x)", "Piecewise(x,x>0)", "((x+1)**1000)**1000", "x\x00", "x//2", "~x", "x;x", "x#1"),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(mf.ParameterError) as error:
        mf.from_sympy(text)
    assert len(str(error.value)) < 1200
    if text in ("exp", "x y", "f(x)", ""):
        assert "softplus, sqrt, tanh, got" in str(error.value)


def test_texts_that_could_take_forever() -> None:
    mf.from_sympy("Max(" + ",".join(f"{i}*x" for i in range(1, 40)) + ")")
    mf.from_sympy("abs(" * 60 + "x-1" + ")" * 60)
    for text in ("Max(" + ",".join(f"sin({i}*x)" for i in range(1, 40)) + ")", "exp(" * 60 + "x" + ")" * 60):
        with pytest.raises(mf.ParameterError):
            mf.from_sympy(text)


def test_neither_text_nor_sympy() -> None:
    for thing in (3, None, sympy.Symbol("x") > 0):
        with pytest.raises(mf.ParameterError, match="expression must be"):
            mf.from_sympy(thing)
    with pytest.raises(mf.ParameterError, match="got x, y in"):
        mf.from_sympy(sympy.Symbol("x") + sympy.Symbol("y"))


@pytest.mark.parametrize("text", ["nan", "inf*x", "x + oo"])
def test_numbers_that_are_not_finite_are_no_variables(text: str) -> None:
    with pytest.raises(mf.ParameterError, match="not finite"):
        mf.from_sympy(text)
