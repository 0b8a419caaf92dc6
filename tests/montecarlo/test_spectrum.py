"""What is measured on the dual Gram: against the explicit matrix, between two solvers, and for large widths."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from problems import RELU, TANH
from tolerances import DIFFERENCES, LINEAR_ALGEBRA, SIGMAS

import meanfield as mf
import montecarlo as mc

SAMPLES = 6


def member(network: mf.Network, *, width: int, samples: int, seed: int = 0) -> mc.Sweep:
    rng = np.random.default_rng(seed)
    finite = mc.sample_network(network, width=width, rng=rng)
    return mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))


def small(outputs: int, **choice: str) -> mc.Sweep:
    network = mf.Network(
        activations=[mf.tanh, mf.erf, mf.sigmoid],
        width_ratios=[0.5, 1, 0.7, 1.2],
        weight_variance=[2, 1.5, 1, 3],
        bias_variance=0.3,
        outputs=outputs,
    )
    return member(network.normalized(**choice), width=8, samples=SAMPLES, seed=7)


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_eigenspace_against_explicit_eigenvectors(outputs: int, hidden: str) -> None:
    result = small(outputs, hidden=hidden)
    r = oracles.gradients(result.finite_network, result.h[0])
    fisher = r @ r.T
    eigenvalues, eigenvectors = np.linalg.eigh(fisher)
    means = r.reshape(len(r), outputs, SAMPLES).sum(axis=2)
    basis = np.linalg.qr(means)[0]
    cosines = np.linalg.svd(basis.T @ eigenvectors[:, -outputs:], compute_uv=False)
    measured = mc.measure_eigenspace(result)
    assert measured.alignment == pytest.approx(np.mean(cosines**2), rel=DIFFERENCES)
    assert 0.4 < measured.alignment < 1
    residuals = [np.linalg.norm(fisher @ v - eigenvalues[-1] * v) / np.linalg.norm(v) for v in means.T]
    expected = np.sqrt(np.mean(np.square(residuals))) / eigenvalues[-1]
    assert measured.residual == pytest.approx(expected, rel=DIFFERENCES)
    assert measured.theorem == "measured"
    assert measured.corrections == ()


@pytest.mark.parametrize(
    "network",
    [RELU, TANH, mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=3)],
    ids=["relu", "tanh", "relu, C = 3"],
)
def test_the_residual_shrinks_with_the_square_root_of_the_width(network: mf.Network) -> None:
    """(S.16) with q = 1/2: F v - lambda v is O(1) beside lambda = O(M), where v = O(1)."""
    widths, members = np.array([50, 100, 200, 400]), 40
    logarithms = []
    for width in widths:
        experiment = mc.EigenspaceExperiment(network, width=int(width), samples=20)
        ensemble = mc.run_ensemble(experiment, members=members, seed=int(width))
        logarithms.append([np.log(member.residual) for member in ensemble.members])
    x = np.log(widths) - np.log(widths).mean()
    slope = x @ np.mean(logarithms, axis=1) / (x @ x)
    error = np.sqrt(x**2 @ np.var(logarithms, axis=1, ddof=1) / members) / (x @ x)
    assert error < 0.05
    assert abs(slope + 0.5) < SIGMAS * error


@pytest.mark.parametrize(("outputs", "samples"), [(1, 300), (3, 150)])
@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_lanczos_and_dense_solver_agree(outputs: int, samples: int, output: str) -> None:
    outputs = max(outputs, 3) if output == "layer" else outputs
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=outputs, output_normalization=output)
    result = member(network, width=100, samples=samples)
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
        misalignment.append(1 - mc.measure_eigenspace(result).alignment)
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
    assert mc.measure_eigenspace(result).alignment == pytest.approx(
        expected, rel=LINEAR_ALGEBRA * 1e3
    )  # a solve in between


def test_degenerate_sweeps() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, output_normalization="mean")
    finite = mc.sample_network(network, width=10, rng=np.random.default_rng(0))
    two = network.normalized(output="batch")
    assert mc.measure_eigenvalues(member(two, width=10, samples=2)).prediction == 0
    pair = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, outputs=2, output_normalization="layer")
    for samples in (5, 300):  # on both sides of the change of eigensolver
        assert mc.measure_eigenvalues(member(pair, width=10, samples=samples)).prediction == 0
        same = mc.propagate(finite, np.ones((samples, 10)))
        with pytest.raises(ArithmeticError, match="too few digits"):
            mc.measure_eigenvalues(same)
        zero = mc.FiniteNetwork(network.normalized(output="none"), [0 * w for w in finite.weights], finite.biases)
        dead = mc.propagate(zero, np.zeros((samples, 10)))
        assert mc.measure_eigenvalues(dead, biases=False).prediction == 0
        with pytest.raises(mf.AssumptionError, match="needs 1 positive eigenvalues"):
            mc.measure_eigenspace(dead, biases=False)
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="gradients are not finite"):
        mc.measure_eigenvalues(mc.propagate(finite, np.full((4, 10), 1e200)))
    large = np.ones((4, 10))
    large[3] = 1e160
    unbounded = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    relu = mc.sample_network(unbounded, width=10, rng=np.random.default_rng(0))
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="gradients are not finite"):
        mc.dual_gram(mc.propagate(relu, large))


def test_eigenspace_needs_outputs_as_they_are() -> None:
    for output in ("mean", "batch", "layer"):
        result = small(3, output=output)
        with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.1 needs outputs without normalisation"):
            mc.measure_eigenspace(result)
        with pytest.raises(mf.AssumptionError, match=r"last layer's block of Theorem 3\.4 needs outputs without"):
            mc.last_layer_gram(result)
        network = result.finite_network.network
        for experiment in (mc.EigenspaceExperiment, mc.LastLayerExperiment):
            with pytest.raises(mf.AssumptionError, match=f"not output_normalization={output}"):
                experiment(network, width=10, samples=10)


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("biases", [True, False])
def test_last_layer_against_the_explicit_block(hidden: str, biases: bool) -> None:
    result = small(3, hidden=hidden)
    finite = result.finite_network
    r = oracles.gradients(finite, result.h[0])
    sizes = np.cumsum([0, *(array.size for array in (*finite.weights, *finite.biases))])
    rows = [r[sizes[3] : sizes[4]], *([r[sizes[-2] :]] if biases else [])]  # W^4, and b^4
    of_last = np.concatenate(rows)
    block = mc.last_layer_gram(result, biases=biases)
    np.testing.assert_allclose(np.kron(np.eye(3), block), of_last.T @ of_last, atol=DIFFERENCES * block.max())
    eigenvalues = np.linalg.eigvalsh(of_last @ of_last.T)
    measured = mc.measure_last_layer(result, biases=biases)
    assert measured.parameters == len(of_last) == 3 * (finite.widths[-2] + biases)
    assert measured.mean == pytest.approx(eigenvalues.mean(), rel=DIFFERENCES)
    assert measured.second_moment == pytest.approx(np.mean(eigenvalues**2), rel=DIFFERENCES)
    assert measured.prediction == pytest.approx(eigenvalues.max(), rel=DIFFERENCES)
    assert measured.largest.lower == measured.largest.upper == measured.prediction
    assert mc.measure_eigenvalues(result, biases=biases).largest.lower > measured.largest.lower


def test_bound_by_the_last_layer() -> None:
    """lambda_max(F) >= lambda_max(F_L) >= nu' F*_L nu, and the mean of that is alpha_{L-1} M (..), as (22) has it.

    Behind one hidden layer the batch of a unit is Gaussian and independent given its weights, so that qhat is exact at
    every width. alpha_{L-1} = 2 and alpha = 1 are told apart.
    """
    network = mf.Network(
        activations=[mf.relu], width_ratios=[0.5, 2], weight_variance=2.0, hidden_normalization="batch"
    )
    width, samples, members = 60, 8, 40
    quotients = []
    for seed in range(members):
        result = member(network, width=width, samples=samples, seed=seed)
        uniform = mc.last_layer_gram(result, biases=False).sum() / samples
        last, everything = (
            measured.largest.lower
            for measured in (mc.measure_last_layer(result, biases=False), mc.measure_eigenvalues(result, biases=False))
        )
        assert uniform <= last <= everything
        quotients.append(uniform / width)
    qhat = mf.batch_norm_parameters(mf.relu, samples=samples)
    expected = 2 * ((samples - 1) / samples * qhat.cross + qhat.same / samples)
    error = np.std(quotients, ddof=1) / np.sqrt(members)
    assert abs(np.mean(quotients) - expected) < SIGMAS * error
    assert abs(np.mean(quotients) - expected / 2) > 10 * SIGMAS * error  # alpha for alpha_{L-1}


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_an_experiment_for_each_of_the_twelve(hidden: str, output: str) -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=3)
    network = network.normalized(hidden=hidden, output=output)
    rng = [np.random.default_rng(1) for _ in range(5)]
    result = member(network, width=20, samples=6, seed=1)
    assert mc.EigenvalueExperiment(network, 20, 6).run(rng[0]) == mc.measure_eigenvalues(result)
    assert mc.EigenvalueExperiment(network, 20, 6, biases=False).run(rng[1]) == mc.measure_eigenvalues(
        result, biases=False
    )
    assert mc.OrderParameterExperiment(network, 20, 6).run(rng[2]) == mc.measure_order_parameters(result)
    if output == "none":
        assert mc.EigenspaceExperiment(network, 20, 6).run(rng[3]) == mc.measure_eigenspace(result)
        assert mc.LastLayerExperiment(network, 20, 6).run(rng[4]) == mc.measure_last_layer(result)
    one_sample = {"hidden": hidden, "output": output}
    if "batch" in one_sample.values() or output == "mean":
        with pytest.raises(mf.ParameterError, match="samples must be"):
            mc.EigenvalueExperiment(network, 20, 1)
    else:
        assert mc.EigenvalueExperiment(network, 20, 1).samples == 1
    if output == "layer":
        with pytest.raises(mf.ParameterError, match="outputs must be at least 2"):
            mc.EigenvalueExperiment(RELU.normalized(output="layer"), 20, 6)


def test_members_of_other_processes_are_the_same() -> None:
    """A batch's gradients take another route through BLAS; its bits do not depend on the run either."""
    experiment = mc.EigenvalueExperiment(TANH.normalized(hidden="batch", output="batch"), width=30, samples=20)
    first, again = (mc.run_ensemble(experiment, members=3, seed=1) for _ in range(2))
    assert first.members == again.members
