"""Real inputs through hidden batch normalisation where nothing is sampled: relu and its like."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from batch_norm_draws import Array, a_covariance, drawn, tangent_of
from tolerances import GRAM, ROUNDING, SIGMAS

import meanfield as mf
from meanfield.gram.batch_norm_homogeneous import homogeneous_layer, is_homogeneous
from meanfield.gram.batch_norm_layer import spread_of
from meanfield.gram.batch_norm_sampled import sampled_layer

RELU = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, bias_variance=0.3, hidden_normalization="batch")

HOMOGENEOUS = [mf.relu, mf.leaky_relu(-0.3), mf.absolute, mf.identity]


@pytest.mark.parametrize("phi", HOMOGENEOUS)
@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_a_layer_against_draws_with_the_jacobian_by_differences(phi: mf.Activation, epsilon: float) -> None:
    sigma, theta = a_covariance(9), a_covariance(9, seed=1)
    spread = spread_of(sigma, layer=1, epsilon=epsilon, tangent=True)
    got = homogeneous_layer(phi, spread, theta, epsilon=epsilon, tolerance=1e-12)
    draws = 40_000
    samples = drawn(phi, sigma, theta, epsilon=epsilon, draws=draws, seed=2)
    for matrix, values in zip((got.activity, got.tangent), samples, strict=True):
        error = values.std(axis=0) / math.sqrt(draws)
        assert (np.abs(matrix - values.mean(axis=0)) <= SIGMAS * error).all()
        assert (error <= 0.03 * np.abs(values.mean(axis=0)).max()).all()  # sharp enough to say something


def on_the_plane(phi: mf.Activation, sigma: Array, theta: Array, epsilon: float) -> tuple[Array, Array]:
    """Return the averages for three samples: integrals over radius and angle of two Gaussians, split at kinks."""
    g = np.eye(3) - 1 / 3
    values, vectors = np.linalg.eigh(g @ sigma @ g)
    axes = vectors[:, 1:] * np.sqrt(values[1:])
    kinks = np.sort(np.mod(np.arctan2(-axes[:, 0], axes[:, 1])[:, None] + [0, math.pi], 2 * math.pi).ravel())
    angles, angle_weights = panels([*kinks, kinks[0] + 2 * math.pi], 60)
    t, t_weights = panels([0, 0.01, 0.1, 1, 4, 12, 30, 60], 60)  # half the square of the radius, with density exp(-t)
    activity, tangent = np.zeros((3, 3)), np.zeros((3, 3))
    for angle, angle_weight in zip(angles, angle_weights / (2 * math.pi), strict=True):
        v = np.sqrt(2 * t)[:, None] * (axes @ [math.cos(angle), math.sin(angle)])
        s = np.sqrt((v**2).mean(axis=1) + epsilon)
        h, d, n = phi(v / s[:, None]), phi.slope(v), v / s[:, None]
        weight = angle_weight * t_weights * np.exp(-t)
        activity += np.einsum("i,is,it->st", weight, h, h)
        projected = d[:, :, None] * (g - n[:, :, None] * n[:, None, :] / 3) / s[:, None, None]
        tangent += np.einsum("i,isa,ab,itb->st", weight, projected, theta, projected, optimize=True)
    return activity, tangent


def panels(edges: list[float], nodes: int) -> tuple[Array, Array]:
    """Return the nodes and weights of Gauss' rule between the edges."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    left, width = np.array(edges[:-1])[:, None], np.diff(edges)[:, None]
    return (left + width * (x + 1) / 2).ravel(), (width / 2 * w).ravel()


@pytest.mark.parametrize("phi", HOMOGENEOUS)
def test_a_layer_of_three_samples_against_integrals_in_the_plane(phi: mf.Activation) -> None:
    """Every digit, for samples that differ from each other; epsilon makes the averages finite."""
    sigma, theta = a_covariance(3), a_covariance(3, seed=1)
    spread = spread_of(sigma, layer=1, epsilon=0.3, tangent=True)
    got = homogeneous_layer(phi, spread, theta, epsilon=0.3, tolerance=1e-13)
    assert got.tangent is not None
    for matrix, wanted in zip((got.activity, got.tangent), on_the_plane(phi, sigma, theta, 0.3), strict=True):
        np.testing.assert_allclose(matrix, wanted, rtol=0, atol=GRAM * np.abs(wanted).max())


