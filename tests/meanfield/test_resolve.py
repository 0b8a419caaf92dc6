"""Undeclared breaks, wherever they are: what is found agrees with what is declared, within what it says of itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerances import QUADRATURE, ROUNDING

import meanfield as mf
from meanfield.quadrature.law import GaussianLaw, Law, SphereLaw
from meanfield.quadrature.legendre import bisected, continued, gauss, rule, shorter
from meanfield.quadrature.resolve import LONGEST, ORDER, resolve
from meanfield.quadrature.resolved import Resolved

PLACES = [0.0, 0.3, LONGEST, LONGEST + 1e-5, LONGEST - 1e-9, 1e-5, -1e-9, 1e-12]
LAWS: list[Law] = [GaussianLaw(1.0), GaussianLaw(64.0), SphereLaw(3), SphereLaw(1000)]


def resolved(f: mf.ScalarFunction, law: Law) -> Resolved[Law]:
    return resolve(f, law, tolerance=1e-13, largest=10**6)


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-10])
def test_undeclared_breaks_cost_no_honesty(law: Law, place: float, size: float) -> None:
    at = float(law.coordinate(np.array(place)))
    for function in (lambda u: 0.7 + size * np.maximum(u - at, 0) / law.sd, lambda u: 0.7 + size * (u > at)):
        one = resolved(mf.ScalarFunction(function), law)
        other = resolved(mf.ScalarFunction(function, kinks=(at,)), law)
        rounding = ROUNDING * other.square
        assert abs(one.square - other.square) <= 2 * (one.lost(one) + other.lost(other)) + rounding
        assert one.lost(one) <= QUADRATURE * one.square


def test_a_break_that_is_found_leaves_few_panels() -> None:
    one = resolved(mf.ScalarFunction(lambda u: np.clip(u, -1, 1)), GaussianLaw(1.0))
    assert one.around is not None
    assert len(one.edges) < 20 < len(one.around.edges)


def test_a_break_next_to_a_declared_one_is_seen() -> None:
    one = resolved(mf.ScalarFunction(lambda u: 1.0 * (u > 0) + (u > 1e-10), jumps=(0,)), GaussianLaw(1.0))
    # E f = 1 - 1e-10 phi(0)
    assert abs(one.mean - 1 + 1e-10 / math.sqrt(2 * math.pi)) <= one.uncertain + ROUNDING


def test_panels_are_cut_without_gaps() -> None:
    panels = np.array([[0.0, 1.0], [1.0, 3.5]])
    for cut in (bisected(panels), shorter(panels[:, 0], panels[:, 1], 0.4)[0]):
        cut = cut[np.argsort(cut[:, 0])]
        assert (cut[0, 0], cut[-1, 1]) == (0.0, 3.5)
        assert np.abs(cut[1:, 0] - cut[:-1, 1]).max() <= ROUNDING


def test_series_continue_beyond_their_panel_and_at_a_node() -> None:
    x, _ = rule(ORDER)
    values = np.exp(np.stack([x, -x]))
    at = np.array([1.02, x[3]])
    assert np.abs(continued(values, at) - np.exp([1.02, -x[3]])).max() <= ROUNDING
    nodes, weights = gauss(np.array([[0.0, 2.0]]), ORDER)
    assert abs(float((weights * nodes**3).sum()) - 4) <= ROUNDING
