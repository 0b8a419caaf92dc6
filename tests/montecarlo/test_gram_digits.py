"""The matrices of real inputs against finite networks, on scikit-learn's digits, whose norms and angles vary.

Covariances of the outputs have the limit as their expectation at every width for L = 2 alone; in deeper networks, and
for the tangent kernel, what separates them is O(1/M). It is taken out by Richardson: twice the mean at width 2 M less
that at width M, whose bias is O(1/M^2).
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tolerances import SIGMAS

import meanfield as mf
import montecarlo as mc

WIDTH, MEMBERS, CHOSEN = 100, 300, 12

NETWORKS = {
    "relu": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, bias_variance=0.1),
    "tanh": mf.Network.uniform(mf.tanh, depth=3, weight_variance=1.5, bias_variance=0.2),
    "gelu, layer norm": mf.Network.uniform(
        mf.gelu, depth=3, weight_variance=2.0, bias_variance=0.1, hidden_normalization="layer"
    ),
}


def digits() -> NDArray[np.float64]:
    x = load_digits().data[:CHOSEN]
    return np.asarray(x / x.std())


def measured(network: mf.Network, x: NDArray[np.float64], width: int, seed: int) -> NDArray[np.float64]:
    """Return products of outputs and T F* of every network: shape (members, 2, T, T)."""
    # the inputs have M_0 = 64 whatever the width
    ratios = (x.shape[1] / width, *network.width_ratios[1:])
    network = mf.Network(
        activations=network.activations,
        width_ratios=ratios,
        weight_variance=network.weight_variance,
        bias_variance=network.bias_variance,
        hidden_normalization=network.hidden_normalization,
    )
    found = np.empty((MEMBERS, 2, len(x), len(x)))
    for member, stream in enumerate(np.random.SeedSequence(seed).spawn(MEMBERS)):
        finite = mc.sample_network(network, width=width, rng=np.random.default_rng(stream))
        sweep = mc.propagate(finite, x)
        found[member] = np.outer(sweep.outputs, sweep.outputs), len(x) * mc.dual_gram(sweep) / width
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_finite_networks_on_digits(name: str) -> None:
    network, x = NETWORKS[name], digits()
    theory = [mf.gram(network, x, width=width) for width in (WIDTH, 2 * WIDTH)]
    narrow, wide = (measured(network, x, width, seed) for seed, width in enumerate((WIDTH, 2 * WIDTH)))
    assert theory[0].tangent is not None
    assert theory[1].tangent is not None
    limit = np.array([theory[0].covariance, 2 * theory[1].tangent / (2 * WIDTH) - theory[0].tangent / WIDTH])
    mean = 2 * wide.mean(axis=0) - narrow.mean(axis=0)
    error = np.sqrt((4 * wide.var(axis=0, ddof=1) + narrow.var(axis=0, ddof=1)) / MEMBERS)
    z = (mean - limit) / error
    # the entries of one draw are strongly correlated: each is judged by itself
    assert np.abs(z).max() < SIGMAS
    # and they could tell: the errors are small beside the matrices, and beside what tells the pairs apart
    assert (error[1] < 0.1 * limit[1].max()).all()
    assert np.ptp(limit[1]) > 10 * error[1].max()


def test_the_largest_eigenvalue_on_digits() -> None:
    """lambda_max of wide networks approaches that of the limit, from above as in Theorem 2.2."""
    network, x = NETWORKS["relu"], load_digits().data[:200] / 6.0
    ratios = []
    for width in (100, 400):
        own = mf.Network(
            activations=network.activations,
            width_ratios=(64 / width, 1, 1),
            weight_variance=2.0,
            bias_variance=0.1,
        )
        theory = mf.gram(own, x, width=width).largest
        found = []
        for stream in np.random.SeedSequence(1).spawn(20):
            finite = mc.sample_network(own, width=width, rng=np.random.default_rng(stream))
            found.append(mc.measure_eigenvalues(mc.propagate(finite, x)).lambda_max)
        mean, error = np.mean(found), np.std(found, ddof=1) / np.sqrt(len(found))
        ratios.append((mean / theory, error / theory))
    for (ratio, error), width in zip(ratios, (100, 400), strict=True):
        assert abs(ratio - 1) < SIGMAS * error + own.depth / width