@pytest.mark.parametrize("samples", [4, 5, 8, 30])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_the_error_estimate_is_honest(samples: int, epsilon: float) -> None:
    """Against a finer rule; the trace of E phi phi' is known without one, since the normalised vector has length T."""
    sigma, theta = a_covariance(samples), a_covariance(samples, seed=1)
    spread = spread_of(sigma, layer=1, epsilon=epsilon, tangent=True)
    fine = homogeneous_layer(mf.relu, spread, theta, epsilon=epsilon, tolerance=1e-14)
    assert fine.tangent is not None
    if not epsilon:
        assert np.trace(fine.activity) == pytest.approx(samples / 2, rel=ROUNDING)
    for tolerance in (1e-4, 1e-8, 1e-12):
        got = homogeneous_layer(mf.relu, spread, theta, epsilon=epsilon, tolerance=tolerance)
        assert got.tangent is not None
        assert got.error <= tolerance
        for matrix, wanted in ((got.activity, fine.activity), (got.tangent, fine.tangent)):
            size = np.sqrt(np.diagonal(wanted))
            assert (np.abs(matrix - wanted) / np.multiply.outer(size, size)).max() <= got.error + ROUNDING


def test_only_what_is_homogeneous_is_taken_for_it() -> None:
    assert all(map(is_homogeneous, [*HOMOGENEOUS, mf.leaky_relu(3.0)]))
    others = [mf.tanh, mf.gelu, mf.elu, mf.softplus, mf.monomial(2), mf.hard_tanh, mf.sine, mf.silu]
    assert not any(map(is_homogeneous, others))
    x = np.random.default_rng(0).standard_normal((9, 20))
    with_beta = mf.gram(RELU.normalized(hidden=mf.BatchNorm(beta=0.5)), x, tangent=False)
    assert with_beta.covariance_error is not None  # a shift leaves nothing homogeneous


def exchangeable(network: mf.Network, samples: int, width: int) -> tuple[mf.Pair[float], mf.Pair[float]]:
    """Return qhat^{L-1} and Theta of orthogonal inputs by the closed forms for relu, layer by layer."""
    c = -1 / (samples - 1)
    step = (math.pi - math.acos(c)) / math.pi
    bent = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    p, r = (samples - 2) / (2 * samples), -(step + bent) / (2 * samples)
    qhat, theta = (1.0, 0.0), (width + 1.0, 1.0)
    gamma = 1.0 if network.batch_norm is None else network.batch_norm.gamma
    for l in range(1, network.depth):
        s_w, s_b = network.weight_variance[l - 1], network.bias_variance[l - 1]
        q = [s_w * x + s_b for x in qhat]
        if l in network.batch_norm_layers:
            growth = gamma**2 * samples * (theta[0] - theta[1]) / ((samples - 3) * (q[0] - q[1]))
            qhat, theta = (gamma**2 / 2, gamma**2 * bent / 2), (growth * p, growth * r)
        else:
            qhat = mf.second_moment(mf.relu, q[0]), mf.overlap(mf.relu, q[0], q[1])
            slopes = 0.5, mf.overlap(mf.relu.slope, q[0], q[1])
            theta = theta[0] * slopes[0], theta[1] * slopes[1]
        above = network.weight_variance[l]
        theta = above * theta[0] + width * qhat[0] + 1, above * theta[1] + width * qhat[1] + 1
    return mf.Pair(*qhat), mf.Pair(*theta)


@pytest.mark.parametrize("samples", [4, 6, 9, 40])
@pytest.mark.parametrize(
    "hidden", ["batch", mf.BatchNorm(gamma=-1.7), mf.BatchNorm(layers=[2]), mf.BatchNorm(layers=[1, 3])]
)
def test_orthogonal_inputs_give_the_closed_forms_of_exchangeable_samples(
    samples: int, hidden: str | mf.BatchNorm
) -> None:
    network = mf.Network.uniform(mf.relu, depth=5, weight_variance=[2.0, 1.5, 0.7, 1.0, 3.0], bias_variance=0.2)
    network = network.normalized(hidden=hidden)
    got = mf.gram(network, mf.InputGram(np.eye(samples), dimension=50), width=50)
    qhat, theta = exchangeable(network, samples, 50)
    assert got.tangent is not None
    for matrix, pair in ((got.tangent, theta), (got.covariance, mf.Pair(*(3.0 * q + 0.2 for q in qhat)))):
        np.testing.assert_allclose(matrix, mf.Exchangeable(*pair, samples).dense(), rtol=0, atol=GRAM * pair.same)
    if hidden == "batch":
        assert qhat.cross == pytest.approx(mf.batch_norm_parameters(mf.relu, samples=samples).cross, rel=ROUNDING)


