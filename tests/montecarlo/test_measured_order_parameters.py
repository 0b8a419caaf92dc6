"""Measured order parameters: definitions, agreement with the theory, and the rate at which it improves."""

from __future__ import annotations

import numpy as np
import pytest
from problems import MIXED_NETWORKS, RELU, TANH, sweep
from tolerances import ROUNDING

import meanfield as mf
import montecarlo as mc


def test_measured_order_parameters_are_the_averages_of_their_definition() -> None:
    network = MIXED_NETWORKS["variances by layer"]
    result = sweep(network)
    order = mc.measure_order_parameters(result)
    pairs = [(s, t) for s in range(5) for t in range(5) if s != t]
    for l in range(network.depth):
        for measured, x in ((order.activity, result.h[l]), (order.preactivation, result.u[l])):
            square = np.mean([x[t] @ x[t] / x.shape[1] for t in range(5)])
            assert measured.same[l] == pytest.approx(square, rel=ROUNDING)
            overlap = np.mean([x[s] @ x[t] / x.shape[1] for s, t in pairs])
            assert measured.cross[l] == pytest.approx(overlap, rel=ROUNDING, abs=ROUNDING)
        delta = result.delta[l]
        same = np.mean([delta[k, t] @ delta[k, t] for k in range(3) for t in range(5)])
        cross = np.mean([delta[k, s] @ delta[k, t] for k in range(3) for s, t in pairs])
        assert order.backward.same[l] == pytest.approx(same, rel=ROUNDING)
        assert order.backward.cross[l] == pytest.approx(cross, rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize(
    "network", [RELU, TANH, MIXED_NETWORKS["three kinds, unequal widths"]], ids=["relu", "tanh", "mixed"]
)
def test_theory_within_four_standard_errors_at_width_1000(network: mf.Network) -> None:
    ensemble = mc.run_ensemble(mc.OrderParameterExperiment(network, width=1000, samples=8), members=16, seed=4)
    comparison = mc.compare(mf.propagate(network), ensemble)
    for row in comparison.rows:
        difference = abs(row.measured - row.theory.lower)
        assert difference <= 4 * row.standard_error + 1e-12, (row.quantity, row.z)
    assert comparison.agrees


def test_deviations_shrink_with_the_square_root_of_the_width() -> None:
    # figure S.1: the standard deviation of qtilde^1_st over networks
    widths, members = [40, 160, 640], 120
    for network in (RELU, TANH):
        deviations = []
        for width in widths:
            experiment = mc.OrderParameterExperiment(network, width=width, samples=10)
            ensemble = mc.run_ensemble(experiment, members=members, seed=width)
            deviations.append(np.std([member.backward.cross[0] for member in ensemble.members], ddof=1))
        slope = np.polyfit(np.log(widths), np.log(deviations), 1)[0]
        # the logarithm of a standard deviation has the error 1/sqrt(2 (N - 1)), the slope of three of them over log 16
        error = np.sqrt(2 / (2 * (members - 1))) / np.log(16)
        assert abs(slope + 0.5) < 4 * error


def test_one_sample_has_no_overlap() -> None:
    with pytest.raises(mf.ParameterError, match="samples must be at least 2"):
        mc.measure_order_parameters(sweep(RELU, samples=1))
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 2"):
        mc.OrderParameterExperiment(RELU, width=10, samples=1)
