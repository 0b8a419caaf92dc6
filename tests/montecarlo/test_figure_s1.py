"""Figure S.1: the line of the theory has the constant, and the measurement agrees with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.records import plain
from montecarlo import figures
from montecarlo.cli.figure_tables import figure_s1_table
from montecarlo.paper import FIGURE_S1, RateCurve, figure_s1


@pytest.fixture(scope="module")
def curves() -> tuple[RateCurve, ...]:
    return figure_s1(widths=[50, 100, 200], members=30, seed=0)


def test_the_line_is_the_theory_of_fluctuations(curves: tuple[RateCurve, ...]) -> None:
    for curve in curves:
        variance = mf.fluctuations(FIGURE_S1[curve.name]).variance.backward.cross[0]
        assert curve.variance == variance
        assert curve.line == pytest.approx([math.sqrt(variance / width) for width in (50, 100, 200)], rel=1e-12)
        record = plain(curve)
        assert record["line"] == list(curve.line)
        assert record["variance"] == variance


def test_the_measurement_agrees_with_constant_and_slope(curves: tuple[RateCurve, ...]) -> None:
    for curve in curves:
        assert 0.5 in curve.fit
        # terms of the next order are 2 to 3 % at M = 100
        assert abs(curve.ratio - 1) < 3 * curve.ratio_error + 0.03
        assert curve.ratio_error < 0.06


def test_the_figure_and_the_table_show_it(curves: tuple[RateCurve, ...]) -> None:
    axes = figures.plot_figure_s1(curves).axes[0]
    labels = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.lines}
    for curve in curves:
        (label,) = (one for one in labels if one.startswith(f"theory, {curve.name}"))
        assert labels[label] == pytest.approx(list(curve.line))
        assert f"{math.sqrt(curve.variance):.4g}" in label
    text = figure_s1_table(curves)
    assert text.count("measured/theory") == 2
    assert "theory 1.614 M^-1/2" in text
