"""Theorem 2.2 at finite width: the C largest eigenvalues against networks, and the Gaussian orthogonal ensemble."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy.linalg import eigh

import meanfield as mf
import montecarlo as mc
from meanfield.eigenvalues.orthogonal_ensemble import LARGEST, ordered_eigenvalues

PFAFFIAN = 1e-9
"""Of means and variances of ordered eigenvalues: an integration of analytic functions."""

RELU = {"activation": mf.relu, "weight_variance": 2.0}
TANH = {"activation": mf.tanh, "weight_variance": 3.0, "bias_variance": 0.64}
UNEQUAL = {
    "activations": [mf.gelu, mf.relu, mf.tanh],
    "width_ratios": [1.0, 0.5, 2.0, 1.5],
    "weight_variance": [2.0, 1.5, 2.0, 1.0],
    "bias_variance": [0.3, 0.0, 0.2, 0.1],
}


def test_small_ensembles_have_closed_forms() -> None:
    """One number of variance 2; two, whose distance has the law of Rayleigh; the middle one of three is 0."""
    assert ordered_eigenvalues(1)[0] == pytest.approx([0.0], abs=PFAFFIAN)
    assert ordered_eigenvalues(1)[1] == pytest.approx([2.0], abs=PFAFFIAN)
    half = math.sqrt(math.pi / 2)
    assert ordered_eigenvalues(2)[0] == pytest.approx((half, -half), abs=PFAFFIAN)
    assert ordered_eigenvalues(2)[1] == pytest.approx([3 - math.pi / 2] * 2, abs=PFAFFIAN)
    assert ordered_eigenvalues(3)[0][1] == pytest.approx(0.0, abs=PFAFFIAN)


@pytest.mark.parametrize("size", [4, 5, 12, 31])
def test_the_sum_of_squares_is_that_of_the_entries(size: int) -> None:
    """E tr A^2 = C (C + 1), and the largest are the smallest of -A."""
    means, variances = map(np.array, ordered_eigenvalues(size))
    assert (means**2 + variances).sum() == pytest.approx(size * (size + 1), rel=PFAFFIAN)
    np.testing.assert_allclose(means, -means[::-1], atol=1e-8)


@pytest.mark.parametrize(("size", "draws", "within"), [(5, 20_000, 0.0), (10, 10_000, 0.0), (2 * LARGEST, 500, 0.02)])
def test_ordered_eigenvalues_are_those_of_drawn_matrices(size: int, draws: int, within: float) -> None:
    a = np.random.default_rng(0).standard_normal((draws, size, size))
    values = np.linalg.eigvalsh((a + np.swapaxes(a, 1, 2)) / math.sqrt(2))[:, ::-1]
    means, variances = map(np.array, ordered_eigenvalues(size))
    error = values.std(axis=0) / math.sqrt(draws)
    assert np.max(np.abs(values.mean(axis=0) - means) - within - 4 * error) < 0
    ratio = values.var(axis=0) / variances
    assert np.max(np.abs(ratio - 1)) < 5 * math.sqrt(2 / draws) + 10 * within


@pytest.mark.parametrize(
    ("law", "outputs", "width", "samples", "networks"),
    [
        pytest.param(RELU, 1, 200, 200, 100, id="relu C=1"),
        pytest.param(TANH, 1, 200, 200, 100, id="tanh C=1"),
        pytest.param(TANH, 2, 200, 100, 100, id="tanh C=2"),
        pytest.param(RELU, 4, 400, 50, 100, id="relu C=4"),
        pytest.param(TANH, 10, 800, 20, 60, id="tanh C=10"),
        pytest.param(RELU, 1, 200, 4, 400, id="few samples"),
        pytest.param(UNEQUAL, 3, 150, 30, 100, id="unequal C=3"),
    ],
)
def test_networks(law: dict[str, object], outputs: int, width: int, samples: int, networks: int) -> None:
    network = _network(law, outputs)
    theory = mf.top_eigenvalues(network, width=width, samples=samples)
    rng = np.random.default_rng(1)
    measured = np.array([_largest(network, width, samples, rng) for _ in range(networks)])
    mean = measured.mean(axis=1)
    assert abs(mean.mean() - theory.mean) < 2 * mean.std() / math.sqrt(networks)
    assert mean.std() == pytest.approx(theory.deviation, rel=4 / math.sqrt(2 * networks))
    errors = measured.std(axis=0) / math.sqrt(networks)
    assert np.max(np.abs(measured.mean(axis=0) - theory.each) / errors) < 3
    assert theory.validity == ()


def _network(law: dict[str, object], outputs: int) -> mf.Network:
    make = mf.Network if "activations" in law else partial(mf.Network.uniform, depth=3)
    return make(outputs=outputs, **law)  # type: ignore[arg-type]


def _largest(network: mf.Network, width: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    gram = mc.dual_gram(mc.propagate(mc.sample_network(network, width=width, rng=rng), inputs))
    last = len(gram) - 1
    values: np.ndarray = eigh(gram, eigvals_only=True, subset_by_index=[last + 1 - network.outputs, last])[::-1]
    return values


def test_the_shift_is_more_than_theorem_2_2() -> None:
    """relu, T = 4: 400 networks rule out the leading order, which agrees with the theory for large M."""
    network = mf.Network.uniform(depth=3, **RELU)  # type: ignore[arg-type]
    top = mf.top_eigenvalues(network, width=200, samples=4)
    assert top.repulsion + top.shift > 0.015 * top.theorem_2_2
    statistics = mf.eigenvalue_statistics(network, width=200, samples=4)
    assert top.theorem_2_2 == pytest.approx(statistics.largest.lower, rel=1e-12)
    wide = mf.top_eigenvalues(network, width=10**6, samples=10**6)
    assert wide.mean == pytest.approx(wide.theorem_2_2, rel=1e-4)


def test_the_second_term_is_that_of_row_sums() -> None:
    """For many samples it is (V_st,su - V_st,uv)/(alpha kappa_2), and the variance that of disjoint pairs."""
    network = mf.Network.uniform(depth=3, **TANH)  # type: ignore[arg-type]
    top = mf.top_eigenvalues(network, width=10**6, samples=10**8)
    theory = mf.fluctuations(network)
    v = theory.kernel_covariance
    scale = network.alpha * mf.kappas(network).cross
    assert top.repulsion == pytest.approx((v("st", "su") - v("st", "uv")) / scale, rel=1e-4)
    assert top.relative_deviation == pytest.approx(math.sqrt(v("st", "uv") / 10**6) / scale, rel=1e-4)


def test_outputs_share_what_the_activities_do() -> None:
    one, ten = (mf.Network.uniform(depth=3, outputs=c, **RELU) for c in (1, 10))  # type: ignore[arg-type]
    alone, several = (mf.top_eigenvalues(network, width=1000, samples=100) for network in (one, ten))
    assert several.each.shape == (10,)
    assert (np.diff(several.each) < 0).all()
    assert several.each.mean() == pytest.approx(several.mean, rel=1e-9)
    # of the ten, each has less of its own than a single one, and the mean of all the least
    assert several.deviation < several.deviations[0] < alone.deviation
    assert alone.deviations[0] == pytest.approx(alone.deviation, rel=1e-9)


def test_what_is_outside_the_theory_is_said() -> None:
    nearly = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.01)
    top = mf.top_eigenvalues(nearly, width=100, samples=100)
    assert any("nearly centred" in warning for warning in top.validity)
    assert str(top).endswith("\n".join(top.validity))
    many = mf.top_eigenvalues(_network(RELU, 10), width=200, samples=20)
    assert any("outputs split by" in warning for warning in many.validity)
    centred = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0)
    with pytest.raises(mf.AssumptionError, match="non-centred"):
        mf.top_eigenvalues(centred, width=100, samples=100)
    for output in ("mean", "batch", "layer"):
        with pytest.raises(mf.AssumptionError, match=f"{output} normalisation"):
            mf.top_eigenvalues(nearly.normalized(output=output), width=100, samples=100)
    with pytest.raises(mf.ParameterError, match="samples"):
        mf.top_eigenvalues(nearly, width=100, samples=1)
    with pytest.raises(mf.ParameterError, match="width"):
        mf.top_eigenvalues(nearly, width=0, samples=10)
