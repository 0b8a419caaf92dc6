"""Order parameters and kappa: published values, and thirty digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import oracles
import pytest
from problems import MIXED_NETWORKS, PUBLISHED_KAPPAS, RELU, TANH
from tolerances import KAPPA, ROUNDING
from truths import networks

import meanfield as mf
from meanfield.activations import by_name


@pytest.mark.parametrize(("network", "kappa_1", "kappa_2"), PUBLISHED_KAPPAS)
def test_published_kappas(network: mf.Network, kappa_1: float, kappa_2: float) -> None:
    kappa = mf.kappas(network)
    assert kappa.same == pytest.approx(kappa_1, rel=KAPPA)
    assert kappa.cross == pytest.approx(kappa_2, rel=KAPPA)


def network(entry: dict[str, Any]) -> mf.Network:
    """Return the network of a line of the table."""
    names = {"activations": [by_name(name) for name in entry["activations"]]}
    return mf.Network(**{key: value for key, value in entry.items() if not key.startswith("kappa")} | names)


def test_the_table_is_complete() -> None:
    assert len(networks()) == 26
    assert sum(entry["hidden_normalization"] == "layer" for entry in networks()) == 4


@pytest.mark.parametrize(
    "entry", networks(), ids=lambda entry: f"{entry['activations'][0]} {len(entry['activations'])}"
)
def test_kappas_against_thirty_digits(entry: dict[str, Any]) -> None:
    kappa = mf.kappas(network(entry))
    kappa_1, kappa_2 = float(entry["kappa_1"]), float(entry["kappa_2"])
    assert abs(kappa.same - kappa_1) <= KAPPA * kappa_1
    assert abs(kappa.cross - kappa_2) <= KAPPA * kappa_1


@pytest.mark.parametrize("name", ["layer norm", "three kinds, unequal widths"])
def test_kappas_by_an_oracle_that_shares_nothing_with_the_table(name: str) -> None:
    kappa_1, kappa_2 = oracles.kappas(MIXED_NETWORKS[name])
    kappa = mf.kappas(MIXED_NETWORKS[name])
    assert abs(float(kappa.same / kappa_1 - 1)) < KAPPA
    assert abs(float((kappa.cross - kappa_2) / kappa_1)) < KAPPA


def test_relu_by_hand() -> None:
    # (2, 0): qhat_t = 1 and qtilde_t = 1 in every layer; qhat^1_st = 1/pi, qtilde^2_st = 1/2 + arcsin(1/pi)/pi
    order = mf.propagate(RELU)
    np.testing.assert_allclose(order.activity.same, 1, rtol=ROUNDING)
    np.testing.assert_allclose(order.backward.same, 1, rtol=ROUNDING)
    np.testing.assert_allclose(order.preactivation.same, 2, rtol=ROUNDING)
    assert order.activity.cross[1] == pytest.approx(1 / math.pi, rel=ROUNDING)
    assert order.backward.cross[1] == pytest.approx(0.5 + math.asin(1 / math.pi) / math.pi, rel=ROUNDING)


def test_linear_networks_by_hand() -> None:
    network = mf.Network.uniform(mf.identity, depth=4, weight_variance=[1.1, 1.2, 1.3, 1.4], bias_variance=0.1)
    order = mf.propagate(network, inputs=mf.Pair(2.0, 0.5))
    q = [(2.0, 0.5)]
    for w in (1.1, 1.2, 1.3, 1.4):
        q.append((w * q[-1][0] + 0.1, w * q[-1][1] + 0.1))
    np.testing.assert_allclose(np.transpose(order.activity), q[:4], rtol=ROUNDING)
    np.testing.assert_allclose(np.transpose(order.preactivation), q[1:], rtol=ROUNDING)
    np.testing.assert_allclose(order.backward.cross, [1.2 * 1.3 * 1.4, 1.3 * 1.4, 1.4, 1.0], rtol=ROUNDING)
    np.testing.assert_allclose(order.backward.same, order.backward.cross, rtol=ROUNDING)


def test_identical_inputs_have_identical_order_parameters() -> None:
    order = mf.propagate(TANH, inputs=mf.Pair(1.0, 1.0))
    np.testing.assert_allclose(order.activity.same, order.activity.cross, rtol=KAPPA)
    np.testing.assert_allclose(order.backward.same, order.backward.cross, rtol=KAPPA)


def test_a_centred_network_has_no_overlaps() -> None:
    order = mf.propagate(mf.Network.uniform(mf.tanh, depth=4, weight_variance=1.5))
    np.testing.assert_array_equal(order.activity.cross, 0)
    assert mf.kappas(mf.Network.uniform(mf.tanh, depth=4, weight_variance=1.5)).cross == 0


def test_layer_norm_of_a_linear_network_by_hand() -> None:
    # unit variance after every norm: qhat_t = 1; qhat_st = q_st/q_t; qtilde^l_t = prod s_w^2/q^m_t over m = l .. L-1
    network = mf.Network.uniform(
        mf.identity, depth=3, weight_variance=2.0, bias_variance=0.5, hidden_normalization="layer"
    )
    order = mf.propagate(network)
    np.testing.assert_allclose(order.activity.same, 1, rtol=ROUNDING)
    c1 = 0.5 / 2.5
    np.testing.assert_allclose(order.activity.cross, [0, c1, (2 * c1 + 0.5) / 2.5], rtol=ROUNDING)
    np.testing.assert_allclose(order.backward.same, [0.8**2, 0.8, 1], rtol=ROUNDING)


def test_order_parameters_are_values() -> None:
    assert mf.propagate(TANH) == mf.propagate(TANH) != mf.propagate(RELU)
    assert mf.propagate(TANH) != "tanh"


def test_a_failing_integral_says_where() -> None:
    # its square has no integral
    steep = mf.Activation("steep", lambda u: np.exp(300 * u), lambda u: 300 * np.exp(300 * u))
    network = mf.Network(activations=[mf.tanh, steep], width_ratios=[1, 1, 1], weight_variance=1.0)
    with (
        np.errstate(over="ignore"),
        pytest.raises(mf.QuadratureError, match=r"steep, layer 2, at variance 0\.394294 and covariance 0: "),
    ):
        mf.propagate(network)


def test_the_method_can_be_chosen() -> None:
    coarse = mf.kappas(TANH, mf.propagate(TANH, method=mf.GaussHermite(10)))
    fine = mf.kappas(TANH, mf.propagate(TANH, method=mf.GaussHermite(80)))
    exact = mf.kappas(TANH)
    assert abs(coarse.same - exact.same) > 0.1  # slopes are narrow, and a fixed rule steps over them
    assert abs(fine.same - exact.same) < 1e-3


@pytest.mark.parametrize("inputs", [mf.Pair(-1.0, 0.0), mf.Pair(1.0, 1.5), mf.Pair(math.nan, 0.0)])
def test_bad_inputs(inputs: mf.Pair[float]) -> None:
    with pytest.raises(mf.ParameterError, match=r"inputs must be Pair\(same, cross\) with same >= 0"):
        mf.propagate(TANH, inputs=inputs)


def test_batch_norm_in_the_hidden_layers_has_forward_order_parameters_alone() -> None:
    network = TANH.normalized(hidden="batch")
    order = mf.propagate(network, samples=10)
    qhat = mf.batch_norm_parameters(mf.tanh, samples=10)
    assert order.activity.same.tolist() == [1.0, qhat.same, qhat.same]
    assert order.activity.cross.tolist() == [0.0, qhat.cross, qhat.cross]
    assert np.allclose(order.preactivation.cross[1:], 3 * qhat.cross + 0.64, rtol=1e-15)
    assert order.sensitivity is None
    assert "qtilde" not in str(order)
    with pytest.raises(mf.AssumptionError, match="the gradient of one sample reaches all the others"):
        mf.kappas(network, samples=10)
    with pytest.raises(mf.ParameterError, match=r"samples must be given \(T\) with batch normalisation"):
        mf.propagate(network)
    with pytest.raises(mf.ParameterError, match="inputs must be two that differ"):
        mf.propagate(network, samples=10, inputs=mf.Pair(1.0, 1.0))


def test_order_parameters_print_as_a_table() -> None:
    lines = str(mf.propagate(RELU)).splitlines()
    assert lines[0].split() == ["layer", "q_t", "q_st", "qhat_t", "qhat_st", "qtilde_t", "qtilde_st"]
    assert len(lines) == 5
    assert lines[2].split() == ["1", "2", "0", "1", "0.31831", "1", "0.301558"]
