"""The formulas on the page of activations are what the catalogue computes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special
from tolerances import ROUNDING

import meanfield as mf
from meanfield.activations import BY_NAME, FAMILIES
from meanfield.quadrature import QUANTITIES, Exact
from meanfield.special import radial, wedge

sympy = pytest.importorskip("sympy")

PAGE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "closed_forms.py"))
CATALOGUE = PAGE["CATALOGUE"]
NAMED = {"erfcx": special.erfcx, "T": special.owens_t, "Phi": special.ndtr, "He": special.eval_hermitenorm}
PAIRS = [(0.7, 1.9, 0.5), (2.3, 0.4, -0.6), (1.2, 1.3, 1.1)]


def _wedge(h: Any, angle: Any) -> Any:
    return wedge(radial, np.asarray(float(h)), np.asarray(float(angle)))


def evaluated(expression: Any, entry: Any, example: float | None, **at: Any) -> Any:
    """Return a formula's value, its abbreviations written out and its letters replaced by numbers."""
    for short, long in reversed(PAGE["ABBREVIATIONS"].items()):
        expression = sympy.sympify(expression).subs(short, long)
    letters = dict(entry.constants)
    if example is not None:
        letters |= {PAGE["n"]: example, PAGE["slope"]: example}
    expression = expression.subs(letters).doit()
    return sympy.lambdify([PAGE[name] for name in at], expression, modules=[NAMED | {"W": _wedge}, "scipy"])(
        *at.values()
    )


def activation(name: str) -> tuple[mf.Activation, float | None]:
    if name in FAMILIES:
        return FAMILIES[name].make(FAMILIES[name].example), FAMILIES[name].example
    return BY_NAME[name], None


def test_every_activation_is_on_the_page() -> None:
    assert set(CATALOGUE) == {*BY_NAME, *FAMILIES}


@pytest.mark.parametrize("name", CATALOGUE)
def test_formulas(name: str) -> None:
    entry, (phi, example) = CATALOGUE[name], activation(name)
    grid = np.array([-2.7, -1.3, -0.4, 0.3, 1.6, 2.9])
    for f, formula, integrals in (
        (phi.value, entry.formula, entry.value),
        (phi.slope, entry.derivative, entry.slope),
    ):
        printed = np.broadcast_to(evaluated(formula, entry, example, u=grid), grid.shape)
        np.testing.assert_allclose(printed, f(grid), rtol=ROUNDING, atol=ROUNDING)
        assert integrals.known == tuple(quantity for quantity in QUANTITIES if Exact().accepts(f, quantity))
        for a, b, c in PAIRS:
            for quantity, library in (("mean", mf.mean), ("second_moment", mf.second_moment)):
                if quantity in integrals.known:
                    printed = evaluated(getattr(integrals, quantity), entry, example, q=a)
                    assert printed == pytest.approx(library(f, a), rel=ROUNDING, abs=ROUNDING)
            if "overlap" in integrals.known:
                printed = evaluated(integrals.overlap, entry, example, a=a, b=b, c=c)
                assert printed == pytest.approx(mf.overlap(f, a, c, b), rel=ROUNDING, abs=ROUNDING)
