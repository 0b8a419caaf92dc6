"""How samples and pairs of them differ, against networks, and the lower end of the density with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import meanfield as mf
import montecarlo as mc
from meanfield.spectrum.collective import collective_modes
from meanfield.spectrum.disorder import diagonal_variance, disorder, pair_variance
from meanfield.spectrum.limit import limit_model
from meanfield.spectrum.limit_density import LimitDensity

SIGMAS = 4.5
NETWORKS = {
    "relu": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "unequal": mf.Network(
        activations=[mf.tanh, mf.gelu, mf.relu],
        width_ratios=[1.0, 0.7, 1.3, 0.8],
        weight_variance=[2.7, 1.5, 2.0, 1.2],
        bias_variance=0.5,
    ),
}


def products(network: mf.Network, width: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return Y of one network, and then its dual Fisher information without the samples' mean."""
    finite = mc.sample_network(network, width=width, rng=rng)
    sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
    total = np.zeros((samples, samples))
    for h, delta in zip(sweep.h, sweep.delta, strict=True):
        own_h, own_delta = h - h.mean(axis=0), delta[0] - delta[0].mean(axis=0)
        total += (own_delta @ own_delta.T) * (own_h @ own_h.T) / samples
    centre = np.eye(samples) - 1 / samples
    return np.array([total, centre @ mc.dual_gram(sweep) @ centre])


@pytest.mark.parametrize("name", NETWORKS)
def test_variances_are_those_of_networks(name: str) -> None:
    network, width, samples = NETWORKS[name], 300, 500
    modes = collective_modes(network, mf.propagate(network))
    rng, rows = np.random.default_rng(1), []
    centre = np.eye(samples) - 1 / samples
    for _ in range(30):
        y = products(network, width, samples, rng)[0]
        diagonal = np.diag(y)
        off = centre @ (y - np.diag(diagonal)) @ centre
        rows.append((diagonal.var(), np.sum(off**2) / samples))
    measured, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(len(rows))
    expected = (diagonal_variance(modes, width=width, samples=samples), pair_variance(modes) / samples)
    assert np.all(np.abs(measured - expected) < SIGMAS * error)
    assert np.all(error < 0.15 * measured)
    assert disorder(modes, width=width, samples=samples) == pytest.approx(sum(expected))


def test_the_lower_end_of_the_density() -> None:
    """L = 2, T = 4 M: without disorder a quarter of the eigenvalues would be r itself."""
    width, samples = 300, 1200
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    order = mf.propagate(network)
    theory = mf.spectrum(network.normalized(output="mean"), width=width, samples=samples)
    probabilities = (0.003, 0.05, 0.15)
    rows = []
    for seed in range(16):
        values = np.linalg.eigvalsh(products(network, width, samples, np.random.default_rng(seed))[1])[1:]
        rows.append(np.quantile(values, probabilities))
    expected = [theory.quantile(probability) for probability in probabilities]
    measured, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(len(rows))
    assert np.all(np.abs(measured - expected) < SIGMAS * error)
    plain = limit_model(network, order, network.widths(width)[:-1], samples)
    assert np.all(measured + SIGMAS * error < plain.constant)
    atom = LimitDensity(plain)
    assert float(atom.above(np.array([plain.constant * 1.0001]))[0]) < 0.78
    assert LimitDensity(replace(plain, disorder=theory.lower_edge**2)).lowest < theory.lower_edge < plain.constant


def test_disorder_has_a_closed_second_moment_and_no_part_in_the_constants() -> None:
    network = NETWORKS["relu"].normalized(output="mean")
    narrow, wide = (mf.spectrum(network, width=width, samples=width) for width in (300, 10**6))
    modes = collective_modes(network, narrow.order, width=300)
    model = limit_model(network, narrow.order, network.widths(300)[:-1], 300)
    v = disorder(modes, width=300, samples=300)
    assert narrow.second_moment - LimitDensity(model).second_moment == pytest.approx(v, rel=1e-6)
    assert narrow.c2 == pytest.approx(wide.c2, rel=0.02)
    assert narrow.largest == pytest.approx(narrow.largest_median, rel=0.03)
