"""Measured order parameters: definitions, agreement with the theory, and the rate at which it improves."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from problems import MIXED_NETWORKS, RELU, TANH, sweep
from tolerances import ROUNDING, SIGMAS

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


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
def test_means_and_spread_are_those_of_single_samples_and_pairs(hidden: str) -> None:
    network = MIXED_NETWORKS["variances by layer"].normalized(hidden=hidden, output="layer")
    result = sweep(network)
    order, spread = mc.measure_order_parameters(result), mc.measure_spread(result)
    pairs = [(s, t) for s in range(5) for t in range(5) if s != t]

    def check(mean: mf.Pair[Any], deviation: mf.Pair[Any], l: int, x: Any, units: int) -> None:
        """Compare with loops over arrays of shape (outputs, T, M)."""
        same = [y[t] @ y[t] / units for y in x for t in range(5)]
        cross = [y[s] @ y[t] / units for y in x for s, t in pairs]
        for expected, values in ((mean.same, same), (mean.cross, cross)):
            assert expected[l] == pytest.approx(np.mean(values), rel=ROUNDING, abs=ROUNDING)
        for expected, values in ((deviation.same, same), (deviation.cross, cross)):
            assert expected[l] == pytest.approx(np.std(values), rel=ROUNDING, abs=ROUNDING)

    for l in range(network.depth):
        h, u = result.h[l], result.u[l]
        check(order.activity, spread.activity, l, h[None], h.shape[1])
        check(order.preactivation, spread.preactivation, l, u[None], u.shape[1])
        if hidden != "batch":
            check(order.backward, spread.backward, l, result.delta[l], 1)
    if hidden == "batch":
        assert order.sensitivity is None
        assert spread.sensitivity is None
        with pytest.raises(mf.AssumptionError, match="no backward order parameters"):
            _ = order.backward


@pytest.mark.parametrize("hidden", ["batch", "layer"])
def test_normalised_networks_meet_the_theory_at_width_1000(hidden: str) -> None:
    """(S.66), (S.74) and (S.87), within chance and the O(L/M) that finite networks differ by."""
    samples, members, width = 6, 16, 1000
    for network in (RELU.normalized(hidden=hidden), TANH.normalized(hidden=hidden)):
        theory = mf.propagate(network, samples=samples)
        ensemble = mc.run_ensemble(mc.OrderParameterExperiment(network, width, samples), members=members, seed=2)
        for field in ("activity", "preactivation", *(["sensitivity"] if hidden == "layer" else [])):
            for part in ("same", "cross"):
                values = np.array([getattr(getattr(member, field), part) for member in ensemble.members])
                error = values.std(axis=0, ddof=1) / np.sqrt(members)
                expected = getattr(getattr(theory, field), part)
                scale = getattr(theory, field).same * network.depth / width
                assert (np.abs(values.mean(axis=0) - expected) <= SIGMAS * error + scale).all(), (field, part)


def test_spread_shrinks_with_the_square_root_of_the_width() -> None:
    """(S.4): the values of single samples and pairs differ from the limit by O(1/sqrt(M))."""
    widths = np.array([50, 200, 800])
    for network in (RELU, TANH.normalized(hidden="layer"), TANH.normalized(hidden="batch")):
        logarithms = []
        for width in widths:
            spreads = []
            for seed in range(10):
                rng = np.random.default_rng([seed, width])
                finite = mc.sample_network(network, width=int(width), rng=rng)
                result = mc.propagate(finite, mc.sample_inputs(network, width=int(width), samples=20, rng=rng))
                spreads.append(mc.measure_spread(result).activity.cross[-1])
            logarithms.append(np.log(spreads))
        x = np.log(widths) - np.log(widths).mean()
        slope = x @ np.mean(logarithms, axis=1) / (x @ x)
        error = np.sqrt(x**2 @ np.var(logarithms, axis=1, ddof=1) / 10) / (x @ x)
        assert error < 0.05
        assert abs(slope + 0.5) < SIGMAS * error


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
    for measure in (mc.measure_order_parameters, mc.measure_spread):
        with pytest.raises(mf.ParameterError, match="samples must be at least 2"):
            measure(sweep(RELU, samples=1))
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 2"):
        mc.OrderParameterExperiment(RELU, width=10, samples=1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("outputs", "samples"), [(10, 150), (1, 1000)])
def test_memory_is_predicted(outputs: int, samples: int, dtype: str) -> None:
    experiment = mc.OrderParameterExperiment(replace(TANH, outputs=outputs), 300, samples, dtype=dtype)
    tracemalloc.start()
    try:
        experiment.run(np.random.default_rng(0))
        peak = tracemalloc.get_traced_memory()[1] / 2**30
    finally:
        tracemalloc.stop()
    assert 0.6 < peak / experiment.memory < 1.1
