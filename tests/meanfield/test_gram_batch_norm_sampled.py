"""Real inputs through hidden batch normalisation: what is sampled, and all of it beside finite networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from batch_norm_draws import a_covariance, drawn, tangent_of
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tolerances import EXCHANGEABLE, FINITE_WIDTH, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.gram.batch_norm_layer import spread_of
from meanfield.gram.batch_norm_sampled import sampled_layer

Array = NDArray[np.float64]

COARSE = mf.Sampling(tolerance=1e-2)


def network(phi: mf.Activation, *, dimension: int, width: int, hidden: str | mf.BatchNorm = "batch") -> mf.Network:
    """Return a network of depth 3 for inputs of this dimension."""
    return mf.Network(
        activations=[phi, phi],
        width_ratios=[dimension / width, 1, 1],
        weight_variance=1.7,
        bias_variance=0.3,
        hidden_normalization=hidden,
    )


def gaussian_inputs() -> Array:
    return np.random.default_rng(1).standard_normal((9, 40))


def few_directions() -> Array:
    """Return more samples than the inputs have dimensions: the covariance at the first layer has no inverse."""
    return np.random.default_rng(2).standard_normal((20, 8)) + 1.0


def digits() -> Array:
    data = load_digits().data
    return np.asarray((data / data.std())[:24])


@pytest.mark.parametrize("phi", [mf.tanh, mf.gelu])
@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_a_layer_against_draws_with_the_jacobian_by_differences(phi: mf.Activation, epsilon: float) -> None:
    sigma, theta = a_covariance(9), a_covariance(9, seed=1)
    spread = spread_of(sigma, layer=1, epsilon=epsilon, tangent=True)
    got = sampled_layer(phi, spread, theta, epsilon=epsilon, points=2**14, rng=np.random.default_rng(0))
    draws = 30_000
    for matrix, values in zip(
        (got.activity, got.tangent), drawn(phi, sigma, theta, epsilon=epsilon, draws=draws, seed=2), strict=True
    ):
        error = values.std(axis=0) / math.sqrt(draws)  # several times that of the points
        assert (np.abs(matrix - values.mean(axis=0)) <= SIGMAS * error).all()


@pytest.mark.parametrize("phi", [mf.tanh, mf.gelu, mf.sigmoid])
def test_orthogonal_inputs_give_the_order_parameters_of_the_sphere(phi: mf.Activation) -> None:
    shallow = mf.Network.uniform(phi, depth=2, weight_variance=1.0, hidden_normalization="batch")
    qhat = mf.batch_norm_parameters(phi, samples=7)
    sampling = mf.Sampling(scramblings=32, tolerance=3e-4)
    got = mf.gram(shallow, mf.InputGram(np.eye(7), dimension=50), tangent=False, sampling=sampling)
    wanted = mf.Exchangeable(qhat.same, qhat.cross, 7).dense()
    assert got.covariance_error is not None
    assert got.error <= 3e-4
    assert (np.abs(got.covariance - wanted) <= SIGMAS * got.covariance_error).all()


EXCHANGEABLE_CASES = [
    (mf.relu, 4, mf.BatchNorm()),
    (mf.relu, 12, mf.BatchNorm(epsilon=0.3)),
    (mf.absolute, 6, mf.BatchNorm(gamma=1.5, layers=[2])),
    (mf.tanh, 8, mf.BatchNorm(epsilon=0.3)),
    (mf.gelu, 6, mf.BatchNorm(beta=-0.5, gamma=2.0)),
]


@pytest.mark.parametrize(("phi", "samples", "hidden"), EXCHANGEABLE_CASES)
def test_orthogonal_inputs_give_the_exchangeable_theory(phi: mf.Activation, samples: int, hidden: mf.BatchNorm) -> None:
    net = mf.Network.uniform(phi, depth=4, weight_variance=[1.5, 0.8, 2.0, 1.0], hidden_normalization=hidden)
    inputs = mf.InputGram(np.eye(samples), dimension=100)
    got = mf.gram(net, inputs, width=100, biases=False, sampling=mf.Sampling(scramblings=16, tolerance=1e-2))
    theory = mf.batch_norm_backward(net, samples=samples)
    difference = np.abs(tangent_of(got) / 100 - theory.theta.dense())
    error = 0.0 if got.tangent_error is None else got.tangent_error / 100
    assert (difference <= SIGMAS * error + EXCHANGEABLE * theory.theta.same).all()


def test_the_standard_error_is_honest() -> None:
    """Over seeds, differences from a much finer result are as large as the standard errors say."""
    x, net = gaussian_inputs(), network(mf.tanh, dimension=40, width=100)
    fine = mf.gram(net, x, width=100, sampling=mf.Sampling(tolerance=1e-9, most=2**15, scramblings=16, seed=99))
    assert fine.tangent is not None
    ratios = []
    for seed in range(12):
        got = mf.gram(net, x, width=100, sampling=mf.Sampling(tolerance=1.0, seed=seed))
        assert got.tangent is not None
        assert got.tangent_error is not None
        ratios.append(((got.tangent - fine.tangent) ** 2).mean() / (got.tangent_error**2).mean())
    assert 0.5 < np.mean(ratios) < 2  # 1, but for entries that are not independent


def test_the_same_seed_gives_the_same_numbers_and_a_missed_tolerance_is_said() -> None:
    x, net = gaussian_inputs(), network(mf.gelu, dimension=40, width=100)
    first, same, other = (
        mf.gram(net, x, width=100, sampling=mf.Sampling(tolerance=1e-2, seed=seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(tangent_of(first), tangent_of(same))
    assert not np.array_equal(tangent_of(first), tangent_of(other))
    assert first.error <= 1e-2
    assert first.validity == ()
    missed = mf.gram(net, x, width=100, sampling=mf.Sampling(tolerance=1e-5, most=2048))
    assert "sampling stopped at 8 x 2048 points" in missed.validity[0]
    assert missed.error > 1e-5


def measured(net: mf.Network, x: Array, *, width: int, members: int) -> Array:
    """Return T F* of finite networks."""
    kernels = []
    for member in range(members):
        finite = mc.sample_network(net, width=width, rng=np.random.default_rng([7, member]))
        kernels.append(mc.dual_gram(mc.propagate(finite, x)) * len(x))
    return np.array(kernels)


SETTINGS = [
    (mf.relu, "batch"),
    (mf.tanh, "batch"),
    (mf.gelu, mf.BatchNorm(gamma=1.3, beta=-0.4, epsilon=0.2)),
    (mf.relu, mf.BatchNorm(beta=0.5, layers=[1])),
    (mf.relu, mf.BatchNorm(gamma=0.7, epsilon=0.5, layers=[2])),
    (mf.tanh, mf.BatchNorm(layers=[2])),
]


@pytest.mark.parametrize(("phi", "hidden"), SETTINGS)
@pytest.mark.parametrize("inputs", [gaussian_inputs, few_directions, digits])
def test_finite_networks(phi: mf.Activation, hidden: str | mf.BatchNorm, inputs: object) -> None:
    """Every entry of the tangent kernel, the trace and lambda_max, within standard errors and O(L/M)."""
    assert callable(inputs)
    x, width, members = inputs(), 700, 40
    net = network(phi, dimension=x.shape[1], width=width, hidden=hidden)
    got = mf.gram(net, x, width=width, sampling=COARSE)
    kernels = measured(net, x, width=width, members=members)
    assert got.tangent is not None
    size = np.sqrt(np.diagonal(got.tangent))
    scale = np.multiply.outer(size, size)
    allowance = FINITE_WIDTH * net.depth / width
    deviation = kernels.std(axis=0, ddof=1) / math.sqrt(members) + (got.tangent_error if got.error > 1e-9 else 0)
    difference = np.abs(kernels.mean(axis=0) - got.tangent)
    assert (difference <= SIGMAS * deviation + allowance * scale).all()
    assert (deviation <= 0.05 * scale).all()
    traces = np.array([np.trace(kernel) for kernel in kernels]) / np.trace(got.tangent)
    assert abs(traces.mean() - 1) <= SIGMAS * traces.std() / math.sqrt(members) + allowance + got.error


def test_slopes_that_are_spikes_are_refused() -> None:
    """Points that all miss a spike would agree with each other that there is none."""
    network = mf.Network.uniform(mf.tanh, depth=2, weight_variance=2.0, hidden_normalization=mf.BatchNorm(gamma=1e6))
    with pytest.raises(mf.QuadratureError, match="take a smaller gamma"):
        mf.gram(network, np.random.default_rng(0).normal(size=(8, 20)), width=100)


def test_errors_that_mean_subtraction_leaves_are_warned_of() -> None:
    """tanh(n - 5) is nearly constant: the contrasts are a small share of the tangent kernel."""
    hidden = mf.BatchNorm(beta=-5.0)
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, hidden_normalization=hidden)
    inputs = mf.InputGram(np.eye(8), dimension=100)
    assert not mf.gram(network, inputs, width=100).validity
    (warning,) = mf.gram(network.normalized(output="mean"), inputs, width=100).validity
    assert "what mean subtraction leaves" in warning