def test_the_batch_statistics_are_not_frozen_backwards() -> None:
    """With P = I lambda_max/M would be .288 for relu, T = 128, L = 3; it is .162."""
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    width = 10**6  # without the bias parameters
    got = mf.gram(network, mf.InputGram(np.eye(128), dimension=width), width=width)
    assert round(got.largest / width, 3) == 0.162


def test_what_the_batch_takes_out_does_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal((12, 30))
    got = mf.gram(RELU, x, width=40)
    assert got.tangent is not None
    theta = np.diagonal(got.tangent).max()
    moved = mf.gram(RELU, x + np.random.default_rng(1).standard_normal(30), width=40)
    order = np.random.default_rng(2).permutation(12)
    permuted = mf.gram(RELU, x[order], width=40)
    products = mf.gram(RELU, mf.InputGram(x @ x.T / 30, dimension=30), width=40)
    for matrix in (tangent_of(moved), tangent_of(products)):
        np.testing.assert_allclose(matrix, got.tangent, rtol=0, atol=GRAM * theta)
    np.testing.assert_allclose(tangent_of(permuted), got.tangent[np.ix_(order, order)], rtol=0, atol=GRAM * theta)
    # the scale of the inputs cancels forwards, and in the products of gradients and inputs
    larger = mf.gram(RELU, 100 * x, width=40)
    np.testing.assert_allclose(larger.covariance, got.covariance, rtol=0, atol=GRAM)
    np.testing.assert_allclose(tangent_of(larger), got.tangent, rtol=0, atol=GRAM * theta)


def test_equal_samples_and_one_at_the_mean() -> None:
    x = np.random.default_rng(0).standard_normal((9, 20))
    x[7], x[8] = x[6], x[:8].mean(axis=0)
    x[8] = x[:7].mean(axis=0) + (x[7] - x[:7].mean(axis=0)) / 8  # the mean of the others, hence of all
    got = mf.gram(RELU, x, width=40)
    assert got.tangent is not None
    assert np.isfinite(got.tangent).all()
    size = np.diagonal(got.tangent).max()
    for matrix in (got.covariance, got.tangent):
        assert abs(matrix[6, 7] - matrix[6, 6]) <= GRAM * size
        np.testing.assert_allclose(matrix[6, :6], matrix[7, :6], rtol=0, atol=GRAM * size)


def test_two_and_three_samples_have_a_covariance_and_no_tangent_kernel() -> None:
    x = np.random.default_rng(0).standard_normal((3, 20))
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, hidden_normalization="batch")
    got = mf.gram(network, x[:2], tangent=False)  # n = (1, -1) or (-1, 1)
    np.testing.assert_allclose(got.covariance, np.eye(2), atol=GRAM)
    sigma = x @ x.T / 20
    (values, _), draws = drawn(mf.relu, 2 * sigma, sigma, epsilon=0, draws=40_000, seed=0), 40_000
    got = mf.gram(network, x, tangent=False)
    error = 2 * values.std(axis=0) / math.sqrt(draws)
    assert (np.abs(got.covariance - 2 * values.mean(axis=0)) <= SIGMAS * error).all()


def test_epsilon_makes_three_samples_possible() -> None:
    network = RELU.normalized(hidden=mf.BatchNorm(epsilon=0.1))
    x = np.random.default_rng(0).standard_normal((3, 20))
    got = mf.gram(network, x, width=30)
    assert got.validity == ()
    assert np.linalg.eigvalsh(got.fisher)[0] > 0


