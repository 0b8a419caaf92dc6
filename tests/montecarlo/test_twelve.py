"""All twelve combinations of normalisations: F* against a Jacobian by finite differences of another forward pass."""

from __future__ import annotations

from itertools import product

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray
from tolerances import DIFFERENCES, EXACT_ZERO, NOT_SYMMETRIC

import meanfield as mf
import montecarlo as mc

HIDDEN, OUTPUT = ("none", "batch", "layer"), ("none", "mean", "batch", "layer")
ACTIVATIONS = {"smooth": (mf.tanh, mf.gelu), "kinked": (mf.relu, mf.erf)}
TWELVE = list(product(HIDDEN, OUTPUT))


def member(
    hidden: str, output: str, *, outputs: int, samples: int, activations: str = "smooth", width: int = 5
) -> tuple[mc.FiniteNetwork, NDArray[np.float64]]:
    network = mf.Network(
        activations=ACTIVATIONS[activations],
        width_ratios=[0.8, 1.2, 1.0],
        weight_variance=[2.0, 1.5, 1.0],
        bias_variance=[0.3, 0.2, 0.1],
        outputs=outputs,
        hidden_normalization=hidden,
        output_normalization=output,
    )
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network, width=width, rng=rng)
    return finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng)


@pytest.mark.parametrize("activations", ACTIVATIONS)
@pytest.mark.parametrize("samples", [2, 3, 6])
@pytest.mark.parametrize(("hidden", "output"), TWELVE)
def test_dual_gram_against_finite_differences(hidden: str, output: str, samples: int, activations: str) -> None:
    for outputs in (3, 4) if output == "layer" else (1, 4):
        finite, inputs = member(hidden, output, outputs=outputs, samples=samples, activations=activations)
        result = mc.propagate(finite, inputs)
        for biases in (True, False):
            gram = mc.dual_gram(result, biases=biases)
            r = oracles.gradients(finite, inputs, biases=biases)
            plain = mc.dual_gram(mc.propagate(*unnormalised(finite, inputs)), biases=biases)
            # two values have no gradient: there is no scale but that without normalisation of the outputs
            scale = np.abs(plain if output == "batch" and samples == 2 else gram).max()
            np.testing.assert_allclose(gram, r.T @ r, atol=DIFFERENCES * scale)


def unnormalised(
    finite: mc.FiniteNetwork, inputs: NDArray[np.float64], **choice: str
) -> tuple[mc.FiniteNetwork, NDArray[np.float64]]:
    """Return the same network with outputs as they are, or other choices."""
    network = finite.network.normalized(**(choice or {"output": "none"}))
    return mc.FiniteNetwork(network, finite.weights, finite.biases), inputs


@pytest.mark.parametrize(("hidden", "output"), TWELVE)
def test_every_statistic_against_the_explicit_matrix(hidden: str, output: str) -> None:
    finite, inputs = member(hidden, output, outputs=3, samples=5)
    r = oracles.gradients(finite, inputs)
    eigenvalues = np.linalg.eigvalsh(r @ r.T)
    measured = mc.measure_eigenvalues(mc.propagate(finite, inputs))
    assert measured.parameters == len(r)
    assert measured.mean == pytest.approx(eigenvalues.mean(), rel=DIFFERENCES)
    assert measured.second_moment == pytest.approx(np.mean(eigenvalues**2), rel=DIFFERENCES)
    assert measured.prediction == pytest.approx(eigenvalues.max(), rel=DIFFERENCES)
    if output in ("none", "mean"):
        assert measured.readout is None
    else:
        plain = oracles.forward(*unnormalised(finite, inputs))
        assert measured.readout == mf.ReadoutScales.from_outputs(mc.propagate(finite, inputs).u[-1])
        assert measured.readout.q1 == pytest.approx(sum(1 / np.var(column) for column in plain.T), rel=NOT_SYMMETRIC)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("output", "samples", "outputs"), [("batch", 2, 4), ("layer", 6, 2)])
def test_two_values_leave_nothing(hidden: str, output: str, samples: int, outputs: int) -> None:
    """One sample or output more, and it is not so."""
    finite, inputs = member(hidden, output, outputs=outputs, samples=samples)
    plain = np.linalg.norm(mc.dual_gram(mc.propagate(*unnormalised(finite, inputs))))
    gram = mc.dual_gram(mc.propagate(finite, inputs))
    assert np.linalg.norm(gram) <= EXACT_ZERO * plain
    assert mc.measure_eigenvalues(mc.propagate(finite, inputs)).prediction == 0
    np.testing.assert_allclose(oracles.gradients(finite, inputs), 0, atol=DIFFERENCES * np.sqrt(plain))
    more = member(hidden, output, outputs=outputs + (output == "layer"), samples=samples + (output == "batch"))
    assert np.linalg.norm(mc.dual_gram(mc.propagate(*more))) > 1e-3 * plain


