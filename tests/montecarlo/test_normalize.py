"""Each normalisation's adjoint against explicit matrices and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from tolerances import DIFFERENCES, ROUNDING

import meanfield as mf
from montecarlo.normalize import SAMPLES, UNITS, Normalised, centre, normalise, normalise_outputs, standardise

Map = Callable[[NDArray[np.float64], int], Normalised]
X = np.random.default_rng(5).standard_normal((4, 6)) * 3 + 1
MAPS = [(normalise, axis) for normalise in (centre, standardise) for axis in (SAMPLES, UNITS)]


def jacobian(normalised: Normalised) -> NDArray[np.float64]:
    """Return the Jacobian, 24 x 24, column by column."""
    units = np.eye(24).reshape(24, 4, 6)
    return normalised.adjoint(units.copy()).reshape(24, 24).T


@pytest.mark.parametrize(("normalise", "axis"), MAPS)
def test_jacobian_against_finite_differences_and_its_adjoint(normalise: Map, axis: int) -> None:
    x = X.copy()
    differences = oracles.jacobian(lambda _: normalise(x, axis).values, [x])  # d values / d x
    matrix = jacobian(normalise(X, axis))
    np.testing.assert_allclose(matrix, differences.reshape(24, 24).T, atol=DIFFERENCES)
    v, w = np.random.default_rng(0).standard_normal((2, 1, 4, 6))
    of_v, of_w = (normalise(X, axis).adjoint(direction.copy()) for direction in (v, w))
    assert np.vdot(of_v, w) == pytest.approx(np.vdot(v, of_w), rel=ROUNDING)


@pytest.mark.parametrize(("normalise", "axis"), MAPS)
def test_sigma_times_the_jacobian_is_a_projector(normalise: Map, axis: int) -> None:
    normalised = normalise(X, axis)
    sigma = 1.0 if normalised.deviation is None else np.broadcast_to(normalised.deviation, X.shape).ravel()
    projector = (jacobian(normalised).T * sigma).T
    np.testing.assert_allclose(projector @ projector, projector, atol=ROUNDING)
    np.testing.assert_allclose(projector, projector.T, atol=ROUNDING)
    size, lines = (4, 6) if axis == SAMPLES else (6, 4)
    lost = 1 if normalise is centre else 2
    assert np.trace(projector) == pytest.approx(lines * (size - lost), rel=ROUNDING)


def test_jacobian_against_the_printed_matrices() -> None:
    """(S.60) over the samples and (S.78) over the units, both times 1/sigma."""
    for axis, lines in ((SAMPLES, X.T), (UNITS, X)):
        n = lines.shape[1]
        matrix = jacobian(standardise(X, axis)).reshape(4, 6, 4, 6)
        for line, x in enumerate(lines):
            mean, sigma = sum(x) / n, np.sqrt(sum(x**2) / n - (sum(x) / n) ** 2)
            p = np.eye(n) - 1 / n - np.outer(x - mean, x - mean) / (sigma**2 * n)
            block = matrix[:, line, :, line] if axis == SAMPLES else matrix[line, :, line, :]
            np.testing.assert_allclose(block, p / sigma, atol=ROUNDING)


def test_the_product_of_two_projectors() -> None:
    """Gamma_kk'(s, t) = sum_i P_ki(s) P_k'i(t): (S.81) and its diagonal (S.84) print the last sign as -."""
    m = 6
    n_s, n_t = standardise(X[:2], UNITS).values
    p_s, p_t = (np.eye(m) - 1 / m - np.outer(n, n) / m for n in (n_s, n_t))
    gamma = p_s @ p_t.T
    first = np.eye(m) - (np.outer(n_t, n_t) + np.outer(n_s, n_s) + 1) / m
    last = np.outer(n_s, n_t) * (n_s @ n_t) / m**2
    np.testing.assert_allclose(gamma, first + last, atol=ROUNDING)
    assert np.abs(gamma - (first - last)).max() > 0.1  # as printed
    assert np.abs(np.diagonal(gamma - (first - last))).max() > 0.1


def test_values() -> None:
    np.testing.assert_allclose(centre(X, SAMPLES).values.mean(axis=0), 0, atol=ROUNDING)
    for axis in (SAMPLES, UNITS):
        values = standardise(X, axis).values
        np.testing.assert_allclose(values.mean(axis=axis), 0, atol=ROUNDING)
        np.testing.assert_allclose(values.var(axis=axis), 1, rtol=ROUNDING)
    for scale in (1e-200, 1e200):  # whose squares are zero and infinity
        np.testing.assert_allclose(standardise(scale * X, UNITS).values, standardise(X, UNITS).values, rtol=ROUNDING)


def test_choices() -> None:
    hidden, output = mf.HiddenNormalization, mf.OutputNormalization
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    none = normalise(X, network, layer=1)
    assert none.values is X
    np.testing.assert_array_equal(jacobian(none), np.eye(24))
    by_samples, by_units = standardise(X, SAMPLES).values, standardise(X, UNITS).values
    np.testing.assert_array_equal(normalise(X, network.normalized(hidden=hidden.BATCH), layer=1).values, by_samples)
    np.testing.assert_array_equal(normalise(X, network.normalized(hidden=hidden.LAYER), layer=1).values, by_units)
    assert normalise_outputs(X, output.NONE).values is X
    np.testing.assert_array_equal(normalise_outputs(X, output.MEAN).values, centre(X, SAMPLES).values)
    np.testing.assert_array_equal(normalise_outputs(X, output.BATCH).values, by_samples)
    np.testing.assert_array_equal(normalise_outputs(X, output.LAYER).values, by_units)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-300, 1e300])
def test_equal_values_have_no_spread(value: float) -> None:
    x = X.copy()
    x[:, 2] = value
    with pytest.raises(ArithmeticError, match="the output has the same value for all 4 samples at unit 2"):
        standardise(x, SAMPLES, what="the output")
    x[1] = value
    with pytest.raises(ArithmeticError, match="layer has the same value for all 6 units at sample 1"):
        standardise(x, UNITS)
    x[1, 3] = value * (1 + 1e-12) + 1e-310  # a spread of four digits, or of the last bits of zero
    assert np.isfinite(standardise(x, UNITS).values).all()


def test_two_values_lose_everything() -> None:
    """They become -1 and 1 whatever they are; three do not."""
    assert not standardise(X[:2], SAMPLES).adjoint(np.ones((1, 2, 6)) * X[:2]).any()
    assert not standardise(X[:, :2], UNITS).adjoint(X[None, :, 2:4].copy()).any()
    assert standardise(X[:3], SAMPLES).adjoint(X[None, :3] ** 2).any()
