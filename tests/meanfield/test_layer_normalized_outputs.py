"""Theorem 4.1 with eta_3 corrected, against explicit matrices and finite networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import jacobian
from problems import RELU, RELU_BIASED, TANH
from tolerances import DIFFERENCES, KAPPA, LINEAR_ALGEBRA, ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.eigenvalues.layer_normalization import theorem_4_1
from montecarlo.allowance import CONSTANTS


def projectors(u: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A(t)/sigma(t) for every sample, A(t) = I - 11'/C - u(t) u(t)'/(C sigma(t)^2)."""
    outputs = u.shape[1]
    found = []
    for row in u:
        centred = row - row.mean()
        sigma = math.sqrt(np.mean(centred**2))
        a = np.eye(outputs) - 1 / outputs - np.outer(centred, centred) / (outputs * sigma**2)
        found.append(a / sigma)
    return found


def explicit(block: mf.Exchangeable, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix [A(t) A(t')/(sigma(t) sigma(t')) F*_tt'], of shape (T C, T C)."""
    a = np.array(projectors(u))
    size = u.size
    blocks: NDArray[np.float64] = np.einsum("tab,sbc,ts->tasc", a, a, block.dense(), optimize=True)
    return blocks.reshape(size, size)


def random_case(rng: np.random.Generator, outputs: int | None = None) -> tuple[mf.Exchangeable, NDArray[np.float64]]:
    samples = int(rng.integers(1, 12))
    outputs = int(rng.integers(3, 8)) if outputs is None else outputs
    same = rng.uniform(0.5, 3)
    u = rng.normal(size=outputs) * rng.uniform(0, 2) + rng.normal(size=(samples, outputs))
    return mf.Exchangeable(same, same * rng.uniform(0, 0.95), samples), u


def test_the_normalised_network_has_the_projected_matrix() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.3, outputs=4)
    rng = np.random.default_rng(2)
    finite = mc.sample_network(network, width=4, rng=rng)
    inputs = mc.sample_inputs(network, width=4, samples=3, rng=rng)

    def normalised(parameters: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        u = mc.propagate(mc.FiniteNetwork(network, parameters[::2], parameters[1::2]), inputs).outputs
        normal: NDArray[np.float64] = (u - u.mean(axis=1, keepdims=True)) / u.std(axis=1, keepdims=True)
        return normal

    parameters = [np.array(array) for pair in zip(finite.weights, finite.biases, strict=True) for array in pair]
    gradients = jacobian(normalised, parameters)
    expected = np.einsum("ptc,psd->tcsd", gradients, gradients) / 3
    sweep = mc.propagate(finite, inputs)
    gram = mc.dual_gram(sweep).reshape(4, 3, 4, 3)  # output, sample, output, sample
    a = np.array(projectors(sweep.outputs))
    got = np.einsum("tck,ktjs,sjd->tcsd", a, gram, a, optimize=True)
    np.testing.assert_allclose(got, expected, atol=DIFFERENCES * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(200))
def test_sums_are_those_of_the_explicit_matrix(seed: int) -> None:
    block, u = random_case(np.random.default_rng(seed))
    matrix = explicit(block, u)
    statistics = theorem_4_1(
        block, mf.ReadoutScales.from_outputs(u), outputs=u.shape[1], depth_to_width=0.03, parameters=77.0
    )
    assert 77 * statistics.mean == pytest.approx(np.trace(matrix), rel=ROUNDING)
    assert 77 * statistics.second_moment == pytest.approx(np.sum(matrix**2), rel=ROUNDING)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    assert statistics.largest.lower <= top * (1 + LINEAR_ALGEBRA)
    assert top <= statistics.largest.upper * (1 + LINEAR_ALGEBRA)


def printed(network: mf.Network, scales: mf.ReadoutScales, eta_3: float, samples: int) -> float:
    """Return s of (27), term by term, with kappa' of the network."""
    kappa_1, kappa_2 = mf.kappas(network)
    c, eta_1, eta_2 = network.outputs, scales.eta_1, scales.eta_2
    bracket = ((eta_3**2 - eta_1**2) * samples + (c - 2) * (eta_1**2 * samples - eta_2)) / samples
    return bracket * kappa_2**2 + (c - 2) * eta_2 * kappa_1**2 / samples


def layered(network: mf.Network, outputs: int) -> mf.Network:
    """Return the same law with more outputs, and layer normalisation everywhere."""
    return mf.Network.uniform(
        network.activations[0],
        depth=3,
        weight_variance=network.weight_variance,
        bias_variance=network.bias_variance,
        outputs=outputs,
        hidden_normalization="layer",
        output_normalization="layer",
    )


@pytest.mark.parametrize("outputs", [3, 7])
@pytest.mark.parametrize("network", [RELU, TANH, RELU_BIASED])
def test_the_formula_as_printed_but_for_eta_3(network: mf.Network, outputs: int) -> None:
    network = layered(network, outputs)
    width, samples, alpha = 500, 40, 2.0
    scales = mf.readout_scales(network, samples=samples, rng=np.random.default_rng(1))
    statistics = mf.eigenvalue_statistics(network, width=width, samples=samples, readout=scales, leading_order=True)
    kappa_1 = mf.kappas(network).same
    s = printed(network, scales, math.sqrt(scales.h3), samples)
    accuracy = 10 * KAPPA
    assert statistics.mean == pytest.approx((outputs - 2) * scales.eta_1 * kappa_1 / width, rel=accuracy)
    assert statistics.second_moment * statistics.parameters == pytest.approx(s * (alpha * width) ** 2, rel=accuracy)
    lower = alpha * s / ((outputs - 2) * scales.eta_1 * kappa_1) * width
    assert statistics.largest.lower == pytest.approx(lower, rel=accuracy)
    assert statistics.largest.upper == pytest.approx(alpha * math.sqrt(s) * width, rel=accuracy)
    assert statistics.theorem == "Theorem 4.1"
    assert statistics.omitted == ()


def printed_eta_3(u: NDArray[np.float64]) -> float:
    """(1/T^2) sum g/(sigma sigma'), as the paper has it."""
    v = u - u.mean(axis=1, keepdims=True)
    sigma = np.sqrt(np.mean(v**2, axis=1))
    g = v @ v.T / (u.shape[1] * np.outer(sigma, sigma))
    return float(np.mean(g / np.outer(sigma, sigma)))


@pytest.mark.parametrize("network", [RELU, TANH, RELU_BIASED])
def test_the_printed_eta_3_gives_bounds_that_fail(network: mf.Network) -> None:
    network = layered(network, 3)
    samples, rng, order = 60, np.random.default_rng(7), mf.propagate(network)
    block = mf.dual_block(network, order, width=100, samples=samples, leading_order=True)
    q, q_st = order.preactivation.same[-1], order.preactivation.cross[-1]
    failures = 0
    for _ in range(40):
        u = math.sqrt(q_st) * rng.normal(size=3) + math.sqrt(q - q_st) * rng.normal(size=(samples, 3))
        scales = mf.ReadoutScales.from_outputs(u)
        statistics = theorem_4_1(block, scales, outputs=3, depth_to_width=0.03, parameters=1e4)
        top = float(np.linalg.eigvalsh(explicit(block, u))[-1])
        assert statistics.largest.lower <= top * (1 + LINEAR_ALGEBRA)
        assert top <= statistics.largest.upper * (1 + LINEAR_ALGEBRA)
        wrong = printed(network, scales, printed_eta_3(u), samples)
        failures += wrong < 0 or top > 200 * math.sqrt(wrong) * (1 + LINEAR_ALGEBRA)
    assert failures >= 2


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_two_outputs_leave_nothing_and_one_is_refused(hidden: str) -> None:
    network = mf.Network.uniform(
        mf.relu, depth=3, weight_variance=2.0, outputs=2, hidden_normalization=hidden, output_normalization="layer"
    )
    statistics = mf.eigenvalue_statistics(network, width=100, samples=10)
    assert (statistics.mean, statistics.second_moment, statistics.prediction) == (0.0, 0.0, 0.0)
    assert statistics.largest == mf.Bounds(0.0, 0.0)
    # and so it is: a projector of rank 0
    assert np.abs(projectors(np.array([[1.0, 4.0], [3.0, -2.0]]))).max() < ROUNDING
    one = RELU.normalized(hidden=hidden, output="layer")
    with pytest.raises(mf.AssumptionError, match=r"Theorem 4\.1 needs C > 2 outputs: .* divides zero by zero"):
        mf.eigenvalue_statistics(one, width=100, samples=10)


def test_which_kappas_stand_in_the_theorem() -> None:
    network = layered(TANH, 8)
    scales = mf.readout_scales(network, samples=10, rng=np.random.default_rng(1))
    for hidden, theorem in (("none", "Theorem 4.1 with kappa"), ("layer", "Theorem 4.1")):
        changed = network.normalized(hidden=hidden)
        statistics = mf.eigenvalue_statistics(changed, width=100, samples=10, readout=scales, leading_order=True)
        assert statistics.theorem == theorem
        assert statistics.mean == pytest.approx(6 * scales.eta_1 * mf.kappas(changed).same / 100, rel=ROUNDING)


@pytest.mark.parametrize(("outputs", "what"), [(3, "E eta_1, for C <= 3; "), (5, "C = 5: E eta_1\\^2, for C <= 5; ")])
def test_where_the_law_has_no_expectation(outputs: int, what: str) -> None:
    with pytest.raises(mf.AssumptionError, match=what):
        mf.eigenvalue_statistics(layered(TANH, outputs), width=100, samples=10)


def test_the_expectation_of_the_law() -> None:
    network = layered(TANH, 14)
    samples, order, rng = 12, mf.propagate(network), np.random.default_rng(4)
    law = mf.eigenvalue_statistics(network, width=100, samples=samples, order=order)
    assert law.readout == mf.expected_readout_scales(network, samples=samples)
    block = mf.dual_block(network, order, width=100, samples=samples)
    q, q_st = order.preactivation.same[-1], order.preactivation.cross[-1]
    sums = []
    for _ in range(600):  # of explicit matrices
        u = math.sqrt(q_st) * rng.normal(size=14) + math.sqrt(q - q_st) * rng.normal(size=(samples, 14))
        matrix = explicit(block, u)
        sums.append((np.trace(matrix), np.sum(matrix**2)))
    means, errors = np.mean(sums, axis=0), np.std(sums, axis=0, ddof=1) / math.sqrt(len(sums))
    expected = np.array([law.mean, law.second_moment]) * law.parameters
    assert (np.abs(means - expected) < SIGMAS * errors).all()
    assert (errors < 0.05 * expected).all()  # a wrong factor is seen


def test_one_sample_is_a_projector() -> None:
    # nothing is off the diagonal: C - 2 eigenvalues same/sigma^2
    u = np.random.default_rng(0).normal(size=(1, 6))
    statistics = theorem_4_1(
        mf.Exchangeable(2.0, 1.0, 1), mf.ReadoutScales.from_outputs(u), outputs=6, depth_to_width=0.1, parameters=10.0
    )
    assert statistics.largest.lower == pytest.approx(2 / float(u.var()), rel=ROUNDING)
    assert statistics.largest.upper == pytest.approx(2 * statistics.largest.lower, rel=ROUNDING)  # sqrt(C - 2)


def test_finite_networks_have_the_trace_and_are_inside_the_bounds() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=6)
    width, samples = 300, 20
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        a = np.array(projectors(sweep.outputs))
        gram = mc.dual_gram(sweep).reshape(6, samples, 6, samples)
        matrix = np.einsum("tck,ktjs,sjd->tcsd", a, gram, a, optimize=True).reshape(6 * samples, 6 * samples)
        theory = mf.eigenvalue_statistics(
            network.normalized(output="layer"),
            width=width,
            samples=samples,
            readout=mf.ReadoutScales.from_outputs(sweep.outputs),
        )
        ratios.append(np.trace(matrix) / (theory.mean * theory.parameters))
        assert float(np.linalg.eigvalsh(matrix)[-1]) in theory.largest
    chance = SIGMAS * np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    allowed = CONSTANTS["finite width"] * theory.corrections[0].size + chance
    assert abs(np.mean(ratios) - 1) < allowed < 0.3