@pytest.mark.parametrize("output", ["none", "mean"])
def test_two_samples_behind_batch_norm_leave_the_last_layer_alone(output: str) -> None:
    finite, inputs = member("batch", output, outputs=2, samples=2)
    result = mc.propagate(finite, inputs)
    h = result.h[-1]
    block = (h @ h.T + 1) / 2
    if output == "mean":
        g = np.eye(2) - 0.5
        block = g @ block @ g
    expected = np.kron(np.eye(2), block)
    rest = mc.dual_gram(result) - expected
    free = mc.dual_gram(mc.propagate(*unnormalised(finite, inputs, hidden="none", output="none")))
    assert np.linalg.norm(rest) <= EXACT_ZERO * np.linalg.norm(free) + 1e-15 * np.linalg.norm(expected)
    for delta in result.delta[:-1]:
        assert not delta.any()


@pytest.mark.parametrize("samples", [3, 7])
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", ["batch", "layer"])
def test_the_paper_s_product_has_the_same_spectrum(hidden: str, output: str, samples: int) -> None:
    finite, inputs = member(hidden, output, outputs=3, samples=samples)
    result = mc.propagate(finite, inputs)
    gram, form = mc.dual_gram(result), mc.q_form_gram(result)
    expected, eigenvalues = np.linalg.eigvalsh(gram), np.linalg.eigvals(form)
    np.testing.assert_allclose(np.sort(eigenvalues.real), expected, atol=NOT_SYMMETRIC * expected[-1])
    np.testing.assert_allclose(eigenvalues.imag, 0, atol=NOT_SYMMETRIC * expected[-1])
    assert np.trace(form) == pytest.approx(np.trace(gram), rel=NOT_SYMMETRIC)
    assert np.abs(form - form.T).max() > 1e-3 * expected[-1]
    # F = (R - Rbar) Q (R - Rbar)', with R of the outputs as they are
    r = oracles.gradients(*unnormalised(finite, inputs)).reshape(-1, 3, samples)
    r -= r.mean(axis=2 if output == "batch" else 1, keepdims=True)
    centred = r.reshape(len(r), -1)
    of_outputs = oracles.gradients(finite, inputs)
    fisher = of_outputs @ of_outputs.T
    np.testing.assert_allclose(
        centred @ mc.q_matrix(result) @ centred.T, fisher, atol=DIFFERENCES * np.abs(fisher).max()
    )


def test_the_paper_s_product_needs_a_normalisation_that_divides() -> None:
    result = mc.propagate(*member("none", "mean", outputs=3, samples=3))
    for function in (mc.q_matrix, mc.q_form_gram):
        with pytest.raises(mf.ParameterError, match="sweep must be of outputs with batch or layer normalisation"):
            function(result)
    divided = mc.propagate(*member("none", "batch", outputs=3, samples=3))
    with pytest.raises(mf.ParameterError, match="memory_limit must be at least"):
        mc.q_form_gram(divided, memory_limit=1e-9)


@pytest.mark.parametrize(("hidden", "output"), TWELVE)
def test_the_hessian_without_error_is_the_fisher_information(hidden: str, output: str) -> None:
    """(9): where every label is the output, the second term vanishes, statistics of a batch included."""
    finite, inputs = member(hidden, output, outputs=3, samples=4, width=3)
    r = oracles.gradients(finite, inputs)
    hessian = oracles.hessian_at_zero_error(finite, inputs)
    np.testing.assert_allclose(hessian, r @ r.T, atol=DIFFERENCES * np.abs(hessian).max())
    of_hessian = np.sort(np.linalg.eigvalsh((hessian + hessian.T) / 2))[::-1]
    of_dual = np.sort(np.linalg.eigvalsh(mc.dual_gram(mc.propagate(finite, inputs))))[::-1]
    count = min(len(of_hessian), len(of_dual))
    np.testing.assert_allclose(of_hessian[:count], of_dual[:count], atol=DIFFERENCES * of_dual[0])
    np.testing.assert_allclose(of_hessian[count:], 0, atol=DIFFERENCES * of_dual[0])


@pytest.mark.parametrize(("samples", "width"), [(40, 30), (30, 80)])
@pytest.mark.parametrize("biases", [True, False])
def test_batch_norm_of_many_samples_against_the_plain_formula(samples: int, width: int, biases: bool) -> None:
    """Fewer units than samples, and more; some units at a time."""
    finite, inputs = member("batch", "none", outputs=3, samples=samples, width=width)
    result = mc.propagate(finite, inputs)
    expected = np.zeros((3, samples, 3, samples))
    for h, delta in zip(result.h, result.delta, strict=True):
        gradients = np.einsum("ktai,aj->ktij", delta, h)
        expected += np.einsum("ksij,ltij->kslt", gradients, gradients, optimize=True) / samples
        if biases:
            of_bias = delta.sum(axis=2)
            expected += np.einsum("ksi,lti->kslt", of_bias, of_bias) / samples
    gram = mc.dual_gram(result, biases=biases)
    np.testing.assert_allclose(gram, expected.reshape(gram.shape), atol=1e-11 * np.abs(expected).max())
    np.testing.assert_array_equal(gram, gram.T)
