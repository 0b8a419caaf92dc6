"""Theory against finite networks: the ratios, and how they are judged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from problems import RELU, RELU_BIASED, TANH
from tolerances import SIGMAS

import meanfield as mf
import montecarlo as mc
from montecarlo.comparison import Row


def sharpness(
    network: mf.Network, *, width: int, members: int, samples: int | None = None
) -> mc.Ensemble[mf.EigenvalueStatistics]:
    experiment = mc.EigenvalueExperiment(network, width, width if samples is None else samples)
    return mc.run_ensemble(experiment, members=members, seed=11)


@pytest.mark.parametrize(
    ("network", "ratio", "error"),
    [(RELU, 1.086, 0.017), (TANH, 1.096, 0.010), (RELU_BIASED, 1.032, 0.021)],
    ids=["relu", "tanh", "relu with bias"],
)
def test_ratio_to_theorem_2_2_at_width_100(network: mf.Network, ratio: float, error: float) -> None:
    """An independent experiment found these ratios to the printed formula, without the term of the bias parameters."""
    ensemble = sharpness(network, width=100, members=200)
    printed = mf.eigenvalue_statistics(network, width=100, samples=100, leading_order=True)
    row = mc.compare(printed, ensemble)["lambda_max"]
    assert abs(row.ratio - ratio) < SIGMAS * math.hypot(error, row.standard_error / row.theory.lower)


def test_the_bias_parameters_explain_most_of_the_difference_for_tanh() -> None:
    ensemble = sharpness(TANH, width=100, members=400)
    without, with_biases = (
        mc.compare(mf.eigenvalue_statistics(TANH, width=100, samples=100, leading_order=order), ensemble)["lambda_max"]
        for order in (True, False)
    )
    assert without.z > 20
    assert without.ratio - 1 > 3 * (with_biases.ratio - 1)
    # without bias parameters on either side the theory of leading order is met as well
    experiment = mc.EigenvalueExperiment(TANH, 100, 100, biases=False)
    row = mc.compare(
        mf.eigenvalue_statistics(TANH, width=100, samples=100, leading_order=True),
        mc.run_ensemble(experiment, members=400, seed=11),
    )["lambda_max"]
    assert abs(row.ratio - with_biases.ratio) < SIGMAS * row.standard_error / row.theory.lower
    assert without.agrees  # within the O(1/M) allowance, though z refutes it
    assert with_biases.agrees


@pytest.mark.parametrize(
    ("network", "measured", "deviation"),
    [(RELU, 8.34, 0.39), (TANH, 6.10, 0.14), (RELU_BIASED, 42.8, 2.2)],
    ids=["relu", "tanh", "relu with bias"],
)
def test_mean_subtraction_at_width_800(network: mf.Network, measured: float, deviation: float) -> None:
    """An independent experiment found these means and standard deviations of single networks."""
    centred = network.normalized(output="mean")
    ensemble = sharpness(centred, width=800, members=8)
    comparison = mc.compare(mf.eigenvalue_statistics(centred, width=800, samples=800), ensemble)
    row = comparison["lambda_max"]
    assert abs(row.measured - measured) < SIGMAS * deviation * math.sqrt(2 / 8)
    assert row.verdict == "inside"
    assert math.isnan(row.ratio)
    assert comparison.agrees


def test_lambda_max_by_the_spectrum_agrees_where_its_bounds_only_contain() -> None:
    network = RELU.normalized(output="mean")
    ensemble = sharpness(network, width=200, members=20)
    theory = mf.eigenvalue_statistics(network, width=200, samples=200)
    row = mc.compare(theory, ensemble)["lambda_max (spectrum)"]
    assert row.is_equality
    assert row.agrees
    assert 0.9 < row.ratio < 1.1
    for factor in (0.7, 1.3):
        assert theory.prediction is not None
        wrong = replace(theory, prediction=factor * theory.prediction)
        assert mc.compare(wrong, ensemble)["lambda_max (spectrum)"].verdict == "differs"
    rough = mf.eigenvalue_statistics(network, width=200, samples=200, sharp=False)
    assert [row.quantity for row in mc.compare(rough, ensemble).rows] == ["m_lambda", "s_lambda", "lambda_max"]


def test_the_second_moment_of_mean_subtraction_is_a_lower_bound() -> None:
    """The leading order omits c0 >= 0; relu (2, 0), L = 3 has c0 rho/(alpha rho^2 (kappa_1 - kappa_2)^2 + ..) = 0.4."""
    centred = RELU.normalized(output="mean")
    theory = mf.eigenvalue_statistics(centred, width=200, samples=200)
    row = mc.compare(theory, sharpness(centred, width=200, members=20))["s_lambda"]
    assert row.theory.upper == math.inf
    assert row.verdict == "inside"
    assert 1.2 < row.measured / row.theory.lower < 1.6


@pytest.mark.parametrize("network", [RELU, TANH], ids=["relu", "tanh"])
def test_few_samples(network: mf.Network) -> None:
    """Theorem 3.3 (i): lambda_max exceeds it by level repulsion; the mean of the top C (T - 1) eigenvalues does not."""
    centred = network.normalized(output="mean")
    theory = mf.eigenvalue_statistics(centred, width=1000, samples=6)
    comparison = mc.compare(theory, sharpness(centred, width=1000, members=20, samples=6))
    assert comparison.agrees
    assert 1 < comparison["lambda_max"].ratio < 1.5
    assert abs(comparison["m_lambda"].ratio - 1) < 0.03


def test_several_outputs_split_the_largest_eigenvalue() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=4)
    theory = mf.eigenvalue_statistics(network, width=200, samples=100)
    comparison = mc.compare(theory, sharpness(network, width=200, members=20, samples=100))
    assert comparison.agrees
    assert comparison["lambda_max"].ratio > 1.03


def scaled(theory: mf.EigenvalueStatistics, factor: float) -> mf.EigenvalueStatistics:
    """Return a theory that is wrong by a factor in every quantity."""
    return replace(
        theory,
        mean=theory.mean * factor,
        second_moment=theory.second_moment * factor,
        largest=mf.Bounds(theory.largest.lower * factor, theory.largest.upper * factor),
        prediction=None if theory.prediction is None else theory.prediction * factor,
    )


@pytest.mark.parametrize(
    ("outputs", "output", "samples", "refused"),
    [
        (1, "none", 100, {0.9: {"m_lambda", "lambda_max"}, 1.25: {"m_lambda", "s_lambda", "lambda_max"}}),
        (4, "none", 100, {0.8: {"m_lambda"}, 1.25: {"m_lambda", "s_lambda", "lambda_max"}}),
        (1, "mean", 6, {0.7: {"m_lambda", "s_lambda"}, 1.6: {"m_lambda", "s_lambda", "lambda_max"}}),
        (1, "mean", 400, {0.05: {"m_lambda", "lambda_max"}, 4.0: {"m_lambda", "s_lambda", "lambda_max"}}),
    ],
    ids=["Theorem 2.2", "Theorem 2.2, C = 4", "Theorem 3.3 (i)", "Theorem 3.3 (ii)"],
)
def test_a_wrong_factor_is_refused(outputs: int, output: str, samples: int, refused: dict[float, set[str]]) -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=outputs)
    network = network.normalized(output=output)
    theory = mf.eigenvalue_statistics(network, width=800, samples=samples)
    ensemble = sharpness(network, width=800, members=12, samples=samples)
    assert mc.compare(theory, ensemble).agrees
    for factor, quantities in refused.items():
        comparison = mc.compare(scaled(theory, factor), ensemble)
        assert quantities <= {row.quantity for row in comparison.rows if not row.agrees}, factor


def test_wrong_order_parameters_are_refused() -> None:
    ensemble = mc.run_ensemble(mc.OrderParameterExperiment(TANH, width=800, samples=8), members=12, seed=0)
    assert mc.compare(mf.propagate(TANH), ensemble).agrees
    wrong = mf.propagate(mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.3, bias_variance=0.64))
    refused = {row.quantity for row in mc.compare(wrong, ensemble).rows if not row.agrees}
    assert {"q^1_t", "q^2_t", "qtilde^1_t"} <= refused


def test_few_members_refute_little() -> None:
    """With two members 4 standard errors are exceeded by chance every sixth time; Student's t knows."""
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    theory = mf.eigenvalue_statistics(network, width=300, samples=10)
    experiment = mc.EigenvalueExperiment(network, 300, 10)
    for seed in range(40):
        assert mc.compare(theory, mc.run_ensemble(experiment, members=2, seed=seed)).agrees


