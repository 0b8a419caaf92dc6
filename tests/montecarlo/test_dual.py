"""How the dual Gram is assembled: tiles, projectors on either side, memory. Its truth is decided in ``test_twelve``."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from problems import sweep
from tolerances import LINEAR_ALGEBRA

import meanfield as mf
import montecarlo as mc

SAMPLES, WIDTH = 6, 8


def finite_network(outputs: int, output: str, *, hidden: str = "none") -> tuple[mc.FiniteNetwork, NDArray[np.float64]]:
    network = mf.Network(
        activations=[mf.tanh, mf.erf, mf.sigmoid],
        width_ratios=[0.5, 1, 0.7, 1.2],
        weight_variance=[2, 1.5, 1, 3],
        bias_variance=0.3,
        outputs=outputs,
        hidden_normalization=hidden,
        output_normalization=output,
    )
    rng = np.random.default_rng(7)
    finite = mc.sample_network(network, width=WIDTH, rng=rng)
    return finite, mc.sample_inputs(network, width=WIDTH, samples=SAMPLES, rng=rng)


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


def projector(result: mc.Sweep) -> NDArray[np.float64]:
    """Return the Jacobian of the normalised outputs with respect to the outputs, CT x CT, from the printed formulas."""
    u, output = result.u[-1], result.finite_network.network.output_normalization
    samples, outputs = u.shape
    p = np.zeros((outputs, samples, outputs, samples))
    for k in range(outputs):
        x = u[:, k] - u[:, k].mean()
        p[k, :, k, :] = np.eye(samples) - 1 / samples
        if output == "batch":
            p[k, :, k, :] -= np.outer(x, x) / (x @ x)
            p[k, :, k, :] /= np.sqrt(x @ x / samples)
    if output == "layer":
        p[:] = 0
        for t in range(samples):
            x = u[t] - u[t].mean()
            p[:, t, :, t] = np.eye(outputs) - 1 / outputs - np.outer(x, x) / (x @ x)
            p[:, t, :, t] /= np.sqrt(x @ x / outputs)
    return p.reshape(outputs * samples, -1)


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("output", ["mean", "batch", "layer"])
def test_gram_of_normalised_outputs_is_the_gram_between_projectors(hidden: str, output: str) -> None:
    (plain, inputs), (normalised, _) = (finite_network(4, choice, hidden=hidden) for choice in ("none", output))
    result = mc.propagate(normalised, inputs)
    p = projector(result)
    expected = p @ mc.dual_gram(mc.propagate(plain, inputs)) @ p
    np.testing.assert_allclose(mc.dual_gram(result), expected, atol=LINEAR_ALGEBRA * np.abs(expected).max())


@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
def test_symmetric_and_positive(hidden: str, output: str) -> None:
    finite, inputs = finite_network(3, output, hidden=hidden)
    gram = mc.dual_gram(mc.propagate(finite, inputs))
    eigenvalues = np.linalg.eigvalsh(gram)
    np.testing.assert_allclose(gram, gram.T, atol=LINEAR_ALGEBRA * eigenvalues[-1])
    assert eigenvalues[0] > -LINEAR_ALGEBRA * eigenvalues[-1]
    lost = {"none": 0, "mean": 3, "batch": 6, "layer": 2 * SAMPLES}[output]  # the rank of P
    assert np.count_nonzero(eigenvalues > LINEAR_ALGEBRA * eigenvalues[-1]) == 3 * SAMPLES - lost


def test_memory_is_refused_before_it_is_used() -> None:
    assert mc.gram_memory(outputs=10, samples=10_000) == pytest.approx(8 * (1e10 + 10 * 1e8) / 2**30)
    finite, inputs = finite_network(2, "none")
    message = r"memory_limit must be at least the 1\.61e-06 GiB that this needs, got 1e-09 GiB"
    with pytest.raises(mf.ParameterError, match=message):
        mc.dual_gram(mc.propagate(finite, inputs), memory_limit=1e-9)
    with pytest.raises(mf.ParameterError, match=r"GiB that this needs \(method matrix-free: .*\), got 8 GiB"):
        mc.EigenvalueExperiment(finite.network, width=10, samples=100_000, method="dense")
    assert mc.EigenvalueExperiment(finite.network, width=10, samples=100_000, memory_limit=1000).samples == 100_000
    for experiment in (mc.EigenvalueExperiment, mc.OrderParameterExperiment):
        with pytest.raises(mf.ParameterError, match="memory_limit"):  # the weights
            experiment(finite.network, width=100_000, samples=2)
    batch = finite.network.normalized(hidden="batch")
    # 16 GB of gradients delta(t; a), beside a Gram of 16 MB
    assert mc.EigenvalueExperiment(finite.network, width=300, samples=1000).samples == 1000
    for of_batch in (mc.EigenvalueExperiment, mc.OrderParameterExperiment, mc.LastLayerExperiment):
        with pytest.raises(
            mf.ParameterError, match=r"memory_limit must be at least the 1\d(\.\d)? GiB that this needs"
        ):
            of_batch(batch, width=300, samples=1000)
    with pytest.raises(mf.ParameterError, match="memory_limit must be at least"):
        mc.dual_gram(mc.propagate(*finite_network(2, "none", hidden="batch")), memory_limit=0.005)


@pytest.mark.parametrize("output", ["mean", "batch"])
def test_samples_that_look_alike_are_refused_before_their_digits_are_lost(output: str) -> None:
    """With inputs 1 + d x the result is off by 1e-16/d^2: to 1e-6 it is right where it is not refused."""
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, output_normalization=output)
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network, width=6, rng=rng)
    x = rng.standard_normal((5, 6))
    for distance, refused in ((1e-2, False), (1e-4, False), (1e-6, True), (1e-9, True)):
        sweep = mc.propagate(finite, 1 + distance * x)
        if refused:
            with pytest.raises(ArithmeticError, match="fewer than six digits: F vanishes, or all samples look alike"):
                mc.dual_gram(sweep)
        else:
            assert np.linalg.eigvalsh(mc.dual_gram(sweep))[0] > -1e-6 * np.trace(mc.dual_gram(sweep))


@pytest.mark.parametrize("method", ["dense", "matrix-free"])
@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_what_a_batch_has_in_common_costs_no_digits(output: str, method: str) -> None:
    """Batch norm in the hidden layers takes out a shift of all inputs: what is left of it is rounding of the inputs."""
    finite, inputs = finite_network(3, output, hidden="batch")
    shifts = [mc.measure_eigenvalues(mc.propagate(finite, inputs + s), method=method) for s in (0, 1e7)]
    expected, found = (np.array([one.mean, one.second_moment, one.largest.lower]) for one in shifts)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("biases", [-1, 2, "no", None, np.nan])
def test_biases_are_in_or_out(biases: Any) -> None:
    finite, inputs = finite_network(3, "none")
    sweep = mc.propagate(finite, inputs)
    for measure in (mc.dual_gram, mc.measure_eigenvalues, mc.measure_largest, mc.measure_last_layer):
        with pytest.raises(mf.ParameterError, match="biases must be True or False"):
            measure(sweep, biases=biases)
    with pytest.raises(mf.ParameterError, match="biases must be True or False"):
        mc.EigenvalueExperiment(finite.network, 10, 10, biases=biases)
