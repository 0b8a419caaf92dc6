"""The two sweeps against loops written from the equations."""

from __future__ import annotations

import tracemalloc

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from problems import MIXED_NETWORKS, sweep
from tolerances import DIFFERENCES, ROUNDING

import meanfield as mf
import montecarlo as mc
from montecarlo.propagate import sweep_memory

NETWORK = MIXED_NETWORKS["variances by layer"]


def test_forward_and_backward_one_sample_at_a_time() -> None:
    result = sweep(NETWORK)
    finite, depth = result.finite_network, NETWORK.depth
    for t in range(5):
        h = result.h[0][t]
        u = []
        for l in range(depth):
            u.append(finite.weights[l] @ h + finite.biases[l])
            h = NETWORK.activations[l](u[l]) if l < depth - 1 else u[l]
            np.testing.assert_allclose(result.u[l][t], u[l], rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(result.outputs[t], h, rtol=ROUNDING, atol=ROUNDING)
        for k in range(NETWORK.outputs):
            delta = np.eye(NETWORK.outputs)[k]
            np.testing.assert_array_equal(result.delta[-1][k, t], delta)
            for l in reversed(range(depth - 1)):
                delta = NETWORK.activations[l].slope(u[l]) * (finite.weights[l + 1].T @ delta)
                np.testing.assert_allclose(result.delta[l][k, t], delta, rtol=ROUNDING, atol=ROUNDING)


def test_shapes() -> None:
    result = sweep(NETWORK)
    widths = NETWORK.widths(12)
    assert result.outputs.shape == (5, 3)
    assert [h.shape for h in result.h] == [(5, m) for m in widths[:-1]]
    assert [u.shape for u in result.u] == [(5, m) for m in widths[1:]]
    assert [delta.shape for delta in result.delta] == [(3, 5, m) for m in widths[1:]]
    assert result.samples == 5


def test_mean_subtraction_centres_the_outputs_and_nothing_else() -> None:
    plain, centred = sweep(NETWORK), sweep(NETWORK.normalized(output="mean"))
    np.testing.assert_allclose(centred.outputs, plain.outputs - plain.outputs.mean(axis=0), atol=ROUNDING)
    for before, after in zip(plain.delta + plain.u, centred.delta + centred.u, strict=True):
        np.testing.assert_array_equal(before, after)


def test_bad_inputs() -> None:
    finite = sweep(NETWORK).finite_network
    for inputs in (np.ones(4), np.ones((5, 3)), np.ones((0, 4))):
        with pytest.raises(mf.ParameterError, match=r"inputs must be of shape \(T, 4\) with T >= 1"):
            mc.propagate(finite, inputs)
    with pytest.raises(mf.ParameterError, match="inputs must be finite"):
        mc.propagate(finite, np.full((2, 4), np.nan))


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_forward_against_a_plain_pass(hidden: str, output: str) -> None:
    result = sweep(NETWORK.normalized(hidden=hidden, output=output))
    expected = oracles.forward(result.finite_network, result.h[0])
    np.testing.assert_allclose(result.outputs, expected, rtol=ROUNDING, atol=ROUNDING)
    before = oracles.from_layer(result.finite_network, 1, result.u[0])
    np.testing.assert_allclose(result.u[-1], before, rtol=ROUNDING, atol=ROUNDING)
    for l in range(1, NETWORK.depth):
        behind = NETWORK.activations[l - 1](oracles.normalised(result.u[l - 1], hidden))
        np.testing.assert_allclose(result.h[l], behind, rtol=ROUNDING, atol=ROUNDING)


def sensitivities(result: mc.Sweep, layer: int) -> NDArray[np.float64]:
    """D u^L_k(t) / d u^l_i(a) by central differences: shape (C, T, T, M_l), indices k, t, a, i."""
    u = result.u[layer - 1].copy()
    slopes = oracles.jacobian(lambda _: oracles.from_layer(result.finite_network, layer, u), [u])
    return slopes.reshape(*u.shape, *result.outputs.shape).transpose(3, 2, 0, 1)


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
def test_sensitivities_against_finite_differences(hidden: str) -> None:
    result = sweep(NETWORK.normalized(hidden=hidden))
    for layer in range(1, NETWORK.depth + 1):
        expected, delta = sensitivities(result, layer), result.delta[layer - 1]
        if hidden != "batch":
            across = expected[:, ~np.eye(5, dtype=bool)]
            assert not across.any()  # no sample reaches another
            expected = np.einsum("ktti->kti", expected)
        np.testing.assert_allclose(delta, expected, atol=DIFFERENCES * np.abs(expected).max())


def test_frozen_statistics_of_a_batch_are_wrong() -> None:
    """With mean and variance of the batch held fixed no sample reaches another, and the gradients are others."""
    result = sweep(NETWORK.normalized(hidden="batch"))
    finite = result.finite_network
    for layer in range(1, NETWORK.depth):
        frozen = np.broadcast_to(np.eye(3)[:, None, :], (3, 5, 3))
        for l in reversed(range(layer - 1, NETWORK.depth - 1)):
            u = result.u[l]
            slope = NETWORK.activations[l].slope((u - u.mean(axis=0)) / u.std(axis=0))
            frozen = (frozen @ finite.weights[l + 1]) * slope / u.std(axis=0)
        delta = result.delta[layer - 1]
        itself = np.einsum("ktti->kti", delta)
        assert np.linalg.norm(itself - frozen) > 0.1 * np.linalg.norm(itself)
        assert np.linalg.norm(delta) ** 2 > 1.1 * np.linalg.norm(itself) ** 2
        np.testing.assert_allclose(delta.sum(axis=2), 0, atol=ROUNDING * np.abs(delta).max())  # a common shift is lost


def test_what_has_no_spread_is_refused() -> None:
    shallow = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, outputs=2)
    rng = np.random.default_rng(0)
    finite = mc.sample_network(shallow, width=4, rng=rng)

    def run(inputs: NDArray[np.float64], **choice: str) -> mc.Sweep:
        return mc.propagate(mc.FiniteNetwork(shallow.normalized(**choice), finite.weights, finite.biases), inputs)

    for choice in ({"hidden": "batch"}, {"output": "batch"}):
        with pytest.raises(mf.ParameterError, match="samples must be at least 2 with batch normalisation, got 1"):
            run(np.ones((1, 4)), **choice)
        with pytest.raises(ArithmeticError, match=r"same value for all 3 samples at unit 0: there is no spread"):
            run(np.ones((3, 4)), **choice)
    for choice in ({"hidden": "layer"}, {"output": "layer"}):
        one = np.array([[1.0, 2, 3, 4], [0, 0, 0, 0]])  # without biases nothing is left of the second sample
        with pytest.raises(ArithmeticError, match=r"same value for all . units at sample 1: there is no spread"):
            run(one, **choice)
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="layer 1 is not finite"):
        run(np.array([[1e308] * 4, [-1e308] * 4]) * 1.5, hidden="batch")
    single = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, output_normalization="layer")
    with pytest.raises(mf.ParameterError, match="outputs must be at least 2 with layer normalisation"):
        sweep(single)
    with pytest.raises(mf.ParameterError, match="at least 2 units, with layer normalisation, got widths"):
        sweep(single.normalized(hidden="layer", output="none"), width=1)


@pytest.mark.parametrize(("hidden", "width", "samples"), [("none", 200, 200), ("batch", 200, 40), ("layer", 200, 200)])
def test_memory_is_predicted(hidden: str, width: int, samples: int) -> None:
    network = NETWORK.normalized(hidden=hidden, output="batch")
    rng = np.random.default_rng(0)
    tracemalloc.start()
    finite = mc.sample_network(network, width=width, rng=rng)
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    tracemalloc.reset_peak()
    result = mc.propagate(finite, inputs)
    held, peak = tracemalloc.get_traced_memory()
    assert 0.8 < peak / 2**30 / sweep_memory(network, width, samples) < 1.2
    tracemalloc.reset_peak()
    mc.dual_gram(result)
    of_gram = tracemalloc.get_traced_memory()[1] - held
    tracemalloc.stop()
    assert of_gram / 2**30 < 1.2 * mc.gram_memory(outputs=3, samples=samples, hidden=hidden)
