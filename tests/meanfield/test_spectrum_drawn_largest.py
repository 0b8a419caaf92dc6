"""lambda_max over drawn networks: its record, normalised outputs, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from problems import RELU as RELU_PLAIN
from problems import TANH as TANH_PLAIN
from tolerances import SIGMAS

import meanfield as mf
from meanfield.spectrum import drawn_ensemble
from meanfield.spectrum.drawn import Drawn, model_of
from meanfield.spectrum.drawn_cavity import Cavity
from meanfield.spectrum.drawn_edge import Edge, edge_of

RELU, TANH = (network.normalized(output="mean") for network in (RELU_PLAIN, TANH_PLAIN))

OF_WIDTH = 4.0
"""Of the mean variance of an output from its limit, in units of 1/M."""

GAMMA = 2e-3
"""Of the gamma law in place of that of Tracy and Widom, in probability."""


def test_draws_have_streams_of_their_own() -> None:
    few, more = (mf.drawn_largest(RELU, width=60, samples=60, draws=draws, seed=3) for draws in (3, 5))
    assert more.values[:3].tolist() == few.values.tolist()
    assert few.values.tolist() == mf.drawn_largest(RELU, width=60, samples=60, draws=3, seed=3).values.tolist()
    sequence = np.random.SeedSequence(3)
    assert few.values.tolist() == mf.drawn_largest(RELU, width=60, samples=60, draws=3, seed=sequence).values.tolist()
    other = mf.drawn_largest(RELU, width=60, samples=60, draws=3, seed=4)
    assert not set(few.values) & set(other.values)


def test_figures_of_a_record() -> None:
    edges = tuple(Edge(position, 50.0, 400, -0.2) for position in (8.0, 9.0, 10.0))
    record = mf.DrawnLargest(edges, np.ones((3, 1)), ("a pole",))
    scale = (5 / 400) ** (2 / 3)
    assert edges[0].scale == pytest.approx(scale)
    assert record.mean == pytest.approx(9 - 1.2065336 * scale)
    assert record.standard_error == pytest.approx(1 / math.sqrt(3))
    assert record.sd == pytest.approx(math.sqrt(1 + (1.2679811 * scale) ** 2))
    assert record.quantile(0.5) == pytest.approx(9 - 1.2686 * scale, abs=0.01 * scale)  # the median of the law
    assert record.quantile(0.1) < record.quantile(0.5) < record.quantile(0.9)
    assert "draws without an edge" in str(record)
    for probability in (0.0, 1.0, 1.5):
        with pytest.raises(mf.ParameterError, match="probability"):
            record.quantile(probability)


def test_quantiles_are_those_of_the_law_of_tracy_and_widom() -> None:
    """Against the tabulated distribution function of the largest eigenvalue of real matrices."""
    scale = 1e-3
    edge = Edge(1.0, 2 * (scale**1.5 * 400) ** 2, 400, -0.2)
    record = mf.DrawnLargest((edge, edge), np.ones((2, 1)), ())
    for deviate, probability in ((-3.9, 0.01), (-3.18, 0.05), (-2.78, 0.1), (0.45, 0.9), (0.98, 0.95), (2.02, 0.99)):
        places = (record.quantile(probability + off) for off in (-GAMMA, GAMMA))
        low, high = ((place - 1) / scale for place in places)
        assert low - 0.01 <= deviate <= high + 0.01


def test_draws_without_an_edge_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0]

    def failing(cavity: Cavity) -> Edge:
        calls[0] += 1
        if calls[0] % 3 == 2:
            raise mf.EdgeError("lost")
        return edge_of(cavity)

    monkeypatch.setattr(drawn_ensemble, "edge_of", failing)
    record = mf.drawn_largest(RELU, width=40, samples=40, draws=6)
    assert (record.draws, record.failures, len(record.output_variances)) == (4, ("lost", "lost"), 4)
    calls[0] = 0
    with pytest.raises(mf.EdgeError, match="of 2 draws 1 had an edge that was found: lost"):
        mf.drawn_largest(RELU, width=40, samples=40, draws=2)


def test_the_variance_of_the_outputs_is_that_of_the_order_parameters() -> None:
    for network in (RELU, replace(TANH, outputs=2)):
        width, draws = 300, 200
        widths = network.widths(width)[:-1]
        variances = []
        for seed in range(draws):
            model = model_of(network, widths, width, Drawn(np.random.default_rng(seed), network, widths))
            variances.append(np.diagonal(model.covariance))
        order = mf.propagate(network).preactivation
        expected = float(order.same[-1] - order.cross[-1])
        drawn = np.mean(variances, axis=1)
        error = drawn.std(ddof=1) / math.sqrt(draws)
        assert abs(drawn.mean() - expected) <= SIGMAS * error + OF_WIDTH / width * expected


def test_batch_normalisation_of_one_output_divides_by_its_variance() -> None:
    mean, batch = (
        mf.drawn_largest(TANH.normalized(output=output), width=80, samples=100, draws=4) for output in ("mean", "batch")
    )
    np.testing.assert_array_equal(mean.output_variances, batch.output_variances)
    for edge, divided, (variance,) in zip(mean.edges, batch.edges, mean.output_variances, strict=True):
        assert divided.position == pytest.approx(edge.position / variance, rel=1e-5)
        assert edge.removed == 0
        assert 0 < divided.removed < 0.05 * divided.position


def test_small_and_centred_networks_have_an_edge() -> None:
    many_outputs = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.1, outputs=6)
    many_outputs = many_outputs.normalized(output="mean")
    centred = mf.Network.uniform(mf.tanh, depth=4, weight_variance=2.0, output_normalization="mean")
    for network, width in ((many_outputs, 4), (centred, 60), (centred.normalized(output="batch"), 60)):
        record = mf.drawn_largest(network, width=width, samples=50, draws=3)
        assert record.draws == 3
        assert 0 < record.mean < math.inf


def test_what_is_refused() -> None:
    with pytest.raises(mf.AssumptionError, match="hidden layers without normalisation"):
        mf.drawn_largest(RELU.normalized(hidden="batch"), width=50, samples=50)
    with pytest.raises(mf.AssumptionError, match="layer normalisation of the outputs"):
        mf.drawn_largest(RELU.normalized(output="layer"), width=50, samples=50)
    with pytest.raises(mf.AssumptionError, match="must be mean or batch, got none"):
        mf.drawn_largest(RELU_PLAIN, width=50, samples=50)
    for parameters in ({"samples": 1}, {"draws": 1}, {"width": 0}):
        with pytest.raises(mf.ParameterError, match=next(iter(parameters))):
            mf.drawn_largest(RELU, **{"width": 50, "samples": 50} | parameters)
