"""The dual Gram against an explicit Jacobian, and what is measured on it against the explicit Fisher information."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from problems import sweep
from tolerances import DIFFERENCES, LINEAR_ALGEBRA

import meanfield as mf
import montecarlo as mc

SAMPLES, WIDTH = 6, 8


def finite_network(outputs: int, output: str) -> tuple[mc.FiniteNetwork, NDArray[np.float64]]:
    network = mf.Network(
        activations=[mf.tanh, mf.erf, mf.sigmoid],
        width_ratios=[0.5, 1, 0.7, 1.2],
        weight_variance=[2, 1.5, 1, 3],
        bias_variance=0.3,
        outputs=outputs,
        output_normalization=output,
    )
    rng = np.random.default_rng(7)
    finite = mc.sample_network(network, width=WIDTH, rng=rng)
    return finite, mc.sample_inputs(network, width=WIDTH, samples=SAMPLES, rng=rng)


def gradients(finite: mc.FiniteNetwork, inputs: NDArray[np.float64], biases: bool) -> NDArray[np.float64]:
    """R of (S.1), P x CT, by central differences."""
    weights = [w.copy() for w in finite.weights]
    constants = [b.copy() for b in finite.biases]

    def outputs(_: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return mc.propagate(mc.FiniteNetwork(finite.network, weights, constants), inputs).outputs

    jacobian = oracles.jacobian(outputs, weights + (constants if biases else []))
    by_output = np.swapaxes(jacobian, 1, 2)
    return np.asarray(np.reshape(by_output, (len(jacobian), -1)) / np.sqrt(len(inputs)))


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("output", ["none", "mean"])
def test_dual_gram_against_an_explicit_jacobian(outputs: int, output: str, biases: bool) -> None:
    finite, inputs = finite_network(outputs, output)
    r = gradients(finite, inputs, biases)
    result = mc.propagate(finite, inputs)
    gram = mc.dual_gram(result, biases=biases)
    np.testing.assert_allclose(gram, r.T @ r, atol=DIFFERENCES * np.abs(gram).max())

    fisher = r @ r.T
    eigenvalues = np.linalg.eigvalsh(fisher)
    measured = mc.measure_eigenvalues(result, biases=biases)
    assert measured.parameters == len(fisher) == finite.network.parameters(WIDTH, biases=biases)
    assert measured.mean == pytest.approx(eigenvalues.mean(), rel=DIFFERENCES)
    assert measured.second_moment == pytest.approx(np.mean(eigenvalues**2), rel=DIFFERENCES)
    assert measured.prediction == pytest.approx(eigenvalues.max(), rel=DIFFERENCES)
    assert measured.largest.lower == measured.largest.upper == measured.prediction


@pytest.mark.parametrize(("outputs", "samples"), [(1, 1), (1, 150), (3, 150), (2, 64)])
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("output", ["none", "mean"])
def test_dual_gram_of_many_samples_against_the_plain_formula(
    outputs: int, samples: int, biases: bool, output: str
) -> None:
    """The Gram is assembled in tiles of 64 columns; here are sizes below, at and beside their multiples."""
    network = mf.Network(
        activations=[mf.tanh, mf.relu],
        width_ratios=[1, 0.5, 2],
        weight_variance=2.0,
        bias_variance=0.3,
        outputs=outputs,
        output_normalization=output,
    )
    result = sweep(network, width=20, samples=samples)
    expected = oracles.dual_gram(result, biases=biases)
    gram = mc.dual_gram(result, biases=biases)
    scale = np.abs(oracles.dual_gram(result, biases=biases)).max() or 1.0
    np.testing.assert_allclose(gram, expected, atol=LINEAR_ALGEBRA * scale)


@pytest.mark.parametrize("outputs", [1, 4])
def test_alignment_against_explicit_eigenvectors(outputs: int) -> None:
    finite, inputs = finite_network(outputs, "none")
    r = gradients(finite, inputs, biases=True)
    eigenvectors = np.linalg.eigh(r @ r.T)[1][:, -outputs:]
    means = r.reshape(len(r), outputs, SAMPLES).sum(axis=2)
    basis = np.linalg.qr(means)[0]
    cosines = np.linalg.svd(basis.T @ eigenvectors, compute_uv=False)
    measured = mc.measure_alignment(mc.propagate(finite, inputs))
    assert measured == pytest.approx(np.mean(cosines**2), rel=DIFFERENCES)
    assert 0.5 < measured < 1


def test_gram_of_the_centred_network_is_the_centred_gram() -> None:
    (plain, inputs), (centred, _) = finite_network(4, "none"), finite_network(4, "mean")
    g = np.kron(np.eye(4), np.eye(SAMPLES) - 1 / SAMPLES)
    expected = g @ mc.dual_gram(mc.propagate(plain, inputs)) @ g
    gram = mc.dual_gram(mc.propagate(centred, inputs))
    np.testing.assert_allclose(gram, expected, atol=LINEAR_ALGEBRA * np.abs(expected).max())


@pytest.mark.parametrize(("outputs", "samples"), [(1, 300), (3, 150)])
def test_lanczos_and_dense_solver_agree(outputs: int, samples: int) -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=outputs)
    for output in ("none", "mean"):
        rng = np.random.default_rng(0)
        finite = mc.sample_network(network.normalized(output=output), width=100, rng=rng)
        result = mc.propagate(finite, mc.sample_inputs(network, width=100, samples=samples, rng=rng))
        gram = mc.dual_gram(result)
        np.testing.assert_allclose(gram, gram.T, atol=LINEAR_ALGEBRA * np.abs(gram).max())
        measured = mc.measure_eigenvalues(result)
        assert measured.prediction == pytest.approx(np.linalg.eigvalsh(gram)[-1], rel=LINEAR_ALGEBRA)


def test_alignment_approaches_one_with_the_width() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=3)
    misalignment = []
    for width in (50, 800):
        rng = np.random.default_rng(1)
        finite = mc.sample_network(network, width=width, rng=rng)
        result = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=50, rng=rng))
        misalignment.append(1 - mc.measure_alignment(result))
    assert 0 < misalignment[1] < misalignment[0] / 4
    assert misalignment[1] < 0.01


def test_alignment_with_a_degenerate_top_eigenvalue() -> None:
    """For C > M_1 the C largest eigenvalues of a shallow network are multiple; none may be missed."""
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, bias_variance=0.1, outputs=30)
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network, width=20, rng=rng)
    result = mc.propagate(finite, mc.sample_inputs(network, width=20, samples=30, rng=rng))
    gram = mc.dual_gram(result)
    eigenvalues, w = np.linalg.eigh(gram)
    nu = np.kron(np.eye(30), np.ones((30, 1)))
    top = w[:, -30:] * np.sqrt(eigenvalues[-30:])
    projector = np.linalg.solve(nu.T @ gram @ nu, nu.T @ top)
    expected = np.trace(top.T @ nu @ projector) / 30
    assert mc.measure_alignment(result) == pytest.approx(expected, rel=LINEAR_ALGEBRA * 1e3)  # a solve in between


def test_degenerate_sweeps() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, output_normalization="mean")
    finite = mc.sample_network(network, width=10, rng=np.random.default_rng(0))
    for samples in (5, 300):  # on both sides of the change of eigensolver
        same = mc.propagate(finite, np.ones((samples, 10)))
        assert mc.measure_eigenvalues(same).prediction == pytest.approx(0, abs=1e-12)
        zero = mc.FiniteNetwork(network.normalized(output="none"), [0 * w for w in finite.weights], finite.biases)
        dead = mc.propagate(zero, np.zeros((samples, 10)))
        assert mc.measure_eigenvalues(dead, biases=False).prediction == 0
        with pytest.raises(mf.AssumptionError, match="needs 1 positive eigenvalues"):
            mc.measure_alignment(dead, biases=False)
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="gradients are not finite"):
        mc.measure_eigenvalues(mc.propagate(finite, np.full((4, 10), 1e200)))
    large = np.ones((4, 10))
    large[3] = 1e160
    unbounded = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    relu = mc.sample_network(unbounded, width=10, rng=np.random.default_rng(0))
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="gradients are not finite"):
        mc.dual_gram(mc.propagate(relu, large))


def test_alignment_needs_outputs_as_they_are() -> None:
    finite, inputs = finite_network(2, "mean")
    with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.1 needs outputs without normalisation"):
        mc.measure_alignment(mc.propagate(finite, inputs))


def test_memory_is_refused_before_it_is_used() -> None:
    assert mc.gram_memory(outputs=10, samples=10_000) == pytest.approx(8 * (2 * 1e10 + 1e8) / 2**30)
    finite, inputs = finite_network(2, "none")
    message = r"memory_limit must be at least the 2\.41e-06 GiB that this needs, got 1e-09 GiB"
    with pytest.raises(mf.ParameterError, match=message):
        mc.dual_gram(mc.propagate(finite, inputs), memory_limit=1e-9)
    with pytest.raises(mf.ParameterError, match="GiB that this needs, got 8 GiB"):
        mc.EigenvalueExperiment(finite.network, width=10, samples=100_000)
    assert mc.EigenvalueExperiment(finite.network, width=10, samples=100_000, memory_limit=1000).samples == 100_000
    for experiment in (mc.EigenvalueExperiment, mc.OrderParameterExperiment):
        with pytest.raises(mf.ParameterError, match="memory_limit"):  # the weights
            experiment(finite.network, width=100_000, samples=2)
