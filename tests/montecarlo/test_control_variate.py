"""Means with the norm of the readout weights as control variate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tolerances import ROUNDING

import meanfield as mf
import montecarlo as mc

BATCH = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=1, hidden_normalization="batch")


def test_the_line_is_that_of_another_library() -> None:
    rng = np.random.default_rng(0)
    controls = 1 + 0.1 * rng.standard_normal(12)
    values = 3 * controls + 0.05 * rng.standard_normal(12)
    line = stats.linregress(controls - 1, values)
    estimate = mc.controlled_mean(values, controls)
    assert estimate.mean == pytest.approx(line.intercept, rel=ROUNDING)
    assert estimate.standard_error == pytest.approx(line.intercept_stderr, rel=1e-10)
    assert estimate.correlation == pytest.approx(line.rvalue, rel=1e-10)


def test_the_mean_is_unbiased_and_its_error_is_its_spread() -> None:
    rng = np.random.default_rng(1)
    controls = 1 + 0.2 * rng.standard_normal((4000, 8))
    values = 2 + 5 * (controls - 1) + 0.3 * rng.standard_normal((4000, 8))
    estimates = [mc.controlled_mean(*pair) for pair in zip(values, controls, strict=True)]
    z = np.array([(estimate.mean - 2) / estimate.standard_error for estimate in estimates])
    assert abs(np.mean([estimate.mean for estimate in estimates]) - 2) < 4 * np.std(
        [estimate.mean for estimate in estimates]
    ) / math.sqrt(4000)
    inside = np.mean(np.abs(z) < stats.t(6).ppf(0.95))
    assert abs(inside - 0.9) < 4 * math.sqrt(0.09 / 4000)


def test_norms_are_those_of_the_members() -> None:
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(BATCH, width=20, samples=6), members=3, seed=7)
    streams = np.random.SeedSequence(7).spawn(3)
    networks = [mc.sample_network(BATCH, width=20, rng=np.random.default_rng(stream)) for stream in streams]
    expected = [float((network.weights[-1] ** 2).sum()) / 2.0 for network in networks]
    np.testing.assert_allclose(mc.readout_norms(ensemble), expected, rtol=ROUNDING)


def test_the_trace_behind_batch_normalisation_goes_with_the_norm() -> None:
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(BATCH, width=100, samples=12), members=40, seed=0)
    means = [member.mean for member in ensemble.members]
    estimate = mc.controlled_mean(means, mc.readout_norms(ensemble))
    assert estimate.correlation > 0.8
    assert estimate.standard_error < 0.6 * np.std(means, ddof=1) / math.sqrt(40)


def test_comparisons_have_sharper_rows() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=60, samples=10), members=10, seed=0)
    theory = mf.eigenvalue_statistics(network, width=60, samples=10)
    comparison = mc.compare(theory, ensemble, control=True)
    plain = [row.quantity for row in mc.compare(theory, ensemble).rows]
    assert [row.quantity for row in comparison.rows[len(plain) :]] == [
        f"{name} at |W^L|" for name in plain if comparison[name].is_equality
    ]
    estimate = mc.controlled_mean([member.mean for member in ensemble.members], mc.readout_norms(ensemble))
    row = comparison["m_lambda at |W^L|"]
    assert (row.measured, row.standard_error) == (estimate.mean, estimate.standard_error)
    assert row.fitted == 2


@pytest.mark.parametrize(
    ("values", "controls", "message"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "values must be of the shape of the controls"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0], "values must be of the shape of the controls"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], "controls must be different"),
    ],
)
def test_bad_arrays_are_refused(values: list[float], controls: list[float], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.controlled_mean(values, controls)
