"""The network: its shape, its validation, its plain form."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from problems import MIXED_NETWORKS, RELU, TANH

import meanfield as mf

VALID: dict[str, Any] = {"activations": [mf.relu, mf.tanh], "width_ratios": [1, 1, 1], "weight_variance": 2.0}


def test_alpha_and_widths_of_unequal_layers() -> None:
    network = mf.Network(**{**VALID, "width_ratios": [0.5, 2, 3]}, outputs=4)
    assert network.depth == 3
    assert network.alpha == 2 * 0.5 + 3 * 2
    assert network.widths(11) == (6, 22, 33, 4)  # 5.5 rounds to even
    assert network.parameters(11) == 22 * 7 + 33 * 23 + 4 * 34
    assert network.parameters(11, biases=False) == 22 * 6 + 33 * 22 + 4 * 33


def test_variances_by_layer() -> None:
    network = mf.Network(**{**VALID, "weight_variance": [1, 2, 3]}, bias_variance=0.5)
    assert network.weight_variance == (1.0, 2.0, 3.0)
    assert network.bias_variance == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activations": []}, "activations must be one for each hidden layer, at least one, got none"),
        ({"activations": [np.tanh, mf.relu]}, "activations must be a sequence of Activation"),
        ({"width_ratios": [1, 1]}, "width_ratios must be .*: 3 numbers for 2 activations, got 2"),
        ({"width_ratios": [1, 0, 1]}, "width_ratios must be a finite number > 0, got 0"),
        ({"weight_variance": 0.0}, r"weight_variance must be a finite number > 0, got 0\.0"),
        ({"weight_variance": math.nan}, "weight_variance must be a finite number > 0, got nan"),
        ({"weight_variance": [1, 2]}, "weight_variance must be .* each of the 3 layers of weights, got 2"),
        ({"weight_variance": "much"}, "weight_variance must be a finite number > 0, got 'much'"),
        ({"weight_variance": "23"}, "weight_variance must be a finite number > 0, got '23'"),
        ({"weight_variance": np.array([1.0, 2.0])}, "each of the 3 layers of weights, got 2"),
        ({"bias_variance": -0.1}, r"bias_variance must be a finite number >= 0, got -0\.1"),
        ({"bias_variance": math.inf}, "bias_variance must be a finite number >= 0, got inf"),
        ({"outputs": 0}, "outputs must be an integer >= 1, got 0"),
        ({"outputs": 1.5}, r"outputs must be an integer >= 1, got 1\.5"),
        ({"hidden_normalization": "mean"}, "hidden_normalization must be one of none, batch, layer, got 'mean'"),
        ({"output_normalization": "maximum"}, "output_normalization must be one of none, mean, batch, layer"),
    ],
)
def test_bad_networks(change: dict[str, Any], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mf.Network(**{**VALID, **change})


def test_depth_of_uniform_networks() -> None:
    with pytest.raises(mf.ParameterError, match="depth must be an integer >= 2, got 1"):
        mf.Network.uniform(mf.relu, depth=1, weight_variance=2.0)
    with pytest.raises(mf.ParameterError, match="width_ratio must be a finite number > 0"):
        mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, width_ratio=-1)


def test_a_width_that_leaves_a_layer_empty() -> None:
    network = mf.Network(**{**VALID, "width_ratios": [1, 0.01, 1]})
    with pytest.raises(mf.ParameterError, match=r"width must be large enough .* \(alpha_1 = 0.01\), got 10"):
        network.widths(10)
    with pytest.raises(mf.ParameterError, match="width must be an integer >= 1, got 0"):
        network.widths(0)


@pytest.mark.parametrize("network", MIXED_NETWORKS.values(), ids=MIXED_NETWORKS)
def test_plain_data_and_back(network: mf.Network) -> None:
    copy = mf.Network.from_dict(json.loads(json.dumps(network.to_dict())))
    assert copy == network
    assert copy.to_dict() == network.to_dict()


def test_own_activations_are_found_by_name() -> None:
    square = mf.Activation("square", np.square, lambda u: 2 * u)
    network = mf.Network.uniform(square, depth=2, weight_variance=1.0)
    assert mf.Network.from_dict(network.to_dict(), activations=[square]) == network
    with pytest.raises(mf.ParameterError, match="activation must be one of"):
        mf.Network.from_dict(network.to_dict())


def test_normalized_changes_only_what_is_named() -> None:
    network = TANH.normalized(hidden="layer")
    assert (network.hidden_normalization, network.output_normalization) == ("layer", "none")
    assert network.normalized(output="mean").hidden_normalization is mf.HiddenNormalization.LAYER
    assert network.normalized(hidden="none") == TANH
    with pytest.raises(mf.ParameterError, match="output must be one of"):
        network.normalized(output="max")


def _hermite_2() -> mf.Activation:
    return mf.Activation("He_2", lambda u: u**2 - 1, lambda u: 2 * u)


@pytest.mark.parametrize(
    ("activation", "weight_variance", "bias_variance", "centred"),
    [
        (mf.tanh, 1.5, 0.0, True),
        (mf.tanh, 1.5, 0.1, False),
        (mf.erf, 2.0, 0.0, True),
        (mf.identity, 1.0, 0.0, True),
        (mf.relu, 2.0, 0.0, False),
        (mf.sigmoid, 2.0, 0.0, False),
        # an odd function without closed form, whose mean is zero only to rounding
        (mf.Activation("atan", np.arctan, lambda u: 1 / (1 + u**2)), 1.0, 0.0, True),
        # He_2 has mean zero at variance 1, and at no other
        (_hermite_2(), 1.0, 0.0, True),
        (_hermite_2(), 1.1, 0.0, False),
    ],
)
def test_definition_2_1(activation: mf.Activation, weight_variance: float, bias_variance: float, centred: bool) -> None:
    network = mf.Network.uniform(activation, depth=2, weight_variance=weight_variance, bias_variance=bias_variance)
    assert network.is_centered is centred


def test_definition_2_1_looks_at_every_layer() -> None:
    # variance 1 in the first layer, 2 in the second: E He_2^2 = 2
    assert not mf.Network.uniform(_hermite_2(), depth=3, weight_variance=1.0).is_centered
    assert mf.Network.uniform(_hermite_2(), depth=3, weight_variance=[1.0, 0.5, 1.0]).is_centered
    # layer norm makes every variance 1
    assert mf.Network.uniform(_hermite_2(), depth=3, weight_variance=3.0, hidden_normalization="layer").is_centered


def test_networks_are_values() -> None:
    assert RELU == mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    assert hash(RELU) == hash(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
    assert RELU != TANH
    assert mf.leaky_relu(0.1) == mf.leaky_relu(0.1) != mf.leaky_relu(0.2)
    assert pickle.loads(pickle.dumps(TANH)) == TANH
    assert mf.Network(**{**VALID, "weight_variance": np.float64(2.0)}) == mf.Network(**VALID)
    assert mf.Network(**{**VALID, "weight_variance": np.array([2.0, 2.0, 2.0])}) == mf.Network(**VALID)
