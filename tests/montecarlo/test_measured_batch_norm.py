"""Batch normalisation with gamma, beta, epsilon and in some layers only: finite networks against finite differences."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from tolerances import DIFFERENCES, EXACT_ZERO, ROUNDING

import meanfield as mf
import montecarlo as mc

SETTINGS = {
    "first layer": mf.BatchNorm(layers=[1]),
    "last hidden layer": mf.BatchNorm(layers=[3]),
    "two of three": mf.BatchNorm(gamma=-0.7, beta=0.4, epsilon=0.5, layers=[1, 3]),
    "all": mf.BatchNorm(gamma=1.3, beta=-0.2, epsilon=0.1),
}
CASES = [(setting, output) for setting in SETTINGS for output in ("none", "mean", "batch", "layer")]


def member(setting: str, output: str, samples: int = 6) -> tuple[mc.FiniteNetwork, np.ndarray]:
    network = mf.Network(
        activations=[mf.tanh, mf.relu, mf.gelu],
        width_ratios=[0.8, 1.2, 1.0, 1.4],
        weight_variance=[2.0, 1.5, 1.0, 1.2],
        bias_variance=[0.3, 0.2, 0.1, 0.2],
        outputs=3,
        hidden_normalization=SETTINGS[setting],
        output_normalization=output,
    )
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network, width=5, rng=rng)
    return finite, mc.sample_inputs(network, width=5, samples=samples, rng=rng)


@pytest.mark.parametrize(("setting", "output"), CASES)
def test_dual_gram_and_its_moments_against_finite_differences(setting: str, output: str) -> None:
    finite, inputs = member(setting, output)
    sweep = mc.propagate(finite, inputs)
    np.testing.assert_allclose(sweep.outputs, oracles.forward(finite, inputs), rtol=ROUNDING, atol=ROUNDING)
    for biases in (True, False):
        gram = mc.dual_gram(sweep, biases=biases)
        r = oracles.gradients(finite, inputs, biases=biases)
        np.testing.assert_allclose(gram, r.T @ r, atol=DIFFERENCES * np.abs(gram).max())
    eigenvalues = np.linalg.eigvalsh(mc.dual_gram(sweep))
    for method in ("dense", "matrix-free"):
        measured = mc.measure_eigenvalues(sweep, method=method)
        assert measured.prediction == pytest.approx(eigenvalues[-1], rel=1e-9)
        assert measured.mean == pytest.approx(eigenvalues.sum() / measured.parameters, rel=1e-9)
        assert measured.second_moment == pytest.approx((eigenvalues**2).sum() / measured.parameters, rel=1e-9)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_step_of_training_follows_the_gradient(setting: str) -> None:
    finite, inputs = member(setting, "none")
    labels = np.random.default_rng(1).standard_normal((len(inputs), 3))
    rate = 1e-6
    losses = mc.train(finite, inputs, labels, learning_rate=rate, steps=1).losses
    residual = oracles.forward(finite, inputs) - labels
    r = oracles.gradients(finite, inputs)
    gradient = r @ residual.T.reshape(-1) / np.sqrt(len(inputs))
    assert losses[1] - losses[0] == pytest.approx(-rate * gradient @ gradient, rel=1e-3)


def test_two_samples_have_a_gradient_with_epsilon_and_none_without() -> None:
    for epsilon, vanishes in ((0.0, True), (0.1, False)):
        network = mf.Network.uniform(
            mf.tanh, depth=2, weight_variance=1.0, hidden_normalization=mf.BatchNorm(epsilon=epsilon)
        )
        rng = np.random.default_rng(0)
        finite = mc.sample_network(network, width=4, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=4, samples=2, rng=rng))
        assert bool(np.abs(sweep.delta[0]).max() <= EXACT_ZERO) is vanishes
