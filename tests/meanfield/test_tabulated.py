"""Tables of overlaps: they agree with the integrals, say how far they are off, and refuse what they cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import TABULATED

import meanfield as mf
from meanfield.quadrature.tabulated import tabulate

FUNCTIONS = {
    "tanh": mf.tanh.value,
    "tanh'": mf.tanh.slope,
    "silu": mf.silu.value,
    "silu'": mf.silu.slope,
    "softplus": mf.softplus.value,
    "sigmoid'": mf.sigmoid.slope,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("largest", [0.3, 2.0, 5.0])
def test_tables_agree_with_integrals_off_the_grid(name: str, largest: float) -> None:
    f = FUNCTIONS[name]
    table = tabulate(f, largest)
    rng = np.random.default_rng(7)
    sd = largest * rng.uniform(1e-4, 1, 60)
    correlation = np.concatenate([rng.uniform(-1, 1, 40), 1 - 10.0 ** rng.uniform(-12, -2, 20)])
    truth = np.asarray(mf.overlap(f, sd**2, correlation * sd**2))
    square = np.asarray(mf.second_moment(f, sd**2))
    # small overlaps of an odd function keep their digits relative to themselves
    scale = square * np.abs(correlation) if f.parity is mf.Parity.ODD else square
    assert (np.abs(table.overlap(sd, correlation) - truth) / scale).max() < TABULATED
    assert (np.abs(table.second_moment(sd) - square) / square).max() < TABULATED
    assert table.error <= 3e-12


def test_a_correlation_of_one_is_the_second_moment() -> None:
    table = tabulate(mf.tanh.value, 2.0)
    sd = np.linspace(0.01, 2, 50)
    assert table.overlap(sd, np.ones(50)) == pytest.approx(table.second_moment(sd), rel=1e-14)


def test_thirty_digits_agree() -> None:
    table = tabulate(mf.tanh.value, 2.0)
    exact = float(mf.Reference(30).overlap(mf.tanh, 2.0, 1.9).value)
    assert table.overlap(np.array([2.0**0.5]), np.array([0.95]))[0] == pytest.approx(exact, rel=TABULATED)


def test_what_has_no_strip_or_is_too_wide_is_refused() -> None:
    with pytest.raises(mf.ParameterError, match="a function with a strip"):
        tabulate(mf.relu.value, 1.0)
    with pytest.raises(mf.QuadratureError, match=r"up to the standard deviation 40 takes a series of .* terms"):
        tabulate(mf.tanh.value, 40.0)
    with pytest.raises(mf.ParameterError, match="tolerance must be a finite number >= 1e-12"):
        tabulate(mf.tanh.value, 1.0, tolerance=1e-14)


def test_a_strip_that_is_too_wide_is_found() -> None:
    wrong = mf.ScalarFunction(lambda u: np.tanh(20 * u), strip=1.3, parity=mf.Parity.ODD)
    with pytest.raises(mf.QuadratureError):
        tabulate(wrong, 2.0)
