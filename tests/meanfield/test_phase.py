"""Fixed points and the edge of chaos, against deep recurrences, differences and published points."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.phase import depth_scale

CASES = [
    (mf.tanh, 3.0, 0.05),
    (mf.tanh, 1.5, 0.0),
    (mf.tanh, 1.2, 0.3),
    (mf.erf, 4.0, 0.1),
    (mf.gelu, 1.5, 0.1),
    (mf.relu, 1.0, 0.5),
    (mf.sigmoid, 4.0, 0.1),
    (mf.cosine, 2.0, 0.1),
    (mf.hard_tanh, 3.0, 0.1),
]
DEPTH = 60
CONVERGED = 1e-11
"""Relative: both are exact to about 1e-13."""
DIFFERENCE = 1e-6
"""Of a central difference with a step of 1e-4."""


@pytest.mark.parametrize(("phi", "weight", "bias"), CASES, ids=str)
def test_a_deep_network_ends_in_the_fixed_point(phi: mf.Activation, weight: float, bias: float) -> None:
    fixed = mf.fixed_point(phi, weight_variance=weight, bias_variance=bias)
    inputs = mf.Pair(
        (fixed.variance - bias) / weight * 1.01, (0.9 * fixed.correlation * fixed.variance - bias) / weight
    )
    network = mf.Network.uniform(phi, depth=DEPTH, weight_variance=weight, bias_variance=bias)
    q = mf.propagate(network, inputs=inputs).preactivation
    gone = abs(fixed.chi_q) ** (DEPTH - 1)
    assert q.same[-1] == pytest.approx(fixed.variance, rel=CONVERGED + gone)
    # deviations shrink from layer to layer by the slopes
    layers = slice(3, 8)
    away = q.same - fixed.variance
    if abs(fixed.chi_q) > 0.3:
        np.testing.assert_allclose(away[4:9] / away[layers], fixed.chi_q, rtol=0.02)
    correlation = q.cross / q.same - fixed.correlation
    late = correlation[DEPTH // 2 :]
    if np.abs(late).min() > 1e-9:
        assert late[-1] / late[-2] == pytest.approx(fixed.chi_c, rel=0.02)
    else:
        assert abs(correlation[-1]) < 1e-8


@pytest.mark.parametrize(("phi", "weight", "bias"), CASES, ids=str)
def test_slopes_are_those_of_the_maps(phi: mf.Activation, weight: float, bias: float) -> None:
    fixed = mf.fixed_point(phi, weight_variance=weight, bias_variance=bias)
    q, step = fixed.variance, 1e-4

    def variance(q: float) -> float:
        return weight * mf.second_moment(phi, q) + bias

    def correlation(c: float) -> float:
        return (weight * mf.overlap(phi, q, c * q) + bias) / q

    assert variance(q) == pytest.approx(q, rel=CONVERGED)
    assert correlation(fixed.correlation) == pytest.approx(fixed.correlation, abs=1e-10)
    slope = (variance(q * (1 + step)) - variance(q * (1 - step))) / (2 * step * q)
    assert fixed.chi_q == pytest.approx(slope, abs=DIFFERENCE)
    if fixed.correlation < 0.99:
        c = fixed.correlation
        slope = (correlation(c + step) - correlation(c - step)) / (2 * step)
        assert fixed.chi_c == pytest.approx(slope, abs=DIFFERENCE)
    else:
        assert fixed.chi_c == fixed.chi_1 <= 1


def test_published_points_of_the_edge_of_chaos() -> None:
    assert mf.edge_of_chaos(mf.tanh) == pytest.approx(1.0, rel=1e-12)  # Poole et al. 2016
    assert mf.edge_of_chaos(mf.tanh, bias_variance=0.05) == pytest.approx(1.76, abs=0.005)  # Schoenholz et al. 2017
    assert mf.edge_of_chaos(mf.relu) == pytest.approx(2.0, rel=1e-12)  # He et al. 2015
    assert mf.edge_of_chaos(mf.leaky_relu(0.5)) == pytest.approx(2 / 1.25, rel=1e-12)


EDGES = [(phi, bias) for phi in (mf.tanh, mf.erf, mf.hard_tanh, mf.sine) for bias in (0.01, 0.2)]


@pytest.mark.parametrize(("phi", "bias"), [*EDGES, (mf.silu, 1.0), (mf.gelu, 0.3)], ids=str)
def test_at_the_edge_angles_neither_grow_nor_shrink(phi: mf.Activation, bias: float) -> None:
    weight = mf.edge_of_chaos(phi, bias_variance=bias)
    fixed = mf.fixed_point(phi, weight_variance=weight, bias_variance=bias)
    assert fixed.chi_1 == pytest.approx(1, abs=1e-9)
    below = mf.fixed_point(phi, weight_variance=0.95 * weight, bias_variance=bias)
    assert (below.phase, below.correlation) == ("ordered", 1)
    assert below.correlation_depth < math.inf
    if (phi, bias) in EDGES:  # beyond the edge of silu and gelu the variance grows without end
        above = mf.fixed_point(phi, weight_variance=1.05 * weight, bias_variance=bias)
        assert above.phase == "chaotic"
        assert 0 < above.correlation < 1


def test_the_curve_has_the_points_of_the_edge() -> None:
    curve = mf.edge_curve(mf.tanh, np.geomspace(0.01, 5, 7))
    assert curve.weight_variance.shape == (7,)
    for weight, bias in zip(curve.weight_variance, curve.bias_variance, strict=True):
        assert mf.edge_of_chaos(mf.tanh, bias_variance=bias) == pytest.approx(weight, rel=1e-9)
    relu = mf.edge_curve(mf.relu, [0.1, 1.0, 10.0])
    assert relu.bias_variance.tolist() == [0, 0, 0]
    np.testing.assert_allclose(relu.weight_variance, 2, rtol=1e-12)


def test_limits() -> None:
    gone = mf.fixed_point(mf.tanh, weight_variance=0.8)
    assert (gone.variance, gone.correlation, gone.phase) == (0, 1, "ordered")
    assert gone.chi_1 == pytest.approx(0.8) == gone.chi_q
    edge = mf.fixed_point(mf.tanh, weight_variance=1.0)
    assert (edge.variance, edge.phase) == (0, "edge")
    critical = mf.fixed_point(mf.relu, weight_variance=2.0)
    assert (critical.variance, critical.variance_depth, critical.phase) == (2, math.inf, "edge")
    assert depth_scale(0) == 0
    assert depth_scale(-0.5) == pytest.approx(1 / math.log(2))
    assert "chaotic" in str(mf.fixed_point(mf.tanh, weight_variance=3.0))


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(mf.AssumptionError, match="grows without end"):
        mf.fixed_point(mf.relu, weight_variance=2.5)
    for phi in (mf.relu, mf.silu):  # that of silu would be at an unstable fixed point of the variance
        with pytest.raises(mf.AssumptionError, match="no edge of chaos"):
            mf.edge_of_chaos(phi, bias_variance=0.1)
    with pytest.raises(mf.ParameterError, match="weight_variance"):
        mf.fixed_point(mf.tanh, weight_variance=0)
    with pytest.raises(mf.ParameterError, match="activation"):
        mf.edge_of_chaos("tanh")  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="variances"):
        mf.edge_curve(mf.tanh, [0.0])


def test_tiny_biases_and_steep_growth() -> None:
    assert mf.edge_of_chaos(mf.tanh, bias_variance=1e-300) == pytest.approx(1.0, rel=1e-5)
    assert mf.fixed_point(mf.relu, weight_variance=1.5, bias_variance=1e-14).variance == pytest.approx(4e-14, rel=1e-9)
    with pytest.raises(mf.AssumptionError, match="grows without end"):
        mf.fixed_point(mf.elu, weight_variance=2.0)
    with pytest.raises(mf.ParameterError, match="fixed_points"):
        mf.edge_curve(mf.tanh, ["a"])
