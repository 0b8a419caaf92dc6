"""Theorem 3.1: the record, its hypotheses, and the orders of what finite networks miss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import RELU, TANH, sweep

import meanfield as mf
import montecarlo as mc
from montecarlo.allowance import CONSTANTS


def wider(network: mf.Network, outputs: int) -> mf.Network:
    return mf.Network.uniform(
        network.activations[0],
        depth=3,
        weight_variance=network.weight_variance,
        bias_variance=network.bias_variance,
        outputs=outputs,
    )


def measured(network: mf.Network, width: int, samples: int, seed: int) -> tuple[float, float]:
    """1 - alignment, and the residual by a second route: with v = R nu the norms are those of F*."""
    member = sweep(network, width=width, samples=samples, seed=seed)
    gram = mc.dual_gram(member)
    nu = np.kron(np.eye(network.outputs), np.full((samples, 1), samples**-0.5))
    top = float(np.linalg.eigvalsh(gram)[-1])
    rest = gram @ nu - top * nu
    squares = np.diag(rest.T @ gram @ rest) / np.diag(nu.T @ gram @ nu) / top**2
    measured = mc.measure_eigenspace(member)
    assert measured.residual == pytest.approx(math.sqrt(float(np.mean(squares))), rel=1e-9)
    return 1 - measured.alignment, measured.residual


@pytest.mark.parametrize("network", [RELU, TANH, wider(RELU, 4)])
@pytest.mark.parametrize(("width", "samples"), [(100, 10), (100, 100), (400, 10)])
def test_finite_networks_miss_what_the_corrections_grant(network: mf.Network, width: int, samples: int) -> None:
    theory = mf.eigenspace(network, width=width, samples=samples)
    assert (theory.alignment, theory.residual) == (1.0, 0.0)
    lost, residual = np.mean([measured(network, width, samples, seed) for seed in range(5)], axis=0)
    granted = dict.fromkeys(("alignment", "residual"), 0.0)
    for correction in theory.corrections:
        granted[correction.quantity] += CONSTANTS[correction.name] * correction.size
    assert 0 < lost < granted["alignment"]
    assert 0 < residual < granted["residual"]
    # the orders are not merely large: no factor of a hundred is given away
    assert residual > granted["residual"] / 20
    assert lost > granted["alignment"] / 100


def test_the_orders_fall_with_the_width() -> None:
    sizes: dict[tuple[str, str, int], float] = {}
    for width in (1000, 100_000):
        for correction in mf.eigenspace(wider(TANH, 3), width=width, samples=20).corrections:
            sizes[correction.quantity, correction.name, width] = correction.size
    for quantity, name, power in (
        ("alignment", "finite width", 1),
        ("residual", "finite width", 0.5),
        ("residual", "splitting", 0.5),
    ):
        assert sizes[quantity, name, 1000] / sizes[quantity, name, 100_000] == pytest.approx(100**power, rel=0.02)


def test_layer_norm_one_sample_and_print() -> None:
    layered = mf.eigenspace(TANH.normalized(hidden="layer"), width=100, samples=1)
    assert layered.theorem == "Theorem 3.1 with layer normalisation in the hidden layers"
    assert all(correction.size == 0 for correction in layered.corrections)  # no contrasts to mix with
    assert "left out" in str(mf.eigenspace(TANH, width=100, samples=5))


def test_hypotheses() -> None:
    for output in ("mean", "batch", "layer"):
        with pytest.raises(mf.AssumptionError, match=f"outputs without normalisation, not {output}"):
            mf.eigenspace(RELU.normalized(output=output), width=100, samples=10)
    with pytest.raises(mf.AssumptionError, match="hidden layers without batch normalisation"):
        mf.eigenspace(RELU.normalized(hidden="batch"), width=100, samples=10)
    with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.1 needs a non-centred network"):
        mf.eigenspace(mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0), width=100, samples=10)
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 1, got 0"):
        mf.eigenspace(RELU, width=100, samples=0)
    with pytest.raises(mf.ParameterError, match="order must be the order parameters of this network"):
        mf.eigenspace(
            RELU, width=9, samples=9, order=mf.propagate(mf.Network.uniform(mf.relu, depth=2, weight_variance=1.0))
        )
