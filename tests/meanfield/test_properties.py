"""What holds for every function, variance and network."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import activations, correlations, functions, networks, variances
from tolerances import DIFFERENCES, KAPPA, LINEAR_ALGEBRA, QUADRATURE, ROUNDING

import meanfield as mf


@given(functions, variances)
def test_overlap_with_itself_is_the_second_moment(f: mf.ScalarFunction, a: float) -> None:
    assert mf.overlap(f, a, a) == pytest.approx(mf.second_moment(f, a), rel=2 * QUADRATURE)


@given(functions, variances)
def test_overlap_without_correlation_is_the_mean_squared(f: mf.ScalarFunction, a: float) -> None:
    # by the panels themselves: AUTO takes a short cut here
    by_panels, mean = mf.Panels(tolerance=1e-9).overlap(f, a, 0.0), mf.AUTO.mean(f, a)
    assert abs(by_panels.value - mean.value**2) <= by_panels.error + mean.times(mean).error
    assert by_panels.value == pytest.approx(mean.value**2, abs=2 * QUADRATURE * by_panels.scale)


@given(activations, st.floats(0.1, 10.0), st.floats(-0.7, 0.7))
def test_derivative_in_the_covariance_is_the_overlap_of_the_slope(phi: mf.Activation, a: float, c: float) -> None:
    b, h = c * a, 0.003 * a
    # five-point rule: the truncation is of order h^4
    stencil = [(-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)]
    derivative = sum(weight * mf.overlap(phi, a, b + k * h) for k, weight in stencil) / h
    assert derivative == pytest.approx(mf.overlap(phi.slope, a, b), abs=DIFFERENCES * mf.second_moment(phi.slope, a))


@given(functions, variances, correlations)
def test_cauchy_schwarz(f: mf.ScalarFunction, a: float, c: float) -> None:
    assert abs(mf.overlap(f, a, c * a)) <= mf.second_moment(f, a) * (1 + 2 * QUADRATURE)


@given(functions, variances, variances, correlations)
def test_overlap_of_two_variances_is_symmetric(f: mf.ScalarFunction, a: float, other: float, c: float) -> None:
    b = c * math.sqrt(a) * math.sqrt(other)
    scale = math.sqrt(mf.second_moment(f, a) * mf.second_moment(f, other))
    assert mf.overlap(f, a, b, other) == pytest.approx(mf.overlap(f, other, b, a), abs=2 * QUADRATURE * scale)


@settings(deadline=None)
@given(networks())
def test_kappa_1_exceeds_kappa_2(network: mf.Network) -> None:
    kappa_1, kappa_2 = mf.kappas(network)
    assert 0 < kappa_2 < kappa_1
    assert not network.is_centered


@settings(deadline=None)
@given(networks(), st.integers(10, 500), st.integers(2, 500))
def test_bounds_are_ordered_and_the_regimes_consistent(network: mf.Network, width: int, samples: int) -> None:
    assume(network.outputs * samples <= network.parameters(width))  # else F* has zero eigenvalues, not F
    unnormalised = mf.eigenvalue_statistics(network, width=width, samples=samples)
    centred = network.normalized(output="mean")
    fixed = mf.eigenvalue_statistics(centred, width=width, samples=samples, regime="fixed")
    proportional = mf.eigenvalue_statistics(centred, width=width, samples=samples, regime="proportional", sharp=False)
    assert proportional.largest.lower <= proportional.largest.upper
    assert fixed.prediction is not None
    assert unnormalised.prediction is not None
    # the lower bound of (ii) is the value of (i): s/m of eigenvalues that are all equal
    assert proportional.largest.lower == pytest.approx(fixed.prediction, rel=ROUNDING)
    assert fixed.prediction <= unnormalised.prediction
    assert fixed.mean < unnormalised.mean
    for statistics in (unnormalised, fixed, proportional):
        assert statistics.mean**2 <= statistics.second_moment * (1 + ROUNDING)
        bound = mf.moment_bounds(statistics.mean, statistics.second_moment, statistics.parameters)
        assert bound.lower <= statistics.largest.upper * (1 + ROUNDING)
        assert statistics.largest.lower <= bound.upper * (1 + ROUNDING)


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 40))
def test_exchangeable_against_a_dense_eigensolver(same: float, cross: float, size: int) -> None:
    matrix = mf.Exchangeable(same, cross, size)
    dense = np.linalg.eigvalsh(matrix.dense())
    tolerance = LINEAR_ALGEBRA * size * (1 + abs(same) + abs(cross))
    expected = sorted([matrix.uniform, *[matrix.contrast] * (size - 1)])
    np.testing.assert_allclose(dense, expected, atol=tolerance)
    assert matrix.trace == pytest.approx(dense.sum(), abs=tolerance)
    assert matrix.squared_norm == pytest.approx(np.sum(dense**2), abs=10 * tolerance)
    g = np.eye(size) - 1 / size
    np.testing.assert_allclose(matrix.centred().dense(), g @ matrix.dense() @ g, atol=tolerance)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_moment_bounds_hold_for_any_eigenvalues(eigenvalues: list[float]) -> None:
    assume(max(eigenvalues) > 1e-3)
    values = np.array(eigenvalues)
    bounds = mf.moment_bounds(float(values.mean()), float(np.mean(values**2)), values.size)
    assert bounds.lower * (1 - ROUNDING) <= values.max() <= bounds.upper * (1 + ROUNDING)


@given(st.floats(0.1, 10), st.integers(2, 8), st.floats(0.0, 0.9))
def test_relu_networks_without_bias_scale(factor: float, depth: int, slope: float) -> None:
    phi = mf.leaky_relu(slope)
    one, scaled = (mf.propagate(mf.Network.uniform(phi, depth=depth, weight_variance=w)) for w in (2.0, 2.0 * factor))
    power = factor ** np.arange(depth)
    for before, after in zip(one.activity, scaled.activity, strict=True):
        np.testing.assert_allclose(after, before * power, rtol=KAPPA)
    for before, after in zip(one.backward, scaled.backward, strict=True):
        np.testing.assert_allclose(after, before * power[::-1], rtol=KAPPA)


@settings(deadline=None)
@given(activations, st.floats(0.5, 3.0), st.floats(0.1, 10))
def test_layer_norm_forgets_the_scale(phi: mf.Activation, weight_variance: float, factor: float) -> None:
    # the norm of layer 2 divides the scale out of the activity; of the slope it is what remains
    one, scaled = (
        mf.propagate(
            mf.Network.uniform(
                phi,
                depth=3,
                weight_variance=[weight_variance, f * weight_variance, weight_variance],
                bias_variance=[0.3, 0.3 * f, 0.3],
                hidden_normalization="layer",
            )
        )
        for f in (1.0, factor)
    )
    for before, after in zip(one.activity, scaled.activity, strict=True):
        np.testing.assert_allclose(after, before, rtol=KAPPA)
    for before, after in zip(one.backward, scaled.backward, strict=True):
        np.testing.assert_allclose(after, before * [1, 1 / factor, 1], rtol=KAPPA)
