"""lambda_max behind layer normalisation: the secular equation against explicit matrices, and its law over networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from problems import RELU, RELU_BIASED, TANH
from scipy.special import ndtr
from tolerances import LIMIT_OF_SAMPLES, ROUNDING, SIGMAS, TWO_ROUTES

import meanfield as mf
import montecarlo as mc
from meanfield.eigenvalues.layer_norm_secular import Secular
from meanfield.eigenvalues.layer_norm_spectrum import limit_of_many_samples
from meanfield.eigenvalues.splitting import drawn_overlaps, relative_splitting
from meanfield.readout import limiting_outputs

Array = NDArray[np.float64]


def dense(contrast: float, cross: Array, u: Array, norms: Array | None = None) -> Array:
    """Return the T C eigenvalues of J F* J in decreasing order, J the Jacobian of each sample, F* of any overlaps."""
    samples, outputs = u.shape
    norms = np.ones(samples) if norms is None else norms
    jacobians = []
    for row in u:
        normal = (row - row.mean()) / row.std()
        jacobians.append((np.eye(outputs) - 1 / outputs - np.outer(normal, normal) / outputs) / row.std())
    between = np.einsum("kj,t,s->tksj", cross, np.sqrt(norms), np.sqrt(norms))
    for t in range(samples):
        between[t, :, t] += contrast * norms[t] * np.eye(outputs)
    matrix = np.einsum("tak,tksj,sjb->tasb", jacobians, between, jacobians, optimize=True)
    found: Array = np.linalg.eigvalsh(matrix.reshape(u.size, u.size))[::-1]
    return found


HARD: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "Gaussian": lambda rng, u: u,
    "scales over eight orders": lambda rng, u: u * 10 ** rng.uniform(-4, 4, size=(len(u), 1)),
    "the same sample again": lambda rng, u: np.concatenate([u, u[:2], u[:1]]),
    "samples alike": lambda rng, u: u[0] + 1e-3 * u,
    "one sigma": lambda rng, u: (u - u.mean(1, keepdims=True)) / u.std(1, keepdims=True),
    "one sample": lambda rng, u: u[:1],
}


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("seed", range(40))
def test_the_secular_equation_has_the_eigenvalues_of_the_matrix(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = int(rng.integers(3, 9))
    u = HARD[kind](rng, rng.normal(size=outputs) + rng.normal(size=(int(rng.integers(3, 15)), outputs)))
    same = rng.uniform(0.5, 3)
    # from nearly diagonal to nearly constant
    cross = same * (10 ** rng.uniform(-6, -0.1) if seed % 2 else 1 - 10 ** rng.uniform(-6, -0.1))
    equation = Secular.of(mf.Exchangeable(same, cross, len(u)), u)
    expected = dense(same - cross, cross * np.eye(outputs), u)
    rank = len(u) * (outputs - 2)
    assert equation.largest() == pytest.approx(expected[0], rel=TWO_ROUTES)
    np.testing.assert_allclose(equation.all(rank), expected[:rank], rtol=0, atol=TWO_ROUTES * expected[0])
    assert np.abs(expected[rank:]).max() < TWO_ROUTES * expected[0]


@pytest.mark.parametrize("seed", range(40))
def test_with_the_overlaps_and_norms_of_one_network(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, samples = int(rng.integers(3, 9)), int(rng.integers(1, 15))
    u = rng.normal(size=outputs) + rng.normal(size=(samples, outputs))
    root, norms = rng.normal(size=(outputs, 3 * outputs)), rng.uniform(0.2, 3, size=samples)
    cross = root @ root.T / 10
    equation = Secular.of(mf.Exchangeable(1.5, 0.8, samples), u, overlaps=cross, norms=norms)
    expected = dense(1.5 - 0.8, cross, u, norms)
    rank = samples * (outputs - 2)
    np.testing.assert_allclose(equation.all(rank), expected[:rank], rtol=0, atol=TWO_ROUTES * expected[0])


def test_overlaps_that_no_wide_network_has() -> None:
    u = np.random.default_rng(0).normal(size=(3, 4))
    with pytest.raises(mf.ParameterError, match="overlaps must be positive definite"):
        Secular.of(mf.Exchangeable(1.5, 0.8, 3), u, overlaps=np.diag([1.0, 1.0, -0.5, -0.5]))


@pytest.mark.parametrize("exponent", range(1, 16))
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_an_eigenvalue_beside_a_pole_is_not_lost_in_it(exponent: int, sign: int) -> None:
    # where n(1)'[S(lambda) - X^-1] n(1) vanishes at the first pole, an eigenvalue lies there
    u = np.random.default_rng(exponent).normal(size=(6, 4))
    equation = Secular.of(mf.Exchangeable(2.0, 1.0, 6), u)  # contrast 1
    variances, n = equation.variances, equation.directions
    along = (1 - (n @ n[0]) ** 2)[1:] / (variances[1:] / variances[0] - 1)
    cross = (1 + sign * 10.0**-exponent) / along.sum()
    expected = dense(1.0, cross * np.eye(4), u)[:12]
    moved = Secular.of(mf.Exchangeable(1 + cross, cross, 6), u)
    distance = np.abs(expected * variances[0] - 1).min()
    assert distance < 20 * 10.0**-exponent if sign else distance < TWO_ROUTES
    np.testing.assert_allclose(moved.all(12), expected, rtol=0, atol=TWO_ROUTES * expected[0])


def projected(network: mf.Network, u: Array, block: mf.Exchangeable) -> Array:
    """Return the eigenvalues of P F* P for mean subtraction or batch normalisation of the outputs, in some order."""
    samples = len(u)
    found: list[float] = []
    for column in u.T:
        p = np.eye(samples) - 1 / samples
        if network.output_normalization is mf.OutputNormalization.BATCH:
            normal = (column - column.mean()) / column.std()
            p = (p - np.outer(normal, normal) / samples) / column.std()
        elif network.output_normalization is mf.OutputNormalization.NONE:
            p = np.eye(samples)
        found += np.linalg.eigvalsh(p @ block.dense() @ p).tolist()
    return np.array(found)


@pytest.mark.parametrize("output", ["none", "mean", "batch"])
@pytest.mark.parametrize("samples", [2, 7])
def test_other_normalisations_of_the_outputs(output: str, samples: int) -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.3, outputs=3)
    network = network.normalized(output=output)
    u = np.random.default_rng(1).normal(size=(samples, 3))
    block = mf.dual_block(network, mf.propagate(network), width=50, samples=samples)
    expected = np.sort(projected(network, u, block))[::-1]
    got = mf.leading_eigenvalues(network, u, width=50)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TWO_ROUTES * block.uniform)
    np.testing.assert_array_equal(mf.leading_eigenvalues(network, u, width=50, count=4), got[:4])


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_layer_norm_has_the_trace_and_the_squares_of_theorem_4_1(hidden: str) -> None:
    network = mf.Network.uniform(mf.relu, depth=4, weight_variance=2.0, bias_variance=0.1, outputs=5)
    network = network.normalized(hidden=hidden, output="layer")
    u = np.random.default_rng(2).normal(size=(30, 5))
    found = mf.leading_eigenvalues(network, u, width=200)
    assert found.shape == (150,)
    assert (found[90:] == 0).all()
    statistics = mf.eigenvalue_statistics(network, width=200, samples=30, outputs=u)
    assert statistics.mean * statistics.parameters == pytest.approx(found.sum(), rel=TWO_ROUTES)
    assert statistics.second_moment * statistics.parameters == pytest.approx(np.sum(found**2), rel=TWO_ROUTES)
    assert statistics.prediction == mf.leading_eigenvalues(network, u, width=200, count=1)[0]
    assert statistics.prediction == pytest.approx(found[0], rel=TWO_ROUTES)
    assert statistics.largest.lower < found[0] < statistics.largest.upper
    assert statistics.readout == mf.ReadoutScales.from_outputs(u)
    assert mf.learning_rate_bound(statistics).value == pytest.approx(2 / found[0], rel=TWO_ROUTES)


def test_outputs_give_batch_normalisation_its_scales() -> None:
    network = RELU.normalized(output="batch")
    u = np.random.default_rng(2).normal(size=(30, 1))
    given = mf.eigenvalue_statistics(network, width=100, samples=30, outputs=u)
    scales = mf.ReadoutScales.from_outputs(u)
    assert given == mf.eigenvalue_statistics(network, width=100, samples=30, readout=scales)
    assert given.prediction is None


def layered(network: mf.Network, outputs: int, hidden: str = "layer") -> mf.Network:
    """Return the same law with more outputs, and layer normalisation of them."""
    return mf.Network(
        activations=network.activations,
        width_ratios=network.width_ratios,
        weight_variance=network.weight_variance,
        bias_variance=network.bias_variance,
        outputs=outputs,
        hidden_normalization=hidden,
        output_normalization="layer",
    )


def test_one_and_two_outputs() -> None:
    two = layered(TANH, 2)
    u = np.random.default_rng(0).normal(size=(5, 2))
    assert (mf.leading_eigenvalues(two, u, width=100) == np.zeros(10)).all()
    assert mf.layer_norm_spectrum(two, width=100, samples=5, draws=3).mean == 0
    for call in (
        lambda network: mf.leading_eigenvalues(network, u[:, :1], width=100),
        lambda network: mf.layer_norm_spectrum(network, width=100, samples=5),
    ):
        with pytest.raises(mf.AssumptionError, match="single output divides zero by zero"):
            call(layered(TANH, 1))


def test_what_is_refused() -> None:
    network, u = layered(TANH, 4), np.random.default_rng(0).normal(size=(5, 4))
    flat = u.copy()
    flat[3] = 2.0
    bad: list[tuple[Any, dict[str, Any], str]] = [
        (u[:, :3], {}, r"shape \(T, 4\), as the network has them"),
        (u[0], {}, r"array of shape \(T, C\)"),
        ("outputs", {}, "array of real numbers"),
        (u * np.inf, {}, "finite, got inf or nan"),
        (u * 1e90, {}, r"numbers up to 1e\+70"),
        (flat, {}, "no spread of sample 3"),
        (u, {"count": 21}, "<= 20"),
        (u, {"count": 0}, "count"),
    ]
    for outputs, options, message in bad:
        with pytest.raises(mf.ParameterError, match=message):
            mf.leading_eigenvalues(network, outputs, width=100, **options)
    with pytest.raises(mf.ParameterError, match="no spread of output 0"):
        mf.leading_eigenvalues(network.normalized(output="batch"), 0 * u + 1, width=100)
    with pytest.raises(mf.ParameterError, match=r"outputs must be of shape \(T, C\) = \(6, 4\)"):
        mf.eigenvalue_statistics(network, width=100, samples=6, outputs=u)
    scales = mf.ReadoutScales.from_outputs(u)
    with pytest.raises(mf.ParameterError, match="left out where outputs are given"):
        mf.eigenvalue_statistics(network, width=100, samples=5, outputs=u, readout=scales)
    centred = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, outputs=4, output_normalization="layer")
    batch = network.normalized(hidden="batch")
    for other, message in ((centred, "this one is centred"), (batch, "F\\*_st > 0")):
        with pytest.raises(mf.AssumptionError, match=message):
            mf.leading_eigenvalues(other, u, width=100)
        with pytest.raises(mf.AssumptionError, match=message):
            mf.layer_norm_spectrum(other, width=100, samples=5)
    with pytest.raises(mf.AssumptionError, match="needs layer normalisation of the outputs"):
        mf.layer_norm_spectrum(network.normalized(output="mean"), width=100, samples=5)
    with pytest.raises(mf.AssumptionError, match="grows at least as log T"):
        mf.layer_norm_spectrum(layered(TANH, 3), width=100, samples=math.inf)
    law = mf.layer_norm_spectrum(network, width=100, samples=5, draws=2)
    with pytest.raises(mf.ParameterError, match="probability"):
        law.quantile(1.5)


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_the_law_is_that_of_the_matrices_of_drawn_outputs(hidden: str) -> None:
    network = layered(RELU, 5, hidden)
    order = mf.propagate(network)
    block = mf.dual_block(network, order, width=300, samples=12, leading_order=True)
    rng = np.random.default_rng(7)
    drawn = [limiting_outputs(network, samples=12, rng=rng, order=order) for _ in range(20)]
    expected = sorted(dense(block.contrast, block.cross * np.eye(5), u)[0] for u in drawn)
    law = mf.layer_norm_spectrum(network, width=300, samples=12, draws=20, seed=7, leading_order=True)
    np.testing.assert_allclose(law.draws, expected, rtol=TWO_ROUTES)
    assert (law.median, law.quantile(0), law.quantile(1)) == (np.median(law.draws), law.draws[0], law.draws[-1])


@pytest.mark.parametrize(
    ("outputs", "mean", "error"), [(3, False, False), (4, True, False), (5, True, False), (6, True, True)]
)
def test_moments_that_do_not_exist_are_not_given(outputs: int, mean: bool, error: bool) -> None:
    law = mf.layer_norm_spectrum(layered(TANH, outputs), width=100, samples=8, draws=10)
    assert (math.isfinite(law.mean), math.isfinite(law.standard_error)) == (mean, error)
    assert law.tail_index == (outputs - 1) / 2
    assert len(law.validity) == (outputs < 6)
    assert ("beware" in str(law)) == (outputs < 6)


@pytest.mark.parametrize("outputs", [3, 5])
def test_the_tail(outputs: int) -> None:
    """P(lambda_max > x) ~ T (C F*_tt/(2 q_t x))^((C-1)/2)/Gamma((C+1)/2), whose powers decide which moments exist."""
    network, samples, draws = layered(TANH, outputs), 3, 20_000
    order = mf.propagate(network)
    block = mf.dual_block(network, order, width=100, samples=samples, leading_order=True)
    law = mf.layer_norm_spectrum(network, width=100, samples=samples, draws=draws, leading_order=True)
    rare = 4e-3
    power = (outputs - 1) / 2
    rate = outputs * block.same / (2 * float(order.preactivation.same[-1]))
    x = rate * (samples / (rare * math.gamma(power + 1))) ** (1 / power)
    found = float(np.mean(law.draws > x))
    # the next term, of a sample that is not alone and of the density beside 0, is of relative order rate/x
    assert abs(found - rare) < SIGMAS * math.sqrt(rare / draws) + 3 * rare * rate / x
    assert SIGMAS * math.sqrt(rare / draws) < 0.6 * rare


def exact_limit(outputs: int, square: float, same: float, cross: float) -> float:
    """Integrate A = C E |x|^-2 (1 - x_perp^2/|x|^2) at 20 digits.

    By |x|^-2 = int exp(-p |x|^2) dp and |x|^-4 = int p exp(-p |x|^2) dp, with the expectation of Gaussians inside.
    """
    n = outputs - 1
    with mpmath.workdps(20):
        s, mu2 = mpmath.mpf(same) - cross, mpmath.mpf(cross) * square

        def transform(p: Any) -> Any:
            return (1 + 2 * p * s) ** (-mpmath.mpf(n) / 2) * mpmath.exp(-p * mu2 / (1 + 2 * p * s))

        def integrand(p: Any) -> Any:
            return transform(p) * (1 - p * s / (1 + 2 * p * s))

        return float(outputs * mpmath.quad(integrand, [0, 0.1 / s, 1 / s, 10 / s, 1000 / s, mpmath.inf]))


@pytest.mark.parametrize("outputs", [4, 5, 10, 30])
@pytest.mark.parametrize(
    ("square", "same", "cross"), [(9.0, 2.0, 1.0), (0.3, 1.0, 0.9), (4.0, 3.0, 1e-6), (50.0, 1.0, 0.999)]
)
def test_many_samples(outputs: int, square: float, same: float, cross: float) -> None:
    got = float(limit_of_many_samples(outputs, np.array(square), same, cross)[1])
    assert got == pytest.approx(exact_limit(outputs, square, same, cross), rel=TWO_ROUTES)
    # it is bounded, whatever the network
    assert got <= outputs * (outputs - 2) / ((outputs - 1) * (outputs - 3) * (same - cross)) * (1 + ROUNDING)


def test_samples_that_are_all_alike() -> None:
    square = np.array([2.0, 7.0])
    for nearly, tolerance in ((0.0, ROUNDING), (1e-9, LIMIT_OF_SAMPLES)):
        along, across = limit_of_many_samples(6, square, 1.5 + nearly, 1.5)
        np.testing.assert_allclose(across, 6 / (1.5 * square), rtol=tolerance)
        assert (np.abs(along) <= tolerance * across).all()


def test_the_averages_by_sampling() -> None:
    outputs, square, same, cross = 6, 5.0, 2.0, 0.7
    rng = np.random.default_rng(3)
    x = math.sqrt(same - cross) * rng.standard_normal((200_000, outputs - 1))
    x[:, 0] += math.sqrt(cross * square)
    lengths = np.sum(x**2, axis=1)
    expected = limit_of_many_samples(outputs, np.array(square), same, cross)
    assert expected[0] < expected[1]
    for i in (0, 1):
        terms = outputs / lengths * (1 - x[:, i] ** 2 / lengths)
        assert abs(terms.mean() - float(expected[i])) < SIGMAS * terms.std() / math.sqrt(terms.size)


def test_finitely_many_samples_approach_the_formula() -> None:
    """At fixed a, whose length across (1, .., 1) is r: the distance falls as T^(-1/2)."""
    network = layered(TANH, 8)
    order = mf.propagate(network)
    q, q_st = (float(pair[-1]) for pair in order.preactivation)
    rng = np.random.default_rng(5)
    a = rng.normal(size=8)
    limit = float(limit_of_many_samples(8, np.array(8 * a.var()), q, q_st)[1])
    off = []
    for samples in (300, 30_000):
        block = mf.dual_block(network, order, width=100, samples=samples)
        found = []
        for _ in range(4):
            u = math.sqrt(q_st) * a + math.sqrt(q - q_st) * rng.normal(size=(samples, 8))
            found.append(Secular.of(block, u).largest() / (samples * block.cross * limit))
        off.append(np.mean(found) - 1)
    assert 0 < off[1] < 0.2 * off[0] < 0.2


def test_the_law_for_infinitely_many_samples() -> None:
    network = layered(TANH, 8)
    law = mf.layer_norm_spectrum(network, width=100, samples=math.inf, draws=4000)
    many = mf.layer_norm_spectrum(network, width=100, samples=3000, draws=400)
    assert law.validity == ()
    assert law.tail_index == math.inf
    # many samples leave O(T^(-1/2)), and C - 2 eigenvalues that were one
    errors = math.hypot(law.standard_error, many.standard_error)
    assert abs(many.mean - law.mean) < SIGMAS * errors + 0.03 * law.mean
    assert law.draws.std() > 0.2 * law.mean  # and still it is random


def test_the_draws_of_overlaps() -> None:
    drawn = drawn_overlaps(0.05, 6, 20_000, np.random.default_rng(0))
    off, on = drawn[:, 0, 1], drawn[:, 2, 2]
    for entries, mean, variance in ((off, 0.0, 0.0025), (on, 1.0, 0.005)):
        assert abs(entries.mean() - mean) < SIGMAS * entries.std() / math.sqrt(entries.size)
        assert entries.var() == pytest.approx(variance, rel=SIGMAS * math.sqrt(2 / entries.size) + 0.01)
    assert (np.linalg.eigvalsh(drawn_overlaps(1.0, 6, 50, np.random.default_rng(1))) > 0).all()


@pytest.mark.parametrize("hidden", ["none", "layer"])
@pytest.mark.parametrize("network", [RELU, RELU_BIASED])
def test_the_splitting_is_that_of_products_of_wishart_matrices(network: mf.Network, hidden: str) -> None:
    """Q^m = (1/M_m) sum_j m1_j^2 zeta_j zeta_j', drawn from the top down; for relu m1 is the normal distribution."""
    network = layered(network, 4, hidden)
    width, draws = 400, 500
    order = mf.propagate(network)
    epsilon = relative_splitting(network, order, width=width)
    rng = np.random.default_rng(0)
    q, q_st = order.preactivation
    qhat = order.activity.cross
    relative = []
    for _ in range(draws):
        overlap = np.eye(4)
        total = (width * qhat[-1] + 1) * overlap
        for layer in (1, 0):
            z = rng.standard_normal(width)
            slope = ndtr(math.sqrt(q_st[layer] / (q[layer] - q_st[layer])) * z)
            if hidden == "layer":
                slope /= math.sqrt(q[layer])
            root = np.linalg.cholesky(overlap)
            zeta = math.sqrt(network.weight_variance[layer + 1]) * rng.standard_normal((width, 4)) @ root.T
            overlap = (slope[:, None] * zeta).T @ (slope[:, None] * zeta) / width
            total = total + (width * qhat[layer] + 1) * overlap
        relative += (total[np.triu_indices(4, 1)] / (np.trace(total) / 4)).tolist()
    found = math.sqrt(np.mean(np.square(relative)))
    assert found == pytest.approx(epsilon, rel=SIGMAS / math.sqrt(2 * draws) + network.depth_to_width(width))


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_the_splitting_of_finite_networks(hidden: str) -> None:
    network = layered(TANH, 6, hidden).normalized(output="none")
    width, samples, members = 300, 60, 48
    epsilon = relative_splitting(network, mf.propagate(network), width=width)
    squares = []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        gram = mc.dual_gram(sweep).reshape(6, samples, 6, samples)
        overlaps = gram.sum(axis=(1, 3)) - np.einsum("ktjt->kj", gram)
        squares.append(np.mean((overlaps[np.triu_indices(6, 1)] / (np.trace(overlaps) / 6)) ** 2))
    found, chance = np.mean(squares), np.std(squares) / math.sqrt(members)
    # the pairs of finitely many samples add noise of O(1/T) of the variance
    assert abs(found / epsilon**2 - 1) < SIGMAS * chance / epsilon**2 + 0.1
    assert SIGMAS * chance < 0.4 * epsilon**2


def test_the_splitting_needs_a_common_part() -> None:
    network = layered(TANH, 4)
    order = mf.propagate(network, inputs=mf.Pair(1.0, -0.3))
    with pytest.raises(mf.AssumptionError, match="leading_order=True leaves it out"):
        mf.layer_norm_spectrum(network, width=100, samples=4, order=order, draws=2)


def test_the_law_at_finite_width_is_higher_by_the_splitting() -> None:
    network = layered(RELU, 10)
    medians = [
        mf.layer_norm_spectrum(network, width=200, samples=20, draws=400, leading_order=leading).median
        for leading in (False, True)
    ]
    assert 1.03 < medians[0] / medians[1] < 1.25
