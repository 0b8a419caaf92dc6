"""The chain of deviations through the layers, its surrogates and their density: against matrices written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerances import LINEAR_ALGEBRA, ROUNDING, SHARE, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.bulk.chain import Chain, chain_of
from meanfield.bulk.draws import draw_largest, normalised
from meanfield.bulk.surrogate import Surrogate, contrasts, wishart

Array = NDArray[np.float64]

WIDTHS, VARIANCES = (90, 120, 100), (2.0, 1.5, 3.0)


def chain(*phis: mf.Activation, samples: int, widths: tuple[int, ...] = WIDTHS) -> Chain:
    responses = [mf.batch_norm_response(phi, samples=samples) for phi in phis]
    return chain_of(responses, widths, VARIANCES[: len(widths)], samples)


def test_contrasts_are_an_orthonormal_basis() -> None:
    for samples in (4, 9):
        h = contrasts(samples)
        np.testing.assert_allclose(h.T @ h, np.eye(samples - 1), atol=ROUNDING)
        np.testing.assert_allclose(h.sum(axis=0), 0, atol=ROUNDING)


@pytest.mark.parametrize("freedom", [3, 4, 50])
def test_wishart_matrices_have_their_moments(freedom: int) -> None:
    rng = np.random.default_rng(0)
    mean = np.array([[2.0, 0.5, 0.0, 0.1], [0.5, 1.0, 0.3, 0.0], [0.0, 0.3, 1.5, 0.2], [0.1, 0.0, 0.2, 0.7]])
    draws = np.array([wishart(mean, freedom, rng) for _ in range(20_000)])
    error = draws.std(axis=0) / math.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < SIGMAS * error)
    square = draws[:, 0, 1] ** 2
    expected = mean[0, 1] ** 2 + (mean[0, 1] ** 2 + mean[0, 0] * mean[1, 1]) / freedom
    assert abs(square.mean() - expected) < SIGMAS * square.std() / math.sqrt(square.size)


def test_the_bulk_is_that_of_the_recursion() -> None:
    samples, phis = 12, (mf.tanh, mf.relu)
    expected, below = float(WIDTHS[0]), 1.0
    for l, phi in enumerate(phis, start=1):
        r = mf.batch_norm_response(phi, samples=samples)
        chi = VARIANCES[l] / VARIANCES[l - 1] * samples * r.growth / ((samples - 3) * below)
        expected, below = WIDTHS[l] * r.own + chi * expected, r.own
    found = chain(*phis, samples=samples)
    assert found.bulk == pytest.approx(expected, rel=ROUNDING)
    assert [layer.width for layer in found.layers] == list(WIDTHS)


def test_a_linear_layer_scatters_as_its_moments_say() -> None:
    """Slopes of 1 make no noise: what is left are the lengths of the inputs and of the activities."""
    samples, widths = 12, (90, 120)
    r = mf.batch_norm_response(mf.identity, samples=samples)
    found = chain(mf.identity, samples=samples, widths=widths)
    k = VARIANCES[1] / VARIANCES[0] * samples / (samples - 3)
    of_inputs = k * widths[0] * (r.of_samples.backward + r.of_samples.tilt) + widths[1] * r.of_samples.forward
    variance = (2 / widths[0] * of_inputs**2 + widths[1] * r.activity_noise) * samples / (samples - 2)
    assert found.shared == pytest.approx(variance / found.bulk**2, rel=ROUNDING)
    assert found.separate == pytest.approx(0, abs=ROUNDING)


@pytest.mark.parametrize("phi", [mf.relu, mf.tanh], ids=repr)
def test_lengths_of_samples_scatter_as_in_networks(phi: mf.Activation) -> None:
    """The variance of the part G diag(e) G of F* on the contrasts, in units of the bulk."""
    samples, width, members = 48, 400, 40
    network = mf.Network.uniform(phi, depth=4, weight_variance=2.0).normalized(hidden="batch", output="mean")
    responses = [mf.batch_norm_response(phi, samples=samples)] * 3
    expected = chain_of(responses, [width] * 4, network.weight_variance, samples)
    found = []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        dual = mc.dual_gram(mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng)))
        diagonal = np.diag(dual) * samples / (samples - 2)
        found.append(np.sum((diagonal - diagonal.mean()) ** 2) / (samples - 1) / (np.trace(dual) / (samples - 1)) ** 2)
    error = np.std(found, ddof=1) / math.sqrt(members)
    assert abs(np.mean(found) - (expected.shared + 2 * expected.separate)) < SIGMAS * error
    # the Wishart matrices alone are ruled out
    assert abs(np.mean(found) - expected.gaussian) > SIGMAS * error


def test_the_scale_of_networks_scatters_as_that_of_surrogates() -> None:
    """Far from 2/M in each layer, what gradients that samples share would have."""
    samples, width, members = 16, 100, 400
    network = mf.Network.uniform(mf.relu, depth=5, weight_variance=2.0).normalized(hidden="batch", output="mean")
    found = []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        found.append(float(np.trace(mc.dual_gram(sweep))))
    bulk = mf.bulk_spectrum(network, width=width, samples=samples, draws=1000)
    measured, expected = float(np.std(found) / np.mean(found)), float(bulk.drawn.controls[:, 0].std())
    assert abs(measured / expected - 1) < SIGMAS * math.sqrt(1 / (2 * members) + 1 / 2000)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("phi", [mf.relu, mf.sigmoid], ids=repr)
def test_surrogates_have_the_mean_and_scatter_that_they_are_made_for(phi: mf.Activation, outputs: int) -> None:
    samples, draws = 10, 3000
    found = chain(phi, phi, samples=samples)
    surrogate, rng = Surrogate(found, outputs), np.random.default_rng(1)
    duals = np.array([surrogate.draw(rng)[0] for _ in range(draws)])
    bulk = found.bulk / samples
    error = duals.std(axis=0) / math.sqrt(draws)
    assert np.all(np.abs(duals.mean(axis=0) - bulk * np.eye(len(duals[0]))) < SIGMAS * error)
    h = contrasts(samples)
    first = duals[:, : samples - 1, : samples - 1]  # block of the first output with itself
    diagonal = np.einsum("sa,nab,sb->ns", h, first, h, optimize=True) * samples / (samples - 2) / bulk
    scatter = np.sum((diagonal - diagonal.mean(axis=1, keepdims=True)) ** 2, axis=1) / (samples - 1)
    # exp(Z) and second orders of the Wishart matrices add their squares
    expected = found.shared + 2 * found.separate
    slack = SIGMAS * scatter.std() / math.sqrt(draws) + 3 * expected**2
    assert abs(scatter.mean() - expected) < slack


def test_the_density_is_that_of_large_surrogates() -> None:
    samples, widths = 600, (1200, 600, 900)
    found = chain(mf.tanh, mf.gelu, samples=samples, widths=widths)
    network = mf.Network(activations=[mf.tanh, mf.gelu], width_ratios=[2, 1, 1.5], weight_variance=VARIANCES)
    bulk = mf.bulk_spectrum(network.normalized(hidden="batch", output="mean"), width=600, samples=samples)
    assert bulk.degenerate == pytest.approx(found.bulk / samples, rel=ROUNDING)
    surrogate, rng = Surrogate(found, 1), np.random.default_rng(2)
    draws = np.array([np.linalg.eigvalsh(surrogate.draw(rng)[0]) for _ in range(3)])
    values = draws / draws.mean(axis=1, keepdims=True) * bulk.degenerate  # the scale scatters by O(1/sqrt(M))
    shares = np.linspace(0.05, 0.95, 19)
    above = np.asarray(bulk.above(np.quantile(values, 1 - shares)))
    np.testing.assert_allclose(above, shares, atol=SHARE)


def test_the_mean_by_control_variates_is_that_of_many_draws() -> None:
    found = chain(mf.relu, mf.relu, samples=12)
    for variance in (None, 2.0):
        few = draw_largest(found, 2, variance=variance, draws=200, seed=0)
        many = draw_largest(found, 2, variance=variance, draws=3000, seed=1)
        plain_error = many.values.std() / math.sqrt(many.values.size)
        assert abs(few.mean - many.values.mean()) < SIGMAS * math.hypot(few.standard_error, plain_error)
        assert few.standard_error < 0.8 * few.values.std() / math.sqrt(few.values.size)


def test_batch_normalisation_of_outputs_takes_them_out() -> None:
    rng = np.random.default_rng(0)
    u, half = rng.standard_normal((5, 2)), rng.standard_normal((10, 10))
    dual = normalised(half @ half.T, u, 6)
    for k in range(2):
        block = dual[5 * k : 5 * k + 5]
        assert np.abs(u[:, k] @ block).max() < LINEAR_ALGEBRA * np.abs(dual).max()
    sigma = np.linalg.norm(u, axis=0) / math.sqrt(6)
    away = np.linalg.qr(np.column_stack([u[:, 0], rng.standard_normal(5)]))[0][:, 1]
    assert away @ dual[:5, :5] @ away == pytest.approx(away @ (half @ half.T)[:5, :5] @ away / sigma[0] ** 2)
