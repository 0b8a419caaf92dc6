"""lambda_max of finite networks with layer-normalised outputs, one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import RELU, RELU_BIASED, TANH, sweep
from tolerances import EACH_NETWORK, MEDIAN_OF_NETWORKS, ROUNDING, SPLITTING, TWO_ROUTES

import meanfield as mf
import montecarlo as mc
from montecarlo.allowance import SINGLE_NETWORK


def layered(network: mf.Network, outputs: int, hidden: str = "layer", output: str = "layer") -> mf.Network:
    return replace(network, outputs=outputs).normalized(hidden=hidden, output=output)


@pytest.mark.parametrize("outputs", [4, 5, 10])
@pytest.mark.parametrize(("network", "hidden"), [(TANH, "layer"), (RELU_BIASED, "layer"), (RELU, "none")])
def test_the_median_and_each_network(network: mf.Network, hidden: str, outputs: int) -> None:
    width, samples, members = 1000, 40, 20
    network = layered(network, outputs, hidden)
    ratios, controlled, inside = [], [], []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        measured_at = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        measured = mc.measure_largest(measured_at)
        theory, control = (mc.predict_leading(measured_at, control=which) for which in (False, True))
        assert theory.prediction is not None
        assert control.prediction is not None
        ratios.append(measured / theory.prediction)
        controlled.append(measured / control.prediction)
        inside.append(theory.largest.lower < theory.prediction < theory.largest.upper)
        # the bounds are far from it
        assert theory.largest.upper > 1.3 * theory.prediction
    assert all(inside)
    # one network is off by its kappas, O(sqrt(L/M)), and up by the splitting of C - 2 eigenvalues, O(sqrt(C L/M))
    depth_to_width = network.depth_to_width(width)
    assert abs(np.median(ratios) - 1) < SPLITTING * math.sqrt(outputs * depth_to_width) + MEDIAN_OF_NETWORKS
    assert max(np.abs(np.array(ratios) - 1)) < SINGLE_NETWORK * math.sqrt(depth_to_width)
    # with its own kappas and overlaps, much less
    assert abs(np.median(controlled) - 1) < MEDIAN_OF_NETWORKS
    assert max(np.abs(np.array(controlled) - 1)) < EACH_NETWORK


def test_it_is_the_theory_for_the_outputs_of_the_network() -> None:
    network = layered(TANH, 5)
    one = sweep(network, width=30, samples=8)
    expected = mf.eigenvalue_statistics(network, width=30, samples=8, outputs=one.u[-1])
    got = mc.predict_leading(one)
    assert got == expected
    assert got.parameters == one.finite_network.parameters()
    assert got.prediction == mf.leading_eigenvalues(network, one.u[-1], width=30, count=1)[0]
    by_batch = mc.predict_leading(sweep(layered(TANH, 5, output="batch"), width=30, samples=8))
    assert by_batch.readout is not None
    assert mc.predict_leading(sweep(RELU)).prediction == mf.eigenvalue_statistics(RELU, width=12, samples=5).prediction


def test_widths_are_those_of_the_network_itself() -> None:
    network = layered(TANH, 4)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(7, 5)), rng.normal(size=(3, 7)), rng.normal(size=(4, 3))]
    finite = mc.FiniteNetwork(network, weights, [np.zeros(7), np.zeros(3), np.zeros(4)])
    one = mc.propagate(finite, rng.normal(size=(6, 5)))
    wide = mf.Network(
        activations=network.activations,
        width_ratios=[5, 7, 3],
        weight_variance=3.0,
        bias_variance=0.64,
        outputs=4,
        hidden_normalization="layer",
        output_normalization="layer",
    )
    theory = mf.eigenvalue_statistics(wide, width=1, samples=6, outputs=one.u[-1])
    assert mc.predict_leading(one).prediction == pytest.approx(theory.prediction, rel=ROUNDING)


def test_control_variates_make_a_linear_network_of_one_layer_exact() -> None:
    """With one hidden unit, linear, F* is exactly what the control variates know of it: F*_kk' = x_s x_t (..)."""
    network = mf.Network(
        activations=[mf.identity], width_ratios=[1, 1], weight_variance=1.0, bias_variance=0.1, outputs=4
    ).normalized(output="layer")
    rng = np.random.default_rng(4)
    readout = rng.normal(size=(4, 1))
    finite = mc.FiniteNetwork(network, [[[1.3]], readout], [[0.0], rng.normal(size=4)])
    # all samples but for a sign: h_s h_t = 1
    one = mc.propagate(finite, np.ones((5, 1)))
    measured = mc.measure_largest(one)
    assert mc.predict_leading(one, control=True).prediction == pytest.approx(measured, rel=TWO_ROUTES)
    # in each sample: d d' (x^2 + 1) + (h^2 + 1) I, d the readout
    expected = np.linalg.eigvalsh(_normalised(2 * readout @ readout.T + (1.3**2 + 1) * np.eye(4), one.u[-1][0]))[-1]
    assert measured == pytest.approx(expected, rel=TWO_ROUTES)


def _normalised(between: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = (u - u.mean()) / u.std()
    a = (np.eye(len(u)) - 1 / len(u) - np.outer(normal, normal) / len(u)) / u.std()
    return np.asarray(a @ between @ a)


def test_two_outputs_and_batch_normalisation() -> None:
    for control in (False, True):
        assert mc.predict_leading(sweep(layered(TANH, 2)), control=control).prediction == 0
    behind_batch = sweep(layered(TANH, 4, hidden="batch"))
    assert mc.predict_leading(behind_batch).theorem == "Theorem 4.1 with Theta"
    with pytest.raises(mf.AssumptionError, match="no backward order parameters"):
        mc.predict_leading(behind_batch, control=True)
    with pytest.raises(mf.ParameterError, match="control must be True or False"):
        mc.predict_leading(sweep(layered(TANH, 4)), control=1)  # type: ignore[arg-type]
