"""Layer normalisation in the hidden layers, as a network without it."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from problems import ALL_ACTIVATIONS, MIXED_NETWORKS, RELU, TANH
from tolerances import KAPPA, QUADRATURE, ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.affine import affine

STANDARD = mf.Pair(1.0, 0.0)


@pytest.mark.parametrize("phi", ALL_ACTIVATIONS, ids=str)
@pytest.mark.parametrize(("weight_variance", "bias_variance"), [(3.0, 0.64), (0.2, 0.0)])
def test_the_chain_is_the_same(phi: mf.Activation, weight_variance: float, bias_variance: float) -> None:
    network = mf.Network.uniform(phi, depth=4, weight_variance=weight_variance, bias_variance=bias_variance, outputs=2)
    same_chain(network.normalized(hidden="layer"), STANDARD)


def test_the_chain_is_the_same_in_mixed_networks_and_for_other_inputs() -> None:
    for network in MIXED_NETWORKS.values():
        same_chain(network.normalized(hidden="layer"), STANDARD)
        same_chain(network.normalized(hidden="layer"), mf.Pair(0.3, -0.1))


def same_chain(network: mf.Network, inputs: mf.Pair[float]) -> None:
    plain = mf.without_layer_norm(network, inputs=inputs)
    assert plain.hidden_normalization is mf.HiddenNormalization.NONE
    expected, got = mf.propagate(network, inputs=inputs), mf.propagate(plain, inputs=inputs)
    for name, theory in expected.by_name().items():
        np.testing.assert_allclose(got.by_name()[name], theory, rtol=0, atol=10 * QUADRATURE * theory.same)
    kappa = mf.kappas(network, expected)
    np.testing.assert_allclose(mf.kappas(plain, got), kappa, rtol=0, atol=10 * KAPPA * kappa.same)
    assert plain.is_centered == network.is_centered


@pytest.mark.parametrize("phi", ALL_ACTIVATIONS, ids=str)
def test_a_stretched_activation_is_declared_as_the_original(phi: mf.Activation) -> None:
    wide = affine(phi, scale=1 / math.sqrt(5.3))
    mf.check_activation(wide)
    u = np.linspace(-4, 4, 81)
    np.testing.assert_allclose(wide(u), phi(u / math.sqrt(5.3)), rtol=ROUNDING)
    assert (wide.value.parity, wide.value.nonnegative) == (phi.value.parity, phi.value.nonnegative)
    for f, original in ((wide.value, phi.value), (wide.slope, phi.slope)):
        known = original.closed_form.known if original.closed_form else ()
        assert (f.closed_form.known if f.closed_form else ()) == known
        for integral in (mf.mean, mf.second_moment):
            factor = 1.0 if original is phi.value else 5.3 ** (-0.5 if integral is mf.mean else -1)
            scale = math.sqrt(float(mf.second_moment(original, 0.7)))
            size = factor * (scale if integral is mf.mean else scale**2)
            off = float(integral(f, 0.7 * 5.3)) - factor * float(integral(original, 0.7))
            assert abs(off) <= 10 * QUADRATURE * size


def test_a_slope_by_the_library_and_thirty_digits() -> None:
    phi = mf.Activation("softsign", mf.ScalarFunction(lambda u: u / (1 + abs(u)), kinks=(0,)))
    network = mf.Network.uniform(phi, depth=3, weight_variance=2.0, bias_variance=0.1, hidden_normalization="layer")
    assert mf.kappas(mf.without_layer_norm(network)).cross == pytest.approx(mf.kappas(network).cross, rel=1e3 * KAPPA)
    wide = affine(mf.tanh, scale=0.5)
    exact = mf.Reference(20).second_moment(wide.value, 4.0)
    assert float(exact.value) == pytest.approx(float(mf.second_moment(mf.tanh, 1.0)), rel=QUADRATURE)


def test_it_travels_and_is_copied() -> None:
    plain = mf.without_layer_norm(TANH.normalized(hidden="layer"))
    assert pickle.loads(pickle.dumps(plain)) == plain == copy.deepcopy(plain)
    assert mf.Network.from_dict(plain.to_dict(), activations=plain.activations) == plain


def test_rescaled_weights_have_other_kappas() -> None:
    """W/sqrt(q) in front of phi has the same activities, but gradients by W/sqrt(q) in place of those by W."""
    network = TANH.normalized(hidden="layer")
    order = mf.propagate(network)
    q = [*order.preactivation.same[:-1], 1.0]
    rescaled = mf.Network(
        activations=network.activations,
        width_ratios=network.width_ratios,
        weight_variance=[s / norm for s, norm in zip(network.weight_variance, q, strict=True)],
        bias_variance=[s / norm for s, norm in zip(network.bias_variance, q, strict=True)],
    )
    other = mf.propagate(rescaled)
    np.testing.assert_allclose(other.activity.cross, order.activity.cross, rtol=ROUNDING)
    np.testing.assert_allclose(other.backward.cross, q * order.backward.cross, rtol=ROUNDING)
    assert mf.kappas(rescaled).same > 2 * mf.kappas(network).same
    assert mf.kappas(rescaled).cross > 1.15 * mf.kappas(network).cross


def test_what_is_returned_or_refused_as_it_is() -> None:
    assert mf.without_layer_norm(RELU) is RELU
    assert mf.without_layer_norm(RELU.normalized(hidden="layer", output="batch")).output_normalization.value == "batch"
    with pytest.raises(mf.AssumptionError, match="behind batch normalisation all samples meet"):
        mf.without_layer_norm(RELU.normalized(hidden="batch"))


@pytest.mark.parametrize("output", ["none", "mean", "batch"])
def test_finite_networks_have_the_same_largest_eigenvalue(output: str) -> None:
    """At T = M/2, where no theorem gives lambda_max with mean subtraction; to O(1/M) and chance."""
    network = TANH.normalized(hidden="layer", output=output)
    largest = []
    for one in (network, mf.without_layer_norm(network)):
        ensemble = mc.run_ensemble(mc.EigenvalueExperiment(one, width=200, samples=100), members=24, seed=1)
        largest.append(np.array([member.lambda_max for member in ensemble.members]))
    with_norm, without = largest
    # the same seeds: what both have in common cancels
    ratio = with_norm / without
    chance = SIGMAS * ratio.std(ddof=1) / math.sqrt(ratio.size)
    assert abs(ratio.mean() - 1) < chance + network.depth_to_width(200)
    assert chance < 0.1
