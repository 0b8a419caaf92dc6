"""lambda_max of networks with hidden batch normalisation where differences between samples are on top."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerances import BULK_EDGE, SIGMAS

import meanfield as mf
import montecarlo as mc


def network(phi: mf.Activation, depth: int, *, outputs: int = 1, output: str = "mean") -> mf.Network:
    plain = mf.Network.uniform(phi, depth=depth, weight_variance=2.0, bias_variance=0.1, outputs=outputs)
    return plain.normalized(hidden="batch", output=output)


def measured(net: mf.Network, *, width: int, samples: int, members: int) -> np.ndarray:
    """Return lambda_max and, of a network, the mean of its C (T-1) eigenvalues before batch normalisation."""
    found = []
    for seed in range(members):
        rng = np.random.default_rng([seed, samples, width])
        finite = mc.sample_network(net, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(net, width=width, samples=samples, rng=rng))
        found.append((mc.measure_largest(sweep), float(np.trace(mc.dual_gram(sweep)))))
    return np.array(found)


@pytest.mark.parametrize("depth", [3, 5])
@pytest.mark.parametrize("phi", [mf.relu, mf.tanh, mf.gelu, mf.sigmoid], ids=repr)
def test_networks_of_width_1000(phi: mf.Activation, depth: int) -> None:
    """With the mean eigenvalue of each network as control: the leading order is low by 20 to 40 %."""
    samples, width, members = 32, 1000, 4
    net = network(phi, depth)
    bulk = mf.bulk_spectrum(net, width=width, samples=samples)
    largest, trace = measured(net, width=width, samples=samples, members=members).T
    ratio = largest / trace * (samples - 1) * bulk.degenerate / bulk.largest
    error = ratio.std(ddof=1) / math.sqrt(members)
    assert abs(ratio.mean() - 1) < BULK_EDGE[depth]
    assert abs(ratio.mean() - 1) < BULK_EDGE[depth] / 2 + SIGMAS * error
    assert bulk.largest > 1.2 * bulk.degenerate
    assert bulk.validity == ()


def test_unequal_layers_in_standard_errors() -> None:
    """Several widths, variances and activations at T = M/4; the mean and the spread."""
    net = mf.Network(
        activations=[mf.tanh, mf.relu], width_ratios=[0.5, 1.5, 1.0], weight_variance=[1.0, 2.0, 3.0]
    ).normalized(hidden="batch", output="mean")
    largest = measured(net, width=160, samples=40, members=60)[:, 0]
    bulk = mf.bulk_spectrum(net, width=160, samples=40)
    error = largest.std(ddof=1) / math.sqrt(largest.size)
    assert abs(largest.mean() - bulk.largest) < SIGMAS * math.hypot(error, bulk.largest_standard_error)
    assert abs(largest.mean() - bulk.degenerate) > 5 * SIGMAS * error
    assert bulk.largest_sd == pytest.approx(largest.std(ddof=1), rel=SIGMAS / math.sqrt(2 * largest.size))


@pytest.mark.parametrize(("outputs", "output"), [(4, "mean"), (1, "batch"), (3, "batch")])
def test_several_and_batch_normalised_outputs(outputs: int, output: str) -> None:
    net = network(mf.relu, 3, outputs=outputs, output=output)
    largest = measured(net, width=300, samples=20, members=60)[:, 0]
    bulk = mf.bulk_spectrum(net, width=300, samples=20)
    error = largest.std(ddof=1) / math.sqrt(largest.size)
    assert abs(largest.mean() - bulk.largest) < SIGMAS * math.hypot(error, bulk.largest_standard_error)
    assert abs(largest.mean() - bulk.degenerate) > 2 * SIGMAS * error


def test_density_edge_and_moments() -> None:
    bulk = mf.bulk_spectrum(network(mf.relu, 4), width=400, samples=200)
    x = np.linspace(0.9 * bulk.lower_edge, bulk.edge, 4001)
    density = np.asarray(bulk.density(x))
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-5)
    assert np.trapezoid(density * x, x) == pytest.approx(bulk.degenerate, rel=1e-5)
    assert bulk.mean == pytest.approx(bulk.degenerate, rel=1e-12)
    assert np.trapezoid(density * x**2, x) == pytest.approx(bulk.second_moment, rel=1e-5)
    middle = float(np.median(x))
    assert bulk.above(middle) == pytest.approx(np.trapezoid(density[2000:], x[2000:]), abs=1e-5)
    assert bulk.density(1.01 * bulk.edge) < 1e-15
    assert bulk.above(1.01 * bulk.edge) < 1e-10


def test_activities_that_scatter_less_than_gaussian_ones_make_a_density_too() -> None:
    """Negative excess of the variance of samples: tanh and sigmoid."""
    bulk = mf.bulk_spectrum(network(mf.sigmoid, 3), width=1000, samples=128)
    assert bulk._limit.model.disorder < 0
    x = np.linspace(0.9 * bulk.lower_edge, bulk.edge, 2001)
    assert np.trapezoid(bulk.density(x), x) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("phi", [mf.absolute, mf.cosine, mf.identity, mf.hermite(2), mf.sine], ids=repr)
def test_even_odd_and_linear_activations(phi: mf.Activation) -> None:
    """Overlaps of even activations respond with a negative sign, of O(1/T)."""
    samples, width, members = 24, 300, 24
    net = network(phi, 3)
    bulk = mf.bulk_spectrum(net, width=width, samples=samples)
    largest, trace = measured(net, width=width, samples=samples, members=members).T
    ratio = largest / trace * (samples - 1) * bulk.degenerate
    error = ratio.std(ddof=1) / math.sqrt(members)
    assert abs(ratio.mean() - bulk.largest) < BULK_EDGE[3] * bulk.largest + SIGMAS * error
    assert bulk.lower_edge < bulk.degenerate < bulk.edge


def test_draws_are_those_of_the_seed() -> None:
    net = network(mf.tanh, 3)
    one, same, other = (mf.bulk_spectrum(net, width=100, samples=10, draws=8, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.drawn.values, same.drawn.values)
    assert one.largest != other.largest
    assert one.largest_quantile(0.01) <= one.largest_quantile(0.5) <= one.drawn.values.max()
    assert "lambda_max" in str(one)


def test_validity() -> None:
    assert "few" in " ".join(mf.bulk_spectrum(network(mf.relu, 3), width=1000, samples=8).validity)
    assert "narrow" in " ".join(mf.bulk_spectrum(network(mf.tanh, 3, outputs=10), width=100, samples=30).validity)
    assert "large for the width" in " ".join(mf.bulk_spectrum(network(mf.tanh, 3), width=100, samples=300).validity)
    assert "differ" in " ".join(mf.bulk_spectrum(network(mf.relu, 10), width=100, samples=30).validity)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": "none"}, "hidden_normalization must be batch, got none"),
        ({"hidden": "layer"}, "hidden_normalization must be batch, got layer"),
        ({"output": "layer"}, "output_normalization must be none, mean or batch, got layer"),
    ],
)
def test_other_normalisations_are_refused(changed: dict[str, str], message: str) -> None:
    net = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=3)
    with pytest.raises(mf.AssumptionError, match=message):
        mf.bulk_spectrum(net.normalized(**{"hidden": "batch", "output": "mean"} | changed), width=100, samples=10)


def test_bad_input_is_refused() -> None:
    net = network(mf.relu, 3)
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 6, got 5"):
        mf.bulk_spectrum(net, width=100, samples=5)
    with pytest.raises(mf.ParameterError, match="draws must be an integer >= 8, got 1"):
        mf.bulk_spectrum(net, width=100, samples=10, draws=1)
    bulk = mf.bulk_spectrum(net, width=100, samples=10)
    for x in (0.0, math.nan):
        with pytest.raises(mf.ParameterError, match="x must be finite numbers above 0"):
            bulk.density(x)
    with pytest.raises(mf.ParameterError, match="probability"):
        bulk.largest_quantile(1.0)
    with pytest.raises(mf.AssumptionError, match="the density is that of outputs without batch normalisation"):
        _ = mf.bulk_spectrum(network(mf.relu, 3, output="batch"), width=100, samples=10).edge