def test_agreement_that_cannot_fail_is_undecided() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    theory = mf.eigenvalue_statistics(network, width=3, samples=3)
    comparison = mc.compare(theory, sharpness(network, width=3, members=4, samples=3))
    assert comparison["lambda_max"].verdict == "undecided"


@pytest.mark.parametrize(("theory", "verdict"), [(0.5, "undecided"), (-0.5, "undecided"), (-2.0, "agrees")])
def test_a_negative_theory_may_be_undecided_too(theory: float, verdict: str) -> None:
    bounds, interval = mf.Bounds(theory, theory), mf.Bounds(theory - 1, theory + 1)
    assert Row("c", bounds, theory + 0.1, 0.01, 10, interval).verdict == verdict


def test_bounds_that_are_missed_are_outside() -> None:
    centred = TANH.normalized(output="mean")
    theory = mf.eigenvalue_statistics(centred, width=100, samples=100)
    wrong = replace(theory, largest=mf.Bounds(50.0, 60.0))
    row = mc.compare(wrong, sharpness(centred, width=100, members=4))["lambda_max"]
    assert row.verdict == "outside"
    assert math.isnan(row.z)


def test_a_comparison_prints_as_a_table() -> None:
    ensemble = sharpness(RELU, width=50, members=3)
    comparison = mc.compare(mf.eigenvalue_statistics(RELU, width=50, samples=50), ensemble)
    lines = str(comparison).splitlines()
    assert lines[0].split() == ["quantity", "theory", "experiment", "ratio", "z", "allowed", "verdict"]
    assert [line.split()[0] for line in lines[1:]] == ["m_lambda", "s_lambda", "lambda_max"]
    with pytest.raises(KeyError, match="no quantity 'lambda_min'; there are m_lambda"):
        comparison["lambda_min"]


