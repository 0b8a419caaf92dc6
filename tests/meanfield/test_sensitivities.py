"""Derivatives by the variances: finite differences of the plain theory, for every activation, and exact cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerances import RICHARDSON, ROUNDING

import meanfield as mf
from meanfield.activations import BY_NAME, FAMILIES

Array = NDArray[np.float64]

CATALOGUE = [*BY_NAME.values(), *(family.make(family.example) for family in FAMILIES.values())]
WEIGHTS, BIASES = (1.1, 0.8, 1.3), (0.3, 0.2, 0.4)


def quantities(network: mf.Network, *, leading_order: bool) -> Array:
    """Return kappa_1, kappa_2, m_lambda and lambda_max by the plain theory."""
    kappa = mf.kappas(network)
    found = mf.eigenvalue_statistics(network, width=100, samples=50, leading_order=leading_order, sharp=False)
    return np.array([*kappa, found.mean, found.largest.lower])


def derivative(f: Callable[[float], Array], x: float) -> Array:
    """Return a derivative by central differences, extrapolated twice."""
    first, second, third = ((f(x + h) - f(x - h)) / (2 * h) for h in (0.02 * x, 0.01 * x, 0.005 * x))
    better, best = (4 * second - first) / 3, (4 * third - second) / 3
    return np.asarray((16 * best - better) / 15)


@pytest.mark.parametrize(
    ("hidden", "output", "leading_order"), [("none", "none", False), ("none", "mean", True), ("layer", "mean", False)]
)
@pytest.mark.parametrize("phi", CATALOGUE, ids=[phi.name for phi in CATALOGUE])
def test_derivatives_are_differences(phi: mf.Activation, hidden: str, output: str, leading_order: bool) -> None:
    network = mf.Network(
        activations=[phi] * 2,
        width_ratios=[1, 2, 0.5],
        weight_variance=WEIGHTS,
        bias_variance=BIASES,
        outputs=2,
        hidden_normalization=hidden,
        output_normalization=output,
    )
    found = mf.sensitivities(network, width=100, samples=50, leading_order=leading_order)
    for name, values in (("weight_variance", WEIGHTS), ("bias_variance", BIASES)):
        kind: mf.Derivatives = getattr(found, name)
        for l, value in enumerate(values):

            def at(x: float, name: str = name, values: tuple[float, ...] = values, l: int = l) -> Array:
                changed: dict[str, Any] = {name: (*values[:l], x, *values[l + 1 :])}
                return quantities(dataclasses.replace(network, **changed), leading_order=leading_order)

            wanted = derivative(at, value)
            got = np.array([kind.kappa_1[l], kind.kappa_2[l], kind.mean[l], kind.lambda_max[l]])
            scale = np.abs(at(value)) / value
            assert np.abs(got - wanted).max() < RICHARDSON * scale.max()
            assert (np.abs(got - wanted) < RICHARDSON * scale).all()


def test_totals_are_derivatives_by_a_shared_variance() -> None:
    def at(x: float) -> Array:
        return quantities(
            mf.Network.uniform(mf.tanh, depth=5, weight_variance=x, bias_variance=0.4), leading_order=False
        )

    found = mf.sensitivities(
        mf.Network.uniform(mf.tanh, depth=5, weight_variance=2.0, bias_variance=0.4), width=100, samples=50
    )
    assert np.array(found.weight_variance.total) == pytest.approx(derivative(at, 2.0), rel=RICHARDSON)
    assert "d/d sigma_w^2" in str(found)


def test_homogeneous_networks_obey_euler() -> None:
    """Without biases every term of the kappas of relu has L - 1 factors sigma_w^2."""
    network = mf.Network.uniform(mf.relu, depth=5, weight_variance=2.0)
    found = mf.sensitivities(network, width=100, samples=50, leading_order=True)
    degree = 4
    for name in ("kappa_1", "kappa_2", "mean", "lambda_max"):
        value = {
            "kappa_1": found.kappa.same,
            "kappa_2": found.kappa.cross,
            "mean": found.statistics.mean,
            "lambda_max": found.statistics.largest.lower,
        }[name]
        assert 2.0 * getattr(found.weight_variance.total, name) == pytest.approx(degree * value, rel=ROUNDING)
    assert found.weight_variance.kappa_1.sum() == pytest.approx(4 * 1.25 / 2, rel=ROUNDING)  # kappa_1 = 5/4


def test_the_bias_of_the_readout_enters_nothing() -> None:
    network = mf.Network.uniform(mf.tanh, depth=4, weight_variance=2.0, bias_variance=0.3)
    found = mf.sensitivities(network, width=100, samples=50)
    assert found.bias_variance.lambda_max[-1] == 0
    assert found.bias_variance.kappa_2[-1] == 0


def test_samples_that_look_alike_have_derivatives() -> None:
    """Deep in the ordered phase q_st = q_t to rounding."""
    network = mf.Network.uniform(mf.tanh, depth=80, weight_variance=0.5, bias_variance=0.3)

    def at(x: float) -> Array:
        changed = dataclasses.replace(network, weight_variance=(x,) * 80)
        return quantities(changed, leading_order=False)

    found = mf.sensitivities(network, width=100, samples=50)
    assert np.array(found.weight_variance.total) == pytest.approx(derivative(at, 0.5), rel=RICHARDSON)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": "batch"}, "without batch normalisation"),
        ({"output": "batch"}, "output_normalization none or mean"),
        ({"output": "layer"}, "output_normalization none or mean"),
    ],
)
def test_what_is_not_covered_is_refused(changes: dict[str, str], message: str) -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=8).normalized(**changes)
    with pytest.raises(mf.AssumptionError, match=message):
        mf.sensitivities(network, width=100, samples=50)


def test_samples_with_a_negative_overlap_are_refused() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    with pytest.raises(mf.AssumptionError, match="overlap of at least 0"):
        mf.sensitivities(network, width=100, samples=2, inputs=mf.Pair(1.0, -0.5))
