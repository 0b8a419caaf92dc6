"""Sampled networks and inputs, and networks built by hand."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from problems import MIXED_NETWORKS, RELU
from tolerances import SIGMAS

import meanfield as mf
import montecarlo as mc

NETWORK = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, outputs=2)
WEIGHTS = [np.ones((3, 4)), np.ones((2, 3))]
BIASES = [np.zeros(3), np.zeros(2)]


def test_variances_are_those_of_each_layer() -> None:
    network = MIXED_NETWORKS["variances by layer"]
    finite = mc.sample_network(network, width=400, rng=np.random.default_rng(0))
    widths = network.widths(400)
    assert finite.widths == widths
    for l in range(network.depth):
        w, b = finite.weights[l], finite.biases[l]
        expected = network.weight_variance[l] / widths[l]
        assert abs(w.var() / expected - 1) < SIGMAS * np.sqrt(2 / w.size)
        assert abs(w.mean()) < SIGMAS * np.sqrt(expected / w.size)
        assert abs(b.mean()) <= SIGMAS * np.sqrt(network.bias_variance[l] / b.size)
        if network.bias_variance[l] > 0 and b.size > 100:
            assert abs(b.var() / network.bias_variance[l] - 1) < SIGMAS * np.sqrt(2 / b.size)
        if network.bias_variance[l] == 0:
            assert not b.any()


def test_inputs_are_standard_normal() -> None:
    x = mc.sample_inputs(RELU, width=300, samples=200, rng=np.random.default_rng(0))
    assert x.shape == (200, 300)
    assert abs(x.mean()) < SIGMAS / np.sqrt(x.size)
    assert abs(x.var() - 1) < SIGMAS * np.sqrt(2 / x.size)


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        (WEIGHTS[:1], BIASES, "weights must be one array for each of the 2 layers, got 1"),
        (WEIGHTS, BIASES[:1], "biases must be one array for each of the 2 layers, got 1"),
        ([np.ones((3, 0)), WEIGHTS[1]], BIASES, r"weights must be of shape \(M_1, M_0\) in layer 1, got \(3, 0\)"),
        ([np.ones(3), WEIGHTS[1]], BIASES, r"weights must be of shape \(M_1, M_0\) in layer 1, got \(3,\)"),
        ([np.ones((5, 4)), WEIGHTS[1]], [np.ones(5), BIASES[1]], r"of shape \(M_2, 5\) in layer 2, got \(2, 3\)"),
        (WEIGHTS, [np.zeros(4), BIASES[1]], r"biases must be of shape \(3,\) in layer 1, got \(4,\)"),
        ([WEIGHTS[0], np.ones((1, 3))], [BIASES[0], np.zeros(1)], "last layer has 2 outputs, got 1"),
        ([WEIGHTS[0] * np.nan, WEIGHTS[1]], BIASES, "weights and biases must be finite, got inf or nan in layer 1"),
    ],
)
def test_shapes_that_do_not_fit(weights: Any, biases: Any, message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.FiniteNetwork(NETWORK, weights, biases)


def test_a_network_owns_its_arrays() -> None:
    weights = [w.copy() for w in WEIGHTS]
    finite = mc.FiniteNetwork(NETWORK, weights, BIASES)
    weights[0][0, 0] = 99
    assert finite.weights[0][0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        finite.weights[0][0, 0] = 99
    assert repr(finite) == "FiniteNetwork(widths=(4, 3, 2))"


def test_a_read_only_array_is_copied_too() -> None:
    """Its owner can make it writable again."""
    weights = [w.copy() for w in WEIGHTS]
    weights[0].setflags(write=False)
    finite = mc.FiniteNetwork(NETWORK, weights, BIASES)
    weights[0].setflags(write=True)
    weights[0][0, 0] = 99
    assert finite.weights[0][0, 0] == 1


def test_what_is_drawn_is_not_copied_and_read_only() -> None:
    """One network of this size takes 8 MB, and is drawn in little more."""
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    tracemalloc.start()
    try:
        finite = mc.sample_network(network, width=1000, rng=np.random.default_rng(0))
        assert tracemalloc.get_traced_memory()[1] < 1.2 * 8e6
    finally:
        tracemalloc.stop()
    for array in (*finite.weights, *finite.biases):
        assert not array.flags.writeable


def test_bad_sizes() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(mf.ParameterError, match="width must be an integer >= 1"):
        mc.sample_network(NETWORK, width=0, rng=rng)
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 1"):
        mc.sample_inputs(NETWORK, width=3, samples=0, rng=rng)