def test_rows_of_order_parameters() -> None:
    ensemble = mc.run_ensemble(mc.OrderParameterExperiment(TANH, width=100, samples=4), members=5, seed=0)
    comparison = mc.compare(mf.propagate(TANH), ensemble)
    assert len(comparison.rows) == 18
    value = np.mean([member.backward.cross[0] for member in ensemble.members])
    assert comparison["qtilde^1_st"].measured == pytest.approx(value)
    assert comparison["qtilde^3_t"].z == 0  # exactly one in theory and experiment
    assert math.isnan(comparison["qhat^0_st"].ratio)


def test_what_cannot_be_compared() -> None:
    ensemble = sharpness(RELU, width=20, members=2)
    with pytest.raises(mf.ParameterError, match="ensemble must be an ensemble of OrderParameters"):
        mc.compare(mf.propagate(RELU), ensemble)
    with pytest.raises(mf.ParameterError, match="members must be at least 2, for a standard error, got 1"):
        mc.compare(mf.eigenvalue_statistics(RELU, width=20, samples=20), sharpness(RELU, width=20, members=1))
    with pytest.raises(mf.ParameterError, match=r"theory must be from meanfield, got a measurement"):
        mc.compare(ensemble.members[0], ensemble)
    with pytest.raises(mf.ParameterError, match=r"theory must be for the network and width of the ensemble, .* 861"):
        mc.compare(mf.eigenvalue_statistics(RELU, width=21, samples=20), ensemble)
    order = mc.run_ensemble(mc.OrderParameterExperiment(RELU, width=20, samples=3), members=2, seed=0)
    with pytest.raises(
        mf.ParameterError, match=r"theory must be for a network as deep as the ensemble's, .* got depth 2"
    ):
        mc.compare(mf.propagate(mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)), order)


def test_the_theory_of_the_last_layer_to_leading_order() -> None:
    network = RELU.normalized(hidden="batch")
    ensemble = mc.run_ensemble(mc.LastLayerExperiment(network, 200, 10), members=8, seed=0)
    for leading_order in (False, True):
        theory = mf.last_layer_statistics(network, width=200, samples=10, leading_order=leading_order)
        assert mc.compare(theory, ensemble).agrees
    with pytest.raises(mf.ParameterError, match="theory must be for the network and width of the ensemble"):
        mc.compare(mf.eigenvalue_statistics(network, width=200, samples=10), ensemble)