def test_heavy_tails_are_said() -> None:
    x = np.random.default_rng(0).standard_normal((6, 20))
    for samples, heavy in ((4, True), (5, True), (6, False)):
        got = mf.gram(RELU, x[:samples], width=30)
        assert any("infinite variance" in warning for warning in got.validity) is heavy
        assert ("beware" in str(got)) is heavy
    few = mf.gram(RELU, np.random.default_rng(0).standard_normal((10, 3)), width=30)  # few directions, many samples
    assert "3 directions at hidden layer 1" in few.validity[0]


def test_eigenvalues_parameters_and_precision() -> None:
    x = np.random.default_rng(0).standard_normal((15, 20))
    got = mf.gram(RELU, x, width=30)
    centred = mf.gram(RELU.normalized(output="mean"), x, width=30)
    assert got.tangent is not None
    g = np.eye(15) - 1 / 15
    dual = g @ got.tangent @ g / 15
    assert centred.largest == pytest.approx(np.linalg.eigvalsh(dual)[-1], rel=GRAM)
    assert got.parameters == 20 * 30 + 30 + 30 * 30 + 30 + 30 + 1
    assert mf.learning_rate_bound(centred.statistics()).value == pytest.approx(2 / centred.largest, rel=GRAM)
    single = mf.gram(RELU, x, width=30, dtype="float32")
    assert single.covariance.dtype == np.float32
    np.testing.assert_allclose(tangent_of(single), got.tangent, rtol=0, atol=1e-6 * got.tangent.max())
    ntk, without = (mf.gram(RELU, x, parameterization="ntk", biases=biases) for biases in (True, False))
    # behind batch normalisation only the bias of the readout is left
    np.testing.assert_allclose(tangent_of(ntk) - tangent_of(without), 0.3, rtol=0, atol=GRAM)


@pytest.mark.parametrize("samples", [4, 20])
def test_a_layer_that_is_sampled_agrees(samples: int) -> None:
    """The same layer by both ways; with four samples, too, where 1/sigma^2 has no variance."""
    sigma, theta = a_covariance(samples), a_covariance(samples, seed=1)
    spread = spread_of(sigma, layer=1, epsilon=0.0, tangent=True)
    exact = homogeneous_layer(mf.relu, spread, theta, epsilon=0.0, tolerance=1e-12)
    seeds = range(32)
    found = [
        sampled_layer(mf.relu, spread, theta, epsilon=0.0, points=1024, rng=np.random.default_rng(seed))
        for seed in seeds
    ]
    for matrix, values in (
        (exact.activity, np.array([x.activity for x in found])),
        (exact.tangent, np.array([x.tangent for x in found])),
    ):
        error = values.std(axis=0, ddof=1) / math.sqrt(len(seeds))
        assert matrix is not None
        assert (np.abs(values.mean(axis=0) - matrix) <= SIGMAS * error + GRAM).all()


Call = Callable[[], object]
X = np.random.default_rng(0).standard_normal((5, 7))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mf.gram(RELU, X[:3], width=5), r"1/sigma\^2.* is infinite"),
        (lambda: mf.gram(RELU, X[:2], width=5), "every gradient through it is exactly 0"),
        (lambda: mf.gram(RELU, X[:, :2], width=5), "differ in 2 directions"),
        (lambda: mf.gram(RELU, X[:1], width=5), "samples that are all alike"),
        (lambda: mf.gram(RELU, np.ones((5, 3)), tangent=False), "samples that are all alike"),
        (lambda: mf.gram(RELU, X, X, width=5), "two sets of inputs have no matrix"),
        (lambda: mf.gram_blocks(RELU, X, width=5), "gram_blocks has no part"),
        (lambda: mf.gram(RELU, X, width=5, memory_limit=1e-9), "matrices of a whole batch need"),
        (lambda: mf.gram(RELU, X), "width must be given"),
        (lambda: mf.gram(RELU, X, width=5, sampling=3), "sampling must be"),  # type: ignore[arg-type]
        (lambda: mf.gram(RELU.normalized(output="batch"), X, width=5).largest, "depends on the outputs"),
        (lambda: mf.Sampling(scramblings=2), "scramblings must be"),
        (lambda: mf.Sampling(most=3000), "most must be a power of 2"),
        (lambda: mf.Sampling(tolerance=0.0), "tolerance must be"),
    ],
)
def test_bad_input_is_refused(call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
