"""Batch normalisation of the outputs, (19), against explicit matrices and finite networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import jacobian
from problems import MIXED_NETWORKS, RELU, TANH
from tolerances import DIFFERENCES, KAPPA, LINEAR_ALGEBRA, ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.eigenvalues.batch_normalization import equation_19
from montecarlo.allowance import CONSTANTS


def projector(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """P of F*_BN = P F* P: blocks (1/sigma_k)(I - 11'/T - u_k u_k'/(T sigma_k^2)), rows kT .. (k+1)T."""
    samples, outputs = u.shape
    total = np.zeros((outputs * samples, outputs * samples))
    for k in range(outputs):
        centred = u[:, k] - u[:, k].mean()
        sigma = math.sqrt(np.mean(centred**2))
        block = np.eye(samples) - 1 / samples - np.outer(centred, centred) / (samples * sigma**2)
        total[k * samples : (k + 1) * samples, k * samples : (k + 1) * samples] = block / sigma
    return total


def test_the_normalised_network_has_the_projected_matrix() -> None:
    # F from a Jacobian by finite differences of the normalised outputs themselves
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.3, outputs=2)
    rng = np.random.default_rng(2)
    finite = mc.sample_network(network, width=4, rng=rng)
    inputs = mc.sample_inputs(network, width=4, samples=5, rng=rng)

    def normalised(parameters: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        u = mc.propagate(mc.FiniteNetwork(network, parameters[::2], parameters[1::2]), inputs).outputs
        normal: NDArray[np.float64] = (u - u.mean(axis=0)) / u.std(axis=0)
        return normal

    parameters = [np.array(array) for pair in zip(finite.weights, finite.biases, strict=True) for array in pair]
    gradients = jacobian(normalised, parameters)
    expected = np.einsum("ptc,psd->ctds", gradients, gradients).reshape(10, 10) / 5
    sweep = mc.propagate(finite, inputs)
    p = projector(sweep.outputs)
    np.testing.assert_allclose(p @ mc.dual_gram(sweep) @ p, expected, atol=DIFFERENCES * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(40))
def test_sums_are_those_of_the_explicit_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, outputs = int(rng.integers(3, 14)), int(rng.integers(1, 6))
    same = rng.uniform(0.5, 3)
    block = mf.Exchangeable(same, same * rng.uniform(0, 0.95), samples)
    u = rng.normal(rng.normal(size=outputs), rng.uniform(0.2, 3, outputs), (samples, outputs))
    p = projector(u)
    matrix = p @ np.kron(np.eye(outputs), block.dense()) @ p
    eigenvalues = np.linalg.eigvalsh(matrix)
    statistics = equation_19(
        block,
        mf.ReadoutScales.from_outputs(u),
        width=100,
        depth_to_width=0.03,
        parameters=1234.0,
        regime=mf.Regime.AUTO,
    )
    assert 1234 * statistics.mean == pytest.approx(np.trace(matrix), rel=ROUNDING)
    assert 1234 * statistics.second_moment == pytest.approx(np.sum(matrix**2), rel=ROUNDING)
    top = float(eigenvalues[-1])
    assert statistics.largest.lower <= top * (1 + LINEAR_ALGEBRA)
    assert top <= statistics.largest.upper * (1 + LINEAR_ALGEBRA)
    positive = eigenvalues > 1e-9 * top  # far above rounding, far below 1/sigma^2
    assert positive.sum() == outputs * (samples - 2)
    if outputs == 1:
        sigma = float(u.std())
        assert statistics.largest.lower == pytest.approx(block.contrast / sigma**2, rel=ROUNDING)
        assert top == pytest.approx(block.contrast / sigma**2, rel=LINEAR_ALGEBRA)


def test_the_formula_as_printed() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=4, output_normalization="batch")
    difference = 1.5 - 0.342854318141471
    width, samples, rho, alpha = 1000, 2000, 0.5, 2.0
    scales = mf.readout_scales(network, samples=samples, rng=np.random.default_rng(0))
    statistics = mf.eigenvalue_statistics(network, width=width, samples=samples, readout=scales, leading_order=True)
    kept = 1 - 2 / samples  # the paper's corrections apart
    assert statistics.mean == pytest.approx(kept * scales.q1 * difference / width, rel=10 * KAPPA)
    assert statistics.largest.lower == pytest.approx(rho * alpha * scales.q2 / scales.q1 * difference, rel=10 * KAPPA)
    upper = math.sqrt(kept * scales.q2 * alpha**2 * rho * difference**2 * width)
    assert statistics.largest.upper == pytest.approx(upper, rel=10 * KAPPA)
    assert statistics.readout == scales
    assert statistics.theorem == "Eq. (19)"
    assert statistics.omitted == ("c0", "c1'", "c2'")
    assert statistics.prediction is None
    assert f"Q1 = {scales.q1:.4g}" in str(statistics)


def test_few_samples_omit_nothing_that_is_as_large() -> None:
    network = TANH.normalized(output="batch")
    scales = mf.readout_scales(network, samples=8, rng=np.random.default_rng(0))
    few, many = (
        mf.eigenvalue_statistics(network, width=1000, samples=8, readout=scales, regime=regime)
        for regime in ("fixed", "proportional")
    )
    assert few.omitted == ()
    assert (few.mean, few.second_moment, few.largest) == (many.mean, many.second_moment, many.largest)
    assert all(correction.size < 1 for correction in few.corrections)
    assert any(correction.size == math.inf for correction in many.corrections)


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_two_samples_leave_nothing(hidden: str) -> None:
    network = MIXED_NETWORKS["variances by layer"].normalized(hidden=hidden, output="batch")
    statistics = mf.eigenvalue_statistics(network, width=100, samples=2)
    assert (statistics.mean, statistics.second_moment, statistics.prediction) == (0.0, 0.0, 0.0)
    assert statistics.largest == mf.Bounds(0.0, 0.0)
    assert math.isinf(mf.learning_rate_bound(statistics).necessary)
    # whatever the readout, and also for a centred network
    scales = mf.ReadoutScales.from_outputs([[1.0, 2.0], [4.0, -2.0]])
    assert mf.eigenvalue_statistics(network, width=100, samples=2, readout=scales) == statistics
    centred = mf.Network.uniform(mf.tanh, depth=2, weight_variance=1.0, output_normalization="batch")
    assert mf.eigenvalue_statistics(centred, width=100, samples=2).prediction == 0.0
    # the finite network agrees: outputs are 1 and -1
    p = projector(np.random.default_rng(0).normal(size=(2, 3)))
    assert np.abs(p).max() < ROUNDING


def test_the_expectation_is_used_where_there_is_one() -> None:
    network = RELU.normalized(output="batch")
    for samples, what in ((3, "E Q1, for T <= 3; E Q2, for T <= 5"), (5, "C = 1: E Q2, for T <= 5. Those of one")):
        with pytest.raises(mf.AssumptionError, match=what) as raised:
            mf.eigenvalue_statistics(network, width=100, samples=samples)
        for advice in ("mf.ReadoutScales.from_outputs", "mf.readout_scales"):
            assert advice in str(raised.value)
    expected = mf.expected_readout_scales(network, samples=50)
    by_law = mf.eigenvalue_statistics(network, width=100, samples=50)
    given = mf.eigenvalue_statistics(network, width=100, samples=50, readout=expected)
    assert by_law.readout == expected
    assert (by_law.mean, by_law.second_moment, by_law.largest) == (given.mean, given.second_moment, given.largest)
    # the scales of a finite network are further from those of the limit than its own are from themselves
    added = [correction for correction in by_law.corrections if correction not in given.corrections]
    assert {correction.name for correction in added} == {"limiting law"}
    assert {correction.quantity for correction in added} == {"mean", "second_moment", "largest"}


def test_drawn_scales_average_to_the_law() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, outputs=5, bias_variance=0.64).normalized(
        output="batch"
    )
    order, rng = mf.propagate(network), np.random.default_rng(1)
    draws = [
        mf.eigenvalue_statistics(
            network,
            width=200,
            samples=40,
            order=order,
            readout=mf.readout_scales(network, samples=40, rng=rng, order=order),
        )
        for _ in range(2000)
    ]
    law = mf.eigenvalue_statistics(network, width=200, samples=40, order=order)
    for field in ("mean", "second_moment"):
        values = np.array([getattr(draw, field) for draw in draws])
        assert abs(values.mean() - getattr(law, field)) < SIGMAS * values.std() / math.sqrt(len(draws))
    # the lower bound is that of the mean with weights m_lambda
    weights = np.array([draw.mean for draw in draws])
    weighted = np.average([draw.largest.lower for draw in draws], weights=weights)
    assert law.largest.lower == pytest.approx(weighted, rel=0.01)  # the standard error is 0.2 %


@pytest.mark.parametrize("bad", [math.inf, math.nan, 0.0, -1.0])
def test_scales_out_of_range(bad: float) -> None:
    network = RELU.normalized(output="batch")
    scales = mf.ReadoutScales(bad, 1.0, math.inf, math.inf, math.inf, math.inf)
    with pytest.raises(mf.ParameterError, match="readout must be scales with a finite q1 > 0"):
        mf.eigenvalue_statistics(network, width=100, samples=10, readout=scales)
    with pytest.raises(mf.ParameterError, match="readout must be a ReadoutScales, got 3"):
        mf.eigenvalue_statistics(network, width=100, samples=10, readout=3)  # type: ignore[arg-type]


def test_finite_networks_have_the_trace_and_are_inside_the_bounds() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=3)
    width, samples = 200, 60
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        p = projector(sweep.outputs)
        matrix = p @ mc.dual_gram(sweep) @ p
        theory = mf.eigenvalue_statistics(
            network.normalized(output="batch"),
            width=width,
            samples=samples,
            readout=mf.ReadoutScales.from_outputs(sweep.outputs),
        )
        ratios.append(np.trace(matrix) / (theory.mean * theory.parameters))
        assert float(np.linalg.eigvalsh(matrix)[-1]) in theory.largest
    # one network's trace has a relative standard deviation of 1.2-1.8/sqrt(M)
    chance = SIGMAS * np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    allowed = CONSTANTS["finite width"] * theory.corrections[0].size + chance
    assert abs(np.mean(ratios) - 1) < allowed < 0.5
